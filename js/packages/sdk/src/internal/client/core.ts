// An lk_client in an instance of its own: what crosses the border. include/laniakea/client.h is the manual, wasm/client.def the table.
import { clientEvent, clientIo, clientNews, type ClientExports, type CoreExports } from '../bindings.gen.ts'
import { LaniakeaError, checkResult } from '../errors.ts'
import { errorTable } from '../errors.gen.ts'
import { partNames, type Part } from '../core.ts'
import { hostOf } from '../host.ts'
import { Instance, addPart, instantiate } from '../instance.ts'
import type { Json } from '../json.ts'
import type { Bytes, Capabilities, CoreReport, TopicReport } from './protocol.ts'

type Exports = ClientExports & CoreExports

const PART_BITS = { documents: 1, objects: 2 } as const

export interface CoreOptions {
  readonly hasStorage: boolean
  readonly usesToken: boolean
  readonly pendingCount: number
  readonly pendingBytes: number
  readonly capabilities: Capabilities
}

export type CoreEvent =
  | { readonly kind: 'token' | 'hang_up' | 'ready' }
  | { readonly kind: 'connect'; readonly token: string }
  | { readonly kind: 'send'; readonly data: string | Bytes }
  | { readonly kind: 'changed' | 'status'; readonly topic: number }

export type CoreNews =
  | { readonly kind: 'news'; readonly topic: number; readonly bytes: Bytes }
  /** `word` is a reply's status, or a message's event. */
  | { readonly kind: 'reply' | 'message'; readonly topic: number; readonly ref: number; readonly word: string; readonly payload: Json | Bytes }

/** An operation of the storage; `into` and `room` say where an answer of bytes goes. */
export interface CoreIo {
  readonly number: number
  readonly kind: number
  readonly file: number
  readonly create: boolean
  readonly at: number
  readonly bytes: Bytes
  readonly into: number
  readonly room: number
}

const encoder: TextEncoder = new TextEncoder()
const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const IO_WORDS = 9

export const now = (): number => performance.timeOrigin + performance.now()

export class HubCore {
  readonly #instance: Instance
  readonly #exports: Exports
  readonly #parts = new Set<Part>()

  static async open(module: WebAssembly.Module, parts: ReadonlyMap<Part, WebAssembly.Module>, options: CoreOptions): Promise<HubCore> {
    const core = new HubCore(await instantiate([module], hostOf(() => core.#exports.memory)))
    await core.addAll(parts)
    core.#open(options)
    return core
  }

  private constructor(exports: WebAssembly.Exports) {
    this.#instance = new Instance(exports)
    this.#exports = exports as unknown as Exports
    if (this.#exports.client_open === undefined) throw new LaniakeaError('LK_ERR_UNSUPPORTED', 'this module is no client')
  }

  has(part: Part): boolean {
    return this.#parts.has(part)
  }

  async addAll(parts: ReadonlyMap<Part, WebAssembly.Module>): Promise<void> {
    for (const [part, module] of parts) await this.add(part, module)
  }

  /** Those that something was asked of, and that are not there. */
  lacks(): Part[] {
    const bits = this.#exports.client_lacks()
    return partNames.filter((part) => (bits & PART_BITS[part]) !== 0)
  }

  /** What topics need is there when this resolves. */
  async add(part: Part, module: WebAssembly.Module): Promise<void> {
    if (this.#parts.has(part)) return
    await addPart(this.#exports as unknown as WebAssembly.Exports, module, hostOf(() => this.#exports.memory))
    this.#exports.client_has(PART_BITS[part])
    this.#parts.add(part)
  }

  #open({ hasStorage, usesToken, pendingCount, pendingBytes, capabilities }: CoreOptions): void {
    const [entropy = 0n, entropy2 = 0n] = crypto.getRandomValues(new BigUint64Array(2))
    const json = encoder.encode(JSON.stringify(capabilities))
    this.#do([json], (core) => core.client_open(entropy, entropy2, hasStorage ? 1 : 0, usesToken ? 1 : 0, pendingCount, pendingBytes, json.length, now()))
  }

  /** A view, good until the next call. */
  memory(at: number, length: number): Bytes {
    return new Uint8Array(this.#exports.memory.buffer as ArrayBuffer, at, length)
  }

  // ---- the connection ----

  connect(): void {
    this.#call((core) => core.client_connect(now()))
  }

  disconnect(): void {
    this.#call((core) => core.client_disconnect())
  }

  wake(): void {
    this.#call((core) => core.client_wake(now()))
  }

  opened(isText: boolean): void {
    this.#call((core) => core.client_opened(isText ? 1 : 0, now()))
  }

  closed(code: number, retryAfterMs: number): void {
    this.#call((core) => core.client_closed(code, retryAfterMs, now()))
  }

  /** The server said what makes no sense where this throws; the connection was given up. */
  receive(data: string | ArrayBuffer): void {
    const bytes = typeof data === 'string' ? encoder.encode(data) : new Uint8Array(data)
    this.#do([bytes], (core) => core.client_receive(bytes.length, typeof data === 'string' ? 0 : 1, now()))
  }

  setToken(token: string, life: number): void {
    const bytes = encoder.encode(token)
    this.#do([bytes], (core) => core.client_set_token(bytes.length, life, now()))
  }

  noToken(): void {
    this.#call((core) => core.client_no_token(now()))
  }

  setCapabilities(capabilities: Capabilities): void {
    const bytes = encoder.encode(JSON.stringify(capabilities))
    this.#do([bytes], (core) => core.client_set_capabilities(bytes.length, now()))
  }

  tick(): void {
    this.#call((core) => core.client_tick(now()))
  }

  /** By now(); Infinity: nothing is due. */
  deadline(): number {
    return this.#call((core) => core.client_deadline())
  }

  status(): CoreReport {
    const report = this.#json<Omit<CoreReport, 'storage'> & { readonly storage: number }>((core) => core.client_status())
    return { ...report, storage: report.storage === 0 ? 'LK_OK' : (errorTable[report.storage]?.code ?? 'LK_ERR_VERSION') }
  }

  poll(): CoreEvent | undefined {
    return this.#call((core) => {
      switch (core.client_poll()) {
        case clientEvent.token: return { kind: 'token' }
        case clientEvent.connect: return { kind: 'connect', token: this.#text() }
        case clientEvent.sendText: return { kind: 'send', data: this.#text() }
        case clientEvent.sendBinary: return { kind: 'send', data: this.#instance.read().slice() }
        case clientEvent.hangUp: return { kind: 'hang_up' }
        case clientEvent.ready: return { kind: 'ready' }
        case clientEvent.changed: return { kind: 'changed', topic: core.client_topic() }
        case clientEvent.status: return { kind: 'status', topic: core.client_topic() }
        default: return undefined
      }
    })
  }

  news(): CoreNews | undefined {
    return this.#call((core) => {
      const kind = core.client_news()
      if (kind === 0) return undefined
      const bytes = this.#instance.read().slice()
      const topic = core.client_topic()
      if (kind === clientNews.news) return { kind: 'news', topic, bytes }
      return { kind: kind === clientNews.reply ? 'reply' : 'message', topic, ...readHeard(bytes) }
    })
  }

  // ---- topics ----

  open(kind: number, name: string, isKept: boolean): number {
    const bytes = encoder.encode(name)
    this.#do([bytes], (core) => core.topic_open(kind, isKept ? 1 : 0, 0, bytes.length, now()), name)
    return this.#exports.out_ptr()
  }

  close(topic: number): void {
    this.#call((core) => core.topic_close(topic, now()))
  }

  /** The number of the change, 0 where nothing in it was new. */
  merge(topic: number, bytes: Bytes, waits: boolean): number {
    this.#do([bytes], (core) => core.topic_merge(topic, bytes.length, waits ? 1 : 0, now()))
    return this.#number()
  }

  version(topic: number): Bytes {
    this.#do([], (core) => core.topic_version(topic))
    return this.#instance.read().slice()
  }

  since(topic: number, version: Bytes): Bytes {
    this.#do([version], (core) => core.topic_since(topic, version.length))
    return this.#instance.read().slice()
  }

  topicStatus(topic: number): TopicReport {
    return this.#json((core) => core.topic_status(topic))
  }

  /** The number of its answer; `undefined` where it is not in the topic now. */
  push(topic: number, event: string, payload: string | Bytes): number | undefined {
    const name = encoder.encode(event)
    const bytes = typeof payload === 'string' ? encoder.encode(payload) : payload
    try {
      this.#do([name, bytes], (core) => core.topic_push(topic, name.length, bytes.length, typeof payload === 'string' ? 0 : 1, now()), event)
    } catch (cause) {
      if (cause instanceof LaniakeaError && cause.code === 'LK_ERR_STATE') return undefined
      throw cause
    }
    return this.#number()
  }

  hearPresence(topic: number): void {
    this.#call((core) => core.topic_hear_presence(topic, now()))
  }

  retry(topic: number): void {
    this.#call((core) => core.topic_retry(topic, now()))
  }

  startAnew(topic: number): void {
    this.#do([], (core) => core.topic_start_anew(topic, now()))
  }

  // ---- the storage ----

  io(): CoreIo | undefined {
    return this.#call((core) => {
      const number = core.client_io()
      if (number === 0) return undefined
      const board = new Uint32Array(core.memory.buffer, core.client_io_board(), IO_WORDS)
      const [kind = 0, file = 0, create = 0, low = 0, high = 0, from = 0, length = 0, into = 0, room = 0] = board
      const bytes = length > 0 ? this.memory(from, length).slice() : new Uint8Array()
      return { number, kind, file, create: create !== 0, at: high * 2 ** 32 + low, bytes, into, room }
    })
  }

  ioDone(number: number, result: number, done: number, size: number): void {
    this.#call((core) => {
      core.client_io_done(number, result, done, size)
      core.client_stored(now())
    })
  }

  // ---- the border ----

  #do(parts: readonly Uint8Array[], body: (core: Exports) => number, detail?: string): void {
    this.#call((core) => {
      if (parts.length > 0) this.#instance.write(parts)
      checkResult(body(core), detail)
    })
  }

  #call<T>(body: (core: Exports) => T): T {
    return this.#instance.call((core) => body(core as Exports))
  }

  #text(): string {
    return decoder.decode(this.#instance.read())
  }

  #json<T>(body: (core: Exports) => number): T {
    this.#do([], body)
    return JSON.parse(this.#text()) as T
  }

  #number(): number {
    const bytes = this.#instance.read()
    return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true))
  }
}

export const ioKind: typeof clientIo = clientIo

/** varuint ref, is_binary, varuint length, word, payload. */
function readHeard(bytes: Bytes): { readonly ref: number; readonly word: string; readonly payload: Json | Bytes } {
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  const ref = number()
  const isBinary = bytes[at++] === 1
  const length = number()
  const word = decoder.decode(bytes.subarray(at, at + length))
  const rest = bytes.subarray(at + length)
  return { ref, word, payload: isBinary ? rest.slice() : (JSON.parse(decoder.decode(rest)) as Json) }
}
