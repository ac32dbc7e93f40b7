// Bytes that come from others: positions, snapshots, awareness. All of them are lib0's, and any of them may be wrong.
import { bytesOf } from './doc_any.ts'
import { LaniakeaError } from './errors.ts'

const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })

export class ForeignReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytesOf(bytes)
  }

  get more(): boolean {
    return this.#at < this.#bytes.length
  }

  uint(): number {
    return this.#rest(0, 1)
  }

  /** With a sign in its first byte. */
  int(): number {
    const first = this.#byte()
    const value = first > 0x7f ? this.#rest(first & 0x3f, 64) : first & 0x3f
    return (first & 0x40) !== 0 ? -value : value
  }

  string(): string {
    const length = this.uint()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new LaniakeaError('LK_ERR_TRUNCATED')
    const piece = this.#bytes.subarray(this.#at, end)
    this.#at = end
    try {
      return decoder.decode(piece)
    } catch {
      throw new LaniakeaError('LK_ERR_UTF8')
    }
  }

  end(): void {
    if (this.more) throw new LaniakeaError('LK_ERR_TRAILING')
  }

  #rest(value: number, factor: number): number {
    for (; ; factor *= 128) {
      const byte = this.#byte()
      value += (byte & 0x7f) * factor
      if (!(value <= Number.MAX_SAFE_INTEGER)) throw new LaniakeaError('LK_ERR_RANGE')
      if (byte < 0x80) return value
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new LaniakeaError('LK_ERR_TRUNCATED')
    return byte
  }
}
