// tests/conformance/presence/presence.test.mjs -- phoenix.js shows what our presence shows.
//
//   LK_BUILD=build/dev LK_SEED=7 node --test tests/conformance/presence/presence.test.mjs
//
// Goal: the unmodified Presence of phoenix.js, fed with our frames, is at the server's state after every window.
// Method: presence_play makes random changes and writes what each client is sent, and after each window the state
// that a client joining now would get. Each client here is a Presence on a channel that hands frames over.
//
// Goal: who is told of several diffs as one shows the same as who heard each, in the same order of metas.
// Method: two clients from the beginning on, of which one hears all and the other the merged ones.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Presence } from 'phoenix'

const root = join(import.meta.dirname, '../../..')
const candidates = process.env.LK_BUILD ? [process.env.LK_BUILD] : ['build/release', 'build/dev', 'build/asan']
const program = candidates.map((name) => join(root, name, 'presence_play')).find((path) => existsSync(path))
assert.ok(program, `no presence_play in ${candidates.join(', ')}: build it, or set LK_BUILD`)
const first = Number(process.env.LK_SEED ?? 1)

/** A client: `receive(event, payload)` is what its channel does with a frame. */
function createClient() {
  const handlers = new Map()
  const presence = new Presence({ on: (event, handler) => handlers.set(event, handler), joinRef: () => '1' })
  return { presence, receive: (event, payload) => handlers.get(event)(payload) }
}

/** Key and metas in an order that says nothing: clients keep the order of coming, the server that of names. */
function sorted(state) {
  return Object.keys(state).sort().map((key) =>
    [key, [...state[key].metas].sort((a, b) => (a.phx_ref < b.phx_ref ? -1 : 1))])
}

const refsOf = (side) => Object.values(side).flatMap(({ metas }) => metas.map(({ phx_ref: ref }) => ref))

/** `late` hears |diff|, null where nothing is to be said, and then shows |wanted|. What it is told of it did not know, or did. */
function checkMerged(wanted, late, diff) {
  if (diff !== null) {
    const known = new Set(refsOf(late.presence.state))
    for (const ref of refsOf(diff.joins)) assert.ok(!known.has(ref), `it knows ${ref}`)
    for (const ref of refsOf(diff.leaves)) assert.ok(known.has(ref), `it never heard of ${ref}`)
    for (const { metas } of Object.values(diff.joins)) {
      for (const { phx_ref_prev: prev } of metas) assert.ok(prev === undefined || known.has(prev), `it follows ${prev}`)
    }
    late.receive('presence_diff', diff)
  }
  const plain = (state) => JSON.parse(JSON.stringify(state, (name, value) => (name === 'phx_ref_prev' ? undefined : value)))
  assert.deepEqual(plain(late.presence.state), plain(wanted))
  return Number(diff !== null)
}

for (let seed = first; seed < first + 20; seed++) {
  test(`clients of phoenix.js are at the server's state after each window (seed ${seed})`, () => {
    const clients = new Map(), all = createClient(), late = createClient()
    let checks = 0, merged = 0
    for (const client of [all, late]) client.receive('presence_state', {})
    const lines = execFileSync(program, [String(seed), '150'], { encoding: 'utf8', maxBuffer: 1 << 28 })
    for (const line of lines.trimEnd().split('\n')) {
      const [kind, who, payload] = JSON.parse(line)
      if (kind === 'all') all.receive('presence_diff', payload)
      if (kind === 'late') {
        merged += checkMerged(all.presence.state, late, payload)
        continue
      }
      if (who === null) continue
      if (kind === 'state') {
        clients.set(who, createClient())
        clients.get(who).receive('presence_state', payload)
        continue
      }
      for (const id of who) {
        if (kind === 'diff') clients.get(id).receive('presence_diff', JSON.parse(line)[2])
        else assert.deepEqual(sorted(clients.get(id).presence.state), sorted(payload), `client ${id}: ${line}`)
        checks += kind === 'check'
      }
    }
    assert.ok(checks > 100, 'clients were there to be checked')
    assert.ok(merged > 10, 'some heard late')
  })
}
