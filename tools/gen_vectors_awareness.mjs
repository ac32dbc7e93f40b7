// tools/gen_vectors_awareness.mjs -- makes tests/vectors/awareness.json with y-protocols itself.
//
//   node tools/gen_vectors_awareness.mjs                 writes the file
//   node tools/gen_vectors_awareness.mjs --check         writes nothing; exits 1 if the file is stale
//   node tools/gen_vectors_awareness.mjs --more N SEED   prints a file with N scenarios of another seed, for a
//                                                        longer search
//
// LK_MODULES names a folder with a package.json from which y-protocols, yjs and lib0 can be resolved.
//
//   rewrite     a JSON text, and what JSON.stringify(JSON.parse(text)) makes of it
//   refused     texts that JSON.parse refuses
//   scenarios   of one object with the client id `own` (without it: none of its own), begun at the time 1000. Each
//               step does `do` with `arg` (the bytes of an update, JSON, ids) at `now`, and gives the
//               lists of awareness.js' events: `added`, `updated`, `removed` of `update`, and `filtered`, the
//               `updated` of `change`. Then `all` is an update with all states, `changed` one with
//               those of the events.
//   modified    an update; the same through modifyAwarenessUpdate() that changes nothing; and `wrapped`, where
//               null became {"gone":true} and 0 null
//   messages    y-websocket's messages, each with its kind and its body
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/awareness.json')
const require = createRequire(join(process.env.LK_MODULES ?? root, 'package.json'))

// y-protocols asks for the time and looks around by a timer: both are ours. It must be loaded afterwards.
let now = 0
let latestTimer = null
Date.now = () => now
globalThis.setInterval = (callback) => (latestTimer = callback)
globalThis.clearInterval = () => {}
const Y = require('yjs')
const protocol = require('y-protocols/awareness')
const sync = require('y-protocols/sync')
const auth = require('y-protocols/auth')
const encoding = require('lib0/encoding')

const more = process.argv.indexOf('--more')
const random = createRandom(more === -1 ? 0xa3a7e : Number(process.argv[more + 2]))
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const chance = (parts, whole) => below(whole) < parts
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const sample = (count, of) => Array.from({ length: count }, of)

// ---- JSON as JavaScript writes it ----

const strings = ['', 'a', 'Ada', 'é', '€', '😀', '\ud83d', '\ude00', '\ude00\ud83d', '\u0000\u001f\u007f\u2028', '"\\/\b\f\n\r\t', 'x'.repeat(40)]
const names = ['a', 'b', 'c', 'aa', '0', '1', '9', '10', '01', '-1', '4294967294', '4294967295', '42949672940', '', '__proto__', 'é', '😀', '\uffff', '\ud83d', 'a"b', '1e1', '1.5', ' ']
const numbers = [0, -0, 1, -1, 1.5, 1e20, 1e21, 1e-7, 123456789012345680000, 5e-324, 1.7976931348623157e308, 0.1, 9007199254740993]
const numberTexts = ['-0', '1.0', '1e2', '1E+2', '100000000000000000000000', '1e-400', '0.10', '9007199254740993', '1e20']
const spaces = ['', '', '', ' ', '\n', '\t\r ', '  ']

function escaped(text) {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    const hex4 = unit.toString(16).padStart(4, '0')
    const mustEscape = unit < 0x20 || unit === 0x22 || unit === 0x5c || (unit & 0xf800) === 0xd800
    // Both halves of a pair are escaped or neither, or else the text is no UTF-8.
    out += mustEscape || chance(1, 6) ? `\\u${chance(1, 2) ? hex4 : hex4.toUpperCase()}` : text[i]
  }
  return chance(1, 2) ? out.replaceAll(/\\u002f/gi, '\\/') : out
}

/** A JSON text of any kind, written by a careless hand. */
function carelessText(depth) {
  const gap = () => pick(spaces)
  const string = (text) => (chance(1, 2) ? JSON.stringify(text) : `"${escaped(text)}"`)
  const kinds = [
    () => 'null', () => 'true', () => 'false', () => JSON.stringify(pick(numbers)), () => pick(numberTexts), () => string(pick(strings)),
    () => `[${gap()}${sample(below(4), () => carelessText(depth - 1)).join(',')}]`,
    () => `{${gap()}${sample(below(7), () => `${gap()}${string(pick(names))}${gap()}:${carelessText(depth - 1)}`).join(',')}}`,
  ]
  return gap() + (depth > 0 && chance(2, 3) ? pick(kinds.slice(6)) : pick(kinds.slice(0, 6)))() + gap()
}

const rewriteTexts = ['{}', '[]', 'null', '0', '{"b":1,"a":2}', '{"2":0,"1":0}', '{"a":1,"a":2}', '{"a":{"x":1,"x":2},"a":{"y":{"2":1,"1":2}}}',
  '{"a":1,"b":2,"a":{"1":[{"z":1,"0":2}],"0":0}}', '[{"b":1,"0":{"1":1,"0":0}},{"0":0}]', '"\\ud83d\\ude00"', '"\\uD83D\\uD83D\\uDE00\\uDE00"', '"\\ud83d\\n"', '"\\u2028\\/\\u00e9"', '{"{":"}","[":"\\"{\\""}', '{"b":"{\\"","a":"\\\\"}']
const rewrite = [...rewriteTexts, ...sample(more === -1 ? 90 : 1200, () => carelessText(4))].map((text) => ({ text, want: JSON.stringify(JSON.parse(text)) }))

const refused = ['', ' ', 'nul', 'nulL', 'undefined', 'NaN', '+1', '01', '1.', '.5', '1e', '-', '"', '"\\', '"\\u12', '"\\u12x4"', '"\\x"', '"a\nb"', '"\u0000"', "'a'", '[', '[1', '[1,', '[1,]', '[,]', '[1 2]', ']', '{', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{a:1}', '{"a"=1}', '{"a" 1}', '{1:1}', '{,}', '{"a":1]', '[1}', '1 2', '{}{}', '{"a":1}x', '// c', '\ufeff{}', '\u00a0{}', '[1]]', 'true false', '"\\ud83d\\u"', '"\\ud83d\\ude0g"']
for (const text of refused) {
  try {
    JSON.parse(text)
  } catch {
    continue
  }
  throw new Error(`JavaScript accepts ${text}`)
}

// ---- scenarios ----

const OWN = 7
const ids = [OWN, OWN, 1, 2, 3, 300, 2 ** 32, Number.MAX_SAFE_INTEGER]
const states = ['{}', '{"name":"Ada"}', '{"name":"Ada","cursor":3}', '{"cursor":3,"name":"Ada"}', '{"cursor":4}', '{ "name" : "Ada" }', '0', 'false', '""', '-0', '[]', '"x"', '1', 'true', '{"2":1,"1":2}', '{"n":{"b":[1],"a":null}}', '{"n":{"a":null,"b":[1]}}', '{"s":"\\ud83d"}']
const stateText = () => (chance(1, 4) ? 'null' : chance(1, 12) ? carelessText(2) : pick(states))

/** What the class tells its listeners, as the list of words that lk_awareness_events() gives: see README.md. */
function listen(awareness) {
  const seen = { update: null, change: null }
  awareness.on('update', (lists) => (seen.update = merge(seen.update, lists)))
  awareness.on('change', (lists) => (seen.change = merge(seen.change, lists)))
  return seen
}

/** A timer may tell of a renewal and of a time-out, one after the other. */
function merge(before, lists) {
  if (before === null) return lists
  return Object.fromEntries(Object.keys(lists).map((key) => [key, [...before[key], ...lists[key]]]))
}

function randomUpdate(awareness) {
  const encoder = encoding.createEncoder()
  const count = chance(1, 12) ? 0 : 1 + (chance(1, 2) ? 0 : below(5))
  encoding.writeVarUint(encoder, count)
  for (let i = 0; i < count; i++) {
    const id = pick(ids)
    const known = awareness.meta.get(id)?.clock ?? 0
    encoding.writeVarUint(encoder, id)
    encoding.writeVarUint(encoder, Math.max(0, known + pick([-1, 0, 0, 1, 1, 1, 2, 5])))
    encoding.writeVarString(encoder, stateText())
  }
  return encoding.toUint8Array(encoder)
}

/** Does one random thing; the words of the step, or null for what the core refuses: a member in what is no object. */
function randomStep(awareness, hasOwn) {
  const steps = {
    apply: () => {
      const update = randomUpdate(awareness)
      protocol.applyAwarenessUpdate(awareness, update, 'test')
      return { arg: hex(update) }
    },
    set: () => {
      const text = stateText()
      awareness.setLocalState(JSON.parse(text))
      return { arg: text }
    },
    field: () => {
      const name = pick(names.filter((one) => one.isWellFormed()))
      const value = carelessText(1)
      const local = awareness.getLocalState()
      if (local !== null && (typeof local !== 'object' || Array.isArray(local))) return null
      // `__proto__` as a computed name makes a property, as in JSON.
      awareness.setLocalStateField(name, JSON.parse(value))
      return { name: hex(Buffer.from(name)), arg: value }
    },
    remove: () => {
      const clients = sample(1 + below(3), () => pick(ids))
      protocol.removeAwarenessStates(awareness, clients, 'test')
      return { arg: clients.join(' ') }
    },
    tick: () => {
      awareness.timer()
      return { arg: '' }
    },
  }
  const kind = pick(hasOwn ? ['apply', 'apply', 'apply', 'set', 'field', 'remove', 'tick'] : ['apply', 'apply', 'apply', 'remove', 'tick'])
  const step = steps[kind]()
  return step && { do: kind, ...step }
}

const changedOf = (lists) => [...lists.added, ...lists.updated, ...lists.removed]

function scenario() {
  const hasOwn = chance(3, 4)
  now = 1000
  const doc = new Y.Doc()
  doc.clientID = hasOwn ? OWN : 12345
  const awareness = new protocol.Awareness(doc)
  awareness.timer = latestTimer
  if (!hasOwn) awareness.setLocalState(null)
  const steps = []
  for (let left = 3 + below(14); left > 0; left--) {
    // Not so long that the core forgets clients: y-protocols never does.
    if (now < 270000) now += pick([0, 0, 1, 2999, 14999, 15000, 15001, 29999, 30000])
    const seen = listen(awareness)
    const step = randomStep(awareness, hasOwn)
    awareness._observers.clear()
    if (step === null) continue
    const update = seen.update ?? { added: [], updated: [], removed: [] }
    const change = seen.change ?? { added: [], updated: [], removed: [] }
    steps.push({
      now,
      ...step,
      added: update.added.join(' '),
      updated: update.updated.join(' '),
      filtered: change.updated.join(' '),
      removed: update.removed.join(' '),
      all: hex(protocol.encodeAwarenessUpdate(awareness, [...awareness.getStates().keys()])),
      changed: hex(protocol.encodeAwarenessUpdate(awareness, changedOf(update))),
    })
  }
  awareness.destroy()
  return { own: hasOwn ? OWN : undefined, steps }
}

// ---- modified updates ----

const modified = sample(20, () => {
  const doc = new Y.Doc()
  const update = randomUpdate(new protocol.Awareness(doc))
  const wrapped = protocol.modifyAwarenessUpdate(update, (state) => (state === null ? { gone: true } : state === 0 ? null : state))
  return { update: hex(update), same: hex(protocol.modifyAwarenessUpdate(update, (state) => state)), wrapped: hex(wrapped) }
})

// ---- messages ----

const message = (outer, write) => {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, outer)
  write(encoder)
  return hex(encoding.toUint8Array(encoder))
}
const doc = new Y.Doc()
doc.clientID = 99
const emptyVector = hex(Y.encodeStateVector(doc))
const messages = []
const add = (kind, body, outer, write) => messages.push({ kind, body, hex: message(outer, write) })
add('step1', emptyVector, 0, (e) => sync.writeSyncStep1(e, doc))
add('step2', hex(Y.encodeStateAsUpdate(doc)), 0, (e) => sync.writeSyncStep2(e, doc))
doc.getText('t').insert(0, 'hello '.repeat(40))
const update = Y.encodeStateAsUpdate(doc)
add('step1', hex(Y.encodeStateVector(doc)), 0, (e) => sync.writeSyncStep1(e, doc))
add('step2', hex(update), 0, (e) => sync.writeSyncStep2(e, doc))
add('update', hex(update), 0, (e) => sync.writeUpdate(e, update))
add('update', '', 0, (e) => sync.writeUpdate(e, new Uint8Array(0)))
for (const reason of ['', 'no', 'é😀'.repeat(30)]) {
  add('denied', hex(Buffer.from(reason)), 2, (e) => auth.writePermissionDenied(e, reason))
}
for (const bytes of [new Uint8Array([0]), new Uint8Array(200).fill(5)]) {
  add('awareness', hex(bytes), 1, (e) => encoding.writeVarUint8Array(e, bytes))
}
add('query', '', 3, () => {})

const source = `y-protocols ${require('y-protocols/package.json').version}`
const sections = { rewrite, refused: refused.map((text) => ({ text })), scenarios: sample(more === -1 ? 50 : Number(process.argv[more + 1]), scenario), modified, messages }
const rendered = Object.entries(sections).map(([name, list]) => `  "${name}": [\n${list.map((c) => `    ${JSON.stringify(c)}`).join(',\n')}\n  ]`)

const text = `{\n  "source": "${source}",\n${rendered.join(',\n')}\n}\n`
if (more === -1) writeOrCheck(file, text, 'tools/gen_vectors_awareness.mjs')
else process.stdout.write(text)
