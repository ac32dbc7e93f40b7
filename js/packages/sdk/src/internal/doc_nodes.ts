// Texts, arrays, maps and XML nodes: handles, and the calls that each kind knows.
import { Placed, textOf, type Reader, type Subdocument, type Value } from './doc_any.ts'
import { QUEUED, LOST, type DocCore, type DocModule } from './doc_core.ts'
import type { Attributes, Content, DeltaOperation, Doc, DocEvent, DocNode, NodeKind, NodeTypes, XmlElement, XmlText } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'

/** The document, as its nodes see it. */
export interface NodeOwner {
  readonly core: DocCore
  readonly handle: number
  readonly clocked: boolean
  boardNode(): NodeHandle
  read(): Reader<DocNode>
  check(call: (core: DocModule, doc: number) => number): void
  change(call: (core: DocModule, doc: number) => number): void
  settle(result: number): void
  observe(node: NodeHandle, deep: boolean, listener: (events: readonly DocEvent[]) => void): () => void
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

const INVALID = 2
const NOT_FOUND = 10

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
    const { doc, slot, check } = this
    if (doc.handle === 0) doc.settle(INVALID)
    return doc.core.call((core) => core.doc_has_node(doc.handle, slot, check)) === 1
  }

  get parent(): DocNode | undefined {
    const { doc, slot, check } = this
    const result = doc.core.call((core) => core.doc_node_parent(doc.handle, slot, check))
    if (result === NOT_FOUND && this.exists) return undefined
    doc.settle(result)
    return doc.boardNode() as unknown as DocNode
  }

  toJSON(): unknown {
    this.ask((core, doc) => core.doc_node_json(doc, this.slot, this.check))
    return this.doc.core.json()
  }

  observe(listener: (event: DocEvent) => void): () => void {
    return this.doc.observe(this, false, (events) => {
      for (const event of events) listener(event)
    })
  }

  observeDeep(listener: (events: readonly DocEvent[]) => void): () => void {
    return this.doc.observe(this, true, listener)
  }

  protected ask(call: (core: DocModule, doc: number) => number): void {
    this.doc.check(call)
  }

  protected change(call: (core: DocModule, doc: number) => number): void {
    this.doc.change(call)
  }

  /** The node that `call` makes, once `text` and the writer are where it finds them. */
  protected make<K extends NodeKind>(call: (core: DocModule, doc: number) => number): NodeTypes[K] {
    const { doc } = this
    if (doc.clocked) doc.core.setClock()
    const result = doc.core.call((core) => call(core, doc.handle))
    const made = result === 0 ? doc.boardNode() : undefined // before listeners make others
    doc.settle(result)
    return made as unknown as NodeTypes[K]
  }

  protected get nodeName(): string {
    this.ask((core, doc) => core.doc_node_name(doc, this.slot, this.check))
    return this.doc.core.text()
  }

  protected get nodeLength(): number {
    const { doc, slot, check } = this
    if (doc.handle === 0) doc.settle(INVALID)
    return doc.core.call((core) => core.doc_node_length(doc.handle, slot, check))
  }

  // ---- keys: of maps, and attributes of others ----

  protected getKey(key: string): Content {
    const { doc, slot, check } = this
    const length = doc.core.putText(textOf(key))
    const result = doc.core.call((core) => core.doc_map_get(doc.handle, slot, check, length))
    if (result === NOT_FOUND && this.exists) return undefined
    if (result !== 0) doc.settle(result)
    return doc.read().value()
  }

  protected setKey(key: string, value: Value | Subdocument): void {
    const { core } = this.doc
    const writer = core.writer.reset()
    writer.value(value)
    const length = core.putText(textOf(key), writer)
    this.change((exports, doc) => exports.doc_map_set(doc, this.slot, this.check, length, writer.length))
  }

  protected deleteKey(key: string): void {
    const length = this.doc.core.putText(textOf(key))
    this.change((core, doc) => core.doc_map_delete(doc, this.slot, this.check, length))
  }

  protected keys(): [string, Content][] {
    this.ask((core, doc) => core.doc_map_entries(doc, this.slot, this.check))
    const reader = this.doc.read()
    const entries: [string, Content][] = []
    while (reader.more) entries.push([reader.string(), reader.value()])
    return entries
  }

  // ---- elements: of arrays and of XML ----

  protected getElement(index: number): Content {
    const at = indexOf(index)
    this.ask((core, doc) => core.doc_list_get(doc, this.slot, this.check, at))
    return this.doc.read().value()
  }

  protected elements(): Content[] {
    this.ask((core, doc) => core.doc_list_values(doc, this.slot, this.check))
    const reader = this.doc.read()
    return Array.from({ length: reader.uint() }, () => reader.value())
  }

  protected insertElements(call: (core: DocModule, doc: number, count: number, length: number) => number, values: readonly unknown[]): void {
    const { core } = this.doc
    const writer = core.writer.reset()
    for (const value of values) writer.value(value)
    core.putWriter(writer)
    this.change((exports, doc) => call(exports, doc, values.length, writer.length))
  }

  protected insertElementNode<K extends NodeKind>(index: number, kind: K, name: string): NodeTypes[K] {
    const at = indexOf(index)
    const number = numberOf(kind)
    const length = this.doc.core.putText(textOf(name))
    return this.make<K>((core, doc) => core.doc_list_insert_node(doc, this.slot, this.check, at, number, length))
  }

  protected deleteElements(index: number, count: number): void {
    const at = indexOf(index)
    const length = indexOf(count)
    this.change((core, doc) => core.doc_list_delete(doc, this.slot, this.check, at, length))
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
    if (typeof text !== 'string' || text.length !== 1 || attributes !== undefined || doc.clocked || index !== index >>> 0) return this.#insert(index, text, attributes)
    let result: number
    try {
      result = core.exports.doc_text_insert_unit(doc.handle, this.slot, this.check, index, text.charCodeAt(0))
    } catch (cause) {
      throw core.fail(cause)
    }
    if (result !== 0 || core.board[QUEUED] !== 0 || core.board[LOST] !== 0) doc.settle(result)
  }

  delete(index: number, length: number): void {
    const { doc } = this
    const { core } = doc
    if (index !== index >>> 0 || length !== length >>> 0 || doc.clocked) return this.#delete(index, length)
    let result: number
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
    const valueLength = writer.length
    writeAttributes(core, attributes)
    core.putWriter(writer)
    this.change((exports, doc) => exports.doc_text_embed(doc, this.slot, this.check, at, valueLength, writer.length - valueLength))
  }

  insertNode<K extends NodeKind>(index: number, kind: K, name = '', attributes?: Attributes): NodeTypes[K] {
    const at = indexOf(index)
    const number = numberOf(kind)
    const { core } = this.doc
    core.writer.reset()
    const behind = writeAttributes(core, attributes)
    const length = core.putText(textOf(name), core.writer)
    return this.make<K>((exports, doc) => exports.doc_text_insert_node(doc, this.slot, this.check, at, number, length, behind))
  }

  format(index: number, length: number, attributes: Attributes): void {
    const at = indexOf(index)
    const count = indexOf(length)
    const { core } = this.doc
    core.writer.reset()
    const given = writeAttributes(core, attributes)
    core.putWriter(core.writer)
    this.change((exports, doc) => exports.doc_text_format(doc, this.slot, this.check, at, count, given))
  }

  applyDelta(delta: readonly DeltaOperation[], { sanitize = true }: { readonly sanitize?: boolean } = {}): void {
    const length = this.doc.core.putText(JSON.stringify(delta))
    this.change((core, doc) => core.doc_text_apply_delta(doc, this.slot, this.check, length, sanitize ? 1 : 0))
  }

  toDelta(): DeltaOperation[] {
    this.ask((core, doc) => core.doc_text_delta(doc, this.slot, this.check))
    return this.doc.core.json() as DeltaOperation[]
  }

  override toString(): string {
    this.ask((core, doc) => (this.kind === 'text' ? core.doc_text_string : core.doc_xml_string)(doc, this.slot, this.check))
    return this.doc.core.text()
  }

  #insert(index: number, text: string, attributes: Attributes | undefined): void {
    const { core } = this.doc
    const at = indexOf(index)
    textOf(text)
    core.writer.reset()
    const behind = writeAttributes(core, attributes)
    const length = core.putText(text, behind > 0 ? core.writer : undefined)
    this.change((exports, doc) => exports.doc_text_insert(doc, this.slot, this.check, at, length, behind))
  }

  #delete(index: number, length: number): void {
    const at = indexOf(index)
    const count = indexOf(length)
    this.change((core, doc) => core.doc_text_delete(doc, this.slot, this.check, at, count))
  }
}

/** Into the writer; how many bytes, none for no attributes. */
function writeAttributes({ writer }: DocCore, attributes: Attributes | undefined): number {
  const before = writer.length
  if (attributes !== undefined) writer.value(attributes)
  return writer.length - before
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
    const at = indexOf(index)
    this.insertElements((core, doc, count, length) => core.doc_list_insert(doc, this.slot, this.check, at, count, length), values)
  }

  push(values: readonly (Value | Subdocument)[]): void {
    this.insertElements((core, doc, count, length) => core.doc_list_push(doc, this.slot, this.check, count, length), values)
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
    const { doc, slot, check } = this
    if (doc.handle === 0) doc.settle(INVALID)
    return doc.core.call((core) => core.doc_map_count(doc.handle, slot, check))
  }

  get(key: string): Content {
    return this.getKey(key)
  }

  has(key: string): boolean {
    const { doc, slot, check } = this
    const length = doc.core.putText(textOf(key))
    const result = doc.core.call((core) => core.doc_map_get(doc.handle, slot, check, length))
    if (result === NOT_FOUND && this.exists) return false
    doc.settle(result)
    return true
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
    core.putWriter(writer)
    return this.make<K>((exports, doc) => exports.doc_map_set_node(doc, this.slot, this.check, keyLength, number, writer.length - keyLength))
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
    this.ask((core, doc) => core.doc_xml_string(doc, this.slot, this.check))
    return this.doc.core.text()
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

/** What WebAssembly would silently make another number of. */
function indexOf(value: number): number {
  if (value === value >>> 0) return value
  throw new LaniakeaError('LK_ERR_RANGE', `${String(value)} is no index`)
}
