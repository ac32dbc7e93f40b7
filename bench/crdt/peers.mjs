// bench/crdt/peers.mjs -- the other half of bench/crdt/main.c: a counter as one would write it in
// JavaScript, an object of counts, sent as JSON. Names and units must agree with main.c.
import { measure } from '../measure.mjs'

const ACTORS = 100

const increment = (state, actor, amount) => {
  state.counts[actor] = (state.counts[actor] ?? 0) + amount
  return { counts: { [actor]: state.counts[actor] } }
}
const merge = (state, other) => {
  for (const [actor, count] of Object.entries(other.counts)) {
    if (count > (state.counts[actor] ?? 0)) state.counts[actor] = count
  }
}
const value = (state) => Object.values(state.counts).reduce((sum, count) => sum + count, 0)

const actors = Array.from({ length: ACTORS }, (_, i) => `replica-${String(i).padStart(3, '0')}`)
const local = { counts: {} }
const remote = { counts: {} }
for (const actor of actors) increment(local, actor, 1)
merge(remote, local)

let next = 0
let sink = 0
const print = (name, ns) => console.log(JSON.stringify({ suite: 'crdt', name, unit: 'ns', peer: 'naive JavaScript', peer_value: ns }))
print('gcounter: count, encode delta, decode, merge', measure(() => {
  const bytes = JSON.stringify(increment(local, actors[next++ % ACTORS], 1))
  merge(remote, JSON.parse(bytes))
  sink += value(remote)
}))
print('gcounter: merge states of 100 actors', measure(() => merge(remote, local)))
if (sink < 0) throw new Error('unreachable')
