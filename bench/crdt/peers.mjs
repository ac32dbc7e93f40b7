// bench/crdt/peers.mjs -- what main.c and wasm.mjs measure, in plain JavaScript (shared/naive.mjs). Names and units
// must agree with theirs.
//
// The counter of the project's first sketches is the naive one: its states are never changed but replaced,
// which costs a copy of all actors each time. That is what the bars of 20 and 5 are about; rows "peer
// changed in place" are beside what one would write for speed instead.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { measure } from '../measure.mjs'
import { TagSet, inPlace, joined, replacing, total } from './shared/naive.mjs'

const ACTORS = 100
const BATCH = 100
const SET_COUNT = 1000
const actors = Array.from({ length: ACTORS }, (_, i) => `replica-${String(i).padStart(3, '0')}`)
const print = (name, peer, ns) => console.log(JSON.stringify({ suite: 'crdt', name, unit: 'ns', peer, peer_value: ns }))
let sink = 0

// ---- counters ----

function pair({ increment, merge }) {
  let local = { counts: {} }
  for (const actor of actors) local = increment(local, actor)
  let remote = merge({ counts: {} }, local)
  let next = 0
  const send = (actor) => {
    const bytes = JSON.stringify({ counts: { [actor]: local.counts[actor] } })
    remote = merge(remote, JSON.parse(bytes))
    sink += total(remote)
  }
  return {
    exchange() {
      const actor = actors[next++ % ACTORS]
      local = increment(local, actor)
      send(actor)
    },
    exchangeBatch() {
      for (let i = 0; i < BATCH; i++) local = increment(local, actors[0])
      send(actors[0])
    },
    merge: () => (remote = merge(remote, local)),
  }
}

function countReplacing() {
  const ns = measure(pair(replacing).exchange)
  print('counter: increment, encode delta, merge it elsewhere', 'naive JavaScript', ns)
  print('counter in the SDK: the same one by one', 'naive JavaScript', ns)
  print('counter in the SDK: the same in batches of 100', 'naive JavaScript', ns)
}

function countInPlace() {
  const ns = measure(pair(inPlace).exchange)
  print('counter: the same, peer changed in place', 'JavaScript in place', ns)
  print('counter in the SDK: the same one by one, peer changed in place', 'JavaScript in place', ns)
}

function countBatchesInPlace() {
  const ns = measure(pair(inPlace).exchangeBatch) / BATCH
  print('counter in the SDK: the same in batches of 100, peer changed in place, in batches too', 'JavaScript in place', ns)
}

function mergeInPlace() {
  print('counter: merge states of 100 actors', 'JavaScript in place', measure(pair(inPlace).merge))
}

// ---- sets ----

const elementOf = (n) => `element-${String(n).padStart(8, '0')}`

/** Adds 1,000 elements to a new set, `step` at a time, each time merging the delta into another one. */
function fill(step, read) {
  const local = new TagSet('replica-1')
  const remote = new TagSet('replica-2')
  for (let begin = 0; begin < SET_COUNT; begin += step) {
    const deltas = []
    for (let n = begin; n < begin + step; n++) deltas.push(local.add(elementOf(n)))
    const bytes = JSON.stringify(step === 1 ? deltas[0] : joined(deltas))
    remote.merge(JSON.parse(bytes))
    if (read) sink += remote.value.length
  }
  sink += remote.value.length
}

function addOneByOne() {
  print('orset in the SDK: add one by one, merge elsewhere', 'naive JavaScript', measure(() => fill(1, false)) / SET_COUNT)
}

function addBatches() {
  print('orset in the SDK: add in batches of 100, merge elsewhere', 'naive JavaScript', measure(() => fill(BATCH, false)) / SET_COUNT)
}

function addBatchesReading() {
  print('orset in the SDK: the same, the value read after each batch', 'naive JavaScript', measure(() => fill(BATCH, true)) / SET_COUNT)
}

/** As churn() of main.c, with fewer rounds: tags that were removed pile up, and more of them make it slower. */
function churn() {
  const [count, rounds] = [100_000, 3]
  const set = new TagSet('replica-1')
  const begin = process.hrtime.bigint()
  for (let round = 0; round < rounds; round++) {
    for (let n = 0; n < count; n++) set.add(elementOf(n))
    for (let n = 0; n < count && round < rounds - 1; n++) set.remove(elementOf(n))
  }
  const ns = Number(process.hrtime.bigint() - begin)
  sink += set.value.length
  print('orset: one add or remove among 100,000', 'naive JavaScript', ns / (count * (2 * rounds - 1)))
}

// Each in a process of its own: in one that already ran other code through the same functions, V8 has to allow for both.
const programs = { countReplacing, countInPlace, countBatchesInPlace, mergeInPlace, addOneByOne, addBatches, addBatchesReading, churn }
const [name] = process.argv.slice(2)
if (name !== undefined) programs[name]()
else for (const each of Object.keys(programs)) process.stdout.write(execFileSync(process.execPath, [fileURLToPath(import.meta.url), each]))
if (sink < 0) throw new Error('unreachable')
