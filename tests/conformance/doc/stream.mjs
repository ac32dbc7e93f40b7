// tests/conformance/doc/stream.mjs -- writes and reads records, and cuts frames of them out of a pipe.
//
//   stream := "YCC1" record*          record := tag:char length:varuint payload
//   bytes  := varuint n, n bytes      str := bytes, UTF-8      list := varuint n, n varuints
//
// What the tags mean stands in stream.h.

export const MAGIC = Buffer.from('YCC1')

export function varuint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(128 | (value % 128))
  bytes.push(value)
  return Buffer.from(bytes)
}
export const bytes = (value) => Buffer.concat([varuint(value.length), value])
export const str = (text) => bytes(Buffer.from(text, 'utf8'))
export const list = (numbers) => Buffer.concat([varuint(numbers.length), ...numbers.map(varuint)])

/** `parts` are numbers, which become varuints, and bytes made by the functions above. */
export function record(tag, ...parts) {
  const payload = Buffer.concat(parts.map((part) => (typeof part === 'number' ? varuint(part) : part)))
  return Buffer.concat([Buffer.from(tag, 'latin1'), varuint(payload.length), payload])
}

/** Takes a payload apart, in the order in which it was put together. */
export class Cursor {
  #bytes
  #at = 0

  constructor(buffer) {
    this.#bytes = buffer
  }

  get atEnd() {
    return this.#at >= this.#bytes.length
  }

  varuint() {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Error('a record ends too early')
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  bytes() {
    const length = this.varuint()
    const value = new Uint8Array(this.#bytes.subarray(this.#at, this.#at + length))
    if (value.length !== length) throw new Error('a record ends too early')
    this.#at += length
    return value
  }

  str() {
    return Buffer.from(this.bytes()).toString('utf8')
  }
}

/** Cuts what arrives in pieces into records: push() gives those that are complete, as [tag, payload]. */
export class Cutter {
  #left = Buffer.alloc(0)

  push(piece) {
    this.#left = this.#left.length === 0 ? piece : Buffer.concat([this.#left, piece])
    const records = []
    for (let next = this.#cut(); next !== null; next = this.#cut()) records.push(next)
    return records
  }

  #cut() {
    let at = 1
    let length = 0
    for (let scale = 1; ; scale *= 128) {
      if (at >= this.#left.length) return null
      const byte = this.#left[at++]
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    if (this.#left.length < at + length) return null
    const found = [String.fromCharCode(this.#left[0]), this.#left.subarray(at, at + length)]
    this.#left = this.#left.subarray(at + length)
    return found
  }
}
