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

// ---- what one replica does: drawn before the clock starts, as [at, deleted, inserted] in the text, or [at, values] in
// the list, where `at` is undefined for values behind the others ----

const drawn = (draw) => Array.from({ length: COUNT }, (_, i) => draw(i))

const appendCharacters = (random) => drawn((i) => [i, 0, letter(random)])
const insertString = (random) => [[0, 0, word(random, COUNT, COUNT)]]
const prependCharacters = (random) => drawn(() => [0, 0, letter(random)])
const charactersAnywhere = (random, start) =>
  drawn((i) => {
    const at = random.below(start + i + 1)
    return [at, 0, letter(random)]
  })
const wordsAnywhere = (random, start) => {
  let length = start
  return drawn(() => {
    const at = random.below(length + 1)
    const text = word(random, 2, 10)
    length += text.length
    return [at, 0, text]
  })
}
const insertAndDelete = (random) => [...insertString(random), [0, COUNT, '']]
const editAnywhere = (random, start) => {
  let length = start
  return drawn(() => {
    const at = random.below(length + 1)
    if (length === at || random.below(2) === 0) {
      const text = word(random, 2, 10)
      length += text.length
      return [at, 0, text]
    }
    const count = Math.min(length - at, 1 + random.below(9))
    length -= count
    return [at, count, '']
  })
}
const appendNumbers = (random) => drawn(() => [undefined, [random.below(1 << 30)]])
const insertNumbers = (random) => [[0, drawn(() => random.below(1 << 30))]]
const prependNumbers = (random) => drawn(() => [0, [random.below(1 << 30)]])
const numbersAnywhere = (random) =>
  drawn((i) => {
    const at = random.below(i + 1)
    return [at, [random.below(1 << 30)]]
  })

function act(engine, doc, changes) {
  for (const [at, what, inserted] of changes) {
    if (inserted !== undefined) engine.edit(doc, at, what, inserted)
    else if (at === undefined) engine.push(doc, what)
    else engine.insertAt(doc, at, what)
  }
}

const B1 = [
  ['B1.1 append 6,000 characters', appendCharacters],
  ['B1.2 insert a string of 6,000', insertString],
  ['B1.3 prepend 6,000 characters', prependCharacters],
  ['B1.4 insert 6,000 characters anywhere', charactersAnywhere],
  ['B1.5 insert 6,000 words anywhere', wordsAnywhere],
  ['B1.6 insert a string of 6,000 and delete it', insertAndDelete],
  ['B1.7 insert and delete anywhere, 6,000 times', editAnywhere],
  ['B1.8 append 6,000 numbers', appendNumbers],
  ['B1.9 insert 6,000 numbers at once', insertNumbers],
  ['B1.10 prepend 6,000 numbers', prependNumbers],
  ['B1.11 insert 6,000 numbers anywhere', numbersAnywhere],
]

const START = 100
const B2 = [
  ['B2.1 two insert strings of 6,000 at the same place', insertString],
  ['B2.2 two insert 6,000 characters anywhere', charactersAnywhere],
  ['B2.3 two insert 6,000 words anywhere', wordsAnywhere],
  ['B2.4 two insert and delete anywhere, 6,000 times', editAnywhere],
]

const B3 = [
  ['B3.1 1,540 replicas set a number in a map', (engine, doc, random, i) => engine.set(doc, 'v', i)],
  ['B3.2 1,540 replicas set an object in a map', (engine, doc) => engine.set(doc, 'v', VALUE)],
  ['B3.3 1,540 replicas set a string in a map', (engine, doc, random) => engine.set(doc, 'v', word(random, 150, 150))],
  ['B3.4 1,540 replicas insert a string in an array', (engine, doc, random) => engine.insertAt(doc, 0, [word(random, 150, 150)])],
]

// ---- measuring ----

function pair(engine, changes) {
  const apply = applying(engine)
  const receiver = engine.make(2)
  const sender = engine.make(1, (update) => apply(receiver, update), 2)
  act(engine, sender, changes)
  return [sender, receiver]
}

function crossing(engine, begin, changes) {
  const apply = applying(engine)
  const sent = [[], []]
  const docs = sent.map((updates, i) => engine.make(i + 1, (update) => updates.push(update), 2))
  engine.edit(docs[0], 0, 0, begin)
  for (const update of sent[0]) apply(docs[1], update)
  // Some tell a listener of what they are told, too.
  for (const updates of sent) updates.length = 0
  docs.forEach((doc, i) => act(engine, doc, changes[i]))
  const [first, second] = sent.map((updates) => [...updates])
  const exchanged = { applyAll: engine.applyAll, apply }
  receive(exchanged, docs[0], second)
  receive(exchanged, docs[1], first)
  return docs
}

function many(engine, actOnce) {
  const updates = []
  const random = new Random(SEED)
  times(MANY, (i) => {
    const doc = engine.make(i + 10, (update) => updates.push(update), 2)
    actOnce(engine, doc, random, i)
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
  for (const [name, draw] of B1.filter((_, i) => isForLists || i < 7)) {
    const changes = draw(new Random(SEED), 0)
    print(name, 'ms', fastest(() => pair(engine, changes), { check }))
  }
  const begin = word(new Random(SEED), START, START)
  for (const [name, draw] of B2.filter(wanted)) {
    const changes = [SEED, SEED + 1].map((seed) => draw(new Random(seed), START))
    print(name, 'ms', fastest(() => crossing(engine, begin, changes), { check }))
  }
  for (const [name, actOnce] of isForLists ? B3 : []) {
    const updates = many(engine, actOnce)
    const run = () => {
      const doc = engine.make(1)
      receive({ applyAll: engine.applyAll, apply }, doc, updates)
      return doc
    }
    print(name, 'ms', fastest(run, { check: engine.free }))
  }
}
