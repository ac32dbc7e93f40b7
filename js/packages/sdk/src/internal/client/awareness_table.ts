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
const GONE_MAX = 256

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

/** `Owner`: who speaks for a client; `undefined` for those behind the server. */
export class AwarenessTable<Owner> {
  readonly #here = new Map<number, AwarenessEntry & { readonly owner: Owner | undefined }>()
  /** The clocks of those who have gone, so that nothing old brings them back: the latest of them, since there is no end of them. */
  readonly #gone = new Map<number, number>()

  /** Takes in what `owner` said. */
  take(update: Bytes, owner: Owner | undefined): void {
    for (const entry of readAwareness(update)) {
      const { client, clock, state } = entry
      const known = this.#here.get(client)?.clock ?? this.#gone.get(client) ?? 0
      if (known > clock) continue
      if (state === GONE) this.#forget(client, clock)
      else {
        this.#gone.delete(client)
        this.#here.set(client, { ...entry, owner })
      }
    }
  }

  #forget(client: number, clock: number): void {
    this.#here.delete(client)
    this.#gone.delete(client)
    this.#gone.set(client, clock)
    const [oldest] = this.#gone.keys()
    if (this.#gone.size > GONE_MAX && oldest !== undefined) this.#gone.delete(oldest)
  }

  /** All who are here. */
  everybody(): Bytes | undefined {
    return write([...this.#here.values()])
  }

  /** Those who are at this device. */
  own(): Bytes | undefined {
    return write([...this.#here.values()].filter(({ owner }) => owner !== undefined))
  }

  /** Says for those of `owner` that they went. */
  drop(owner: Owner | undefined): Bytes | undefined {
    const entries = [...this.#here.values()].filter((entry) => entry.owner === owner)
    for (const { client } of entries) this.#here.delete(client)
    return write(entries.map(({ client, clock }) => ({ client, clock: clock + 1, state: GONE })))
  }
}

const write = (entries: readonly AwarenessEntry[]): Bytes | undefined => (entries.length > 0 ? writeAwareness(entries) : undefined)
