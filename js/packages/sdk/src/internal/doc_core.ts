// Documents' part of the core: what crosses the border to an instance, as fast as it can.
//
// A keystroke takes some ten nanoseconds in the core. So here nothing is wrapped, copied or allocated that need not be:
// callers call the exports themselves, put bytes where the core reads them, and look at the board
// (wasm/doc.h), words in its memory, for what else it has to say. When the memory grows, views of it
// become empty: then a word of the board is undefined, which is not 0, and whoever finds that calls refresh().
import { docRead, type CoreExports, type DocExports } from './bindings.gen.ts'
import { Writer, bytesOf } from './doc_any.ts'
import { LaniakeaError, checkResult } from './errors.ts'
import { Instance, Trap, instantiate, type Modules } from './instance.ts'

/** The module of documents: the border that all modules have, and theirs. */
export type DocModule = DocExports & Pick<CoreExports, 'memory' | 'scratch' | 'out_ptr' | 'out_len'>

export type Bytes = Uint8Array<ArrayBuffer>

/** Words of the board. */
export const QUEUED = 0
export const QUEUE = 1
export const LOST = 2
export const SLOT = 3
export const CHECK = 4
export const KIND = 5
export const COUNT = 6
const BOARD_WORDS = 7
/** What may be set of LOST: an update could not be written down; a document has more to say than the queue has. */
export const LOST_UPDATE = 1
export const MORE = 2

const ROOM_LEAST = 65536
/** Up to here a loop is faster than a call. */
const SHORT = 64
/** Of text whose bytes are counted before room is made for them. */
const LONG = 1 << 20

/** |length| bytes of |from|, in a buffer of their own. For the few of a keystroke's update, slice() takes twice as long. */
export function copyOf(from: Bytes, at: number, length: number): Bytes {
  if (length > SHORT) return from.slice(at, at + length)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = from[at + i] as number
  return bytes
}

const SHARED = 65536
/** What is longer is worth a buffer of its own. */
const SHARED_MOST = 1024

/** Short copies, one behind another in buffers that nobody writes to again. Such a buffer lives as long as any view of it. */
class SharedBytes {
  #bytes: Bytes = new Uint8Array()
  /** Theirs: asking the view for it takes longer than making another view. */
  #buffer: ArrayBuffer = this.#bytes.buffer
  #used = 0

  copyOf(from: Bytes, at: number, length: number): Bytes {
    if (length > SHARED_MOST) return from.slice(at, at + length)
    if (this.#used + length > this.#bytes.length) {
      this.#buffer = new ArrayBuffer(SHARED)
      this.#bytes = new Uint8Array(this.#buffer)
      this.#used = 0
    }
    const bytes = this.#bytes
    const begin = this.#used
    if (length > SHORT) bytes.set(from.subarray(at, at + length), begin)
    else for (let i = 0; i < length; i++) bytes[begin + i] = from[at + i] as number
    this.#used = begin + length
    return new Uint8Array(this.#buffer, begin, length)
  }
}

const encoder: TextEncoder = new TextEncoder()
/** A byte order mark is text like any other. */
const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const wideDecoder: TextDecoder = new TextDecoder('utf-16le', { ignoreBOM: true })

/** What text comes as, by the board. */
const TEXT_ASCII = 1
const TEXT_UTF16 = 2

/** Node's and Bun's Buffer, which makes strings of bytes in a fifth of the time of a TextDecoder. */
interface StringOfBytes {
  from(buffer: ArrayBuffer, at: number, length: number): { toString(encoding: 'latin1' | 'utf16le'): string }
}

/** Who is told of events: the document whose call is under way. */
export interface Teller {
  tell(token: number, round: number, origin: number, events: number): void
}

const NOBODY: Teller = { tell: () => {} }

/** An instance full of documents, which are numbers here. */
export class DocCore {
  /** Set by documents, before each call that may cause events. */
  teller: Teller = NOBODY
  exports: DocModule
  memory: Bytes = new Uint8Array()
  /** The same memory as words, and those of the board. */
  words: Uint32Array = new Uint32Array()
  board: Uint32Array = new Uint32Array()
  readonly writer: Writer = new Writer()
  readonly shared: SharedBytes = new SharedBytes()
  readonly #instance: Instance
  readonly #memory: WebAssembly.Memory
  readonly #board: number
  /** Asked for here and not above: importing the package touches nothing that is not everywhere. */
  readonly #native = (globalThis as { readonly Buffer?: StringOfBytes }).Buffer
  #room = 0
  #roomLength = 0
  /** Is called when the instance has trapped. */
  onTrap: (() => void) | undefined
  #failure: LaniakeaError | undefined

  /** With the functions that the module calls. */
  static async open(modules: Modules): Promise<DocCore> {
    const tell: Teller['tell'] = (token, round, origin, events) => core.teller.tell(token, round, origin, events)
    const host = {
      tell,
      now: () => Date.now(),
      read_number: (at: number, length: number) => core.#readNumber(at, length),
      print_number: (value: number, at: number) => core.#printNumber(value, at),
    }
    const core = new DocCore(await instantiate(modules, { host }))
    return core
  }

  private constructor(exports: WebAssembly.Exports) {
    this.#instance = new Instance(exports)
    this.exports = exports as unknown as DocModule
    if (this.exports.doc_new === undefined) throw new LaniakeaError('LK_ERR_UNSUPPORTED', 'this module has no documents')
    this.#memory = this.exports.memory
    this.#board = this.exports.doc_board_at()
    this.refresh()
  }

  /** Views of the memory, made anew where it has grown. */
  refresh(): void {
    if (this.memory.length > 0) return
    const buffer = this.#memory.buffer as ArrayBuffer
    this.memory = new Uint8Array(buffer)
    this.words = new Uint32Array(buffer)
    this.board = new Uint32Array(buffer, this.#board, BOARD_WORDS)
  }

  // ---- bytes in ----

  /** Where `length` bytes may be put; what was put before is gone. */
  room(length: number): number {
    if (length > this.#roomLength) {
      const wanted = Math.max(length, ROOM_LEAST)
      const at = this.call((core) => core.scratch(wanted))
      if (at === 0) throw new LaniakeaError('LK_ERR_NOMEM')
      this.#room = at
      this.#roomLength = wanted
    }
    this.refresh()
    return this.#room
  }

  /** Puts bytes there; how many. */
  put(bytes: Uint8Array): number {
    const { length } = bytesOf(bytes)
    const at = this.room(length)
    copy(bytes, this.memory, at)
    return length
  }

  /** Puts text there, as UTF-8, and what the writer holds behind it; how many bytes of text. */
  putText(text: string, writer?: Writer): number {
    const behind = writer?.length ?? 0
    const length = text.length < SHORT ? this.#putAscii(text, behind) : -1
    const written = length >= 0 ? length : this.#putUtf8(text, behind)
    if (writer) this.memory.set(writer.bytes.subarray(0, behind), this.#room + written)
    return written
  }

  putWriter(writer: Writer): number {
    const { bytes, length } = writer
    if (length > SHORT) return this.put(bytes.subarray(0, length))
    const at = this.room(length)
    const { memory } = this
    for (let i = 0; i < length; i++) memory[at + i] = bytes[i] as number
    return length
  }

  /** -1 where it is none. */
  #putAscii(text: string, behind: number): number {
    const { length } = text
    const at = this.room(length + behind)
    const { memory } = this
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return -1
      memory[at + i] = unit
    }
    return length
  }

  #putUtf8(text: string, behind: number): number {
    if (text.length > LONG) {
      const bytes = encoder.encode(text)
      const at = this.room(bytes.length + behind) // may make another memory
      this.memory.set(bytes, at)
      return bytes.length
    }
    const most = 3 * text.length
    const at = this.room(most + behind)
    return encoder.encodeInto(text, this.memory.subarray(at, at + most)).written
  }

  // ---- bytes out ----

  /** What the last call handed out; a view, good until the next call. */
  result(): Bytes {
    const at = this.exports.out_ptr()
    this.refresh()
    return this.memory.subarray(at, at + this.exports.out_len())
  }

  text(): string {
    return decoder.decode(this.result())
  }

  /** A text, in the form that the board names: the core has all of it in units, and only the host knows what a string is
   * made of. */
  unitText(): string {
    const bytes = this.result()
    const form = this.board[COUNT]
    const isWide = form === TEXT_UTF16
    if (this.#native && (isWide || form === TEXT_ASCII)) {
      return this.#native.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(isWide ? 'utf16le' : 'latin1')
    }
    return (isWide ? wideDecoder : decoder).decode(bytes)
  }

  // ---- numbers, which the module leaves to us ----

  #readNumber(at: number, length: number): number {
    this.refresh()
    return Number(decoder.decode(this.memory.subarray(at, at + length)))
  }

  #printNumber(value: number, at: number): number {
    const text = String(value)
    this.refresh()
    for (let i = 0; i < text.length; i++) this.memory[at + i] = text.charCodeAt(i)
    return text.length
  }

  // ---- calling ----

  /** Calls the core, and throws what its mistakes are. */
  call<T>(body: (core: DocModule) => T): T {
    try {
      return body(this.exports)
    } catch (cause) {
      throw this.fail(cause)
    }
  }

  /** What a call threw, as the caller is to see it. An instance that trapped is not called any more. */
  fail(cause: unknown): unknown {
    if (!(cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError)) return cause
    let message = cause.message
    try {
      this.#instance.call(() => { throw cause })
    } catch (trap) {
      if (trap instanceof Trap) message = trap.message
    }
    this.#end(new LaniakeaError('LK_ERR_TRAP', message))
    this.onTrap?.()
    return this.#failure
  }

  /** What an lk_err means. */
  error(result: number, document: number): unknown {
    try {
      checkResult(result, result === LIMIT && document !== 0 ? this.#limit(document) : undefined)
    } catch (error) {
      return error
    }
    return new LaniakeaError('LK_ERR_STATE')
  }

  /** Gives the instance back; every call throws LK_ERR_STATE from now on. */
  close(): void {
    if (!this.#failure) this.#end(new LaniakeaError('LK_ERR_STATE', 'the documents were closed'))
  }

  get closed(): boolean {
    return this.#failure !== undefined
  }

  /** Behind a listener within a call: nothing goes back into an instance that trapped meanwhile. */
  returnTo(teller: Teller): void {
    if (this.#failure === undefined) this.teller = teller
    else if (this.#failure.code === 'LK_ERR_TRAP') throw this.#failure
  }

  #limit(document: number): string | undefined {
    return this.exports.doc_read(document, 0, 0, docRead.limit, 0, 0) === 0 ? this.text() : undefined
  }

  #end(failure: LaniakeaError): void {
    this.#failure = failure
    this.teller = NOBODY
    const dead = { get: () => { throw failure } }
    this.exports = new Proxy({}, dead) as unknown as DocModule
    this.#roomLength = 0
    this.memory = new Uint8Array(1)
    this.board = new Uint32Array(BOARD_WORDS)
  }
}

const LIMIT = 3

/** As Uint8Array's set() does; a loop is faster for a few bytes. */
function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  const { length } = from
  if (length > SHORT) return to.set(from, at)
  for (let i = 0; i < length; i++) to[at + i] = from[i] as number
}
