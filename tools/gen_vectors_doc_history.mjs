// tools/gen_vectors_doc_history.mjs -- makes tests/vectors/doc_history.json with Yjs itself.
//
//   node tools/gen_vectors_doc_history.mjs                 writes the file
//   node tools/gen_vectors_doc_history.mjs --check         writes nothing; exits 1 if the file is stale
//   node tools/gen_vectors_doc_history.mjs --more N SEED   prints a file with N times the cases, of another seed
//
// yjs is a dependency of bench/crdt/; LK_MODULES names another folder with a package.json from which to
// resolve it. All documents keep what is deleted; bytes are hex, updates V1 unless it is said otherwise.
//
//   snapshot   a document, its snapshot as V1 and V2
//   at         a document, a snapshot of it in |format|, and what the document that Yjs makes of it encodes as
//   delta      the same with a text "t" and up to two snapshots: toDelta() as JSON, "ychange" with the writer and last
//   position   a root, an index, the association, and the position as bytes and JSON
//   resolve    a position, and its index: -1 where Yjs gives null, or the node is deleted;
//              values of maps have none
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/doc_history.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'bench/crdt'), 'package.json'))
const Y = require('yjs')

const more = process.argv.indexOf('--more')
const times = more === -1 ? 1 : Number(process.argv[more + 1])
const random = createRandom(more === -1 ? 0x5a9 : Number(process.argv[more + 2]))
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const hex = (bytes) => Buffer.from(bytes).toString('hex')

// ---- sessions ----

const texts = ['a', 'bc', 'hello ', 'é', '😀', '漢字', '\n', 'x😀y']
const formats = [{ bold: true }, { bold: null }, { link: { href: 'x' } }, { link: null }, { b: 2 }, { 7: 1 }, { b: null }, { color: 'red' }]

/** Never between the halves of a pair. */
function place(text, index) {
  const units = text.toDelta().map(({ insert }) => (typeof insert === 'string' ? insert : '\u0001')).join('')
  return /[\uDC00-\uDFFF]/.test(units[index] ?? '') ? index - 1 : index
}

function change(doc) {
  const text = doc.getText('t')
  const at = place(text, below(text.length + 1))
  const end = place(text, Math.min(text.length, at + 1 + below(6)))
  const map = doc.getMap('m')
  switch (below(9)) {
    case 0: case 1: case 2: text.insert(at, pick(texts), below(3) === 0 ? pick(formats) : undefined); break
    case 3: if (end > at) text.delete(at, end - at); break
    case 4: if (end > at) text.format(at, end - at, pick(formats)); break
    case 5: text.insertEmbed(at, { image: below(9) }); break
    case 6: map.set(pick(['k', 'l']), pick([1, 'v', null])); break
    case 7: {
      if (map.get('n') === undefined) map.set('n', new Y.Text('nested'))
      else if (below(4) === 0) map.delete('n')
      else map.get('n').insert(below(map.get('n').length + 1), pick(['1', '22']))
      break
    }
    default: {
      const list = doc.getArray('a')
      const index = below(list.length + 1)
      if (index < list.length && below(3) === 0) list.delete(index, 1)
      else list.insert(index, [below(9), 'w'].slice(below(2)))
    }
  }
}

/** A document that three wrote, and snapshots of it on the way. */
function session() {
  const doc = new Y.Doc({ gc: false })
  doc.clientID = 99
  const clients = [5, 1000, 2 ** 32 - 2].map((id) => Object.assign(new Y.Doc({ gc: false }), { clientID: id }))
  const snapshots = []
  for (let step = 2 + below(14); step > 0; step--) {
    const client = pick(clients)
    client.transact(() => { for (let n = below(3); n >= 0; n--) change(client) })
    if (below(2) === 0) continue
    for (const one of clients) Y.applyUpdate(doc, Y.encodeStateAsUpdate(one, Y.encodeStateVector(doc)))
    for (const one of clients) Y.applyUpdate(one, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(one)))
    snapshots.push(Y.snapshot(doc))
  }
  return { doc, snapshots }
}

// ---- cases ----

const cases = { snapshot: [], at: [], delta: [], position: [], resolve: [] }
const encodeSnapshot = (format, snapshot) => hex((format === 1 ? Y.encodeSnapshot : Y.encodeSnapshotV2)(snapshot))

/** Yjs leaves "ychange" where it stood first; with us it is the last one. */
function operation({ insert, attributes }) {
  const { ychange, ...others } = attributes ?? {}
  const all = ychange === undefined ? others : { ...others, ychange: { type: ychange.type, client: ychange.user } }
  return attributes === undefined ? { insert } : { insert, attributes: all }
}

function addSnapshots(update, doc, snapshots) {
  const now = Y.snapshot(doc)
  cases.snapshot.push({ update, v1: encodeSnapshot(1, now), v2: encodeSnapshot(2, now) })
  if (snapshots.length === 0) return
  const at = below(snapshots.length)
  const snapshot = snapshots[at]
  const before = below(2) === 0 ? undefined : snapshots[below(at + 1)]
  const format = 1 + below(2)
  const restored = Y.createDocFromSnapshot(doc, snapshot, new Y.Doc({ gc: false }))
  cases.at.push({ update, format, snapshot: encodeSnapshot(format, snapshot), out: hex(Y.encodeStateAsUpdate(restored)) })
  const delta = doc.getText('t').toDelta(snapshot, before, (type, id) => ({ type, user: id.client }))
  cases.delta.push({ update, format, snapshot: encodeSnapshot(format, snapshot),
    before: before ? encodeSnapshot(format, before) : '', out: JSON.stringify(delta.map(operation)) })
}

function addPosition(update, doc) {
  const name = pick(['t', 'a'])
  const type = name === 't' ? doc.getText('t') : doc.getArray('a')
  const index = below(type.length + 1)
  const assoc = pick([0, -1, 1, -70])
  const position = Y.createRelativePositionFromTypeIndex(type, index, assoc)
  cases.position.push({ update, root: name, index, assoc, out: hex(Y.encodeRelativePosition(position)),
    json: JSON.stringify(Y.relativePositionToJSON(position)) })
}

function addResolve(update, doc) {
  const client = pick([...doc.store.clients.keys()])
  const id = Y.createID(client, below(Y.getState(doc.store, client) + 2))
  const assoc = pick([0, -1])
  const position = below(2) === 0 ? new Y.RelativePosition(null, null, id, assoc) : new Y.RelativePosition(id, null, null, assoc)
  const found = Y.createAbsolutePositionFromRelativePosition(position, doc)
  if (id.clock < Y.getState(doc.store, client) && Y.getItem(doc.store, id).parentSub != null) return
  const lost = found === null || found.type._item?.deleted
  cases.resolve.push({ update, position: hex(Y.encodeRelativePosition(position)), out: lost ? -1 : found.index })
}

for (let i = 0; i < 40 * times; i++) {
  const { doc, snapshots } = session()
  const update = hex(Y.encodeStateAsUpdate(doc))
  addSnapshots(update, doc, snapshots)
  if (doc.store.clients.size === 0) continue
  addPosition(update, doc)
  addResolve(update, doc)
}

const section = (name, list) => `  "${name}": [\n${list.map((one) => `    ${JSON.stringify(one)}`).join(',\n')}\n  ]`
const text = `{\n${Object.entries(cases).map(([name, list]) => section(name, list)).join(',\n')}\n}\n`
if (more === -1) writeOrCheck(file, text, 'tools/gen_vectors_doc_history.mjs')
else process.stdout.write(text)
