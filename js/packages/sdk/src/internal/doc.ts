// Documents as JavaScript's objects.
//
// What they hold and how they merge is the core's business. Here are handles: a Document is a number in the core, a
// node two numbers that the core checks. Each change is one call, within which observers of nodes are called (tell()). What
// was queued for other listeners meanwhile is read and told when that call is over (#drain).
import { docAsk, docObserve, docRead, docUndo } from './bindings.gen.ts'
import { Reader, textOf, type Subdocument } from './doc_any.ts'
import { CHECK, COUNT, DocCore, KIND, LOST, LOST_UPDATE, MORE, QUEUE, QUEUED, SLOT, copyOf, type Bytes } from './doc_core.ts'
import { NodeHandle, kindOf, makeNode, numberOf, type NodeOwner } from './doc_nodes.ts'
import type { RelativePosition } from './doc_position.ts'
import { Snapshot } from './doc_snapshot.ts'
import { Subdocuments, subdocumentsIn, type SubdocumentOwner } from './doc_subdocuments.ts'
import type {
  ArrayNode, Doc, DocNode, DocOptions, Docs, DocSize, MapNode, NodeKind, NodeTypes, Place, SubdocumentEvent, TextNode, UndoManager, UndoOptions, UnitId, UpdateFormat,
  UpdateListener, UpdateOptions, XmlFragment,
} from './doc_types.ts'
import { setOwn } from './doc_tree.ts'
import { Undo, type UndoOwner } from './doc_undo.ts'
import { UpdateTelling, UpdateWatch, callDeep, callWatch, readItem, type NodeWatch, type Telling } from './doc_watch.ts'
import { LaniakeaError } from './errors.ts'
import type { Modules } from './instance.ts'

const RECORD_UPDATE = 1
const RECORD_ITEM = 2
const RECORD_SUBDOCUMENTS = 3
const RECORD_LOCAL = 256
const RECORD_HEAD = 16
/** The first number of an origin that stays. */
const PINNED = 0x1000000
const CAPTURE_MS = 500
const NOWHERE = { slot: 0, check: 0 }
const NOT_FOUND = 10
/** Of docRead.place: in front of the unit, or behind it, or the node that it is. */
const BEFORE = 0
const BEHIND = 1
const ITSELF = 2

class Document implements Doc, NodeOwner, UndoOwner, SubdocumentOwner {
  readonly core: DocCore
  handle: number
  readonly #nodes = new Map<number, NodeHandle>()
  readonly #named = new Map<string, NodeHandle>()
  readonly #updates: [UpdateWatch, UpdateWatch] = [new UpdateWatch(), new UpdateWatch()]
  readonly #origins = new Map<unknown, number>()
  readonly #originOf = new Map<number, unknown>()
  #lastOrigin: unknown
  #lastNumber = 0
  /** Origins that undo managers wait for, and the managers themselves, which are origins. */
  readonly #pinned = new Map<unknown, { readonly number: number; uses: number }>()
  readonly #pinnedOf = new Map<number, unknown>()
  readonly #watches = new Map<number, NodeWatch>()
  readonly #undos = new Map<number, Undo>()
  #subdocuments: Subdocuments | undefined
  #watchLast = 0
  #pinLast = PINNED
  #depth = 0
  readonly #waiting: Telling[] = []
  readonly #nodeAt = (slot: number, check: number, kind: number): DocNode => this.node(slot, check, kind) as unknown as DocNode
  #telling = false
  /** How many listeners of events are being called, one within the other. */
  #inside = 0
  /** The first error of those. */
  #failed: { readonly error: unknown } | undefined
  #lost = false

  constructor(core: DocCore, handle: number) {
    this.core = core
    this.handle = handle
    abandoned.register(this, { core, handle }, this)
  }

  get client(): number {
    return this.#numbers(docRead.client)[0] as number
  }

  get size(): DocSize {
    const [bytes = 0, clients = 0, structs = 0, tombstones = 0, units = 0, nodes = 0, waiting = 0, waitingBytes = 0, deleteRanges = 0] = this.#numbers(docRead.size)
    return { bytes, clients, structs, tombstones, units, nodes, pending: { structs: waiting, bytes: waitingBytes, deleteRanges } }
  }

  get roots(): readonly { readonly name: string; readonly kind: NodeKind | 'unknown' }[] {
    const reader = new Reader(this.#ask(docRead.roots).result(), (_slot, _check, kind) => kindOf(kind))
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
    const result = this.core.call((core) => core.doc_root(this.handle, length, numberOf(kind)))
    if (result !== 0) this.settle(result)
    const node = this.boardNode()
    this.#named.set(name, node)
    return node as unknown as NodeTypes[K]
  }

  transact<T>(body: () => T, origin?: unknown): T {
    const { core } = this
    const number = this.#numberOf(origin)
    const result = core.call((exports) => exports.doc_begin(this.handle, number))
    if (result !== 0) this.settle(result)
    this.#depth++
    try {
      return body()
    } finally {
      this.#depth--
      if (!core.closed && this.handle !== 0) {
        core.teller = this
        core.call((exports) => exports.doc_commit(this.handle))
        this.settle(0)
      }
    }
  }

  apply(update: Uint8Array, origin?: unknown, format: UpdateFormat = 1): void {
    const { core } = this
    const number = this.#numberOf(origin)
    const length = core.put(update)
    let result: number
    core.teller = this
    try {
      result = core.exports.doc_apply(this.handle, format, length, number)
    } catch (cause) {
      throw core.fail(cause)
    }
    if (result !== 0 || core.board[QUEUED] !== 0 || core.board[LOST] !== 0) this.settle(result)
  }

  /** Listeners of updates are told when all are applied: what one throws stops none. */
  applyAll(updates: readonly Uint8Array[], origin?: unknown, format: UpdateFormat = 1): void {
    this.#inside++
    try {
      for (const update of updates) this.apply(update, origin, format)
    } finally {
      this.#inside--
      this.settle(0)
    }
  }

  encode(stateVector?: Uint8Array, format: UpdateFormat = 1): Bytes {
    const length = stateVector === undefined ? 0 : this.core.put(stateVector)
    return this.#ask(docRead.update, format, length).result().slice()
  }

  stateVector(): Bytes {
    return this.#ask(docRead.stateVector).result().slice()
  }

  onUpdate(listener: UpdateListener, how: UpdateFormat | UpdateOptions = 1): () => void {
    const { format = 1, shared = false } = typeof how === 'number' ? { format: how } : how
    const watch = this.#updates[format - 1]
    if (watch === undefined) throw new LaniakeaError('LK_ERR_INVALID', 'the formats are 1 and 2')
    if (watch.listeners.length === 0) watch.id = this.#observe(0, 0, docObserve.updates, format)
    const own: UpdateListener = (update, origin, local) => listener(update, origin, local) // the same function may listen twice
    watch.listeners = [...watch.listeners, own]
    if (!shared) watch.owning++
    return () => {
      if (!watch.listeners.includes(own)) return
      if (!shared) watch.owning--
      watch.listeners = watch.listeners.filter((other) => other !== own)
      if (watch.listeners.length === 0 && !this.core.closed) this.core.call((core) => core.doc_off(this.handle, watch.id))
    }
  }

  resolve({ item, tname, type, assoc }: RelativePosition): Place | undefined {
    if (item !== null) return this.#place(item, assoc < 0 ? BEHIND : BEFORE)
    const node = tname !== null ? this.#findRoot(tname) : (this.#place(type as UnitId, ITSELF)?.node as unknown as NodeHandle | undefined)
    if (node === undefined) return undefined
    const { slot, check } = node
    return { node: node as unknown as DocNode, index: assoc < 0 ? 0 : this.core.call((core) => core.doc_ask(this.handle, slot, check, docAsk.length)) }
  }

  #findRoot(name: string): NodeHandle | undefined {
    const reader = new Reader(this.#ask(docRead.roots).result(), (slot, check, kind) => () => this.node(slot, check, kind))
    while (reader.more) {
      const isIt = reader.string() === name
      const node = reader.node()
      if (isIt) return node()
    }
    return undefined
  }

  #place({ client, clock }: UnitId, what: number): Place | undefined {
    const length = this.core.put(new Uint8Array(BigUint64Array.of(BigInt(client), BigInt(clock)).buffer))
    const result = this.read(0, 0, docRead.place, what, length)
    if (result === NOT_FOUND) return undefined
    if (result !== 0) this.settle(result)
    const node = this.boardNode() as unknown as DocNode
    return { node, index: this.core.board[COUNT] as number }
  }

  snapshot(): Snapshot {
    const states = this.stateVector()
    const length = this.core.put(states)
    const deletes = this.#ask(docRead.deletes, 0, length).result().subarray(1) // behind the count of structs, which is 0
    const bytes = new Uint8Array(deletes.length + states.length)
    bytes.set(deletes)
    bytes.set(states, deletes.length)
    return Snapshot.decode(bytes)
  }

  subdocuments(): Subdocument[] {
    return subdocumentsIn(this.#roots().map(([, node]) => node))
  }

  load(guid: string): Doc {
    return this.#subdocs.load(guid)
  }

  onSubdocuments(listener: (event: SubdocumentEvent) => void): () => void {
    return this.#subdocs.listen(listener)
  }

  get #subdocs(): Subdocuments {
    return (this.#subdocuments ??= new Subdocuments(this))
  }

  undo(scope?: DocNode | readonly DocNode[], { captureTimeout = CAPTURE_MS, trackedOrigins, ignoreRemoteMapChanges = false }: UndoOptions = {}): UndoManager {
    const nodes = scope instanceof NodeHandle ? [scope] : ((scope ?? []) as readonly DocNode[])
    if (scope !== undefined && nodes.length === 0) throw new LaniakeaError('LK_ERR_INVALID', 'no node to undo in; the whole document is what no scope means')
    const [first = NOWHERE, ...others] = nodes.map((node) => this.place(node as DocNode))
    const { core } = this
    const whole = scope === undefined ? 1 : 0
    const result = core.call((exports) => exports.doc_undo_new(this.handle, first.slot, first.check, whole, captureTimeout, ignoreRemoteMapChanges ? 1 : 0))
    core.refresh()
    const number = core.board[COUNT] as number
    if (result !== 0) this.settle(result)
    const undo = new Undo(this, number, trackedOrigins)
    this.#undos.set(number, undo)
    this.#pinnedOf.set(this.undoDo(number, docUndo.origin), undo)
    try {
      for (const { slot, check } of others) this.undoDo(number, docUndo.scope, slot, check)
    } catch (error) {
      undo.close()
      throw error
    }
    return undo
  }

  /** Handles of their own: nobody needs those that are looked into. */
  #roots(): [string, NodeHandle][] {
    const reader = new Reader(this.#ask(docRead.roots).result().slice(), (slot, check, kind) => new NodeHandle(this, slot, check, kindOf(kind)))
    const roots: [string, NodeHandle][] = []
    while (reader.more) roots.push([reader.string(), reader.node()])
    return roots
  }

  toJSON(): { [name: string]: unknown } {
    const object: { [name: string]: unknown } = {}
    for (const [name, node] of this.#roots()) {
      const value = node.toJSON()
      if (value !== null) setOwn(object, name, value)
    }
    return object
  }

  close(): void {
    if (this.handle === 0) return
    abandoned.unregister(this)
    const { handle, core } = this
    this.handle = 0
    if (this.#inside > 0) queueMicrotask(() => freeDocument(core, handle)) // the core is in the middle of it
    else freeDocument(core, handle)
    this.#subdocuments?.close()
    this.#nodes.clear()
    this.#named.clear()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ---- for documents in it ----

  get isOpen(): boolean {
    return this.handle !== 0 && !this.core.closed
  }

  openBeside(options: DocOptions): Document {
    return openDocument(this.core, options)
  }

  watchSubdocuments(): () => void {
    const id = this.#observe(0, 0, docObserve.subdocs, 0)
    return () => {
      if (this.isOpen) this.core.call((core) => core.doc_off(this.handle, id))
    }
  }

  tellNow(telling: Telling): void {
    this.#waiting.push(telling)
    this.settle(0)
  }

  // ---- for undo managers ----

  dropUndo(number: number): void {
    this.#undos.delete(number)
    if (this.#inside > 0) queueMicrotask(() => this.#freeUndo(number)) // the core may be in the middle of it
    else this.#freeUndo(number)
  }

  #freeUndo(number: number): void {
    if (this.core.closed || this.handle === 0) return
    this.#pinnedOf.delete(this.undoDo(number, docUndo.origin))
    this.undoDo(number, docUndo.free)
  }

  undoDo(undo: number, what: number, a = 0, b = 0): number {
    const { core } = this
    core.teller = this
    const result = core.call((exports) => exports.doc_undo(this.handle, undo, what, a, b))
    core.refresh()
    const count = core.board[COUNT] as number
    this.settle(result)
    return count
  }

  /** The number of an origin that stays until it is unpinned as often. */
  pin(origin: unknown): number {
    if (origin === undefined || origin === null) return 0
    this.#lastNumber = 0 // it has another number from here on
    this.#lastOrigin = undefined
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

  observe(watch: NodeWatch): () => void {
    const token = ++this.#watchLast
    const { slot, check } = watch.node as unknown as NodeHandle
    const id = this.#observe(slot, check, watch.isDeep ? docObserve.deep : docObserve.node, token)
    this.#watches.set(token, watch)
    return () => {
      if (this.#watches.delete(token) && !this.core.closed) this.core.call((core) => core.doc_off(this.handle, id))
    }
  }

  /** What ends it. */
  #observe(slot: number, check: number, what: number, token: number): number {
    const { core } = this
    const result = core.call((exports) => exports.doc_observe(this.handle, slot, check, what, token))
    if (result !== 0) this.settle(result)
    core.refresh()
    return core.board[COUNT] as number
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

  reader(): Reader<DocNode> {
    return new Reader(this.core.result(), this.#nodeAt)
  }

  read(slot: number, check: number, what: number, at: number, length: number): number {
    try {
      return this.core.exports.doc_read(this.handle, slot, check, what, at, length)
    } catch (cause) {
      throw this.core.fail(cause)
    }
  }

  change(slot: number, check: number, what: number, at: number, size: number, first: number, count: number, rest: number): number {
    const { core } = this
    core.teller = this
    try {
      return core.exports.doc_change(this.handle, slot, check, what, at, size, first, count, rest)
    } catch (cause) {
      throw core.fail(cause)
    }
  }

  /** What the core hands out then is of the document. */
  #ask(what: number, at = 0, length = 0): DocCore {
    const result = this.read(0, 0, what, at, length)
    if (result !== 0) this.settle(result)
    return this.core
  }

  #numbers(what: number): number[] {
    return Array.from(new BigUint64Array(this.#ask(what).result().slice().buffer), Number)
  }

  /** Behind a call: tells listeners what it caused, and throws what it gave. */
  settle(result: number): void {
    if (this.#inside > 0) this.#take()
    else if (!this.#tellOne()) this.#drain()
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
    if (origin === this.#lastOrigin) return this.#lastNumber
    const pinned = this.#pinned.get(origin)
    if (pinned !== undefined) return pinned.number
    let number = this.#origins.get(origin)
    if (number === undefined) {
      number = this.#origins.size + 1
      this.#origins.set(origin, number)
      this.#originOf.set(number, origin)
    }
    this.#lastOrigin = origin
    this.#lastNumber = number
    return number
  }

  #originAt(number: number): unknown {
    if (number === 0) return null
    return number === this.#lastNumber ? this.#lastOrigin : (this.#originOf.get(number) ?? this.#pinnedOf.get(number))
  }

  /** Behind the transactions that had them nobody can ask for them any more. The last one stays, which is mostly the next one,
   * too. */
  #forgetOrigins(): void {
    this.#origins.clear()
    this.#originOf.clear()
    this.#lastNumber = 0
    this.#lastOrigin = undefined
  }

  // ---- telling listeners ----

  /** Called by the core in the middle of a call: an observer of a node is told. */
  tell(token: number, round: number, originNumber: number, events: number): void {
    const watch = this.#watches.get(token)
    const { core, handle } = this
    if (watch === undefined || handle === 0) return
    // What is in the queue is of this document, which may not be true of what comes into it while the listener is called.
    if (core.board[QUEUED] !== 0 || core.board[LOST] !== 0) this.#take()
    const origin = this.#originAt(originNumber >>> 0)
    const local = (events & 1) !== 0
    this.#inside++
    try {
      if (watch.isDeep) callDeep(this, watch, round, origin, local, events >>> 1)
      else callWatch(this, watch, round, origin, local)
    } catch (error) {
      this.#failed ??= { error }
    }
    this.#inside--
    core.returnTo(this)
    if (this.#failed === undefined && this.#waiting.length === 0 && !this.#lost) return
    core.refresh()
    core.board[LOST] = MORE
  }

  /** Takes what was queued, and then tells it: listeners may call the core again. */
  #drain(): void {
    try {
      this.#take()
    } finally {
      this.#finish()
    }
  }

  /** What is done when the queue is empty. */
  #finish(): void {
    if (this.#lost) this.#replaceLost()
    if (this.#depth === 0 && this.#origins.size > 1) this.#forgetOrigins()
    if (this.#waiting.length > 0 || this.#failed !== undefined) this.#tellAll()
  }

  // Each update gets a buffer of its own, which is most of what telling it costs, but where whoever listens does without: one that
  // several share is cloned as a whole with each of them, by IndexedDB and by postMessage(), and lost to all when one is transferred.

  /** One update for one listener, which is what a keystroke causes, is told at once; false for anything else. */
  #tellOne(): boolean {
    const { core } = this
    core.refresh()
    const { words, board, memory } = core
    const total = board[QUEUED] as number
    const begin = board[QUEUE] as number
    const word = begin >>> 2
    const kind = words[word] as number
    const length = words[word + 3] as number
    if (total === 0 || total > RECORD_HEAD + length + 3 || (kind & 0xff) !== RECORD_UPDATE || words[word + 2] !== 0) return false
    const { listeners, owning } = this.#updates[(words[word + 1] as number) - 1] as UpdateWatch
    const listener = listeners[0]
    if (listeners.length !== 1 || listener === undefined || this.#telling || board[LOST] !== 0 || this.#waiting.length > 0) return false
    board[QUEUED] = 0
    this.#telling = true
    try {
      const at = begin + RECORD_HEAD
      listener(owning === 0 ? core.shared.copyOf(memory, at, length) : memory.slice(at, at + length), null, (kind & RECORD_LOCAL) !== 0)
    } finally {
      this.#telling = false
      this.#finish()
    }
    return true
  }

  /** What the core wrote down, to be told later. */
  #take(): void {
    const { core } = this
    core.refresh()
    const { words, memory, board } = core
    const total = board[QUEUED] as number
    const begin = board[QUEUE] as number
    if ((board[LOST] as number) & LOST_UPDATE) this.#lost = true
    board[QUEUED] = 0
    board[LOST] = 0
    for (let at = begin; at < begin + total; ) {
      const word = at >>> 2
      const length = words[word + 3] as number
      const bytes = copyOf(memory, at + RECORD_HEAD, length)
      this.#queue(words[word] as number, words[word + 1] as number, words[word + 2] as number, bytes)
      at += RECORD_HEAD + ((length + 3) & ~3)
    }
  }

  #queue(kind: number, token: number, originNumber: number, bytes: Bytes): void {
    const origin = this.#originAt(originNumber)
    const telling = this.#tellingOf(kind & 0xff, token, origin, (kind & RECORD_LOCAL) !== 0, bytes)
    if (telling !== undefined) this.#waiting.push(telling)
  }

  /** `undefined` where nobody listens any more. */
  #tellingOf(kind: number, token: number, origin: unknown, local: boolean, bytes: Bytes): Telling | undefined {
    if (kind === RECORD_UPDATE) return new UpdateTelling((this.#updates[token - 1] as UpdateWatch).listeners, bytes, origin, local)
    if (kind === RECORD_SUBDOCUMENTS) return this.#subdocs.read(bytes, token)
    const undo = this.#undos.get(token)
    return kind === RECORD_ITEM ? undo && readItem(bytes, undo) : undefined
  }

  /** There was no memory to write something down: all of the document says it, too. */
  #replaceLost(): void {
    this.#lost = false
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
    let failed = this.#failed
    this.#failed = undefined
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
  freeDocument(core, handle)
})

function freeDocument(core: DocCore, handle: number): void {
  if (!core.closed) core.call((exports) => exports.doc_free(handle))
}

function openDocument(core: DocCore, { client, keepDeleted = false }: DocOptions): Document {
  // Of one draw, which takes longer than what is done with it.
  const [seed = 0n, seed2 = 0n, random = 0n] = crypto.getRandomValues(new BigUint64Array(3))
  const id = client ?? Number(BigInt.asUintN(32, random))
  if (!Number.isSafeInteger(id) || id < 0) throw new LaniakeaError('LK_ERR_RANGE', 'a client is an integer from 0 to 2^53 - 1')
  const result = core.call((exports) => exports.doc_new(BigInt(id), seed, seed2, keepDeleted ? 1 : 0))
  if (result !== 0) throw core.error(result, 0)
  return new Document(core, core.exports.out_ptr())
}

// ---- all of them ----

export class Documents implements Docs {
  readonly #core: DocCore

  constructor(core: DocCore) {
    this.#core = core
  }

  open(options: DocOptions = {}): Doc {
    return openDocument(this.#core, options)
  }

  /** Calls `listener` when the instance has broken down, and all documents in it. */
  onTrap(listener: () => void): void {
    this.#core.onTrap = listener
  }

  close(): void {
    this.#core.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Not in a worker of its own: its calls answer at once. */
export async function createDocsWith(...modules: Modules): Promise<Documents> {
  return new Documents(await DocCore.open(modules))
}
