// Values as they cross the border to a document: lib0's any, which wasm/doc.c extends by nodes and subdocuments.
import { LaniakeaError } from './errors.ts'

/** What a document holds, but for nodes: JSON's values, and what Yjs knows beyond. `undefined` and bigints cannot be
 * elements of an array themselves, only lie in one. */
export type Value = undefined | null | boolean | number | bigint | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value }

/** A document in a document: its name and what is kept with it. What it holds is elsewhere. */
export class Subdocument {
  readonly guid: string
  readonly options: { readonly [key: string]: Value }

  constructor(guid: string, options: { readonly [key: string]: Value } = {}) {
    this.guid = guid
    this.options = options
  }
}

/** What a document's nodes have in common here: they are no values. */
export class Placed {}

const BYTES = 116
const ARRAY = 117
const OBJECT = 118
const STRING = 119
const TRUE = 120
const FALSE = 121
const BIGINT = 122
const FLOAT64 = 123
const FLOAT32 = 124
const INTEGER = 125
const NULL = 126
const UNDEFINED = 127
const NODE = 1
const SUBDOCUMENT = 2
const JSON_TEXT = 6

const BITS31 = 0x7fffffff
const SHORT = 48
/** What is put together of more pieces takes longer when somebody looks into it. */
const JOINED = 16
const DEPTH_MAX = 512

const encoder: TextEncoder = new TextEncoder()
/** A byte order mark is text like any other. */
const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What is no string is a mistake of the caller's. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  throw new LaniakeaError('LK_ERR_TYPE', `a ${typeof value} where text is wanted`)
}

/** An ArrayBuffer, which is what sockets hand out, would be taken for no bytes, and text for zeros. Those of another realm
 * are no instance of ours. */
export function bytesOf(value: Uint8Array): Uint8Array {
  if (ArrayBuffer.isView(value) && (value as Uint8Array).BYTES_PER_ELEMENT === 1) return value
  throw new LaniakeaError('LK_ERR_TYPE', `${Object.prototype.toString.call(value).slice(8, -1)} where a Uint8Array is wanted`)
}

// ---- writing ----

/** Bytes that grow. */
export class Writer {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256)
  length = 0
  #view = new DataView(this.bytes.buffer)

  reset(): this {
    this.length = 0
    return this
  }

  value(value: unknown, depth = 0): void {
    this.#reserve(10)
    switch (typeof value) {
      case 'undefined': return this.#byte(UNDEFINED)
      case 'boolean': return this.#byte(value ? TRUE : FALSE)
      case 'number': return this.#number(value)
      case 'bigint': return this.#bigint(value)
      case 'string': return this.#byte(STRING), this.string(value)
      case 'object': return this.#object(value, depth)
      default: throw new LaniakeaError('LK_ERR_TYPE', `a document holds no ${typeof value}`)
    }
  }

  /** Behind its length in bytes. */
  string(text: string): void {
    const { length } = text
    this.#reserve(3 * length + 16) // with what uint() asks for
    if (length < SHORT && this.#ascii(text)) return
    // The length comes first and takes one byte or more: what is behind it moves where the guess was wrong.
    const guess = lengthOfUint(length)
    const begin = this.length
    const { written } = encoder.encodeInto(text, this.bytes.subarray(begin + guess))
    const needed = lengthOfUint(written)
    if (needed !== guess) this.bytes.copyWithin(begin + needed, begin + guess, begin + guess + written)
    this.uint(written)
    this.length += written
  }

  /** Without its length. */
  text(text: string): void {
    this.#reserve(3 * text.length)
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
  }

  uint(value: number): void {
    this.#reserve(10)
    for (; value > 0x7f; value = Math.floor(value / 128)) this.#byte((value & 0x7f) | 0x80)
    this.#byte(value)
  }

  #ascii(text: string): boolean {
    const { bytes } = this
    let at = this.length
    bytes[at++] = text.length
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      bytes[at++] = unit
    }
    this.length = at
    return true
  }

  #byte(value: number): void {
    this.bytes[this.length++] = value
  }

  /** In the shortest of its forms, as lib0 does. */
  #number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) <= BITS31) return this.#integer(value)
    if (Math.fround(value) === value) {
      this.#byte(FLOAT32)
      this.#view.setFloat32(this.length, value)
      this.length += 4
    } else {
      this.#byte(FLOAT64)
      this.#view.setFloat64(this.length, value)
      this.length += 8
    }
  }

  #integer(value: number): void {
    this.#byte(INTEGER)
    this.int(value)
  }

  /** With its sign in its first byte. */
  int(value: number): void {
    this.#reserve(10)
    const sign = value < 0 || Object.is(value, -0) ? 0x40 : 0
    let left = Math.abs(value)
    this.#byte((left > 0x3f ? 0x80 : 0) | sign | (left & 0x3f))
    if (left <= 0x3f) return
    left = Math.floor(left / 64)
    this.uint(left)
  }

  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new LaniakeaError('LK_ERR_RANGE', `${value} has more than 64 bits`)
    this.#byte(BIGINT)
    this.#view.setBigInt64(this.length, value)
    this.length += 8
  }

  #object(value: object | null, depth: number): void {
    if (value === null) return this.#byte(NULL)
    if (depth >= DEPTH_MAX) throw new LaniakeaError('LK_ERR_DEPTH')
    if (Array.isArray(value)) {
      this.#byte(ARRAY)
      this.uint(value.length)
      for (const item of value as readonly unknown[]) this.value(item, depth + 1)
    } else if (value instanceof Uint8Array) {
      this.#byte(BYTES)
      this.uint(value.length)
      this.raw(value)
    } else if (value instanceof Subdocument) {
      if (depth > 0) throw new LaniakeaError('LK_ERR_TYPE', 'a subdocument lies in a node, not in a value')
      this.#byte(SUBDOCUMENT)
      this.string(value.guid)
      this.value(value.options, 1)
    } else if (value instanceof Placed) {
      throw new LaniakeaError('LK_ERR_TYPE', 'a node lies where insertNode() or setNode() made it, and nowhere else')
    } else if (Object.prototype.toString.call(value) === '[object Object]') {
      this.#byte(OBJECT)
      this.#pairs(value, depth + 1)
    } else {
      throw new LaniakeaError('LK_ERR_TYPE', `a document holds no ${value.constructor.name}`)
    }
  }

  /** A value behind its length, as doc_change() wants it. */
  record(value: unknown): void {
    if (typeof value === 'number' && (value | 0) === value && value !== 0 && value > -BITS31) return this.#integerRecord(value)
    const begin = this.#beginRecord()
    this.value(value)
    this.#endRecord(begin)
  }

  /** All of them, as doubles; false where there is something else among them, and what was written is of no use. */
  numbers(values: readonly unknown[]): boolean {
    this.#reserve(8 * values.length)
    for (let i = 0; i < values.length; i++) {
      const value = values[i]
      if (typeof value !== 'number') return false
      this.#view.setFloat64(this.length + 8 * i, value, true)
    }
    this.length += 8 * values.length
    return true
  }

  /** Keys and values in that way; how many. */
  records(object: object): number {
    const entries = Object.entries(object)
    for (const [key, value] of entries) {
      const begin = this.#beginRecord()
      this.text(key)
      this.#endRecord(begin)
      const behind = this.#beginRecord()
      this.value(value, 1)
      this.#endRecord(behind)
    }
    return entries.length
  }

  /** What most values are: all of it at once. */
  #integerRecord(value: number): void {
    this.#reserve(12)
    const { bytes } = this
    const begin = this.length
    let at = begin + 4
    let left = value < 0 ? -value : value
    bytes[at++] = INTEGER
    bytes[at++] = (value < 0 ? 0x40 : 0) | (left > 0x3f ? 0x80 : 0) | (left & 0x3f)
    for (left >>= 6; left > 0; left >>= 7) bytes[at++] = left > 0x7f ? (left & 0x7f) | 0x80 : left
    bytes[begin] = at - begin - 4
    bytes[begin + 1] = bytes[begin + 2] = bytes[begin + 3] = 0
    this.length = at
  }

  #beginRecord(): number {
    this.#reserve(4)
    return (this.length += 4)
  }

  #endRecord(begin: number): void {
    this.#view.setUint32(begin - 4, this.length - begin, true)
  }

  #pairs(object: object, depth: number): void {
    const entries = Object.entries(object)
    this.uint(entries.length)
    for (const [key, item] of entries) {
      this.string(key)
      this.value(item, depth)
    }
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const grown = new Uint8Array(2 * this.bytes.length + more)
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

function lengthOfUint(value: number): number {
  let length = 1
  for (; value > 0x7f; value = Math.floor(value / 128)) length++
  return length
}

// ---- reading ----

/** Reads what the core wrote, which is right. */
export class Reader<N> {
  readonly bytes: Uint8Array
  /** Values are read as they come back from JSON. */
  plain = false
  #made: DataView | undefined
  readonly #node: (slot: number, check: number, kind: number) => N
  #at = 0

  /** `node` makes the object for a node. */
  constructor(bytes: Uint8Array, node: (slot: number, check: number, kind: number) => N) {
    this.bytes = bytes
    this.#node = node
  }

  /** Where it stands. */
  get at(): number {
    return this.#at
  }

  get more(): boolean {
    return this.#at < this.bytes.length
  }

  get peek(): number {
    return this.bytes[this.#at] as number
  }

  value(): Value | N | Subdocument {
    switch (this.byte()) {
      case UNDEFINED: return undefined
      case NULL: return null
      case INTEGER: return this.#integer()
      case FLOAT32: return this.#number(this.#view.getFloat32((this.#at += 4) - 4))
      case FLOAT64: return this.#number(this.#view.getFloat64((this.#at += 8) - 8))
      case BIGINT: return this.#bigint()
      case FALSE: return false
      case TRUE: return true
      case STRING: return this.string()
      case ARRAY: return this.#array()
      case OBJECT: return this.#object()
      case BYTES: return this.plain ? base64Of(this.piece()) : this.piece().slice()
      case JSON_TEXT: return parsed(this.string())
      case NODE: return this.node()
      case SUBDOCUMENT: return this.subdocument()
      default: throw new LaniakeaError('LK_ERR_CORRUPT')
    }
  }

  node(): N {
    return this.#node(this.#word(), this.#word(), this.byte())
  }

  subdocument(): Subdocument {
    return new Subdocument(this.string(), this.value() as Subdocument['options'])
  }

  /** Over bytes behind their length. */
  skip(): void {
    const length = this.uint()
    this.#at += length
  }

  /** Bytes behind their length; a view. */
  piece(): Uint8Array {
    return this.#take(this.uint())
  }

  string(): string {
    const bytes = this.piece()
    if (bytes.length >= JOINED) return decoder.decode(bytes)
    let text = ''
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number
      if (byte > 0x7f) return decoder.decode(bytes)
      text += String.fromCharCode(byte)
    }
    return text
  }

  uint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  byte(): number {
    return this.bytes[this.#at++] as number
  }

  #take(length: number): Uint8Array {
    this.#at += length
    return this.bytes.subarray(this.#at - length, this.#at)
  }

  /** For the few values that need one. */
  get #view(): DataView {
    return (this.#made ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length))
  }

  #word(): number {
    return (this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)) >>> 0
  }

  #integer(): number {
    const first = this.byte()
    let value = first & 0x3f
    if (first & 0x80) value += 64 * this.uint()
    return first & 0x40 && !(this.plain && value === 0) ? -value : value
  }

  #number(value: number): number | null {
    return this.plain && !Number.isFinite(value) ? null : value
  }

  #bigint(): bigint | string {
    const value = this.#view.getBigInt64((this.#at += 8) - 8)
    return this.plain ? String(value) : value
  }

  #array(): Value[] {
    const length = this.uint()
    const values: Value[] = []
    for (let i = 0; i < length; i++) {
      const value = this.value() as Value
      values.push(value === undefined && this.plain ? null : value)
    }
    return values
  }

  #object(): { [key: string]: Value } {
    const object: { [key: string]: Value } = {}
    for (let count = this.uint(); count > 0; count--) {
      const key = this.string()
      const value = this.value() as Value
      if (value === undefined && this.plain) continue
      if (key !== '__proto__') object[key] = value
      else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
    }
    return object
  }
}

/** A value that is kept as the text of JSON. */
const parsed = (text: string): Value => (text === 'undefined' ? undefined : (JSON.parse(text) as Value))

const CHUNK = 8192

/** Not of all at once: a call takes so many arguments only. */
function base64Of(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK))
  return btoa(text)
}
