// Documents as their users see them.
import type { Subdocument, Value } from './doc_any.ts'
import type { RelativePosition } from './doc_position.ts'
import type { Snapshot } from './doc_snapshot.ts'

/** The way in which updates are written: 2 is shorter for large ones. Yjs' V1 and V2. */
export type UpdateFormat = 1 | 2

/** Attributes of formatted text; `null` takes a formatting away. */
export type Attributes = { readonly [key: string]: Value }

export interface DocOptions {
  /** This replica's id, below 2^53; never one that another replica uses at the same time. The default is a
   * random one of 32 bits, as in Yjs. */
  readonly client?: number
  /** No garbage collection: deleted content stays, for snapshots. */
  readonly keepDeleted?: boolean
}

/** How large a document is. */
export interface DocSize {
  /** Of memory. */
  readonly bytes: number
  readonly clients: number
  readonly structs: number
  readonly tombstones: number
  readonly units: number
  readonly nodes: number
  /** What waits for updates that have not come yet. */
  readonly pending: { readonly structs: number; readonly bytes: number; readonly deleteRanges: number }
}

/** Makes documents, which live in one instance of the core. */
export interface Docs extends Disposable {
  /** A new document, empty: what is known elsewhere comes by apply(). LK_ERR_RANGE for a client that is none,
   * LK_ERR_NOMEM; LK_ERR_LIMIT for more than 65,536 at once. */
  open(options?: DocOptions): Doc

  /** Gives everything back; the documents throw LK_ERR_STATE from now on. Also by `using`. */
  close(): void
}

/** Works on updates without a document. What is no update is refused with what is wrong with it, such as LK_ERR_TRUNCATED. */
export interface Updates extends Disposable {
  /** One update that says what many say, in the bytes of Yjs' mergeUpdates. */
  merge(updates: readonly Uint8Array[], format?: UpdateFormat): Uint8Array<ArrayBuffer>
  /** The same, as small as it can be without the document. Not for documents that keep what was deleted. */
  compact(updates: readonly Uint8Array[], format?: UpdateFormat): Uint8Array<ArrayBuffer>
  /** What `update` has beyond a state vector. */
  diff(update: Uint8Array, stateVector: Uint8Array, format?: UpdateFormat): Uint8Array<ArrayBuffer>
  stateVectorOf(update: Uint8Array, format?: UpdateFormat): Uint8Array<ArrayBuffer>
  convert(update: Uint8Array, from: UpdateFormat, to: UpdateFormat): Uint8Array<ArrayBuffer>

  /** Gives the memory back; every call throws LK_ERR_STATE from now on. Also by `using`. */
  close(): void
}

/** Looks at documents as they were, and at what changed in them. What is no update is refused with what is wrong with it.
 *
 * A document is what its encode() gave. It shows what it was as long as it keeps what is deleted (`keepDeleted`); of documents
 * that do not, keep versions themselves, each as encode() gives it, and compare() those. */
export interface DocHistory extends Disposable {
  /** The document as it was at a snapshot, as an update for a new one: Yjs' createDocFromSnapshot. LK_ERR_COLLECTED where it
   * has not all any more that it showed then, LK_ERR_NOT_FOUND where it never had it. */
  at(document: Uint8Array, snapshot: Snapshot, format?: UpdateFormat): Uint8Array<ArrayBuffer>
  /** What changed from one version of a document to another, and who wrote it. */
  compare(before: Uint8Array, after: Uint8Array, options?: CompareOptions): Changes
  /** The same from one snapshot to another: without `before` from nothing, without `after` to the document as it is. */
  compareSnapshots(document: Uint8Array, before: Snapshot | undefined, after?: Snapshot, options?: CompareOptions): Changes

  /** Gives the memory back; every call throws LK_ERR_STATE from now on. Also by `using`. */
  close(): void
}

export interface CompareOptions {
  readonly format?: UpdateFormat
  /** Whose client that is, as far as somebody knows. */
  readonly userOf?: (client: number) => string | undefined
}

/** How much somebody wrote: units of text, elements and values that are there since; of what is gone since, what they had
 * written (nobody knows who deleted it); marks of formatting. */
export interface ChangeCounts {
  readonly added: number
  readonly deleted: number
  readonly formats: number
}

export interface Changes {
  readonly clients: readonly (ChangeCounts & { readonly client: number; readonly user?: string })[]
  readonly users: readonly (ChangeCounts & { readonly user: string })[]
  /** Nodes in which something changed, by root, each before those in it. */
  readonly roots: { readonly [name: string]: readonly NodeChanges[] }
}

export interface NodeChanges {
  /** From the root, in the later version; in the earlier one where the node is gone. */
  readonly path: readonly (string | number)[]
  readonly kind: 'array' | 'map' | 'text' | 'xml_element' | 'xml_fragment' | 'xml_hook' | 'xml_text' | 'unknown'
  readonly name?: string
  /** Where one of the versions has no such node. */
  readonly state?: 'added' | 'deleted'
  readonly delta?: readonly ChangeOperation[]
  readonly entries?: { readonly [key: string]: EntryChange }
}

/** What is inserted or deleted is text, or a list of values, or a node, of which there is more in a change of its own.
 * `client` wrote it. */
export interface ChangeOperation {
  readonly retain?: number
  readonly formats?: { readonly [key: string]: { readonly old?: unknown; readonly new?: unknown; readonly client?: number } }
  readonly insert?: unknown
  readonly delete?: unknown
  readonly attributes?: { readonly [key: string]: unknown }
  readonly client?: number
}

export interface EntryChange {
  readonly action: 'add' | 'update' | 'delete'
  readonly old?: unknown
  readonly new?: unknown
  readonly old_node?: unknown
  readonly new_node?: unknown
  readonly client: number
}

/** Who wrote a unit, and which of theirs it is. */
export interface UnitId {
  readonly client: number
  readonly clock: number
}

/** A relative position as Yjs has it in JSON: a unit, or the end of a root or a node. */
export interface PositionJson {
  readonly type?: UnitId | null
  readonly tname?: string | null
  readonly item?: UnitId | null
  readonly assoc?: number | null
}

/** Where a relative position is now. */
export interface Place {
  readonly node: DocNode
  readonly index: number
}

/** What became of documents in a document. */
export interface SubdocumentEvent {
  readonly added: readonly Subdocument[]
  readonly removed: readonly Subdocument[]
  /** Somebody wants what they hold, by load() or by their option `autoLoad`: bring it. */
  readonly loaded: readonly Subdocument[]
}

/** `local` is false for what came by apply(). The bytes are the listener's. */
export type UpdateListener = (update: Uint8Array<ArrayBuffer>, origin: unknown, local: boolean) => void

export interface UpdateOptions {
  readonly format?: UpdateFormat
  /** Short updates come as views of larger buffers, one behind another, as Node's Buffers do: a third of the time for whoever
   * sends them on or appends them to a file. They stay as they are, but `update.buffer` has others beside them: whoever stores
   * one by structured clone (IndexedDB, `postMessage()`) stores all of that, and whoever transfers it takes them from
   * everybody. Where any listener of a format does not ask for it, none of them gets it. */
  readonly shared?: boolean
}

/** What a transaction changed in one node. Inserted nodes, and former values, are told as their JSON. */
export interface DocEvent {
  readonly target: DocNode
  /** The node whose observer is called. */
  readonly currentTarget: DocNode
  readonly origin: unknown
  readonly local: boolean
  // What follows is worked out when it is asked for, while the listener is called. Later it is what was said then, and
  // LK_ERR_STATE where nobody asked.

  /** From the observed node, for observe() from the root, to the target: indexes and keys. */
  readonly path: readonly (string | number)[]
  /** What happened to a text or a list: retain, insert, delete. */
  readonly delta: readonly DeltaOperation[]
  readonly listChanged: boolean
  /** What happened to a map, or to attributes. */
  readonly keys: ReadonlyMap<string, KeyChange>
}

export interface KeyChange {
  readonly action: 'add' | 'update' | 'delete'
  readonly oldValue: unknown
}

export interface UndoOptions {
  /** Changes within so many milliseconds of each other are taken back together; the default is 500. */
  readonly captureTimeout?: number
  /** Transactions with these origins count; the default is those that have none, [null]: give what comes from
   * elsewhere an origin, apply(update, origin). */
  readonly trackedOrigins?: Iterable<unknown>
  readonly ignoreRemoteMapChanges?: boolean
}

/** A change, or several, that can be taken back. `meta` is the listeners': where the cursor was, for example. */
export interface UndoItem {
  readonly kind: 'undo' | 'redo'
  /** It was taken back, or made again, and is no longer there; otherwise it was made or has grown. */
  readonly popped: boolean
  readonly meta: Map<unknown, unknown>
}

/** Takes back what was done here, and only that. What it does has itself as origin. */
export interface UndoManager extends Disposable {
  readonly undoCount: number
  readonly redoCount: number
  /** Whether there was something to take back. */
  undo(): boolean
  redo(): boolean
  /** The next change is not put together with the last one. */
  stopCapturing(): void
  clear(stacks?: { readonly undo?: boolean; readonly redo?: boolean }): void
  addScope(node: DocNode): void
  track(origin: unknown): void
  untrack(origin: unknown): void
  onItem(listener: (item: UndoItem) => void): () => void
  /** Also by `using`, and with the document. */
  close(): void
}

/** A document that many people edit at once; one replica of it. It reads and writes the updates of Yjs.
 *
 * Updates may be applied in any order, any number of times; replicas that have the same ones read the same.
 * A call that throws a LaniakeaError changed nothing. Indexes are those of JavaScript's strings. */
export interface Doc extends Disposable {
  /** Changes where an update turns out to come from another replica with the same id. */
  readonly client: number
  readonly size: DocSize
  /** The named nodes that there are, and of what kind as far as that is known. */
  readonly roots: readonly { readonly name: string; readonly kind: NodeKind | 'unknown' }[]

  /** The root of that name, made if it is not there. LK_ERR_TYPE where it was asked for as another kind before. */
  getText(name?: string): TextNode
  getArray(name?: string): ArrayNode
  getMap(name?: string): MapNode
  getXml(name?: string): XmlFragment
  get<K extends NodeKind>(name: string, kind: K): NodeTypes[K]

  /** Everything that `body` changes is one transaction: one update, one round of observers. They nest; the outermost
   * one counts. Where `body` throws, what it changed until then stays. */
  transact<T>(body: () => T, origin?: unknown): T

  /** Takes in an update, which may come from anybody. What depends on updates that have not come yet
   * waits for them. LK_ERR_CORRUPT and others of decoding, LK_ERR_STEPS, LK_ERR_LIMIT; LK_ERR_TYPE for what is no
   * Uint8Array, such as the ArrayBuffer of a socket. */
  apply(update: Uint8Array, origin?: unknown, format?: UpdateFormat): void
  /** The same for many updates, each a transaction, with few calls to the core. Where one throws, those
   * before it are applied. */
  applyAll(updates: readonly Uint8Array[], origin?: unknown, format?: UpdateFormat): void

  /** What this document has beyond a state vector; all of it without one. */
  encode(stateVector?: Uint8Array, format?: UpdateFormat): Uint8Array<ArrayBuffer>
  stateVector(): Uint8Array<ArrayBuffer>

  /** Calls `listener` with an update after each transaction that changed something, until the function that it
   * returns is called. Listeners may change the document: that is a transaction of its own. */
  onUpdate(listener: UpdateListener, how?: UpdateFormat | UpdateOptions): () => void

  /** Where a position is now. `undefined` where what it refers to is not here (yet), was garbage-collected, or is in a node
   * that was deleted. Follows what an undo manager of this replica brought back. */
  resolve(position: RelativePosition): Place | undefined

  /** What is known now, and what of it is deleted. */
  snapshot(): Snapshot

  /** The documents in this one. Takes a look at all of it. */
  subdocuments(): Subdocument[]
  /** The replica of the document of that guid in this one: opened empty by the first call, which is told as `loaded`, and closed
   * with this one, or when it is removed from it. LK_ERR_NOT_FOUND where there is no such document in this one. */
  load(guid: string): Doc
  /** Calls `listener` after transactions with which documents came or went, behind listeners of updates, and when one is
   * loaded; until the function that it returns is called. One that came and went in the same transaction is not told. */
  onSubdocuments(listener: (event: SubdocumentEvent) => void): () => void

  /** An undo manager for some nodes and all in them, or, without a scope, for the whole document. LK_ERR_INVALID for a
   * scope that has none: that is more likely to be meant as nothing than as everything. */
  undo(scope?: DocNode | readonly DocNode[], options?: UndoOptions): UndoManager

  /** What the document holds, by root, as JSON can say it. */
  toJSON(): { [name: string]: unknown }

  /** Gives the memory back; everything of the document throws LK_ERR_STATE from now on. Also by `using`. */
  close(): void
}

/** The kinds of nodes. */
export interface NodeTypes {
  readonly text: TextNode
  readonly array: ArrayNode
  readonly map: MapNode
  readonly 'xml-fragment': XmlFragment
  readonly 'xml-element': XmlElement
  readonly 'xml-text': XmlText
  readonly 'xml-hook': XmlHook
}
export type NodeKind = keyof NodeTypes
export type DocNode = NodeTypes[NodeKind]

/** What an element of a list, or the value of a key, may be when it is read. */
export type Content = Value | DocNode | Subdocument

/** What all nodes have in common. There is one object for each node as long as its document lives. A node that was
 * deleted has no length; other calls than that and `exists` throw LK_ERR_NOT_FOUND. */
export interface NodeBase {
  readonly doc: Doc
  readonly exists: boolean
  /** `undefined` for a root. */
  readonly parent: DocNode | undefined
  toJSON(): unknown
  /** The position at an index of a text or list, which stays with what follows, or, where `assoc` is below 0, with what stands
   * before. LK_ERR_RANGE behind the end. */
  position(index: number, assoc?: number): RelativePosition
  /** Calls `listener` after transactions that changed this node, until the function that it returns is called. Listeners may
   * change the document: that is a transaction of its own, told about behind this one. What one throws comes out of
   * the call that changed the node, when all were told. */
  observe(listener: (event: DocEvent) => void): () => void
  /** The same for this node and all in it; those with the shortest path come first. */
  observeDeep(listener: (events: readonly DocEvent[]) => void): () => void
}

/** Attributes of a node itself. */
export interface WithAttributes {
  getAttribute(key: string): Content
  setAttribute(key: string, value: Value): void
  removeAttribute(key: string): void
  attributes(): { [key: string]: Content }
}

/** One operation of a delta. */
export interface DeltaOperation {
  readonly insert?: unknown
  readonly delete?: number
  readonly retain?: number
  readonly attributes?: Attributes
}

interface TextBase extends NodeBase, WithAttributes {
  /** In units of UTF-16. */
  readonly length: number
  /** Without `attributes` formatted like the text before `index`, otherwise exactly so. */
  insert(index: number, text: string, attributes?: Attributes): void
  /** One unit that is no character, such as an image. */
  insertEmbed(index: number, value: Value, attributes?: Attributes): void
  insertNode<K extends NodeKind>(index: number, kind: K, name?: string, attributes?: Attributes): NodeTypes[K]
  delete(index: number, length: number): void
  format(index: number, length: number, attributes: Attributes): void
  applyDelta(delta: readonly DeltaOperation[], options?: { readonly sanitize?: boolean }): void
  toDelta(): DeltaOperation[]
  /** The text without formatting. */
  toString(): string
}

export interface TextNode extends TextBase {
  readonly kind: 'text'
}

interface ListBase extends NodeBase, Iterable<Content> {
  readonly length: number
  get(index: number): Content
  insert(index: number, values: readonly (Value | Subdocument)[]): void
  push(values: readonly (Value | Subdocument)[]): void
  insertNode<K extends NodeKind>(index: number, kind: K, name?: string): NodeTypes[K]
  delete(index: number, length?: number): void
  toArray(): Content[]
}

export interface ArrayNode extends ListBase {
  readonly kind: 'array'
}

interface MapBase extends NodeBase, Iterable<[string, Content]> {
  readonly size: number
  /** `undefined` where the key has no value, or that one. */
  get(key: string): Content
  has(key: string): boolean
  set(key: string, value: Value | Subdocument): void
  setNode<K extends NodeKind>(key: string, kind: K, name?: string): NodeTypes[K]
  delete(key: string): void
  entries(): [string, Content][]
}

export interface MapNode extends MapBase {
  readonly kind: 'map'
}

export interface XmlHook extends MapBase {
  readonly kind: 'xml-hook'
  readonly name: string
}

interface XmlList extends NodeBase {
  readonly length: number
  get(index: number): Content
  insertElement(index: number, name: string): XmlElement
  insertText(index: number): XmlText
  insertNode<K extends NodeKind>(index: number, kind: K, name?: string): NodeTypes[K]
  delete(index: number, length?: number): void
  children(): Content[]
  toString(): string
}

export interface XmlFragment extends XmlList {
  readonly kind: 'xml-fragment'
}

export interface XmlElement extends XmlList, WithAttributes {
  readonly kind: 'xml-element'
  readonly name: string
}

export interface XmlText extends TextBase {
  readonly kind: 'xml-text'
}
