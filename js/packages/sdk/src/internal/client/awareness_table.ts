// Who shows what in the awareness of one document, as far as a hub knows: y-protocols' updates, read and written without
// looking into the states.
//
//   update := count (client clock state)*      all varuints, |state| text behind its length; "null": gone
type Bytes = Uint8Array<ArrayBuffer>

export interface AwarenessEntry {
  readonly client: number
  readonly clock: number
  readonly state: string
}

const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder: TextEncoder = new TextEncoder()
const GONE = 'null'

/** Throws a RangeError for what is no update. */
export function readAwareness(update: Bytes): AwarenessEntry[] {
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; factor <= Number.MAX_SAFE_INTEGER; factor *= 128) {
      const byte = update[at++]
      if (byte === undefined) break
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw new RangeError('no update of awareness')
  }
  const entries: AwarenessEntry[] = []
  for (let count = number(); count > 0; count--) {
    const [client, clock, length] = [number(), number(), number()]
    if (length > update.length - at) throw new RangeError('no update of awareness')
    entries.push({ client, clock, state: decoder.decode(update.subarray(at, at + length)) })
    at += length
  }
  return entries
}

export function writeAwareness(entries: readonly AwarenessEntry[]): Bytes {
  const bytes: number[] = []
  const put = (value: number): void => {
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
    bytes.push(value)
  }
  put(entries.length)
  for (const { client, clock, state } of entries) {
    const text = encoder.encode(state)
    put(client)
    put(clock)
    put(text.length)
    for (const byte of text) bytes.push(byte)
  }
  return new Uint8Array(bytes)
}

/** `owner`: who speaks for a client; `undefined` for those behind the server. */
export class AwarenessTable<Owner> {
  readonly #entries = new Map<number, AwarenessEntry & { readonly owner: Owner | undefined }>()

  /** Takes in what `owner` said. */
  take(update: Bytes, owner: Owner | undefined): void {
    for (const entry of readAwareness(update)) {
      const known = this.#entries.get(entry.client)
      if (known !== undefined && known.clock > entry.clock) continue
      this.#entries.set(entry.client, { ...entry, owner })
    }
  }

  /** All who are here. */
  everybody(): Bytes | undefined {
    return this.#of(() => true, (entry) => entry)
  }

  /** Those who are at this device. */
  own(): Bytes | undefined {
    return this.#of(({ owner }) => owner !== undefined, (entry) => entry)
  }

  /** Says for those of `owner` that they went. */
  drop(owner: Owner | undefined): Bytes | undefined {
    const update = this.#of((entry) => entry.owner === owner, ({ client, clock }) => ({ client, clock: clock + 1, state: GONE }))
    for (const [client, entry] of this.#entries) if (entry.owner === owner) this.#entries.delete(client)
    return update
  }

  #of(which: (entry: AwarenessEntry & { readonly owner: Owner | undefined }) => boolean, as: (entry: AwarenessEntry) => AwarenessEntry): Bytes | undefined {
    const entries = [...this.#entries.values()].filter((entry) => entry.state !== GONE && which(entry))
    return entries.length > 0 ? writeAwareness(entries.map(as)) : undefined
  }
}
