// tools/gen_vectors_doc_render.mjs -- makes tests/vectors/doc_render.json: documents, and what Yjs itself reads in them.
//
//   node tools/gen_vectors_doc_render.mjs            writes the file
//   node tools/gen_vectors_doc_render.mjs --check    writes nothing; exits 1 if the file is stale
//
// yjs is a dependency of bench/crdt/; LK_MODULES names another folder with a package.json from which to
// resolve it.
//
// `read`: an update (V1) of a document with the roots t (text), a (array), m (map), x (XML fragment), xt (XML text) and
// 7 (map), made by two replicas; `json` is the whole document's, the others are one root's: `t`, `xt`, `x` their
// toString(), `t_delta` and `xt_delta` toDelta(). Bytes are base64 and bigints strings, as Laniakea writes them.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/doc_render.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'bench/crdt'), 'package.json'))
const Y = require('yjs')

const random = createRandom(0xd0c)
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const chance = (parts, whole) => below(whole) < parts

// ---- what documents hold ----

const words = ['a', 'hello ', 'x"y\\', '\n', 'né', '日本', '👍', '<i>', '&', '\u0001', '𝒳q', '\uffff']
const keys = ['k', '10', '9', '1', 'zz', 'é', '\ue000', '𝒳', '', '4294967295', '4294967294', '01', 'ychange', 'b"', 'A']
const marks = ['bold', 'italic', 'link', 'ychange', '2', '10', 'Z', '\ue000', '𝒳']
const simple = [1, 0, -0, 1.5, -3, 1e21, 1e-7, true, false, null, 's', '', 'née', '"q"', NaN, -Infinity, 2 ** 31, 0.1]

function value(depth = 0) {
  const kind = below(9)
  if (kind < 5 || depth > 2) return pick(simple)
  if (kind === 5) return Array.from({ length: below(4) }, () => value(depth + 1))
  if (kind === 6) return Object.fromEntries(Array.from({ length: below(4) }, () => [pick(keys), value(depth + 1)]))
  if (kind === 7) return Uint8Array.from({ length: below(5) }, () => below(256))
  return chance(1, 2) ? 123456789012345678n : depth > 0 ? undefined : 'u'
}

// Formatting and embeds travel as JSON.
const plain = () => JSON.parse(JSON.stringify(value(), (_, v) => (typeof v === 'bigint' ? 5 : v)) ?? '1')
const visible = () => value() ?? 'v'

function node(xml) {
  const kind = below(xml ? 6 : 8)
  if (kind === 0) return new Y.XmlElement(pick(['p', 'Div', 'blockContainer']))
  if (kind === 1) return new Y.XmlText(pick(words))
  if (kind === 2) return new Y.XmlElement('h1')
  if (kind === 3) return new Y.XmlHook('hook')
  if (kind === 4) return new Y.Map()
  if (kind === 5) return new Y.Text(pick(words))
  return kind === 6 ? new Y.Array() : new Y.XmlFragment()
}

// ---- how they are edited ----

function editText(text, depth) {
  const { length } = text
  const kind = below(9)
  const at = below(length + 1)
  if (kind < 4) return text.insert(at, pick(words), chance(1, 3) ? { [pick(marks)]: plain() } : undefined)
  if (kind < 6 && at < length) {
    const formatting = chance(1, 3) ? null : chance(1, 2) ? { href: 'h', a: [1, null, [2]] } : plain()
    return text.format(at, 1 + below(length - at), { [pick(marks)]: formatting })
  }
  if (kind === 6 && at < length) return text.delete(at, 1)
  if (kind === 7) return text.insertEmbed(at, chance(1, 2) ? { image: 'x' } : plain() || 1, {})
  if (depth > 3) return
  const child = node(false)
  text.insertEmbed(at, child, chance(1, 2) ? { bold: true } : {})
  edit(child, depth + 1)
}

function editXml(xml, depth) {
  const kind = below(7)
  const at = below(xml.length + 1)
  if (kind < 3 && depth < 5) {
    const child = node(chance(9, 10))
    xml.insert(at, [child])
    for (let i = 0; i < 3; i++) edit(child, depth + 1)
  } else if (kind === 3 && at < xml.length) xml.delete(at, 1)
  else if (kind === 4 && xml.setAttribute) xml.setAttribute(pick(keys), chance(1, 4) && depth < 4 ? node(true) : value())
  else if (kind === 5 && chance(1, 5)) xml.insert(at, [visible()].filter((v) => typeof v !== 'bigint'))
  else if (at < xml.length && xml.get(at) instanceof Y.AbstractType) edit(xml.get(at), depth + 1)
}

function editMap(map, depth) {
  const kind = below(6)
  if (kind < 3) return map.set(pick(keys), value())
  if (kind === 3) return map.delete(pick(keys))
  if (depth > 4) return
  const child = node(false)
  map.set(pick(keys), child)
  edit(child, depth + 1)
}

function editArray(array, depth) {
  const kind = below(6)
  const at = below(array.length + 1)
  const values = () => Array.from({ length: 1 + below(4) }, () => value())
  if (kind < 3) array.insert(at, values().filter((v) => v !== undefined && typeof v !== 'bigint'))
  else if (kind === 3 && at < array.length) array.delete(at, 1)
  else if (kind === 4 && depth < 5) {
    const child = node(false)
    array.insert(at, [child])
    edit(child, depth + 1)
  } else if (chance(1, 8)) array.insert(at, [new Y.Doc({ guid: 'sub' })])
}

function edit(type, depth) {
  if (type instanceof Y.Text) editText(type, depth)
  else if (type instanceof Y.XmlFragment) editXml(type, depth)
  else if (type instanceof Y.Map) editMap(type, depth)
  else if (type instanceof Y.Array) editArray(type, depth)
}

// ---- cases ----

const rootsOf = (doc) => [
  doc.getText('t'), doc.getArray('a'), doc.getMap('m'), doc.getXmlFragment('x'), doc.get('xt', Y.XmlText), doc.getMap('7')
]

function session() {
  const docs = [10, 11].map((client) => {
    const doc = new Y.Doc({ gc: chance(1, 2) })
    doc.clientID = client
    rootsOf(doc)
    return doc
  })
  for (let left = 10 + below(40); left > 0; left--) {
    edit(pick(rootsOf(pick(docs))), 0)
    if (chance(1, 10)) Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(docs[1]))
    if (chance(1, 10)) Y.applyUpdate(docs[1], Y.encodeStateAsUpdate(docs[0]))
  }
  Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(docs[1]))
  return Y.encodeStateAsUpdate(docs[0])
}

const other = (_, v) => {
  if (typeof v === 'bigint') return String(v)
  return v instanceof Uint8Array ? Buffer.from(v).toString('base64') : v
}
const json = (v) => JSON.stringify(v, other)

function read(update) {
  const doc = new Y.Doc()
  doc.clientID = 77
  const [t, , , x, xt] = rootsOf(doc)
  Y.applyUpdate(doc, update)
  return {
    update: Buffer.from(update).toString('hex'), json: json(doc.toJSON()), t: t.toString(), t_delta: json(t.toDelta()),
    x: x.toString(), xt: xt.toString(), xt_delta: json(xt.toDelta())
  }
}

// Halves of pairs, which JSON text can say and UTF-8 cannot, are left to the tests in C; and what Yjs cannot print.
function cases(count) {
  const found = []
  while (found.length < count) {
    try {
      const one = read(session())
      if (Object.values(one).every((text) => text.isWellFormed() && !/\\ud[89a-f]/.test(text))) found.push(one)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
  }
  return found
}

const lines = cases(48).map((one) => JSON.stringify(one))
const text = `{
"about": "made by tools/gen_vectors_doc_render.mjs; do not edit",
"read": [
${lines.join(',\n')}
]
}
`
writeOrCheck(file, text, 'tools/gen_vectors_doc_render.mjs')
