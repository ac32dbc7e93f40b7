// tests/conformance/doc/model.mjs -- what clients of a session do, and how a document reads, by the real Yjs.
//
// An operation is an array of JSON values, [name, path, ...arguments], that any engine can carry out. It
// is made by looking at a Yjs document (what is there, how long it is) and then executed on it:
//
//   t.ins path index text [attributes]     t.del path index length    t.fmt path index length attributes
//   t.emb path index value attributes|null t.embt path index type     t.delta path operations [sanitize]
//   a.ins path index values    a.push path values    a.del path index length
//   a.type path index type     a.doc path index guid options
//   m.set path key value       m.del path key        m.type path key type    m.doc path key guid options
//   x.ins path index type      x.push path type      x.del path index length
//   x.attr path name value     x.unattr path name    undo    redo
//
//   path := [root, step...]    step := child index | 'k:' key | 'd' n, the nth operation of a text's delta
//   type := ['map'] | ['array'] | ['text', text] | ['elem', name] | ['xtext', text] | ['hook', name]
//
// What t.embt embeds is empty: Yjs would fill it before it ends the formatting around it, no one else could.
//
// Indexes count UTF-16 units. Values that JSON has no word for are objects with one member: {"$undef":1},
// {"$num":"NaN"}, {"$bigint":"1"}, {"$bin":"base64"}; where states are told, also {"$doc":guid} and
// {"$type":kind,"v":state}. -0 is written -0.
//
// Where Yjs looks for needless formatting it asks whether two objects are the very same. So it is given what a
// program gives that keeps its formatting in constants: equal objects in attributes are one object here, as
// they are for our engine. Formatting values nest at most once, since Yjs compares no deeper.
import * as Y from 'yjs'

// ---- values as text

const special = (value) => {
  if (value === undefined) return '{"$undef":1}'
  if (typeof value === 'number') return Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : `{"$num":"${value}"}`
  if (typeof value === 'bigint') return `{"$bigint":"${value}"}`
  if (value instanceof Uint8Array) return `{"$bin":"${Buffer.from(value).toString('base64')}"}`
  if (value instanceof Y.Doc) return `{"$doc":${JSON.stringify(value.guid)}}`
  if (value instanceof Y.AbstractType) return `{"$type":"${kindOf(value)}","v":${stateOf(value)}}`
  return null
}

const print = (value, order) => {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  const text = special(value)
  if (text !== null) return text
  if (Array.isArray(value)) return `[${value.map((item) => print(item, order)).join(',')}]`
  return `{${order(Object.keys(value)).map((key) => `${JSON.stringify(key)}:${print(value[key], order)}`).join(',')}}`
}

/** With members sorted by their UTF-16 units: equal values, equal texts. */
export const canonical = (value) => print(value, (keys) => keys.sort())
/** With members as they are: the order is part of what an engine writes. */
export const ordered = (value) => print(value, (keys) => keys)

/** Reads either. */
export const parse = (text) =>
  JSON.parse(text, (key, value) => {
    if (value === null || typeof value !== 'object') return value
    if ('$undef' in value) return UNDEFINED
    if ('$num' in value) return Number(value.$num)
    if ('$bigint' in value) return BigInt(value.$bigint)
    if ('$bin' in value) return new Uint8Array(Buffer.from(value.$bin, 'base64'))
    for (const name of Object.keys(value)) if (value[name] === UNDEFINED) value[name] = undefined
    return value
  })
const UNDEFINED = Symbol('undefined') // a reviver that returns undefined removes the member

// ---- how a document reads

export const kindOf = (type) => {
  if (type instanceof Y.XmlText) return 'xmltext'
  if (type instanceof Y.XmlHook) return 'xmlhook'
  if (type instanceof Y.XmlElement) return 'xmlelement'
  if (type instanceof Y.XmlFragment) return 'xmlfragment'
  if (type instanceof Y.Text) return 'text'
  if (type instanceof Y.Array) return 'array'
  if (type instanceof Y.Map) return 'map'
  return 'unknown'
}

const entriesOf = (map) => {
  const entries = {}
  map.forEach((value, key) => { entries[key] = value })
  return entries
}
const deltaOf = (text) =>
  text.toDelta().map(({ insert, attributes }) => (attributes === undefined ? { insert } : { insert, attributes }))

/** All that can be read of a type and what is in it, as one text. */
export const stateOf = (type) => {
  switch (kindOf(type)) {
    case 'text': return canonical(deltaOf(type))
    case 'xmltext': return `{"attrs":${canonical(type.getAttributes())},"delta":${canonical(deltaOf(type))}}`
    case 'xmlelement':
      return `{"name":${JSON.stringify(type.nodeName)},"attrs":${canonical(type.getAttributes())},"children":${canonical(type.toArray())}}`
    case 'xmlhook': return `{"hook":${JSON.stringify(type.hookName)},"map":${canonical(entriesOf(type))}}`
    case 'map': return canonical(entriesOf(type))
    case 'array': case 'xmlfragment': return canonical(type.toArray())
    default: return 'null'
  }
}

const orNothing = (read) => { try { return read() } catch { return '' } } // Yjs cannot stringify some hooks
export const stringOf = (type) => (type instanceof Y.Text || type instanceof Y.XmlFragment ? orNothing(() => type.toString()) : '')
export const jsonOf = (type) => orNothing(() => canonical(type.toJSON()))

const getters = { text: 'getText', array: 'getArray', map: 'getMap', xml: 'getXmlFragment' }
export const rootOf = (doc, [name, kind]) => doc[getters[kind]](name)
export const statesOf = (doc, roots) => roots.map((root) => stateOf(rootOf(doc, root))).join('\n')

// ---- carrying out operations

const makeType = ([kind, argument]) => {
  switch (kind) {
    case 'map': return new Y.Map()
    case 'array': return new Y.Array()
    case 'text': return new Y.Text(argument)
    case 'elem': return new Y.XmlElement(argument)
    case 'xtext': return new Y.XmlText(argument)
    case 'hook': return new Y.XmlHook(argument)
    default: throw new Error(`no type ${kind}`)
  }
}

const step = (type, part) => {
  if (typeof part === 'number') return type.get(part)
  return part[0] === 'd' ? type.toDelta()[Number(part.slice(1))].insert : type.get(part.slice(2))
}
const resolve = (doc, roots, [name, ...steps]) =>
  steps.reduce(step, rootOf(doc, roots.find(([known]) => known === name)))

const constants = new Map()
const constant = (value) => {
  if (value === null || typeof value !== 'object') return value
  const text = ordered(value)
  if (!constants.has(text)) constants.set(text, value)
  return constants.get(text)
}
const constantsIn = (attributes) => attributes && Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, constant(value)]))
const withConstants = (operation) => ('attributes' in operation ? { ...operation, attributes: constantsIn(operation.attributes) } : operation)

const actions = {
  't.ins': (t, index, text, attributes) => t.insert(index, text, constantsIn(attributes)),
  't.del': (t, index, length) => t.delete(index, length),
  't.fmt': (t, index, length, attributes) => t.format(index, length, constantsIn(attributes)),
  't.emb': (t, index, value, attributes) => t.insertEmbed(index, value, constantsIn(attributes) ?? undefined),
  't.embt': (t, index, type) => t.insertEmbed(index, makeType(type)),
  't.delta': (t, operations, sanitize = true) => t.applyDelta(operations.map(withConstants), { sanitize }),
  'a.ins': (a, index, values) => a.insert(index, values),
  'a.push': (a, values) => a.push(values),
  'a.del': (a, index, length) => a.delete(index, length),
  'a.type': (a, index, type) => a.insert(index, [makeType(type)]),
  'a.doc': (a, index, guid, options) => a.insert(index, [new Y.Doc({ guid, ...options })]),
  'm.set': (m, key, value) => m.set(key, value),
  'm.del': (m, key) => m.delete(key),
  'm.type': (m, key, type) => m.set(key, makeType(type)),
  'm.doc': (m, key, guid, options) => m.set(key, new Y.Doc({ guid, ...options })),
  'x.ins': (x, index, type) => x.insert(index, [makeType(type)]),
  'x.push': (x, type) => x.push([makeType(type)]),
  'x.del': (x, index, length) => x.delete(index, length),
  'x.attr': (x, name, value) => x.setAttribute(name, value),
  'x.unattr': (x, name) => x.removeAttribute(name),
}

export function execute(doc, roots, [name, path, ...rest], undoManager) {
  if (name === 'undo') undoManager.undo()
  else if (name === 'redo') undoManager.redo()
  else actions[name](resolve(doc, roots, path), ...rest)
}

// ---- what there is to say

const WORDS = ['a', 'b', ' ', '\n', 'x', 'the ', 'over', 'lazy ', 'fox ', '42', 'é', 'e\u0301', 'ÿ', 'Ā', 'Ωμέγα', '漢字', 'か', 'שלום', 'ไทย',
  '🙂', '🚀', '👨‍👩‍👧‍👦', '🇯🇵', '𝒳', '\u0000', '\u007f', '\u2028', '\uFFFD', '\uFEFF', '\\"', '</p>&', 'all work and no play ']
const KEYS = ['a', 'b', 'c', 'name', 'ключ', '🔑', '', '1', '10', '01', 'length', '\uFFFD', '\uE000']
const NAMES = ['p', 'h1', 'li', 'UPPER', 'ünï', 'blockContainer']
const NUMBERS = [0, -0, 1, -1, 63, 64, -63, -64, 127, 128, 8191, 8192, 2147483647, 2147483648, -2147483647, -2147483648, 4294967295,
  9007199254740991, -9007199254740991, 9007199254740992, 1e21, 1e-7, 0.5, -1.5, 0.1, 16777217, 3.4028234663852886e38, 1e39, 5e-324,
  1.7976931348623157e308, NaN, Infinity, -Infinity]
const ATTRIBUTES = [
  () => ({ bold: true }), () => ({ italic: true }), () => ({ bold: true, italic: true }), () => ({ italic: true, bold: true }),
  () => ({ color: 'red' }), () => ({ color: 'blue' }), () => ({ size: 12.5 }), () => ({ link: { href: 'https://a.b/?q=1&r' } }),
  () => ({ link: { href: 'x', title: '🙂' } }), () => ({ comment: ['x', 1] }), () => ({ 'ä🔑': '' }), () => ({ 2: 1, 1: 2 }),
]
const NO_ATTRIBUTES = [() => ({ bold: null }), () => ({ italic: null }), () => ({ color: null }), () => ({ link: null, bold: null }),
  () => ({ bold: null, color: 'red' })]
const EMBEDS = [() => ({ image: 'https://x/y.png' }), () => ({ mention: { id: 7, name: 'Zoë 🙂' } }), () => ({ z: [1, null, { y: -0.5 }], a: '' }), () => ({})]
const BYTES = (random) => Uint8Array.from({ length: random.below(7) }, () => random.below(256))

/** Any value that Yjs carries. */
export function anyValue(random, depth = 0) {
  switch (random.below(depth > 1 ? 9 : 12)) {
    case 0: return null
    case 1: return random.chance(0.5)
    case 2: return random.range(-70, 70)
    case 3: return random.pick(NUMBERS)
    case 4: return random.u32() / 2 ** random.below(40)
    case 5: return random.pick(WORDS).repeat(random.below(4))
    case 6: return BYTES(random)
    case 7: return random.pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 12345678901234567n])
    case 8: return undefined
    case 9: return Array.from({ length: random.below(4) }, () => anyValue(random, depth + 1))
    case 10: return 'k'.repeat(random.pick([127, 128, 200]))
    default: {
      const object = {}
      for (let i = random.below(5); i > 0; i--) object[random.pick(KEYS)] = anyValue(random, depth + 1)
      return object
    }
  }
}

/** Arrays take neither of these by themselves. */
function elementValue(random) {
  for (;;) {
    const value = anyValue(random)
    if (value !== undefined && typeof value !== 'bigint') return value
  }
}

const word = (random, profile) => {
  if (profile.large) return random.pick(WORDS).repeat(random.range(1, 60))
  return random.pick(WORDS) + (random.chance(0.25) ? random.pick(WORDS) : '')
}
const someType = (random) => random.pick([['map'], ['array'], ['text', ''], ['text', 'one'], ['text', '🙂x']])
const someXml = (random) =>
  random.weighted([[5, ['elem', random.pick(NAMES)]], [4, ['xtext', random.pick(['', 'hello', 'a🙂b'])]], [1, ['hook', 'widget']]])
const someAttributes = (random) => (random.chance(0.7) ? random.pick(ATTRIBUTES) : random.pick(NO_ATTRIBUTES))()
const subdocOptions = (random) =>
  random.pick([{}, { autoLoad: true }, { gc: false }, { meta: { a: 1 } }, { meta: 'm', autoLoad: true, gc: false }, { meta: null }])

// ---- what to do with a text

const isLow = (unit) => unit >= 0xdc00 && unit <= 0xdfff
const isHigh = (unit) => unit >= 0xd800 && unit <= 0xdbff

/** A text's units; what is embedded is one unit. Null where half a pair stands next to another item. */
function unitsOf(text) {
  const units = text.toDelta().map(({ insert }) => (typeof insert === 'string' ? insert : '\uFFFC')).join('')
  return units.length === text.length ? units : null
}

/** An index that cuts no pair, except where the profile wants that. */
function placeIn(random, profile, units, low, high) {
  const index = Math.min(random.range(low, high), units.length)
  const inside = index > 0 && isLow(units.charCodeAt(index)) && isHigh(units.charCodeAt(index - 1))
  return inside && !(profile.split && random.chance(0.6)) ? index - 1 : index
}

function rangeIn(random, profile, units, longest) {
  const from = placeIn(random, profile, units, 0, units.length - 1)
  let to = placeIn(random, profile, units, from + 1, from + longest)
  if (to <= from) to = Math.min(units.length, from + 2)
  return [from, to - from]
}

/** At the end, anywhere, or where everybody else inserts. */
function insertAt(random, profile, units) {
  if (profile.spot && random.chance(profile.spot)) return placeIn(random, profile, units, 2, 2)
  return random.chance(0.4) ? units.length : placeIn(random, profile, units, 0, units.length)
}

function delta(random, profile, units) {
  const operations = []
  let at = 0
  for (let i = random.range(1, 3); i > 0; i--) {
    const next = placeIn(random, profile, units, at, units.length)
    if (next > at) operations.push({ retain: next - at, ...(profile.formats && random.chance(0.4) ? { attributes: someAttributes(random) } : {}) })
    at = Math.max(at, next)
    if (random.chance(0.7)) {
      const insert = profile.formats && random.chance(0.1) ? random.pick(EMBEDS)() : word(random, profile)
      operations.push({ insert, ...(profile.formats && random.chance(0.4) ? { attributes: someAttributes(random) } : {}) })
    }
    const end = placeIn(random, profile, units, at, at + 4)
    if (end > at && random.chance(0.5)) {
      operations.push({ delete: end - at })
      at = end
    }
  }
  return operations
}

const textOps = [
  [8, (random, profile, units) => ['t.ins', insertAt(random, profile, units), word(random, profile)]],
  [5, (random, profile, units) => units.length > 0 && ['t.del', ...rangeIn(random, profile, units, profile.large ? 200 : 5)]],
  [3, (random, profile, units) =>
    profile.formats && ['t.ins', insertAt(random, profile, units), word(random, profile), random.chance(0.1) ? {} : someAttributes(random)]],
  [5, (random, profile, units) =>
    profile.formats && units.length > 0 && ['t.fmt', ...rangeIn(random, profile, units, profile.large ? 100 : 12), someAttributes(random)]],
  [1, (random, profile, units) =>
    profile.formats && ['t.emb', insertAt(random, profile, units), random.pick(EMBEDS)(), random.chance(0.4) ? someAttributes(random) : null]],
  [1, (random, profile, units, plain) => plain && profile.nested && ['t.embt', insertAt(random, profile, units), random.pick([['map'], ['array'], ['text', '']])]],
  [1, (random, profile, units) => {
    const operations = delta(random, profile, units)
    return operations.length > 0 && ['t.delta', operations, ...(random.chance(0.3) ? [false] : [])]
  }],
]

/** Characters one after the other, now and then one back; all clients of a session share the cursor. */
function typeAt(random, profile, units) {
  const at = placeIn(random, profile, units, profile.cursor ?? 0, profile.cursor ?? 0)
  const back = at > 1 && isLow(units.charCodeAt(at - 1)) && isHigh(units.charCodeAt(at - 2)) ? 2 : 1
  if (at >= back && random.chance(0.2)) {
    profile.cursor = at - back
    return ['t.del', at - back, back]
  }
  const text = random.chance(0.9) ? random.pick('etaoin shrdlu') : random.pick(WORDS)
  profile.cursor = at + text.length
  return ['t.ins', at, text]
}

function textOp(random, profile, text) {
  const units = unitsOf(text)
  if (units === null) return null
  if (profile.typing && random.chance(0.85)) return typeAt(random, profile, units)
  if (kindOf(text) === 'xmltext' && random.chance(0.1)) return attributeOp(random)
  return random.weighted(textOps)(random, profile, units, kindOf(text) === 'text')
}

// ---- and with the others

const attributeOp = (random) =>
  random.chance(0.75)
    ? ['x.attr', random.pick(['id', 'class', 'level', 'ä']), random.pick(['1', 'two', '🙂"&<', 3, true, null, { b: 1, a: 2 }])]
    : ['x.unattr', random.pick(['id', 'class', 'level'])]

const span = (random, length, longest) => {
  const from = random.below(length)
  return [from, Math.min(length - from, random.range(1, longest))]
}
const values = (random, profile) => Array.from({ length: profile.large ? random.range(1, 40) : random.range(1, 3) }, () => elementValue(random))
const indexIn = (random, length) => (random.chance(0.4) ? length : random.below(length + 1))

const arrayOps = [
  [6, (random, profile, array) => ['a.ins', indexIn(random, array.length), values(random, profile)]],
  [2, (random, profile) => ['a.push', values(random, profile)]],
  [5, (random, profile, array) => array.length > 0 && ['a.del', ...span(random, array.length, profile.large ? 30 : 3)]],
  [3, (random, profile, array, deep) => profile.nested && !deep && ['a.type', indexIn(random, array.length), someType(random)]],
  [2, (random, profile, array) => profile.subdocs && ['a.doc', indexIn(random, array.length), profile.guid(), subdocOptions(random)]],
]
const mapOps = [
  [8, (random) => ['m.set', random.pick(KEYS), anyValue(random)]],
  [3, (random, profile, map) => {
    const keys = [...map.keys()]
    return keys.length > 0 && ['m.del', random.pick(keys)]
  }],
  [1, (random) => ['m.del', random.pick(KEYS)]],
  [3, (random, profile, map, deep) => profile.nested && !deep && ['m.type', random.pick(KEYS), someType(random)]],
  [3, (random, profile) => profile.subdocs && ['m.doc', random.pick(KEYS), profile.guid(), subdocOptions(random)]],
]
const xmlOps = [
  [6, (random, profile, xml, deep) => !deep && ['x.ins', indexIn(random, xml.length), someXml(random)]],
  [2, (random, profile, xml, deep) => !deep && ['x.push', someXml(random)]],
  [3, (random, profile, xml) => xml.length > 0 && ['x.del', ...span(random, xml.length, 2)]],
  [4, (random, profile, xml) => kindOf(xml) === 'xmlelement' && attributeOp(random)],
]

function opOn(random, profile, type, deep) {
  switch (kindOf(type)) {
    case 'text': case 'xmltext': return textOp(random, profile, type)
    case 'array': return random.weighted(arrayOps)(random, profile, type, deep)
    case 'map': case 'xmlhook': return random.weighted(mapOps)(random, profile, type, deep)
    default: return random.weighted(xmlOps)(random, profile, type, deep)
  }
}

/** The types directly in `type`, with the path's step to each. */
function childrenOf(type) {
  const list = (items, stepOf) => items.map((child, i) => [child, stepOf(i)]).filter(([child]) => child instanceof Y.AbstractType)
  if (type instanceof Y.Text) return list(type.toDelta().map(({ insert }) => insert), (i) => `d${i}`)
  if (type instanceof Y.Map) return [...type.keys()].map((key) => [type.get(key), `k:${key}`]).filter(([child]) => child instanceof Y.AbstractType)
  return list(type.toArray(), (i) => i)
}

const DEEPEST = 6

/** One operation on `doc`, or null where none was found. */
export function makeOp(random, profile, doc, roots) {
  for (let attempt = 0; attempt < 8; attempt++) {
    const root = random.pick(roots)
    const path = [root[0]]
    let type = rootOf(doc, root)
    while (profile.nested && random.chance(0.75)) {
      const children = childrenOf(type)
      if (children.length === 0) break
      const [child, part] = random.pick(children)
      type = child
      path.push(part)
    }
    const op = opOn(random, profile, type, path.length >= DEEPEST)
    if (op) return [op[0], path, ...op.slice(1)]
  }
  return null
}

// ---- kinds of sessions

const plain = [['text', 'text']]
const everything = [['text', 'text'], ['array', 'array'], ['map', 'map'], ['xml', 'xml']]

export const PROFILES = {
  text: { roots: plain },
  spot: { roots: plain, spot: 0.7 },
  typing: { roots: plain, formats: true, typing: true },
  rich: { roots: plain, formats: true },
  embeds: { roots: plain, formats: true, nested: true },
  split: { roots: plain, formats: true, split: true },
  array: { roots: [['list of 🙂', 'array']], nested: true },
  map: { roots: [['', 'map']], nested: true },
  xml: { roots: [['prosemirror', 'xml']], formats: true, nested: true },
  mixed: { roots: everything, formats: true, nested: true },
  subdocs: { roots: [['map', 'map'], ['array', 'array']], nested: true, subdocs: true },
  large: { roots: [['text', 'text'], ['array', 'array']], formats: true, large: true },
  undo: { roots: [['text', 'text'], ['map', 'map'], ['array', 'array']], formats: true, nested: true, undo: true },
}

/** A replica: its document, and a list that `emitted` is called with for each update it sends out. */
export function makeClient(id, gc, profile, emitted) {
  const doc = new Y.Doc({ gc, guid: 'main' })
  doc.clientID = id
  const types = profile.roots.map((root) => rootOf(doc, root))
  const undoManager = profile.undo && emitted ? new Y.UndoManager(types, { captureTimeout: 0, trackedOrigins: new Set(['local']) }) : null
  if (emitted) {
    let v1
    doc.on('update', (update) => { v1 = update })
    doc.on('updateV2', (v2, origin) => { if (origin !== 'remote') emitted(v1, v2) })
  }
  return { id, doc, undoManager }
}
