// What observers of a document are told, read from what wasm/doc_watch.c wrote; and who is to be told.
import { Reader } from './doc_any.ts'
import type { Bytes } from './doc_core.ts'
import type { DeltaOperation, DocEvent, DocNode, KeyChange, UndoItem, UpdateListener } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'

/** Something that some listeners have to be told. */
export interface Telling {
  readonly listeners: readonly unknown[]
  tell(index: number): void
}

/** The same thing for all of them. */
export class OneTelling<T> implements Telling {
  readonly listeners: readonly ((thing: T) => void)[]
  readonly #thing: T

  constructor(listeners: readonly ((thing: T) => void)[], thing: T) {
    this.listeners = listeners
    this.#thing = thing
  }

  tell(index: number): void {
    this.listeners[index]?.(this.#thing)
  }
}

export class UpdateTelling implements Telling {
  readonly listeners: readonly UpdateListener[]
  readonly #bytes: Bytes
  readonly #origin: unknown
  readonly #local: boolean

  constructor(listeners: readonly UpdateListener[], bytes: Bytes, origin: unknown, local: boolean) {
    this.listeners = listeners
    this.#bytes = bytes
    this.#origin = origin
    this.#local = local
  }

  tell(index: number): void {
    this.listeners[index]?.(this.#bytes, this.#origin, this.#local)
  }
}

/** Listeners of updates in one format, for whom the core has one observer. */
export class UpdateWatch {
  listeners: readonly UpdateListener[] = []
  id = 0
}

/** One listener of a node's events, or of those in it. */
export interface NodeWatch {
  readonly node: DocNode
  readonly listener: (events: readonly DocEvent[]) => void
}

/** What an undo manager is told of. */
export interface ItemWatch {
  readonly listeners: readonly ((item: UndoItem) => void)[]
  readonly metas: Map<number, Map<unknown, unknown>>
}

const ACTIONS = ['add', 'update', 'delete'] as const
const LIST_CHANGED = 1
const LIST_UNKNOWN = 2

const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const parse = (json: Uint8Array): unknown => JSON.parse(decoder.decode(json))
const noNode = (): never => { throw new LaniakeaError('LK_ERR_CORRUPT') }

/** The text that stands behind its length at `at`. */
const parseAt = (bytes: Uint8Array, at: number): unknown => {
  const json = new Reader(bytes.subarray(at), noNode).piece()
  return json.length === 0 ? undefined : parse(json)
}

class NodeEvent implements DocEvent {
  readonly target: DocNode
  readonly currentTarget: DocNode
  readonly origin: unknown
  readonly local: boolean
  readonly keys: ReadonlyMap<string, KeyChange>
  readonly #bytes: Uint8Array
  readonly #path: number
  readonly #list: number
  readonly #delta: number

  constructor(reader: Reader<DocNode>, currentTarget: DocNode, origin: unknown, local: boolean) {
    this.currentTarget = currentTarget
    this.origin = origin
    this.local = local
    this.target = reader.node()
    this.#bytes = reader.bytes
    this.#path = reader.at
    reader.skip()
    this.#list = reader.byte()
    this.#delta = reader.at
    if (this.#list === LIST_CHANGED) reader.skip()
    this.keys = readKeys(reader)
  }

  /** Parsed when somebody asks. */
  get path(): readonly (string | number)[] {
    return (parseAt(this.#bytes, this.#path) ?? []) as (string | number)[]
  }

  get delta(): readonly DeltaOperation[] {
    if (this.#list === LIST_UNKNOWN) throw new LaniakeaError('LK_ERR_NOMEM')
    return this.#list === LIST_CHANGED ? (parseAt(this.#bytes, this.#delta) as DeltaOperation[]) : []
  }

  get listChanged(): boolean {
    return this.#list !== 0
  }
}

const NO_KEYS: ReadonlyMap<string, KeyChange> = new Map()

function readKeys(reader: Reader<DocNode>): ReadonlyMap<string, KeyChange> {
  let keys: Map<string, KeyChange> | undefined
  while (reader.byte() === 1) {
    const key = reader.string()
    const action = ACTIONS[reader.byte()] ?? 'update'
    const old = reader.piece()
    keys ??= new Map()
    keys.set(key, { action, oldValue: old.length === 0 ? undefined : parse(old) })
  }
  return keys ?? NO_KEYS
}

export function readEvents(reader: Reader<DocNode>, { node, listener }: NodeWatch, origin: unknown, local: boolean): Telling {
  const events: DocEvent[] = []
  while (reader.more) events.push(new NodeEvent(reader, node, origin, local))
  return new OneTelling([listener], events)
}

/** What listeners keep with an item is theirs until it was taken back. */
export function readItem(bytes: Bytes, { listeners, metas }: ItemWatch): Telling {
  const number = new DataView(bytes.buffer).getUint32(2, true)
  const popped = bytes[1] === 1
  const meta = metas.get(number) ?? new Map<unknown, unknown>()
  if (popped) metas.delete(number)
  else metas.set(number, meta)
  return new OneTelling(listeners, { kind: bytes[0] === 1 ? 'redo' : 'undo', popped, meta })
}
