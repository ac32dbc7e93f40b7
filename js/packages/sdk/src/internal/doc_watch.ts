// What observers of a document are told: what wasm/doc_watch.c wrote down, and events, which it is asked for; and who is to be told.
import { docEvent } from './bindings.gen.ts'
import { Reader } from './doc_any.ts'
import { COUNT, type Bytes, type DocCore } from './doc_core.ts'
import type { DeltaOperation, DocEvent, DocNode, KeyChange, UndoItem, UpdateListener } from './doc_types.ts'
import { readDelta, readOld, readPath } from './doc_tree.ts'
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
  /** How many of them want a buffer of its own for each update. */
  owning = 0
  id = 0
}

/** One listener of a node's events, or of those in it. */
export type NodeWatch = { readonly node: DocNode } & (
  | { readonly isDeep: false; readonly listener: (event: DocEvent) => void }
  | { readonly isDeep: true; readonly listener: (events: readonly DocEvent[]) => void }
)

/** What an undo manager is told of. */
export interface ItemWatch {
  readonly listeners: readonly ((item: UndoItem) => void)[]
  readonly metas: Map<number, Map<unknown, unknown>>
}

const ACTIONS = ['add', 'update', 'delete'] as const
const NO_KEYS: ReadonlyMap<string, KeyChange> = new Map()
const STATE = 7

/** The document, as its events see it. */
export interface EventOwner {
  readonly core: DocCore
  boardNode(): unknown
}

/** It asks the core when it is asked, and keeps what it was told. */
class NodeEvent implements DocEvent {
  readonly target: DocNode
  readonly currentTarget: DocNode
  readonly origin: unknown
  readonly local: boolean
  readonly #core: DocCore
  readonly #round: number
  readonly #index: number
  #path: readonly (string | number)[] | undefined
  #delta: readonly DeltaOperation[] | undefined
  #keys: ReadonlyMap<string, KeyChange> | undefined

  constructor(core: DocCore, round: number, index: number, target: DocNode, currentTarget: DocNode, origin: unknown, local: boolean) {
    this.target = target
    this.currentTarget = currentTarget
    this.origin = origin
    this.local = local
    this.#core = core
    this.#round = round
    this.#index = index
  }

  get path(): readonly (string | number)[] {
    return (this.#path ??= readPath(readerOf(this.#ask(docEvent.path))))
  }

  get delta(): readonly DeltaOperation[] {
    return (this.#delta ??= readDelta(readerOf(this.#ask(docEvent.delta))))
  }

  get keys(): ReadonlyMap<string, KeyChange> {
    return (this.#keys ??= readKeys(readerOf(this.#ask(docEvent.keys))))
  }

  get listChanged(): boolean {
    return this.#ask(docEvent.target).board[COUNT] === 1
  }

  #ask(part: number): DocCore {
    return askEvent(this.#core, this.#round, this.#index, part)
  }
}

function askEvent(core: DocCore, round: number, index: number, part: number): DocCore {
  const result = core.call((exports) => exports.doc_event(round, index, part))
  core.refresh()
  if (result === STATE) throw new LaniakeaError('LK_ERR_STATE', 'an event can be asked only while its listener is called')
  if (result !== 0) throw core.error(result, 0)
  return core
}

const noNode = (): never => { throw new LaniakeaError('LK_ERR_CORRUPT') }
const readerOf = (core: DocCore): Reader<never> => new Reader(core.result(), noNode)

function readKeys(reader: Reader<never>): ReadonlyMap<string, KeyChange> {
  if (!reader.more) return NO_KEYS
  const keys = new Map<string, KeyChange>()
  while (reader.more) {
    const key = reader.string()
    const action = ACTIONS[reader.byte()] ?? 'update'
    keys.set(key, { action, oldValue: reader.uint() === 0 ? undefined : readOld(reader) })
  }
  return keys
}

export function callWatch({ core }: EventOwner, watch: NodeWatch & { readonly isDeep: false }, round: number, origin: unknown, local: boolean): void {
  watch.listener(new NodeEvent(core, round, 0, watch.node, watch.node, origin, local))
}

export function callDeep(doc: EventOwner, watch: NodeWatch & { readonly isDeep: true }, round: number, origin: unknown, local: boolean, count: number): void {
  const events: DocEvent[] = []
  for (let index = 0; index < count; index++) {
    askEvent(doc.core, round, index, docEvent.target)
    events.push(new NodeEvent(doc.core, round, index, doc.boardNode() as DocNode, watch.node, origin, local))
  }
  watch.listener(events)
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
