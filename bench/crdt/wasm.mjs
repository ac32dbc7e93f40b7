// bench/crdt/wasm.mjs -- the catalogue as JavaScript's programs use it: the SDK and its WASM instance. The peers are
// in peers.mjs.
//
// In a batch the SDK sums up increments that follow each other and hands the core one operation, as the
// peer of the last counter row does with its delta. Elements of a set cannot be summed up: there each
// operation crosses the border.
import { measure } from '../measure.mjs'
import { createCrdts } from '../../js/packages/sdk/dist/node.js'

const ACTORS = 100
const BATCH = 100
const SET_COUNT = 1000
const crdts = await createCrdts()
const row = (name, value, bar) => console.log(JSON.stringify({ suite: 'crdt', name, unit: 'ns', value, better: 'lower', bar }))
let sink = 0

// ---- counters: an object has one actor, so those of 99 others are merged first ----

function counters() {
  const remote = crdts.create('gcounter', { actor: 'remote' })
  const local = crdts.create('gcounter', { actor: 'replica-000' })
  for (let i = 1; i < ACTORS; i++) {
    const other = crdts.create('gcounter', { actor: `replica-${String(i).padStart(3, '0')}` })
    local.merge(other.increment())
    other.close()
  }
  local.increment()
  remote.merge(local.encode())
  const read = () => {
    if (remote.value > 0n) sink++
  }
  return {
    exchange() {
      remote.merge(local.increment())
      read()
    },
    exchangeBatch() {
      remote.merge(
        local.batch(() => {
          for (let i = 0; i < BATCH; i++) local.increment()
        }),
      )
      read()
    },
    check() {
      if (remote.value !== local.value || local.compare(remote) !== 'equal') throw new Error('the counters differ')
    },
  }
}

function benchCounters() {
  const pair = counters()
  const single = measure(pair.exchange)
  const batched = measure(pair.exchangeBatch) / BATCH
  pair.check()
  row('counter in the SDK: the same one by one', single, 1)
  row('counter in the SDK: the same one by one, peer changed in place', single, 1)
  row('counter in the SDK: the same in batches of 100', batched, 5)
  row('counter in the SDK: the same in batches of 100, peer changed in place, in batches too', batched, 1)
}

// ---- sets ----

const elementOf = (n) => `element-${String(n).padStart(8, '0')}`

/** Adds 1,000 elements to a new set, `step` at a time, each time merging the delta into another one. */
function fill(step, read) {
  const local = crdts.create('orset', { actor: 'replica-1' })
  const remote = crdts.create('orset', { actor: 'replica-2' })
  for (let begin = 0; begin < SET_COUNT; begin += step) {
    const addAll = () => {
      for (let n = begin; n < begin + step; n++) local.add(elementOf(n))
    }
    remote.merge(step === 1 ? local.add(elementOf(begin)) : local.batch(addAll))
    if (read) sink += remote.value.length
  }
  if (remote.value.length !== SET_COUNT) throw new Error('elements are missing')
  local.close()
  remote.close()
}

function benchSets() {
  const filling = (step, read) => measure(() => fill(step, read)) / SET_COUNT
  row('orset in the SDK: add one by one, merge elsewhere', filling(1, false), 1)
  row('orset in the SDK: add in batches of 100, merge elsewhere', filling(BATCH, false), 1)
  row('orset in the SDK: the same, the value read after each batch', filling(BATCH, true), 1)
}

benchCounters()
benchSets()
crdts.close()
if (sink < 0) throw new Error('unreachable')
