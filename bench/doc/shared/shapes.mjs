// bench/doc/shared/shapes.mjs -- changes of the kinds that crdt-benchmarks (B1 to B3) asks for; its B4 is the session
// automerge-paper. bench/doc/shapes.c does the same natively, with the same numbers drawn.
//
// B1: one replica changes, another takes each update in. B2: two change the same text, then exchange all
// updates. B3: many replicas make one change each, and what is measured is one replica that takes all of them in.
// Yjs and what speaks its protocol use V2, as there.
import { fastest } from './clock.mjs'
import { Random, letter, word } from './trace.mjs'

// The same copy of its functions as of these (parts.mjs).
const { receive } = await import(`./tasks.mjs${new URL(import.meta.url).search}`)

const COUNT = 6_000
const MANY = Math.floor(Math.sqrt(COUNT)) * 20
const SEED = 0x2545f491
const VALUE = { name: 'Ada', tags: ['a', 'b'], age: 36 }

function expect(isTrue, what) {
  if (!isTrue) throw new Error(what)
}

const applying = (engine) => engine.apply2 ?? engine.apply

function times(count, act) {
  for (let i = 0; i < count; i++) act(i)
}

// ---- what one replica does: (engine, doc, random) ----

const appendCharacters = (engine, doc, random) => times(COUNT, (i) => engine.edit(doc, i, 0, letter(random)))
const insertString = (engine, doc, random) => engine.edit(doc, 0, 0, word(random, COUNT, COUNT))
const prependCharacters = (engine, doc, random) => times(COUNT, () => engine.edit(doc, 0, 0, letter(random)))
const charactersAnywhere = (length) => (engine, doc, random) =>
  times(COUNT, (i) => {
    const at = random.below(length + i + 1)
    engine.edit(doc, at, 0, letter(random))
  })
const wordsAnywhere = (start) => (engine, doc, random) => {
  let length = start
  times(COUNT, () => {
    const at = random.below(length + 1)
    const text = word(random, 2, 10)
    engine.edit(doc, at, 0, text)
    length += text.length
  })
}
function insertAndDelete(engine, doc, random) {
  insertString(engine, doc, random)
  engine.edit(doc, 0, COUNT, '')
}
const editAnywhere = (start) => (engine, doc, random) => {
  let length = start
  times(COUNT, () => {
    const at = random.below(length + 1)
    if (length === at || random.below(2) === 0) {
      const text = word(random, 2, 10)
      engine.edit(doc, at, 0, text)
      length += text.length
    } else {
      const count = Math.min(length - at, 1 + random.below(9))
      engine.edit(doc, at, count, '')
      length -= count
    }
  })
}
const appendNumbers = (engine, doc, random) => times(COUNT, () => engine.push(doc, [random.below(1 << 30)]))
const insertNumbers = (engine, doc, random) => engine.insertAt(doc, 0, Array.from({ length: COUNT }, () => random.below(1 << 30)))
const prependNumbers = (engine, doc, random) => times(COUNT, () => engine.insertAt(doc, 0, [random.below(1 << 30)]))
const numbersAnywhere = (engine, doc, random) =>
  times(COUNT, (i) => {
    const at = random.below(i + 1)
    engine.insertAt(doc, at, [random.below(1 << 30)])
  })

const B1 = [
  ['B1.1 append 6,000 characters', appendCharacters],
  ['B1.2 insert a string of 6,000', insertString],
  ['B1.3 prepend 6,000 characters', prependCharacters],
  ['B1.4 insert 6,000 characters anywhere', charactersAnywhere(0)],
  ['B1.5 insert 6,000 words anywhere', wordsAnywhere(0)],
  ['B1.6 insert a string of 6,000 and delete it', insertAndDelete],
  ['B1.7 insert and delete anywhere, 6,000 times', editAnywhere(0)],
  ['B1.8 append 6,000 numbers', appendNumbers],
  ['B1.9 insert 6,000 numbers at once', insertNumbers],
  ['B1.10 prepend 6,000 numbers', prependNumbers],
  ['B1.11 insert 6,000 numbers anywhere', numbersAnywhere],
]

const START = 100
const B2 = [
  ['B2.1 two insert strings of 6,000 at the same place', insertString],
  ['B2.2 two insert 6,000 characters anywhere', charactersAnywhere(START)],
  ['B2.3 two insert 6,000 words anywhere', wordsAnywhere(START)],
  ['B2.4 two insert and delete anywhere, 6,000 times', editAnywhere(START)],
]

const B3 = [
  ['B3.1 1,540 replicas set a number in a map', (engine, doc, random, i) => engine.set(doc, 'v', i)],
  ['B3.2 1,540 replicas set an object in a map', (engine, doc) => engine.set(doc, 'v', VALUE)],
  ['B3.3 1,540 replicas set a string in a map', (engine, doc, random) => engine.set(doc, 'v', word(random, 150, 150))],
  ['B3.4 1,540 replicas insert a string in an array', (engine, doc, random) => engine.insertAt(doc, 0, [word(random, 150, 150)])],
]

// ---- measuring ----

function pair(engine, act) {
  const apply = applying(engine)
  const receiver = engine.make(2)
  const sender = engine.make(1, (update) => apply(receiver, update), 2)
  act(engine, sender, new Random(SEED))
  return [sender, receiver]
}

function crossing(engine, act) {
  const apply = applying(engine)
  const sent = [[], []]
  const docs = sent.map((updates, i) => engine.make(i + 1, (update) => updates.push(update), 2))
  engine.edit(docs[0], 0, 0, word(new Random(SEED), START, START))
  for (const update of sent[0]) apply(docs[1], update)
  // Some tell a listener of what they are told, too.
  for (const updates of sent) updates.length = 0
  docs.forEach((doc, i) => act(engine, doc, new Random(SEED + i)))
  const [first, second] = sent.map((updates) => [...updates])
  const exchanged = { applyAll: engine.applyAll, apply }
  receive(exchanged, docs[0], second)
  receive(exchanged, docs[1], first)
  return docs
}

function many(engine, act) {
  const updates = []
  const random = new Random(SEED)
  times(MANY, (i) => {
    const doc = engine.make(i + 10, (update) => updates.push(update), 2)
    act(engine, doc, random, i)
    engine.free(doc)
  })
  return updates
}

const agree = (engine) => (docs) => {
  const [one, other] = docs.map((doc) => engine.text(doc))
  expect(one === other, `${engine.title}: two replicas differ`)
  for (const doc of docs) engine.free(doc)
}

export function measureShapes(engine, print) {
  const isForLists = engine.push !== undefined
  const apply = applying(engine)
  const check = agree(engine)
  const wanted = ([name]) => !engine.without?.includes(name.slice(0, 4))
  B1.filter((_, i) => isForLists || i < 7).forEach(([name, act]) => print(name, 'ms', fastest(() => pair(engine, act), { check })))
  B2.filter(wanted).forEach(([name, act]) => print(name, 'ms', fastest(() => crossing(engine, act), { check })))
  for (const [name, act] of isForLists ? B3 : []) {
    const updates = many(engine, act)
    const run = () => {
      const doc = engine.make(1)
      receive({ applyAll: engine.applyAll, apply }, doc, updates)
      return doc
    }
    print(name, 'ms', fastest(run, { check: engine.free }))
  }
}
