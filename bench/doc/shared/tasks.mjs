// bench/doc/shared/tasks.mjs -- what is measured of each library (engines.mjs). bench/doc/main.c does the same
// natively, and the names of rows must agree with those there.
import { fastest } from './clock.mjs'
import { cut } from './trace.mjs'

const SHORT = 8_000 // updates that the Yjs of version 13 can still merge in less than a second
const SEVERAL = 8
const LONG_RUN = 5_000_000
const APPENDED = 20
const ELSEWHERE = 'elsewhere' // the origin of what comes to a document with an undo manager
const watching = ', observer and undo manager attached'

function expect(isTrue, what) {
  if (!isTrue) throw new Error(what)
}

function replay(engine, edits, { listen, isWatched = false, make = engine.make } = {}) {
  const doc = make(1, listen)
  if (isWatched) engine.watch(doc)
  for (const [at, count, text] of edits) engine.edit(doc, at, count, text)
  return doc
}

function applyAll(engine, updates) {
  const doc = engine.make(99)
  for (const update of updates) engine.apply(doc, update)
  return doc
}

function applyAllWatched(engine, updates) {
  const doc = engine.make(99)
  const apply = engine.applyFrom ?? engine.apply
  engine.watch(doc)
  for (const update of updates) apply(doc, update, ELSEWHERE)
  return doc
}

/** Takes in what came at once, in the library's fastest way. */
export function receive(engine, doc, updates, isWatched = false) {
  if (isWatched && engine.applyFrom) for (const update of updates) engine.applyFrom(doc, update, ELSEWHERE)
  else if (engine.applyAll) engine.applyAll(doc, updates)
  else for (const update of updates) engine.apply(doc, update)
}

/** A check of the text, which ends the document. */
const checked = (engine, wanted) => (doc) => {
  expect(engine.text(doc) === wanted, `${engine.title}: the text is another one`)
  engine.free(doc)
}

function recordUpdates(engine, { edits }) {
  const updates = []
  engine.free(replay(engine, edits, { listen: (update) => updates.push(update) }))
  return updates
}

// ---- one session ----

function measureState(engine, { name, text }, doc, print) {
  const read = (load, bytes) => {
    const loaded = load(bytes)
    return { loaded, text: engine.text(loaded) }
  }
  const check = (result) => {
    expect(result.text === text, `${engine.title}: what was loaded is another text`)
    engine.free(result.loaded)
  }
  const rounds = 25
  const forms = [
    ['v1', engine.encode, engine.load],
    ['v2', engine.encode2, engine.load2],
  ]
  for (const [form, encode, load] of forms.filter((each) => each[1])) {
    const bytes = encode(doc)
    print(`${name}: encode the document (${form})`, 'ms', fastest(() => encode(doc), { rounds }))
    print(`${name}: load the document (${form}) and read its text`, 'ms', fastest(() => read(load, bytes), { rounds, check }))
    print(`${name}: bytes of the document (${form})`, 'bytes', bytes.length)
  }
  if (!engine.watch) return
  const bytes = engine.encode(doc)
  const run = () => {
    const loaded = applyAllWatched(engine, [bytes])
    return { loaded, text: engine.text(loaded) }
  }
  print(`${name}: load the document (v1) and read its text${watching}`, 'ms', fastest(run, { rounds, check }))
}

/** The merge of Yjs takes more than linear time, so all updates are a guess: each doubling takes what the last one took. The
 * real exponent is higher. */
function measureMerge(engine, trace, updates, print) {
  const run = (count) => fastest(() => engine.merge(updates.slice(0, count)), { rounds: 2 })
  if (!(engine.short.merge < updates.length)) return print(`${trace.name}: merge the updates without a document`, 'ms', run(updates.length))
  const [quarter, half, whole] = [SHORT / 4, SHORT / 2, SHORT].map(run)
  const exponent = Math.log2(whole / half)
  print(`${cut(trace, SHORT).name}: merge the updates without a document`, 'ms', whole)
  const guess = whole * (trace.edits.length / SHORT) ** exponent
  print(`${trace.name}: merge the updates without a document`, 'ms', guess, `${engine.title}, extrapolated`)
  const measured = [quarter, half, whole].map((ms) => ms.toFixed(0)).join(', ')
  console.error(`${trace.name}: ${engine.title} merges 2,000, 4,000 and 8,000 updates in ${measured} ms: exponent ${exponent.toFixed(2)}`)
}

/** Changes that are made here. */
function measureLocal(engine, of, print) {
  const measured = (task, options) => {
    const { edits, text } = of(task)
    return fastest(() => replay(engine, edits, options()), { check: checked(engine, text) })
  }
  const listening = () => {
    const updates = []
    return { listen: (update) => updates.push(update) }
  }
  print(`${of('local').name}: each edit a transaction`, 'ms', measured('local', () => ({})))
  const { name } = of('localUpdates')
  const encoded = measured('localUpdates', listening)
  print(`${name}: each edit a transaction, its update encoded`, 'ms', encoded)
  const { makeOwning } = engine
  const owning = makeOwning ? measured('localUpdates', () => ({ ...listening(), make: makeOwning })) : encoded
  if (makeOwning || engine.isOwning) print(`${name}: each edit a transaction, its update encoded, in buffers of their own`, 'ms', owning)
  if (!engine.watch) return
  const watched = of('watched').name
  print(`${watched}: each edit a transaction${watching}`, 'ms', measured('watched', () => ({ isWatched: true })))
  const both = () => ({ ...listening(), isWatched: true })
  print(`${watched}: each edit a transaction, its update encoded${watching}`, 'ms', measured('watched', both))
}

/** Changes that come from elsewhere. */
function measureRemote(engine, { name, text }, updates, print) {
  const check = checked(engine, text)
  print(`${name}: bytes of the updates`, 'bytes', updates.reduce((sum, update) => sum + update.length, 0))
  print(`${name}: apply the updates one by one`, 'ms', fastest(() => applyAll(engine, updates), { check }))
}

function measureRemoteWatched(engine, { name, text }, updates, print) {
  const check = checked(engine, text)
  print(`${name}: apply the updates one by one${watching}`, 'ms', fastest(() => applyAllWatched(engine, updates), { check }))
}

export function measureSession(engine, trace, print) {
  if (engine.isAsciiOnly && /[^\0-\x7f]/.test(trace.text)) return
  const of = (task) => (engine.short[task] < trace.edits.length ? cut(trace, engine.short[task]) : trace)
  measureLocal(engine, of, print)
  // ywasm takes minutes for the updates of all edits; those of Yjs are the same.
  const source = engine.updatesFrom ?? engine
  const state = of('state')
  const doc = engine.load(source.encode(replay(source, state.edits)))
  measureState(engine, state, doc, print)
  engine.free(doc)
  const updates = recordUpdates(source, of('remote'))
  measureRemote(engine, of('remote'), updates, print)
  if (engine.watch) {
    const watched = of('watched')
    measureRemoteWatched(engine, watched, watched.edits.length < updates.length ? recordUpdates(source, watched) : updates, print)
  }
  if (engine.merge) measureMerge(engine, trace, updates, print)
}

// ---- a session of several who write at once ----

/** Hands each replica what it has not seen of the changes that a change builds on, and the changes themselves. */
class Exchange {
  constructor(engine, { agents, txns }, isWatched = false) {
    this.engine = engine
    this.isWatched = isWatched
    this.txns = txns
    this.log = txns.map(() => [])
    this.seen = Array.from({ length: agents }, () => new Uint8Array(txns.length))
    this.sink = []
    this.docs = Array.from({ length: agents }, (_, i) => engine.make(i + 1, (update) => this.sink.push(update)))
    if (isWatched) for (const doc of this.docs) engine.watch(doc)
  }
  catchUp(agent, parents) {
    const seen = this.seen[agent]
    const open = [...parents]
    const missing = []
    while (open.length > 0) {
      const at = open.pop()
      if (seen[at]) continue
      seen[at] = 1
      missing.push(at)
      open.push(...this.txns[at].parents)
    }
    this.sink = []
    const updates = missing.sort((a, b) => a - b).flatMap((at) => this.log[at])
    if (updates.length > 0) receive(this.engine, this.docs[agent], updates, this.isWatched)
  }
  run() {
    for (const [at, { agent, parents, edits }] of this.txns.entries()) {
      this.catchUp(agent, parents)
      this.sink = this.log[at]
      for (const [index, count, text] of edits) this.engine.edit(this.docs[agent], index, count, text)
      this.seen[agent][at] = 1
    }
    return this
  }
  free() {
    for (const doc of this.docs) this.engine.free(doc)
  }
}

export function measureConcurrent(engine, trace, print) {
  if (engine.without?.includes('concurrent')) return
  const recorded = new Exchange(engine, trace).run()
  const updates = recorded.log.flat()
  recorded.free()
  const exchanging = `${trace.name}: ${trace.agents} replicas write and exchange updates`
  const exchange = (isWatched) => fastest(() => new Exchange(engine, trace, isWatched).run(), { rounds: 3, check: (each) => each.free() })
  print(exchanging, 'ms', exchange(false))
  const canWatch = engine.watch && engine.short.watched === undefined // there are no first edits of this one
  if (canWatch) print(`${exchanging}${watching}`, 'ms', exchange(true))
  const check = checked(engine, trace.text)
  const applying = `${trace.name}: apply the updates one by one`
  print(applying, 'ms', fastest(() => applyAll(engine, updates), { rounds: 3, check }))
  if (canWatch) print(`${applying}${watching}`, 'ms', fastest(() => applyAllWatched(engine, updates), { rounds: 3, check }))
  const doc = applyAll(engine, updates)
  measureState(engine, trace, doc, print)
  engine.free(doc)
  if (!engine.merge) return
  const some = updates.slice(0, SHORT)
  print(`${trace.name}: merge the first ${SHORT.toLocaleString('en-US')} updates without a document`, 'ms', fastest(() => engine.merge(some), { rounds: 2 }))
}

// ---- a long run of one author ----

export function measureAppend(engine, print) {
  appendTo(engine, print, false)
  if (engine.watch) appendTo(engine, print, true)
}

/** The second time: what the processor has forgotten over the long run is not what is asked for. */
function appendTo(engine, print, isWatched) {
  const long = 'x'.repeat(LONG_RUN)
  const updates = []
  const appending = (from) => (doc) => {
    for (let i = 0; i < APPENDED; i++) engine.edit(doc, from + i, 0, 'y')
    return doc
  }
  const prepare = () => {
    updates.length = 0
    const doc = engine.make(1, (update) => updates.push(update))
    engine.edit(doc, 0, 0, long)
    if (isWatched) engine.watch(doc)
    return appending(LONG_RUN)(doc)
  }
  const append = appending(LONG_RUN + APPENDED)
  const check = checked(engine, long + 'y'.repeat(2 * APPENDED))
  const clock = () => performance.now()
  const run = `one author's run of 5 MB: append ${APPENDED} characters`
  const behind = isWatched ? watching : ''
  print(`${run}, each update encoded${behind}`, 'us', 1000 * fastest(append, { prepare, check, clock }))
  const sent = updates.splice(0)
  const one = (isWatched && engine.applyFrom) || engine.apply
  const applying = (some) => (doc) => {
    for (const update of some) one(doc, update, ELSEWHERE)
    return doc
  }
  const apply = applying(sent.slice(1 + APPENDED))
  const open = () => {
    const doc = engine.make(2)
    engine.apply(doc, sent[0])
    if (isWatched) engine.watch(doc)
    return applying(sent.slice(1, 1 + APPENDED))(doc)
  }
  print(`${run} that come one by one${behind}`, 'us', 1000 * fastest(apply, { prepare: open, check, clock }))
}

// ---- memory; wants `node --expose-gc` and a process of its own ----

export function measureMemory(engine, trace, print) {
  const session = engine.short.state < trace.edits.length ? cut(trace, engine.short.state) : trace
  const source = engine.updatesFrom ?? engine
  const bytes = source.encode(replay(source, session.edits))
  const used = () => {
    for (let i = 0; i < 4; i++) globalThis.gc()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  engine.text(engine.load(bytes))
  const before = used()
  const docs = Array.from({ length: SEVERAL }, () => engine.load(bytes))
  const after = used()
  for (const doc of docs) expect(engine.text(doc) === session.text, `${engine.title}: the text is another one`)
  print(`${session.name}: memory of the loaded document`, 'bytes', (after - before) / SEVERAL)
}
