// What a node and all in it hold, as the core copied it out (src/doc/read_tree.h), made into JSON, XML and deltas.
//
// All of it is what Yjs' toJSON(), toString() and toDelta() give, through JSON: bytes are base64, bigints are decimal
// strings, NaN is null, undefined is left out of objects and null elsewhere. In XML values are as JavaScript prints them.
// Nodes may nest deeper than functions: those that are open lie on a list.
import type { Reader, Subdocument, Value } from './doc_any.ts'
import type { DeltaOperation } from './doc_types.ts'

const ARRAY = 0
const MAP = 1
const TEXT = 2
const XML_ELEMENT = 3
const XML_FRAGMENT = 4
const XML_HOOK = 5
const XML_TEXT = 6

/** Tags below those of any. */
const END = 0
const TREE = 3
const FORMAT = 4
const JSON_TEXT = 6
const LIST = 7
const STRING = 119

type Read = Reader<unknown>

/** A node that is open. Its pairs come first, if it has any. */
abstract class Frame {
  /** Values in it are as they are, not as JSON has them. */
  readonly raw: boolean
  keyed = true
  key: string | undefined = undefined

  constructor(raw: boolean) {
    this.raw = raw
  }

  abstract add(value: unknown, isNode: boolean): void
  abstract end(): unknown

  /** A string, which is text where texts are. */
  text(text: string): void {
    this.add(text, false)
  }

  format(_key: string, _value: Value): void {}
}

class ListFrame extends Frame {
  readonly #values: unknown[] = []

  add(value: unknown): void {
    this.#values.push(value ?? null)
  }

  end(): unknown {
    return this.#values
  }
}

class MapFrame extends Frame {
  readonly #values: { [key: string]: unknown } = {}

  add(value: unknown): void {
    if (value !== undefined) setOwn(this.#values, this.key as string, value)
  }

  end(): unknown {
    return this.#values
  }
}

/** A fragment, where it has no name. */
class XmlFrame extends Frame {
  readonly #name: string | undefined
  #attributes: [string, string][] | undefined
  #text = ''

  constructor(name?: string) {
    super(true)
    this.#name = name
  }

  add(value: unknown, isNode: boolean): void {
    const text = textOf(value, isNode)
    if (!this.keyed) this.#text += text
    else if (this.#attributes) this.#attributes.push([this.key as string, text])
    else this.#attributes = [[this.key as string, text]]
  }

  end(): string {
    if (this.#name === undefined) return this.#text
    const name = /[A-Z]/.test(this.#name) ? this.#name.replace(UPPER, (letters) => letters.toLowerCase()) : this.#name
    return `<${name}${this.#attributes ? attributesOf(this.#attributes) : ''}>${this.#text}</${name}>`
  }
}

/** The native core leaves other letters alone. */
const UPPER = /[A-Z]+/g

type Formats = Map<string, Value>
const NO_FORMATS: Formats = new Map()

/** A text with its formatting: XML, or a delta. */
class TextFrame extends Frame {
  readonly #operations: DeltaOperation[] | undefined
  #formats: Formats = NO_FORMATS
  #xml = ''
  /** Tags of the formats. */
  #before = ''
  #behind = ''
  #known = true

  constructor(raw: boolean) {
    super(raw)
    if (!raw) this.#operations = []
  }

  override format(key: string, value: Value): void {
    if (this.#formats === NO_FORMATS) this.#formats = new Map()
    if (value === null) this.#formats.delete(key)
    else this.#formats.set(key, value)
    this.#known = false
  }

  /** As Yjs does, which means it for what snapshots show. */
  override text(text: string): void {
    if (this.#formats.has('ychange')) this.format('ychange', null)
    this.add(text, false)
  }

  add(value: unknown, isNode: boolean): void {
    if (this.#operations) {
      this.#operations.push(operationOf(value ?? null, this.#formats))
      return
    }
    if (!this.#known) this.#tag()
    this.#xml += this.#before + textOf(value, isNode) + this.#behind
  }

  end(): unknown {
    return this.#operations ?? this.#xml
  }

  /** What a formatting value is made of becomes the attributes of its tag. */
  #tag(): void {
    this.#before = this.#behind = ''
    this.#known = true
    if (this.#formats.size === 0) return
    for (const [key, value] of [...this.#formats].sort(byKey)) {
      const parts = Object.entries(value ?? {}).map(([name, part]): [string, string] => [name, textOf(part)])
      this.#before += `<${key}${attributesOf(parts)}>`
      this.#behind = `</${key}>${this.#behind}`
    }
  }
}

function operationOf(insert: unknown, formats: Formats): DeltaOperation {
  if (formats.size === 0) return { insert }
  const attributes: { [key: string]: Value } = {}
  for (const [key, value] of formats) if (value !== undefined) setOwn(attributes, key, value)
  return { insert, attributes }
}

// ---- XML ----

const OBJECT = '[object Object]'

/** As String() has it, but for objects that would have a say in it. */
function textOf(value: unknown, isNode = false): string {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return String(value)
  if (isNode || !Array.isArray(value)) return OBJECT
  return value.map((item) => (item === null || item === undefined ? '' : textOf(item))).join()
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

function attributesOf(attributes: [string, string][]): string {
  let all = ''
  for (const [key, text] of attributes.sort(byKey)) all += ` ${key}="${text}"`
  return all
}

// ---- reading ----

/** Also a key that would set the prototype. */
export function setOwn(object: object, key: string, value: unknown): void {
  if (key !== '__proto__') (object as { [key: string]: unknown })[key] = value
  else Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
}

/** The node that begins, or what it is where nothing is to be read of it any more. */
function enter(reader: Read, asDelta: boolean): Frame | string | null {
  switch (reader.byte()) {
    case ARRAY: return new ListFrame(false)
    case MAP:
    case XML_HOOK: return new MapFrame(false)
    case TEXT: return reader.value() as string
    case XML_ELEMENT: return new XmlFrame(reader.string())
    case XML_FRAGMENT: return new XmlFrame()
    case XML_TEXT: return new TextFrame(!asDelta)
    default: return null
  }
}

/** One content, with all that is in it. */
function content(reader: Read, asDelta = false): unknown {
  const open: Frame[] = []
  let top: Frame | undefined
  for (;;) {
    let value: unknown
    let isNode = false
    reader.plain = top === undefined || !top.raw
    const tag = reader.peek
    if (tag >= JSON_TEXT && tag !== LIST) {
      value = reader.value()
      if (top !== undefined && !top.keyed && tag === STRING) {
        top.text(value as string)
        continue
      }
      if (top?.keyed && top.key === undefined) {
        top.key = value as string
        continue
      }
    } else {
      reader.byte()
      if (tag === END && top?.keyed) {
        top.keyed = false
        continue
      } else if (tag === FORMAT) {
        top?.format(reader.string(), reader.value() as Value)
        continue
      } else if (tag === TREE) {
        const entered = enter(reader, asDelta && top === undefined)
        if (typeof entered === 'object' && entered !== null) {
          open.push(entered)
          top = entered
          continue
        }
        value = entered
        isNode = true
      } else if (tag === END) {
        value = open.pop()?.end()
        top = open[open.length - 1]
        isNode = true
      } else { // EMBED
        value = reader.value()
      }
    }
    if (top === undefined) return value
    top.add(value, isNode)
    top.key = undefined
  }
}

/** Elements behind the end of no pairs. */
export function readElements<N>(reader: Reader<N>): (Value | N | Subdocument)[] {
  const elements = []
  reader.byte()
  while (reader.peek !== END) elements.push(reader.value())
  return elements
}

export function readEntries<N>(reader: Reader<N>): [string, Value | N | Subdocument][] {
  const entries: [string, Value | N | Subdocument][] = []
  while (reader.peek !== END) entries.push([reader.value() as string, reader.value()])
  return entries
}

/** The JSON of a node; a delta of a text. */
export function readTree(reader: Read, asDelta = false): unknown {
  return content(reader, asDelta)
}

// ---- events ----

export function readOld(reader: Read): unknown {
  return content(reader) ?? null
}

export function readPath(reader: Read): (string | number)[] {
  const path = []
  while (reader.more) path.push(reader.value() as string | number)
  return path
}

const RETAIN = 1
const DELETE = 2

export function readDelta(reader: Read): DeltaOperation[] {
  const operations: { insert?: unknown; retain?: number; delete?: number; attributes?: { [key: string]: Value } }[] = []
  while (reader.more) {
    const kind = reader.byte()
    const last = operations.at(-1)
    reader.plain = true
    if (kind === RETAIN) operations.push({ retain: reader.uint() })
    else if (kind === DELETE) operations.push({ delete: reader.uint() })
    else if (kind === FORMAT && last) last.attributes = readAttributes(reader)
    else operations.push({ insert: reader.peek === LIST ? readList(reader) : (content(reader) ?? null) })
  }
  return operations
}

function readAttributes(reader: Read): { [key: string]: Value } {
  const attributes = {}
  while (reader.peek !== END) {
    const key = reader.value() as string
    const value = reader.value()
    if (value !== undefined) setOwn(attributes, key, value)
  }
  reader.byte()
  return attributes
}

function readList(reader: Read): unknown[] {
  const list = []
  reader.byte()
  while (reader.peek !== END) list.push(content(reader) ?? null)
  reader.byte()
  return list
}
