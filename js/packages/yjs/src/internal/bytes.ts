// Bytes in the dresses that the wire has for them, and the two primitives that y-protocols is made of.

export type Bytes = Uint8Array<ArrayBuffer>

/** Bytes as JSON, as the server says them to who reads base64 or arrays. */
export interface DressedBytes {
  readonly b64?: string
  readonly bin?: readonly number[]
}

const PIECE = 0x8000 // arguments of one call

export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += PIECE) text += String.fromCharCode(...bytes.subarray(at, at + PIECE))
  return btoa(text)
}

export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}

/** Whether an answer is bytes and nothing else. */
export const isDressed = (payload: unknown): boolean =>
  payload instanceof ArrayBuffer || (payload !== null && typeof payload === 'object' && Object.keys(payload).length === 1 && ('b64' in payload || 'bin' in payload))

/** Bytes in whatever dress they came; undefined for what is none. */
export function undress(payload: unknown): Bytes | undefined {
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload)
  if (typeof payload === 'string') return fromBase64(payload)
  if (Array.isArray(payload)) return Uint8Array.from(payload)
  const { b64, bin } = (payload ?? {}) as DressedBytes
  return b64 !== undefined || bin !== undefined ? undress(b64 ?? bin) : undefined
}

/** One message of y-protocols: numbers, and at its end bytes behind their length. */
export function message(numbers: readonly number[], body?: Uint8Array): Bytes {
  const out = [...numbers]
  let left = body?.length ?? 0
  if (body) {
    for (; left > 127; left = Math.floor(left / 128)) out.push(128 + (left % 128))
    out.push(left)
  }
  const bytes = new Uint8Array(out.length + (body?.length ?? 0))
  bytes.set(out)
  if (body) bytes.set(body, out.length)
  return bytes
}

export interface Reader {
  readonly hasMore: boolean
  number(): number
  bytes(): Uint8Array
}

/** Throws a RangeError where bytes end before what they announce. */
export function readerOf(bytes: Uint8Array): Reader {
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]
      if (byte === undefined || factor > 2 ** 49) throw new RangeError('the message is cut short')
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  return {
    get hasMore() {
      return at < bytes.length
    },
    number,
    bytes() {
      const end = number() + at
      if (end > bytes.length) throw new RangeError('the message is cut short')
      return bytes.subarray(at, (at = end))
    },
  }
}
