// Texts, arrays, maps and XML nodes: handles, and the calls that each kind knows.
import { Placed, Reader, Subdocument, textOf, type Value, type Writer } from './doc_any.ts'
import { docAsk, docChange, docRead } from './bindings.gen.ts'
import { CHECK, COUNT, LOST, QUEUED, SLOT, type DocCore, type Teller } from './doc_core.ts'
import type { Attributes, Content, DeltaOperation, Doc, DocEvent, DocNode, NodeKind, NodeTypes, UnitId, XmlElement, XmlText } from './doc_types.ts'
import { readElements, readEntries, readTree } from './doc_tree.ts'
import { RelativePosition } from './doc_position.ts'
import type { NodeWatch } from './doc_watch.ts'
import { LaniakeaError } from './errors.ts'

/** The document, as its nodes see it. */
export interface NodeOwner extends Teller {
  readonly core: DocCore
  readonly handle: number
  node(slot: number, check: number, kind: number): NodeHandle
  boardNode(): NodeHandle
  reader(): Reader<DocNode>
  /** doc_read(), whose lk_err it gives. */
  read(slot: number, check: number, what: number, at: number, length: number): number
  /** doc_change(). */
  change(slot: number, check: number, what: number, at: number, size: number, first: number, count: number, rest: number): number
  settle(result: number): void
  observe(watch: NodeWatch): () => void
}

type Owner = NodeOwner & Doc

/** By the numbers of the format. */
const KINDS: readonly (NodeKind | 'unknown')[] = ['array', 'map', 'text', 'xml-element', 'xml-fragment', 'xml-hook', 'xml-text', 'unknown']

export const kindOf = (number: number): NodeKind | 'unknown' => KINDS[number] ?? 'unknown'

export function numberOf(kind: NodeKind): number {
  const number = KINDS.indexOf(kind)
  if (number >= 0 && (kind as string) !== 'unknown') return number
  throw new LaniakeaError('LK_ERR_TYPE', `there is no kind of node "${kind}"`)
}

/** The numbers of lk_tree_what. */
const TREE_DELTA = 1
const TREE_ELEMENTS = 2
const TREE_ENTRIES = 3

/** Of values that may be numbers, all of them. */
const MANY = 8
/** What docRead.ids says. */
const HAS_UNIT = 1
const HAS_NODE = 2

const INVALID = 2
const NOT_FOUND = 10
/** As a number of attributes: none are given. */
const NONE = 0xffffffff

export class NodeHandle extends Placed {
  readonly doc: Owner
  readonly slot: number
  readonly check: number
  readonly kind: NodeKind | 'unknown'

  constructor(doc: Owner, slot: number, check: number, kind: NodeKind | 'unknown') {
    super()
    this.doc = doc
    this.slot = slot
    this.check = check
    this.kind = kind
  }

  get exists(): boolean {
    return this.number(docAsk.has) === 1
  }

  get parent(): DocNode | undefined {
    const { doc } = this
    const result = doc.read(this.slot, this.check, docRead.parent, 0, 0)
    if (result === NOT_FOUND && this.exists) return undefined
    if (result !== 0) doc.settle(result)
    return doc.boardNode() as unknown as DocNode
  }

  toJSON(): unknown {
    return this.tree()
  }

  protected tree(asDelta = false): unknown {
    this.ask(docRead.tree, asDelta ? TREE_DELTA : 0)
    return readTree(this.doc.reader(), asDelta)
  }

  position(index: number, assoc = 0): RelativePosition {
    const at = indexOf(index)
    const core = this.ask(docRead.ids, assoc < 0 ? at - 1 : at)
    const [first, second] = readIds(core.result())
    const has = core.board[COUNT] as number
    const item = has & HAS_UNIT ? first : null
    const isWithin = item !== null || at === (assoc < 0 ? 0 : this.nodeLength)
    if (!isWithin) throw new LaniakeaError('LK_ERR_RANGE', `${at} is behind the end`)
    if (has & HAS_NODE) return new RelativePosition({ item, type: item === null ? first : second, assoc })
    return new RelativePosition({ item, tname: this.nodeName, assoc })
  }

  observe(listener: (event: DocEvent) => void): () => void {
    return this.doc.observe({ node: this as unknown as DocNode, isDeep: false, listener })
  }

  observeDeep(listener: (events: readonly DocEvent[]) => void): () => void {
    return this.doc.observe({ node: this as unknown as DocNode, isDeep: true, listener })
  }

  protected number(what: number): number {
    const { doc } = this
    if (doc.handle === 0) doc.settle(INVALID)
    return doc.core.call((core) => core.doc_ask(doc.handle, this.slot, this.check, what))
  }

  /** What the core hands out then is of this node. */
  protected ask(what: number, at = 0, length = 0): DocCore {
    const { doc } = this
    const result = doc.read(this.slot, this.check, what, at, length)
    if (result !== 0) doc.settle(result)
    return doc.core
  }

  protected change(what: number, at: number, size: number, first: number, count: number, rest: number): void {
    const { doc } = this
    const result = doc.change(this.slot, this.check, what, at, size, first, count, rest)
    const { board } = doc.core
    if (result !== 0 || board[QUEUED] !== 0 || board[LOST] !== 0) doc.settle(result)
  }

  /** The same for changes that make a node. */
  protected make<K extends NodeKind>(what: number, at: number, kind: number, first: number, count: number = NONE, rest = 0): NodeTypes[K] {
    const { doc } = this
    const { core } = doc
    const result = doc.change(this.slot, this.check, what, at, kind, first, count, rest)
    core.refresh()
    const made = result === 0 ? doc.node(core.board[SLOT] as number, core.board[CHECK] as number, kind) : undefined // before listeners make others
    doc.settle(result)
    return made as unknown as NodeTypes[K]
  }

  protected get nodeName(): string {
    return this.ask(docRead.name).text()
  }

  protected get nodeLength(): number {
    return this.number(docAsk.length)
  }

  // ---- keys: of maps, and attributes of others ----

  protected hasKey(key: string): boolean {
    const { doc } = this
    const result = doc.read(this.slot, this.check, docRead.value, 0, doc.core.putText(textOf(key)))
    if (result === NOT_FOUND && this.exists) return false
    if (result !== 0) doc.settle(result)
    return true
  }

  protected getKey(key: string): Content {
    return this.hasKey(key) ? this.doc.reader().value() : undefined
  }

  protected setKey(key: string, value: Value | Subdocument): void {
    const { core } = this.doc
    const writer = core.writer.reset()
    writer.record(value)
    this.change(docChange.mapSet, 0, 0, core.putText(textOf(key), writer), 1, writer.length)
  }

  protected deleteKey(key: string): void {
    this.change(docChange.mapDelete, 0, 0, this.doc.core.putText(textOf(key)), NONE, 0)
  }

  protected keys(): [string, Content][] {
    this.ask(docRead.tree, TREE_ENTRIES)
    return readEntries(this.doc.reader())
  }

  // ---- elements: of arrays and of XML ----

  protected getElement(index: number): Content {
    this.ask(docRead.element, indexOf(index))
    return this.doc.reader().value()
  }

  protected elements(): Content[] {
    this.ask(docRead.tree, TREE_ELEMENTS)
    return readElements(this.doc.reader())
  }

  /** Puts nodes in this one to the first, and subdocuments to the second. */
  sortContent(nodes: NodeHandle[], subdocuments: Subdocument[]): void {
    const reader = (what: number): Reader<NodeHandle> => {
      return new Reader(this.ask(docRead.tree, what).result(), (slot, check, kind) => new NodeHandle(this.doc, slot, check, kindOf(kind)))
    }
    const values = readEntries(reader(TREE_ENTRIES)).map(([, value]) => value)
    for (const value of [...readElements(reader(TREE_ELEMENTS)), ...values]) {
      if (value instanceof NodeHandle) nodes.push(value)
      else if (value instanceof Subdocument) subdocuments.push(value)
    }
  }

  protected insertElements(what: number, at: number, values: readonly unknown[]): void {
    const { core } = this.doc
    const writer = core.writer.reset()
    if (values.length >= MANY && writer.numbers(values)) return this.change(what, at, 1, 0, values.length, core.putWriter(writer))
    writer.reset()
    for (const value of values) {
      writer.record(value)
      if (value === undefined || typeof value === 'bigint') throw new LaniakeaError('LK_ERR_INVALID', `a list has no place for ${typeof value}`)
    }
    this.change(what, at, 0, 0, values.length, core.putWriter(writer))
  }

  protected insertElementNode<K extends NodeKind>(index: number, kind: K, name: string): NodeTypes[K] {
    const at = indexOf(index)
    const number = numberOf(kind)
    return this.make<K>(docChange.listNode, at, number, this.doc.core.putText(textOf(name)))
  }

  protected deleteElements(index: number, count: number): void {
    this.change(docChange.listDelete, indexOf(index), indexOf(count), 0, NONE, 0)
  }
}

// ---- attributes ----

class AttributedHandle extends NodeHandle {
  getAttribute(key: string): Content {
    return this.getKey(key)
  }

  setAttribute(key: string, value: Value): void {
    this.setKey(key, value)
  }

  removeAttribute(key: string): void {
    this.deleteKey(key)
  }

  attributes(): { [key: string]: Content } {
    return Object.fromEntries(this.keys())
  }
}

// ---- text ----

class TextHandle extends AttributedHandle {
  get length(): number {
    return this.nodeLength
  }

  /** What is typed is one unit: nothing but a call then. */
  insert(index: number, text: string, attributes?: Attributes): void {
    const { doc } = this
    const { core } = doc
    if (attributes !== undefined || typeof text !== 'string' || index !== index >>> 0) return this.#insert(index, text, attributes)
    const length = text.length === 1 ? 0 : core.putText(text)
    let result: number
    core.teller = doc
    try {
      if (text.length === 1) result = core.exports.doc_text_insert_unit(doc.handle, this.slot, this.check, index, text.charCodeAt(0))
      else result = core.exports.doc_text_insert(doc.handle, this.slot, this.check, index, length)
    } catch (cause) {
      throw core.fail(cause)
    }
    if (result !== 0 || core.board[QUEUED] !== 0 || core.board[LOST] !== 0) doc.settle(result)
  }

  delete(index: number, length: number): void {
    const { doc } = this
    const { core } = doc
    if (index !== index >>> 0 || length !== length >>> 0) indexOf(index), indexOf(length)
    let result: number
    core.teller = doc
    try {
      result = core.exports.doc_text_delete(doc.handle, this.slot, this.check, index, length)
    } catch (cause) {
      throw core.fail(cause)
    }
    if (result !== 0 || core.board[QUEUED] !== 0 || core.board[LOST] !== 0) doc.settle(result)
  }

  insertEmbed(index: number, value: Value, attributes?: Attributes): void {
    const at = indexOf(index)
    const { core } = this.doc
    const writer = core.writer.reset()
    writer.value(value)
    const first = writer.length
    const count = writeAttributes(writer, attributes)
    this.change(docChange.textEmbed, at, 0, first, count, core.putWriter(writer) - first)
  }

  insertNode<K extends NodeKind>(index: number, kind: K, name = '', attributes?: Attributes): NodeTypes[K] {
    const at = indexOf(index)
    const number = numberOf(kind)
    const { core } = this.doc
    const writer = core.writer.reset()
    const count = writeAttributes(writer, attributes)
    return this.make<K>(docChange.textNode, at, number, core.putText(textOf(name), writer), count, writer.length)
  }

  format(index: number, length: number, attributes: Attributes): void {
    const at = indexOf(index)
    const size = indexOf(length)
    const { core } = this.doc
    const count = writeAttributes(core.writer.reset(), attributes)
    this.change(docChange.textFormat, at, size, 0, count, core.putWriter(core.writer))
  }

  applyDelta(delta: readonly DeltaOperation[], { sanitize = true }: { readonly sanitize?: boolean } = {}): void {
    this.change(docChange.textDelta, 0, sanitize ? 1 : 0, this.doc.core.putText(JSON.stringify(delta)), NONE, 0)
  }

  toDelta(): DeltaOperation[] {
    return this.tree(true) as DeltaOperation[]
  }

  override toString(): string {
    return this.kind === 'text' ? this.ask(docRead.text).unitText() : (this.tree() as string)
  }

  #insert(index: number, text: string, attributes: Attributes | undefined): void {
    const { core } = this.doc
    const at = indexOf(index)
    textOf(text)
    const writer = core.writer.reset()
    const count = writeAttributes(writer, attributes)
    this.change(docChange.textInsert, at, 0, core.putText(text, writer), count, writer.length)
  }
}

/** Into the writer; how many. */
function writeAttributes(writer: Writer, attributes: Attributes | undefined): number {
  return attributes === undefined ? NONE : writer.records(attributes)
}

// ---- arrays ----

class ArrayHandle extends NodeHandle {
  get length(): number {
    return this.nodeLength
  }

  get(index: number): Content {
    return this.getElement(index)
  }

  insert(index: number, values: readonly (Value | Subdocument)[]): void {
    this.insertElements(docChange.listInsert, indexOf(index), values)
  }

  push(values: readonly (Value | Subdocument)[]): void {
    this.insertElements(docChange.listPush, 0, values)
  }

  insertNode<K extends NodeKind>(index: number, kind: K, name = ''): NodeTypes[K] {
    return this.insertElementNode(index, kind, name)
  }

  delete(index: number, length = 1): void {
    this.deleteElements(index, length)
  }

  toArray(): Content[] {
    return this.elements()
  }

  [Symbol.iterator](): Iterator<Content> {
    return this.elements()[Symbol.iterator]()
  }
}

// ---- maps ----

class MapHandle extends NodeHandle {
  get size(): number {
    return this.number(docAsk.count)
  }

  get(key: string): Content {
    return this.getKey(key)
  }

  has(key: string): boolean {
    return this.hasKey(key)
  }

  set(key: string, value: Value | Subdocument): void {
    this.setKey(key, value)
  }

  setNode<K extends NodeKind>(key: string, kind: K, name = ''): NodeTypes[K] {
    const { core } = this.doc
    const number = numberOf(kind)
    const writer = core.writer.reset()
    writer.text(textOf(key))
    const keyLength = writer.length
    writer.text(textOf(name))
    return this.make<K>(docChange.mapNode, keyLength, number, core.putWriter(writer))
  }

  delete(key: string): void {
    this.deleteKey(key)
  }

  entries(): [string, Content][] {
    return this.keys()
  }

  [Symbol.iterator](): Iterator<[string, Content]> {
    return this.keys()[Symbol.iterator]()
  }
}

class HookHandle extends MapHandle {
  get name(): string {
    return this.nodeName
  }
}

// ---- XML ----

class XmlHandle extends AttributedHandle {
  get length(): number {
    return this.nodeLength
  }

  get(index: number): Content {
    return this.getElement(index)
  }

  insertElement(index: number, name: string): XmlElement {
    return this.insertElementNode(index, 'xml-element', name)
  }

  insertText(index: number): XmlText {
    return this.insertElementNode(index, 'xml-text', '')
  }

  insertNode<K extends NodeKind>(index: number, kind: K, name = ''): NodeTypes[K] {
    return this.insertElementNode(index, kind, name)
  }

  delete(index: number, length = 1): void {
    this.deleteElements(index, length)
  }

  children(): Content[] {
    return this.elements()
  }

  override toString(): string {
    return this.tree() as string
  }
}

class ElementHandle extends XmlHandle {
  get name(): string {
    return this.nodeName
  }
}

// ---- making them ----

const CLASSES: { readonly [K in NodeKind | 'unknown']: typeof NodeHandle } = {
  text: TextHandle,
  'xml-text': TextHandle,
  array: ArrayHandle,
  map: MapHandle,
  'xml-hook': HookHandle,
  'xml-fragment': XmlHandle,
  'xml-element': ElementHandle,
  unknown: NodeHandle,
}

export function makeNode(doc: NodeOwner & Doc, slot: number, check: number, kind: NodeKind | 'unknown'): NodeHandle {
  return new CLASSES[kind](doc, slot, check, kind)
}

/** Up to two. */
function readIds(bytes: Uint8Array): readonly [UnitId | null, UnitId | null] {
  const numbers = Array.from(new BigUint64Array(bytes.slice().buffer), Number)
  const idAt = (i: number): UnitId | null => (i < numbers.length ? { client: numbers[i] as number, clock: numbers[i + 1] as number } : null)
  return [idAt(0), idAt(2)]
}

/** What WebAssembly would silently make another number of. */
function indexOf(value: number): number {
  if (value === value >>> 0) return value
  throw new LaniakeaError('LK_ERR_RANGE', `${String(value)} is no index`)
}
