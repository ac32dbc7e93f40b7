// bench/crdt/libraries.mjs -- sets of 100,000 in the SDK and in libraries of others: the memory of one element, and
// what a replica is sent that lacks ten changes.
//
// The libraries are no part of the project: `make bench` installs them into bench/crdt/node_modules by the lock file
// there, and without them there is nothing to measure here. Memory is what V8 has after a collection,
// its own heap and what lies outside of it, which includes all of a WASM instance's memory, used or not.
// Each measurement has a process of its own, which this script starts as `node --expose-gc libraries.mjs WHAT LIBRARY`.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { load } from './shared/sets.mjs'

const COUNT = 100_000
const ROUNDS = 10
const self = fileURLToPath(import.meta.url)
const elementOf = (n) => `element-${String(n).padStart(8, '0')}`

// ---- what the processes measure ----

function all({ step }, set, act) {
  for (let begin = 0; begin < COUNT; begin += step) {
    set.change(() => {
      for (let n = begin; n < begin + step; n++) act(elementOf(n))
    })
  }
}

function expectCount(set, count) {
  if (set.count() !== count) throw new Error(`${set.count()} elements instead of ${count}`)
}

function memory() {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Bytes for each element: of a fresh set, and of the same one after all of its elements were removed and added again
 * nine times. Counting the elements would leave a view of them behind, so that comes last. */
function measureMemory(library, isChurned) {
  const warm = library.make('replica-0')
  warm.change(() => warm.add(elementOf(0)))
  const before = memory()
  const set = library.make('replica-1')
  all(library, set, set.add)
  const fresh = (memory() - before) / COUNT
  for (let round = 1; round < ROUNDS && isChurned; round++) {
    all(library, set, set.remove)
    all(library, set, set.add)
  }
  const churned = isChurned ? (memory() - before) / COUNT : undefined
  expectCount(set, COUNT)
  return { fresh, churned }
}

function fastest(run) {
  let best = Infinity
  for (let i = 0; i < 20; i++) {
    const begin = process.hrtime.bigint()
    run()
    best = Math.min(best, Number(process.hrtime.bigint() - begin))
  }
  return best
}

/** Five elements are added elsewhere, and five removed, as one change, which is what Automerge writes least for: what does the first replica have to be sent, and how long
 * does it take to find out? */
function measureDiff(library) {
  const set = library.make('replica-1')
  all(library, set, set.add)
  const other = set.fork('replica-2')
  const seen = set.version()
  other.change(() => {
    for (let i = 0; i < 5; i++) other.add(elementOf(COUNT + i))
    for (let i = 0; i < 5; i++) other.remove(elementOf(i * 9_999))
  })
  const diff = other.diffSince(seen)
  const us = fastest(() => other.diffSince(seen)) / 1000
  set.merge(diff)
  expectCount(set, COUNT)
  const left = other.diffSince(set.version())
  if (left.length >= diff.length) throw new Error('the diff was not all')
  return { bytes: diff.length, us }
}

const measurements = {
  memory: (library) => measureMemory(library, false),
  churn: (library) => measureMemory(library, true),
  diff: measureDiff,
}

// ---- rows ----

function measured(what, name) {
  const printed = execFileSync(process.execPath, ['--expose-gc', self, what, name], { encoding: 'utf8' })
  return JSON.parse(printed)
}

function row(name, unit, value, { title }, peerValue) {
  if (peerValue === undefined) return
  const ours = { suite: 'crdt', name: `${name}, beside ${title}`, unit, value, better: 'lower', bar: 1 }
  console.log(JSON.stringify({ ...ours, peer: title, peer_value: peerValue }))
}

/** Of Automerge only a fresh one: nine more rounds would take it a minute and a half. */
function compareMemory() {
  const own = measured('churn', 'sdk')
  for (const name of ['naive', 'yjs', 'jsonJoy', 'automerge']) {
    const theirs = measured(name === 'automerge' ? 'memory' : 'churn', name)
    row('orset of 100,000 in the SDK: memory of one element', 'bytes', own.fresh, theirs, theirs.fresh)
    row('orset of 100,000 in the SDK, added and removed ten times over: memory of one element', 'bytes', own.churned, theirs, theirs.churned)
  }
}

function compareDiffs() {
  const own = measured('diff', 'sdk')
  for (const name of ['yjs', 'automerge']) {
    const theirs = measured('diff', name)
    row('orsets of 100,000 in the SDK that differ in 10: bytes of the diff', 'bytes', own.bytes, theirs, theirs.bytes)
    row('orsets of 100,000 in the SDK that differ in 10: diff', 'us', own.us, theirs, theirs.us)
  }
}

const [what, name] = process.argv.slice(2)
if (what !== undefined) {
  const library = await load(name)
  console.log(JSON.stringify({ title: library.title, ...measurements[what](library) }))
} else if (existsSync(new URL('node_modules/.package-lock.json', import.meta.url))) {
  compareMemory()
  compareDiffs()
} else {
  console.error('what bench/crdt measures beside ours is not installed: npm ci in bench/crdt')
  process.exitCode = 1
}
