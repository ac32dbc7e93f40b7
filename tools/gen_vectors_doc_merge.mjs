// tools/gen_vectors_doc_merge.mjs -- makes tests/vectors/doc_merge.json with Yjs itself.
//
//   node tools/gen_vectors_doc_merge.mjs                 writes the file
//   node tools/gen_vectors_doc_merge.mjs --check         writes nothing; exits 1 if the file is stale
//   node tools/gen_vectors_doc_merge.mjs --more N SEED   prints a file with N times the cases, of another seed
//
// yjs is a dependency of bench/crdt/; LK_MODULES names another folder with a package.json from which to
// resolve it. tests/vectors/README.md says what the fields mean.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/doc_merge.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'bench/crdt'), 'package.json'))
const Y = require('yjs')
const encoding = require('lib0/encoding')

const more = process.argv.indexOf('--more')
const times = more === -1 ? 1 : Number(process.argv[more + 1])
const random = createRandom(more === -1 ? 0x13633 : Number(process.argv[more + 2]))
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const chance = (parts, whole) => below(whole) < parts
const hex = (bytes) => Buffer.from(bytes).toString('hex')

// ---- updates that no document made: overlaps, gaps, the same clocks as other things ----

const clients = [1, 2, 3, 300, 2 ** 32 - 1, 2 ** 53 - 1]
const texts = ['a', 'bc', 'def', 'é', '😀', 'a😀b', '0123456789', '\u0000x', 'ÿ\u0000', '😀😀😀']
const anys = [null, undefined, true, 1, -5, 1.5, 'x', 'longer text', [1, 2], { a: 1, b: { c: [] } }, { 2: 1, 1: 2 }, 2 ** 46, Uint8Array.of(1, 0, 255, 0)]
const jsons = anys.filter((value) => !(value instanceof Uint8Array))
const embeds = jsons.filter((value) => value !== undefined)
const GC = 0
const SKIP = 10

function writeId(e) {
  encoding.writeVarUint(e, pick(clients))
  encoding.writeVarUint(e, below(40))
}

function writeHead(e, kind) {
  const origin = chance(1, 2)
  const right = chance(1, 3)
  const sub = chance(1, 4)
  encoding.writeUint8(e, kind | (origin ? 0x80 : 0) | (right ? 0x40 : 0) | (sub ? 0x20 : 0))
  if (origin) writeId(e)
  if (right) writeId(e)
  if (origin || right) return
  const isRoot = chance(1, 2)
  encoding.writeVarUint(e, isRoot ? 1 : 0)
  if (isRoot) encoding.writeVarString(e, pick(['t', 'root', 'ü']))
  else writeId(e)
  if (sub) encoding.writeVarString(e, pick(['k', 'key']))
}

function writeMany(e, write) {
  const count = 1 + below(4)
  encoding.writeVarUint(e, count)
  for (let i = 0; i < count; i++) write()
  return count
}

/** By kind: writes the content and gives its length. */
const contents = {
  1: (e) => { const length = 1 + below(6); encoding.writeVarUint(e, length); return length },
  2: (e) => writeMany(e, () => { const value = pick(jsons); encoding.writeVarString(e, value === undefined ? 'undefined' : JSON.stringify(value)) }),
  3: (e) => { encoding.writeVarUint8Array(e, Uint8Array.of(1, 2, 128, 0)); return 1 },
  4: (e) => { const text = Array.from({ length: 1 + below(3) }, () => pick(texts)).join(''); encoding.writeVarString(e, text); return text.length },
  5: (e) => { encoding.writeVarString(e, JSON.stringify(pick(embeds))); return 1 },
  6: (e) => { encoding.writeVarString(e, pick(['bold', 'b', 'color'])); encoding.writeVarString(e, JSON.stringify(pick([true, null, 'red', { x: 1 }]))); return 1 },
  7: (e) => { const type = below(7); encoding.writeVarUint(e, type); if (type === 3 || type === 5) encoding.writeVarString(e, 'p'); return 1 },
  8: (e) => writeMany(e, () => encoding.writeAny(e, pick(anys))),
  9: (e) => { encoding.writeVarString(e, 'guid'); encoding.writeAny(e, pick([{}, { gc: false }, { autoLoad: true }, { meta: { z: 1 } }])); return 1 },
}

function writeStruct(e, kind) {
  if (kind === GC || kind === SKIP) {
    const length = 1 + below(5)
    encoding.writeUint8(e, kind)
    encoding.writeVarUint(e, length)
    return length
  }
  writeHead(e, kind)
  return contents[kind](e)
}

function writeSection(e, client, style) {
  const structs = encoding.createEncoder()
  const kinds = []
  const start = style.aligned ? below(4) * 5 : below(style.clocks)
  for (let count = 1 + below(style.structs); count > 0; count--) {
    let kind = style.gc && chance(1, 3) ? GC : pick(style.kinds)
    if (kind === SKIP && (kinds.length === 0 || kinds.at(-1) === SKIP)) kind = 4
    writeStruct(structs, kind)
    kinds.push(kind)
  }
  encoding.writeVarUint(e, kinds.length)
  encoding.writeVarUint(e, client)
  encoding.writeVarUint(e, start)
  encoding.writeBinaryEncoder(e, structs)
}

function writeDeletes(e) {
  const mentioned = clients.filter(() => chance(1, 3))
  encoding.writeVarUint(e, mentioned.length)
  for (const client of mentioned) {
    let clock = 0
    const count = below(4)
    encoding.writeVarUint(e, client)
    encoding.writeVarUint(e, count)
    for (let i = 0; i < count; i++) {
      const length = 1 + below(6)
      clock += below(10)
      encoding.writeVarUint(e, clock)
      encoding.writeVarUint(e, length)
      clock += length
    }
  }
}

function madeUpUpdate(style) {
  const e = encoding.createEncoder()
  const written = clients.filter(() => chance(1, style.spread)).reverse()
  if (style.wild) written.sort(() => random() - 0.5)
  encoding.writeVarUint(e, written.length)
  for (const client of written) writeSection(e, client, style)
  writeDeletes(e)
  return encoding.toUint8Array(e)
}

const randomStyle = () => ({
  gc: chance(1, 2),
  wild: chance(1, 5), // clients in any order
  aligned: chance(1, 2), // many structs with the same id
  spread: 1 + below(5),
  structs: 1 + below(4),
  clocks: pick([1, 10, 40]),
  kinds: pick([[4], [4, 1], [4, 4, 4, SKIP], [1, 2, 3, 4, 5, 6, 7, 8, 9, SKIP], [8, 2]]),
})

// ---- updates of documents ----

/** A session of a few replicas: all updates that they emitted, in both formats, and states in between. */
function session() {
  const docs = [101, 7, 2 ** 31].map((clientID, i) => Object.assign(new Y.Doc({ gc: i !== 1 }), { clientID }))
  const seen = { 1: [], 2: [] }
  for (const doc of docs) {
    doc.on('update', (update, origin) => origin !== 'remote' && seen[1].push(update))
    doc.on('updateV2', (update, origin) => origin !== 'remote' && seen[2].push(update))
  }
  for (let step = 0; step < 14; step++) {
    const doc = pick(docs)
    const text = doc.getText('text')
    const at = below(text.length + 1)
    const does = [
      () => text.insert(at, pick(texts)),
      () => text.insert(at, pick(texts)),
      () => text.delete(at, Math.min(text.length - at, 1 + below(4))),
      () => text.format(at, Math.min(text.length - at, 3), { bold: pick([true, null]) }),
      () => doc.getMap('map').set(pick(['k', 'l']), pick(embeds)),
      () => doc.getArray('list').insert(0, [pick(embeds), pick(embeds)]),
      () => doc.getArray('list').insert(0, [new Y.Map([['a', new Y.Text('x')]])]),
      () => { const list = doc.getArray('list'); if (list.length > 0) list.delete(below(list.length), 1) },
    ]
    pick(does)()
    if (chance(1, 3)) {
      const other = pick(docs)
      Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)), 'remote')
    }
    if (chance(1, 5)) {
      seen[1].push(Y.encodeStateAsUpdate(doc))
      seen[2].push(Y.encodeStateAsUpdateV2(doc))
    }
  }
  return seen
}

// ---- the cases ----

const merge = []
const addMerge = (format, updates) => {
  const out = format === 1 ? Y.mergeUpdates(updates) : Y.mergeUpdatesV2(updates)
  merge.push({ format, updates: updates.map(hex).join(' '), out: hex(out) })
  return out
}
const convert = []
const addConvert = (v1) => {
  const v2 = Y.convertUpdateFormatV1ToV2(v1)
  convert.push({ v1: hex(v1), v2: hex(v2), back: hex(Y.convertUpdateFormatV2ToV1(v2)) })
  return v2
}
const diff = []
const stateVector = []
const addCuts = (format, update) => {
  const e = encoding.createEncoder()
  const known = [...clients, 101, 7, 2 ** 31].filter(() => chance(1, 2))
  encoding.writeVarUint(e, known.length)
  for (const client of known) {
    encoding.writeVarUint(e, client)
    encoding.writeVarUint(e, below(30))
  }
  const sv = encoding.toUint8Array(e)
  diff.push({ format, update: hex(update), sv: hex(sv), out: hex(format === 1 ? Y.diffUpdate(update, sv) : Y.diffUpdateV2(update, sv)) })
  stateVector.push({ format, update: hex(update), out: hex(format === 1 ? Y.encodeStateVectorFromUpdate(update) : Y.encodeStateVectorFromUpdateV2(update)) })
}

for (let i = 0; i < 60 * times; i++) {
  const style = randomStyle()
  const updates = Array.from({ length: below(6) }, () => madeUpUpdate(style))
  if (updates.length > 0 && chance(1, 3)) updates.splice(below(updates.length), 0, pick(updates))
  const merged = addMerge(1, updates)
  if (style.wild) continue
  const inV2 = updates.map((update) => Y.convertUpdateFormatV1ToV2(update))
  const mergedV2 = addMerge(2, inV2)
  if (updates.length > 0 && i % 2 === 0) addConvert(pick(updates))
  if (updates.length === 0 || i % 3 > 0) continue
  addCuts(1, merged)
  addCuts(2, mergedV2)
}
for (let i = 0; i < 6 * times; i++) {
  const seen = session()
  const order = seen[1].map((_, k) => k)
  if (i % 2 === 1) order.sort(() => random() - 0.5)
  addMerge(1, order.map((k) => seen[1][k]))
  addCuts(2, addMerge(2, order.map((k) => seen[2][k])))
  addConvert(seen[1].at(-1))
}

// Many with the same ids, of which some are GC: Yjs's comparison contradicts itself, and V8's sort decides.
for (let i = 0; i < 4 * times; i++) {
  const style = { gc: true, aligned: true, spread: 4 - (i % 2), structs: 2, clocks: 1, kinds: [1] }
  const updates = Array.from({ length: 64 + below(60) }, () => madeUpUpdate(style))
  addMerge(1, updates)
  addMerge(2, updates.map((update) => Y.convertUpdateFormatV1ToV2(update)))
}

/** Items are letters: a to z are in order, and of the same letter in capitals and small ones both come before the other. */
const sort = []
const before = (a, b) => {
  const [x, y] = [a, b].map((letter) => letter.toLowerCase())
  return x === y ? (a === b ? 0 : -1) : x < y ? -1 : 1
}
const letter = (spread) => { const one = String.fromCharCode(97 + below(spread)); return chance(1, 4) ? one.toUpperCase() : one }
for (let i = 0; i < 24 * times; i++) {
  const spread = pick([2, 5, 26])
  const letters = Array.from({ length: pick([3, 60, 64, 65, 130, 300]) + below(4) }, () => letter(spread))
  if (chance(1, 2)) letters.sort() // long runs, that are merged by galloping
  if (chance(1, 2)) letters.push(...letters.splice(0, below(letters.length)))
  const order = letters.map((_, at) => at).sort((a, b) => before(letters[a], letters[b]))
  sort.push({ letters: letters.join(''), out: order.join(' ') })
}

const section = (name, cases) => `  "${name}": [\n${cases.map((one) => `    ${JSON.stringify(one)}`).join(',\n')}\n  ]`
const text = `{\n${[section('merge', merge), section('diff', diff), section('state_vector', stateVector), section('convert', convert), section('sort', sort)].join(',\n')}\n}\n`
if (more === -1) writeOrCheck(file, text, 'tools/gen_vectors_doc_merge.mjs')
else process.stdout.write(text)
