// tools/gen_vectors_doc_undo.mjs -- makes tests/vectors/doc_undo.json with Yjs itself.
//
//   node tools/gen_vectors_doc_undo.mjs            writes the file
//   node tools/gen_vectors_doc_undo.mjs --check    writes nothing; exits 1 if the file is stale
//
// yjs is a dependency of bench/crdt/; LK_MODULES names another folder with a package.json from which to
// resolve it.
//
// A case is a list of lines for one document of client 1 with an undo manager, and what comes of each: the updates
// that are sent out (hex, V1), the whole document as JSON, the heights of the two stacks. A line has one command or
// several with "; " between them, which are then one transaction. Paths are a root and what leads on from there:
// "list/0", "map/k". |origin| is 1 (followed) or 2 for the line "by 2 ...".
//
//   ins PATH INDEX TEXT    del PATH INDEX LENGTH    bold PATH INDEX LENGTH on|off
//   add PATH INDEX NUMBER...    cut PATH INDEX LENGTH    node PATH INDEX|KEY text|array|map
//   set PATH KEY TEXT    unset PATH KEY    undo    redo    stop    clear undo|redo    now MS    take HEX
//
// Lines that begin with "b: " are another client's, who has all that was sent so far; what it sends is a line with
// "take" in the file.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/doc_undo.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'bench/crdt'), 'package.json'))
let now = 0
Date.now = () => now // lib0 takes hold of it when it is loaded; the capture time-out reads it
const Y = require('yjs')
const hex = (bytes) => Buffer.from(bytes).toString('hex')

const cases = [
  ['what was typed goes and comes back', {}, ['ins text 0 hello', 'ins text 5 ,', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo']],
  ['what was deleted is made again', {}, ['ins text 0 hello', 'del text 1 3', 'undo', 'redo', 'undo', 'ins text 0 x', 'undo', 'undo']],
  ['changes that come soon are one', { capture: 500 }, ['now 1000', 'ins text 0 a', 'now 1400', 'ins text 1 b', 'now 1899', 'del text 0 1', 'now 2399', 'ins text 1 c', 'stop', 'ins text 2 d', 'undo', 'undo', 'undo', 'redo', 'redo', 'ins text 1 e', 'undo']],
  ['what others write stays', {}, ['ins text 0 abc', 'b: ins text 1 XY', 'ins text 5 d', 'b: del text 0 1', 'undo', 'undo', 'redo', 'redo']],
  ['what others deleted stays deleted', {}, ['ins text 0 abcdef', 'del text 2 2', 'b: del text 0 3', 'undo', 'undo', 'redo', 'redo']],
  ['other origins are not followed', {}, ['ins text 0 a', 'by 2 ins text 1 b', 'by 2 del text 0 1', 'undo', 'redo', 'by 2 ins text 0 x', 'redo']],
  ['a new change forgets what could be redone', {}, ['ins text 0 a', 'ins text 1 b', 'undo', 'ins text 1 c', 'redo', 'undo', 'undo', 'redo']],
  ['keys get their former value', {}, ['set map k one', 'set map k two', 'unset map k', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo', 'undo']],
  ['a key that others set since is theirs', {}, ['set map k one', 'set map k two', 'b: set map k theirs', 'undo', 'undo', 'redo']],
  ['unless that is to be ignored', { ignore: true }, ['set map k one', 'set map k two', 'b: set map k theirs', 'undo', 'undo', 'redo']],
  ['a key that was set and set back by others', {}, ['set map k one', 'b: set map k two', 'set map k three', 'b: unset map k', 'undo', 'redo', 'undo', 'undo']],
  ['formatting', {}, ['ins text 0 abcdef', 'bold text 1 3 on', 'bold text 2 3 off', 'undo', 'undo', 'redo', 'redo', 'del text 1 3', 'undo']],
  ['a node comes back with what was in it', {}, ['node list 0 text', 'ins list/0 0 abc', 'ins list/0 1 XY', 'cut list 0 1', 'undo', 'ins list/0 2 !', 'undo', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo', 'redo']],
  ['nodes in nodes', {}, ['node list 0 array; node list/0 0 map; set list/0/0 k v; node list/0/0 t text; ins list/0/0/t 0 deep', 'add list/0 1 1 2 3', 'cut list/0 2 1', 'set list/0/0 k w', 'cut list 0 1', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo', 'undo', 'undo', 'undo', 'undo', 'undo']],
  ['a node that was replaced in a map', {}, ['node map a array; add map/a 0 1 2', 'node map a map', 'set map/a k v', 'undo', 'undo', 'add map/a 1 3', 'redo', 'undo', 'undo']],
  ['what was inserted between the restored and the lost', {}, ['node list 0 text; ins list/0 0 ab', 'del list/0 1 1', 'undo', 'ins list/0 2 x', 'cut list 0 1', 'undo', 'undo', 'undo', 'redo']],
  ['prepended text is restored from the right', {}, ['node list 0 text', 'ins list/0 0 c', 'ins list/0 0 b', 'ins list/0 0 a', 'cut list 0 1', 'undo', 'undo', 'redo', 'redo']],
  ['what two wrote is restored in its order', {}, ['ins text 0 ac', 'b: ins text 1 b', 'b: ins text 3 d', 'ins text 4 e', 'del text 1 3', 'undo', 'redo', 'undo']],
  ['deleted in nodes of several clients', {}, ['b: node list 0 array; node list/0 0 text; ins list/0/0 0 q', 'ins list/0/0 1 r', 'add list/0 1 7', 'b: add list/0 2 8', 'cut list 0 1', 'undo', 'redo', 'undo']],
  ['only one node is watched', { scope: 'text' }, ['ins text 0 a', 'set map k v', 'ins text 1 b; set map k w', 'undo', 'undo', 'redo', 'redo']],
  ['a node below the watched one', { scope: 'list' }, ['node list 0 text', 'ins list/0 0 abc', 'ins text 0 x', 'undo', 'undo', 'redo', 'redo']],
  ['clearing lets go of what was kept', {}, ['ins text 0 abcdef', 'del text 1 2', 'clear undo', 'undo', 'ins text 4 x', 'undo', 'clear redo', 'redo', 'by 2 del text 0 4']],
  ['clearing a part of what is one struct', {}, ['ins text 0 abcdef', 'del text 1 2', 'undo', 'del text 1 1', 'del text 1 1', 'undo', 'clear redo', 'undo', 'clear undo', 'ins text 0 z']],
  ['clearing lets a node go', {}, ['node list 0 text', 'ins list/0 0 abcdef', 'del list/0 1 2', 'clear undo', 'by 2 cut list 0 1']],
  ['halves of pairs', {}, ['ins text 0 a\u{1F642}b', 'del text 1 2', 'undo', 'del text 0 4', 'undo', 'redo']],
  ['what came and went at once', { capture: 500 }, ['now 1', 'ins text 0 abc; del text 1 1', 'now 2', 'del text 0 1', 'undo', 'redo']],
  ['several values of an array are one struct', {}, ['add list 0 1 2 3 4 5', 'cut list 1 3', 'undo', 'cut list 0 2', 'b: add list 1 9', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo']],
  ['a restored run is joined by what is typed behind it', {}, ['ins text 0 ab', 'del text 1 1', 'undo', 'ins text 2 cd', 'undo', 'redo', 'undo', 'undo', 'undo']],
]

// ---- drawn

/** Many small items in an order that is not that of their clocks, and some of them gone and back. */
function large(seed) {
  const random = createRandom(seed)
  const below = (n) => Math.floor(random() * n)
  const draw = (count, one) => Array.from({ length: count }, (_, i) => one(i)).join('; ')
  return [`a large node, ${seed}`, {}, [
    'node list 0 text',
    draw(90, (i) => `ins list/0 ${below(i + 1)} ${'abcdefghij'[i % 10]}`),
    draw(5, (i) => `del list/0 ${below(80 - 3 * i)} 3`),
    'undo',
    draw(20, (i) => `ins list/0 ${below(80 + i)} ${i % 10}`),
    'cut list 0 1', 'undo', 'cut list 0 1', 'undo', 'undo', 'undo', 'redo', 'redo', 'redo', 'redo',
  ]]
}

/** Lines that are drawn by looking at what is there. */
const drawn = (seed) => [`drawn, ${seed}`, {}, { random: createRandom(seed), count: 40 }]

function* paths(type, path) {
  yield [type, path]
  if (type instanceof Y.Text) return
  const keys = type instanceof Y.Map ? [...type.keys()] : type.toArray().map((_, i) => i)
  for (const key of keys) if (type.get(key) instanceof Y.AbstractType) yield* paths(type.get(key), `${path}/${key}`)
}

function drawCommand(doc, below) {
  const pick = (list) => list[below(list.length)]
  const all = ['text', 'map', 'list'].flatMap((name) => [...paths(resolve(doc, name), name)])
  const [type, path] = pick(all)
  const length = type.length ?? 0
  const deep = path.split('/').length > 3
  const at = below(length + 1)
  const some = () => `${at} ${1 + below(Math.min(4, length - at))}`
  if (type instanceof Y.Map) return pick([`set ${path} ${pick('abc')} v${below(9)}`, `unset ${path} ${pick('abc')}`, ...(deep ? [] : [`node ${path} ${pick('abc')} ${pick(['text', 'array', 'map'])}`])])
  if (type instanceof Y.Text) {
    if (at === length || below(2) === 0) return `ins ${path} ${at} ${pick(['x', 'yz', 'long'])}`
    return pick([`del ${path} ${some()}`, `bold ${path} ${some()} ${pick(['on', 'off'])}`])
  }
  if (at < length && below(5) < 2) return `cut ${path} ${some()}`
  return deep || below(3) > 0 ? `add ${path} ${at} ${below(9)}` : `node ${path} ${at} ${pick(['text', 'array', 'map'])}`
}

function drawLine(doc, other, { random }) {
  const below = (n) => Math.floor(random() * n)
  switch (below(12)) {
    case 0: case 1: case 2: return 'undo'
    case 3: case 4: return 'redo'
    case 5: case 6: return `b: ${drawCommand(other, below)}`
    case 7: return `by 2 ${drawCommand(doc, below)}`
    default: return drawCommand(doc, below)
  }
}

cases.push(large(1), large(2), large(3), ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(drawn))

// ---- carrying it out

function resolve(doc, path) {
  const [name, ...steps] = path.split('/')
  const start = name === 'text' ? doc.getText(name) : name === 'map' ? doc.getMap(name) : doc.getArray(name)
  return steps.reduce((type, step) => type.get(type instanceof Y.Array ? Number(step) : step), start)
}
const make = { text: () => new Y.Text(), array: () => new Y.Array(), map: () => new Y.Map() }
const commands = {
  ins: (type, index, ...words) => type.insert(Number(index), words.join(' ')),
  del: (type, index, length) => type.delete(Number(index), Number(length)),
  bold: (type, index, length, on) => type.format(Number(index), Number(length), { bold: on === 'on' ? true : null }),
  add: (type, index, ...numbers) => type.insert(Number(index), numbers.map(Number)),
  cut: (type, index, length) => type.delete(Number(index), Number(length)),
  node: (type, at, kind) => (type instanceof Y.Map ? type.set(at, make[kind]()) : type.insert(Number(at), [make[kind]()])),
  set: (type, key, text) => type.set(key, text),
  unset: (type, key) => type.delete(key),
}
function run(doc, line, origin) {
  doc.transact(() => {
    for (const command of line.split('; ')) {
      const [name, path, ...rest] = command.split(' ')
      commands[name](resolve(doc, path), ...rest)
    }
  }, origin)
}

function open(client, sent) {
  const doc = new Y.Doc({ guid: 'main' })
  doc.clientID = client
  for (const name of ['text', 'map', 'list']) resolve(doc, name)
  doc.on('update', (update, origin) => { if (origin !== 'taken') sent.push(update) })
  return doc
}

function play([name, options, lines]) {
  const sent = []
  const doc = open(1, sent)
  const other = open(2, [])
  const types = (options.scope ? [options.scope] : ['text', 'map', 'list']).map((path) => resolve(doc, path))
  const undo = new Y.UndoManager(types, { captureTimeout: options.capture ?? 0, trackedOrigins: new Set([1]), ignoreRemoteMapChanges: options.ignore ?? false })
  const steps = []
  const all = []
  now = 0
  const isDrawn = !Array.isArray(lines)
  for (let i = 0; i < (isDrawn ? lines.count : lines.length); i++) {
    if (isDrawn && i % 3 === 0) for (const update of all.splice(0)) Y.applyUpdate(other, update, 'taken')
    let line = isDrawn ? drawLine(doc, other, lines) : lines[i]
    if (line.startsWith('b: ')) {
      if (!isDrawn) for (const update of all.splice(0)) Y.applyUpdate(other, update, 'taken')
      const before = Y.encodeStateVector(other)
      run(other, line.slice(3), 1)
      line = `take ${hex(Y.encodeStateAsUpdate(other, before))}`
    }
    const [first, ...words] = line.split(' ')
    if (first === 'undo' || first === 'redo') undo[first]()
    else if (first === 'stop') undo.stopCapturing()
    else if (first === 'clear') undo.clear(words[0] === 'undo', words[0] === 'redo')
    else if (first === 'now') now = Number(words[0])
    else if (first === 'take') Y.applyUpdate(doc, Buffer.from(words[0], 'hex'), 'taken')
    else if (first === 'by') run(doc, words.slice(1).join(' '), Number(words[0]))
    else run(doc, line, 1)
    const updates = sent.splice(0)
    all.push(...updates)
    const json = JSON.stringify({ text: doc.getText('text').toString(), map: doc.getMap('map').toJSON(), list: doc.getArray('list').toJSON() })
    steps.push({ line, sent: updates.map(hex).join(' '), json, undo: undo.undoStack.length, redo: undo.redoStack.length })
  }
  const { scope = '', capture = 0, ignore = false } = options
  return { name, scope, capture, ignore, steps, end: hex(Y.encodeStateAsUpdate(doc)) }
}

const text = `[\n${cases.map((one) => JSON.stringify(play(one)).replaceAll('{"line"', '\n  {"line"')).join(',\n')}\n]\n`
writeOrCheck(file, text, 'tools/gen_vectors_doc_undo.mjs')
