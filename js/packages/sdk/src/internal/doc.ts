// Documents as JavaScript's objects.
//
// What they hold and how they merge is the core's business. Here are handles: a Document is a number in the core, a
// node two numbers that the core checks. Each change is one call; what was queued for listeners meanwhile
// is read and told when that call is over (#drain).
import { Reader, textOf } from './doc_any.ts'
import { CHECK, COUNT, DocCore, KIND, LOST, QUEUE, QUEUED, SLOT, type Bytes, type DocModule } from './doc_core.ts'
import { NodeHandle, kindOf, makeNode, numberOf, type NodeOwner } from './doc_nodes.ts'
import type {
  ArrayNode, Doc, DocEvent, DocNode, DocOptions, Docs, DocSize, MapNode, NodeKind, NodeTypes, TextNode, UndoManager, UndoOptions, UpdateFormat,
  UpdateListener, XmlFragment,
} from './doc_types.ts'
import { Undo, type UndoOwner } from './doc_undo.ts'
import { UpdateTelling, UpdateWatch, readEvents, readItem, type NodeWatch, type Telling } from './doc_watch.ts'
import { LaniakeaError } from './errors.ts'

const RECORD_UPDATE = 1
const RECORD_EVENTS = 2
const RECORD_ITEM = 3
const RECORD_LOCAL = 256
const RECORD_HEAD = 16
/** The first number of an origin that stays. */
const PINNED = 0x1000000
const CAPTURE_MS = 500

class Document implements Doc, NodeOwner, UndoOwner {
  readonly core: DocCore
  handle: number
  /** Undo managers want to know the time. */
  clocked = false
  readonly #nodes = new Map<number, NodeHandle>()
  readonly #named = new Map<string, NodeHandle>()
  readonly #updates: [UpdateWatch, UpdateWatch] = [new UpdateWatch(), new UpdateWatch()]
  readonly #origins = new Map<unknown, number>()
  readonly #originOf = new Map<number, unknown>()
  /** Origins that undo managers wait for, and the managers themselves, which are origins. */
  readonly #pinned = new Map<unknown, { readonly number: number; uses: number }>()
  readonly #pinnedOf = new Map<number, unknown>()
  readonly #watches = new Map<number, NodeWatch>()
  readonly #undos = new Map<number, Undo>()
  #watchLast = 0
  #pinLast = PINNED
  #depth = 0
  readonly #waiting: Telling[] = []
  #telling = false

  constructor(core: DocCore, handle: number) {
    this.core = core
    this.handle = handle
    abandoned.register(this, { core, handle }, this)
  }

  get client(): number {
    return Number(BigInt.asUintN(64, this.core.call((core) => core.doc_client(this.#open()))))
  }

  get size(): DocSize {
    this.check((core, doc) => core.doc_size(doc))
    const numbers = Array.from(new BigUint64Array(this.core.result().slice().buffer), Number)
    const [bytes = 0, clients = 0, structs = 0, tombstones = 0, units = 0, nodes = 0, waiting = 0, waitingBytes = 0, deleteRanges = 0] = numbers
    return { bytes, clients, structs, tombstones, units, nodes, pending: { structs: waiting, bytes: waitingBytes, deleteRanges } }
  }

  get roots(): readonly { readonly name: string; readonly kind: NodeKind | 'unknown' }[] {
    this.check((core, doc) => core.doc_roots(doc))
    const reader = new Reader(this.core.result(), (_slot, _check, kind) => kindOf(kind))
    const roots = []
    while (reader.more) roots.push({ name: reader.string(), kind: reader.node() })
    return roots
  }

  getText(name = ''): TextNode {
    return this.get(name, 'text')
  }

  getArray(name = ''): ArrayNode {
    return this.get(name, 'array')
  }

  getMap(name = ''): MapNode {
    return this.get(name, 'map')
  }

  getXml(name = ''): XmlFragment {
    return this.get(name, 'xml-fragment')
  }

  get<K extends NodeKind>(name: string, kind: K): NodeTypes[K] {
    const known = this.#named.get(name)
    if (known?.kind === kind && this.handle !== 0) return known as unknown as NodeTypes[K]
    const length = this.core.putText(textOf(name))
    this.check((core, doc) => core.doc_root(doc, length, numberOf(kind)))
    const node = this.boardNode()
    this.#named.set(name, node)
    return node as unknown as NodeTypes[K]
  }

  transact<T>(body: () => T, origin?: unknown): T {
    const number = this.#numberOf(origin)
    this.check((core, doc) => core.doc_begin(doc, number))
    this.#depth++
    try {
      return body()
    } finally {
      this.#depth--
      if (!this.core.closed && this.handle !== 0) {
        if (this.clocked) this.core.setClock()
        this.core.call((core) => core.doc_commit(this.handle))
        this.settle(0)
      }
    }
  }

  apply(update: Uint8Array, origin?: unknown, format: UpdateFormat = 1): void {
    const { core } = this
    const number = origin === undefined ? 0 : this.#numberOf(origin)
    const length = core.put(update)
    let result: number
    if (this.clocked) core.setClock()
    try {
      result = core.exports.doc_apply(this.handle, format, length, number)
    } catch (cause) {
      throw core.fail(cause)
    }
    if (result !== 0 || number !== 0 || core.board[QUEUED] !== 0 || core.board[LOST] !== 0) this.settle(result)
  }

  applyAll(updates: readonly Uint8Array[], origin?: unknown, format: UpdateFormat = 1): void {
    const { core } = this
    const number = this.#numberOf(origin)
    const result = core.batches(updates, (length) => core.call((exports) => exports.doc_apply_all(this.handle, format, length, number)))
    this.settle(result)
  }

  encode(stateVector?: Uint8Array, format: UpdateFormat = 1): Bytes {
    const length = stateVector === undefined ? 0 : this.core.put(stateVector)
    this.check((core, doc) => core.doc_encode(doc, format, length))
    return this.core.result().slice()
  }

  stateVector(): Bytes {
    this.check((core, doc) => core.doc_state_vector(doc))
    return this.core.result().slice()
  }

  onUpdate(listener: UpdateListener, format: UpdateFormat = 1): () => void {
    const watch = this.#updates[format - 1]
    if (watch === undefined) throw new LaniakeaError('LK_ERR_INVALID', 'the formats are 1 and 2')
    if (watch.listeners.length === 0) {
      this.check((core, doc) => core.doc_on_update(doc, format))
      watch.id = this.core.board[COUNT] as number
    }
    const own: UpdateListener = (...given) => listener(...given) // the same function may listen twice
    watch.listeners = [...watch.listeners, own]
    return () => {
      if (!watch.listeners.includes(own)) return
      watch.listeners = watch.listeners.filter((other) => other !== own)
      if (watch.listeners.length === 0 && !this.core.closed) this.core.call((core) => core.doc_off(this.handle, watch.id))
    }
  }

  undo(scope?: DocNode | readonly DocNode[], { captureTimeout = CAPTURE_MS, trackedOrigins, ignoreRemoteMapChanges = false }: UndoOptions = {}): UndoManager {
    const nodes = scope instanceof NodeHandle ? [scope] : ((scope ?? []) as readonly DocNode[])
    if (scope !== undefined && nodes.length === 0) throw new LaniakeaError('LK_ERR_INVALID', 'no node to undo in; the whole document is what no scope means')
    const words = nodes.flatMap((node) => {
      const { slot, check } = this.place(node as DocNode)
      return [slot, check]
    })
    const length = this.core.put(new Uint8Array(Uint32Array.from(words).buffer))
    this.check((core, doc) => core.doc_undo_new(doc, length, captureTimeout, ignoreRemoteMapChanges ? 1 : 0))
    const number = this.core.board[COUNT] as number
    const undo = new Undo(this, number, trackedOrigins)
    this.#undos.set(number, undo)
    this.#pinnedOf.set(this.core.exports.doc_undo_origin(this.handle, number) >>> 0, undo)
    this.clocked = true
    return undo
  }

  toJSON(): { [name: string]: unknown } {
    this.check((core, doc) => core.doc_json(doc))
    return this.core.json() as { [name: string]: unknown }
  }

  close(): void {
    if (this.handle === 0) return
    abandoned.unregister(this)
    const { handle } = this
    this.handle = 0
    if (!this.core.closed) this.core.call((core) => core.doc_free(handle))
    this.#nodes.clear()
    this.#named.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ---- for undo managers ----

  dropUndo(number: number): void {
    this.#undos.delete(number)
    this.clocked = this.#undos.size > 0
    if (this.core.closed || this.handle === 0) return
    this.#pinnedOf.delete(this.core.exports.doc_undo_origin(this.handle, number) >>> 0)
    this.core.call((core) => core.doc_undo_free(this.handle, number))
  }

  /** The number of an origin that stays until it is unpinned as often. */
  pin(origin: unknown): number {
    if (origin === undefined || origin === null) return 0
    let pinned = this.#pinned.get(origin)
    if (pinned === undefined) {
      pinned = { number: ++this.#pinLast, uses: 0 }
      this.#pinned.set(origin, pinned)
      this.#pinnedOf.set(pinned.number, origin)
    }
    pinned.uses++
    return pinned.number
  }

  unpin(origin: unknown): void {
    const pinned = this.#pinned.get(origin)
    if (pinned === undefined || --pinned.uses > 0) return
    this.#pinned.delete(origin)
    this.#pinnedOf.delete(pinned.number)
  }

  place(node: DocNode): { readonly slot: number; readonly check: number } {
    if (node instanceof NodeHandle && node.doc === this) return node
    throw new LaniakeaError('LK_ERR_INVALID', 'the node is of another document')
  }

  // ---- for nodes ----

  observe(node: NodeHandle, deep: boolean, listener: (events: readonly DocEvent[]) => void): () => void {
    const token = ++this.#watchLast
    this.check((core, doc) => core.doc_observe(doc, node.slot, node.check, deep ? 1 : 0, token))
    const id = this.core.board[COUNT] as number
    this.#watches.set(token, { node: node as unknown as DocNode, listener })
    return () => {
      if (this.#watches.delete(token) && !this.core.closed) this.core.call((core) => core.doc_off(this.handle, id))
    }
  }

  /** The one object for a node. */
  node(slot: number, check: number, kind: number): NodeHandle {
    const known = this.#nodes.get(slot)
    const name = kindOf(kind)
    if (known !== undefined && known.check === check && known.kind === name) return known
    const made = makeNode(this, slot, check, name)
    this.#nodes.set(slot, made)
    return made
  }

  boardNode(): NodeHandle {
    this.core.refresh()
    const { board } = this.core
    return this.node(board[SLOT] as number, board[CHECK] as number, board[KIND] as number)
  }

  read(): Reader<DocNode> {
    return this.#reader(this.core.result())
  }

  #reader(bytes: Bytes): Reader<DocNode> {
    return new Reader(bytes, (slot, check, kind) => this.node(slot, check, kind) as unknown as DocNode)
  }

  /** Calls what changes nothing and gives an lk_err. */
  check(call: (core: DocModule, doc: number) => number): void {
    const result = this.core.call((core) => call(core, this.handle))
    this.core.refresh()
    if (result !== 0) this.settle(result)
  }

  /** Calls what changes the document. */
  change(call: (core: DocModule, doc: number) => number): void {
    if (this.clocked) this.core.setClock()
    this.settle(this.core.call((core) => call(core, this.handle)))
  }

  /** Behind a call: tells listeners what it caused, and throws what it gave. */
  settle(result: number): void {
    this.#drain()
    if (result === 0) return
    this.#open()
    throw this.core.error(result, this.handle)
  }

  #open(): number {
    if (this.handle === 0 && !this.core.closed) throw new LaniakeaError('LK_ERR_STATE', 'the document was closed')
    return this.handle
  }

  // ---- origins: anything here, numbers in the core ----

  #numberOf(origin: unknown): number {
    if (origin === undefined || origin === null) return 0
    const pinned = this.#pinned.get(origin)
    if (pinned !== undefined) return pinned.number
    let number = this.#origins.get(origin)
    if (number === undefined) {
      number = this.#origins.size + 1
      this.#origins.set(origin, number)
      this.#originOf.set(number, origin)
    }
    return number
  }

  /** Behind the transactions that had them nobody can ask for them any more. */
  #forgetOrigins(): void {
    if (this.#origins.size === 0) return
    this.#origins.clear()
    this.#originOf.clear()
  }

  // ---- telling listeners ----

  /** Takes what was queued, and then tells it: listeners may call the core again. */
  #drain(): void {
    const { core } = this
    core.refresh()
    const total = core.board[QUEUED] as number
    const begin = core.board[QUEUE] as number
    try {
      if (total > 0 && !this.#tellOne(begin, total)) this.#take(begin, total)
    } finally {
      if (core.board[LOST] !== 0) this.#replaceLost()
      if (this.#depth === 0) this.#forgetOrigins()
      if (this.#waiting.length > 0) this.#tellAll()
    }
  }

  // Each update gets a buffer of its own, which is most of what telling it costs. One that several share would
  // be cloned as a whole with each of them, by IndexedDB and by postMessage(), and lost to all when one is transferred.

  /** One update for one listener, which is what a keystroke causes, is told at once; false for anything else. */
  #tellOne(begin: number, total: number): boolean {
    const { words, board, memory } = this.core
    const word = begin >>> 2
    const kind = words[word] as number
    const length = words[word + 3] as number
    if ((kind & 0xff) !== RECORD_UPDATE || total > RECORD_HEAD + length + 3 || words[word + 2] !== 0 || this.#telling) return false
    const { listeners } = this.#updates[(words[word + 1] as number) - 1] as UpdateWatch
    const listener = listeners[0]
    if (listeners.length !== 1 || listener === undefined || board[LOST] !== 0) return false
    board[QUEUED] = 0
    this.#telling = true
    try {
      listener(memory.slice(begin + RECORD_HEAD, begin + RECORD_HEAD + length), null, (kind & RECORD_LOCAL) !== 0)
    } finally {
      this.#telling = false
    }
    return true
  }

  #take(begin: number, total: number): void {
    const { core } = this
    const { words, memory } = core
    core.board[QUEUED] = 0
    for (let at = begin; at < begin + total; ) {
      const word = at >>> 2
      const length = words[word + 3] as number
      const bytes = memory.slice(at + RECORD_HEAD, at + RECORD_HEAD + length)
      this.#queue(words[word] as number, words[word + 1] as number, words[word + 2] as number, bytes)
      at += RECORD_HEAD + ((length + 3) & ~3)
    }
  }

  #queue(kind: number, token: number, originNumber: number, bytes: Bytes): void {
    const origin = originNumber === 0 ? null : (this.#originOf.get(originNumber) ?? this.#pinnedOf.get(originNumber))
    const telling = this.#tellingOf(kind & 0xff, token, origin, (kind & RECORD_LOCAL) !== 0, bytes)
    if (telling !== undefined) this.#waiting.push(telling)
  }

  /** `undefined` where nobody listens any more. */
  #tellingOf(kind: number, token: number, origin: unknown, local: boolean, bytes: Bytes): Telling | undefined {
    if (kind === RECORD_UPDATE) return new UpdateTelling((this.#updates[token - 1] as UpdateWatch).listeners, bytes, origin, local)
    const watch = this.#watches.get(token)
    if (kind === RECORD_EVENTS) return watch && readEvents(this.#reader(bytes), watch, origin, local)
    const undo = this.#undos.get(token)
    return kind === RECORD_ITEM ? undo && readItem(bytes, undo) : undefined
  }

  /** There was no memory to write something down: all of the document says it, too. */
  #replaceLost(): void {
    this.core.board[LOST] = 0
    for (const format of [1, 2] as const) {
      const { listeners } = this.#updates[format - 1] as UpdateWatch
      if (listeners.length === 0) continue
      const bytes = this.encode(undefined, format)
      this.#waiting.push(new UpdateTelling(listeners, bytes, null, true))
    }
  }

  /** In the order of what happened: what a listener causes comes behind what it has to be told. All of them are called; the
   * first error is thrown then. */
  #tellAll(): void {
    if (this.#telling) return
    const waiting = this.#waiting
    let failed: { readonly error: unknown } | undefined
    this.#telling = true
    for (let i = 0; i < waiting.length; i++) {
      const { listeners } = waiting[i] as Telling
      for (let j = 0; j < listeners.length; j++) {
        try {
          waiting[i]?.tell(j)
        } catch (error) {
          failed ??= { error }
        }
      }
    }
    waiting.length = 0
    this.#telling = false
    if (failed) throw failed.error
  }
}

/** Documents that nobody holds are given back, sooner or later. */
const abandoned: FinalizationRegistry<{ readonly core: DocCore; readonly handle: number }> = new FinalizationRegistry(({ core, handle }) => {
  if (!core.closed) core.call((exports) => exports.doc_free(handle))
})

// ---- all of them ----

class Documents implements Docs {
  readonly #core: DocCore

  constructor(core: DocCore) {
    this.#core = core
  }

  open({ client, keepDeleted = false }: DocOptions = {}): Doc {
    const id = client ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
    if (!Number.isSafeInteger(id) || id < 0) throw new LaniakeaError('LK_ERR_RANGE', 'a client is an integer from 0 to 2^53 - 1')
    const [seed = 0n, seed2 = 0n] = crypto.getRandomValues(new BigUint64Array(2))
    this.#core.check((core) => core.doc_new(BigInt(id), seed, seed2, keepDeleted ? 1 : 0))
    return new Document(this.#core, this.#core.exports.out_ptr())
  }

  close(): void {
    this.#core.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Not in a worker of its own: its calls answer at once. */
export async function createDocsWith(module: WebAssembly.Module): Promise<Docs> {
  return new Documents(new DocCore(await WebAssembly.instantiate(module)))
}
