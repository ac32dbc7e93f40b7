// bench/crdt/peers.mjs -- the counters of bench/crdt/main.c in plain JavaScript: the code of the project's
// first sketches, where a state is never changed but replaced, and what one would write for speed
// instead. Names and units must agree with main.c.
import { measure } from '../measure.mjs'

const ACTORS = 100
const actors = Array.from({ length: ACTORS }, (_, i) => `replica-${String(i).padStart(3, '0')}`)
const value = (state) => Object.values(state.counts).reduce((sum, count) => sum + count, 0)
const print = (name, peer, ns) => console.log(JSON.stringify({ suite: 'crdt', name, unit: 'ns', peer, peer_value: ns }))
let sink = 0

// As sketched: increment and merge give a new state.
const replacing = {
  increment: (state, actor) => ({ counts: { ...state.counts, [actor]: (state.counts[actor] ?? 0) + 1 } }),
  merge(a, b) {
    const counts = {}
    for (const actor of new Set([...Object.keys(a.counts), ...Object.keys(b.counts)])) {
      counts[actor] = Math.max(a.counts[actor] ?? 0, b.counts[actor] ?? 0)
    }
    return { counts }
  },
}

// For speed: objects are changed where they are.
const inPlace = {
  increment(state, actor) {
    state.counts[actor] = (state.counts[actor] ?? 0) + 1
    return state
  },
  merge(a, b) {
    for (const [actor, count] of Object.entries(b.counts)) {
      if (count > (a.counts[actor] ?? 0)) a.counts[actor] = count
    }
    return a
  },
}

function pair({ increment, merge }) {
  let local = { counts: {} }
  for (const actor of actors) local = increment(local, actor)
  let remote = merge({ counts: {} }, local)
  let next = 0
  return {
    exchange() {
      const actor = actors[next++ % ACTORS]
      local = increment(local, actor)
      const bytes = JSON.stringify({ counts: { [actor]: local.counts[actor] } })
      remote = merge(remote, JSON.parse(bytes))
      sink += value(remote)
    },
    merge: () => (remote = merge(remote, local)),
  }
}

print('counter: increment, encode delta, merge it elsewhere', 'naive JavaScript', measure(pair(replacing).exchange))
print('counter: the same, peer changed in place', 'JavaScript in place', measure(pair(inPlace).exchange))
print('counter: merge states of 100 actors', 'JavaScript in place', measure(pair(inPlace).merge))
if (sink < 0) throw new Error('unreachable')
