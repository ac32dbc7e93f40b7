// Awareness beside y-protocols: the same calls give the same bytes, and what one wrote the other one takes as its own kind would.
import { afterEach, test } from 'node:test'
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import * as encoding from 'lib0/encoding'
import * as protocol from 'y-protocols/awareness'
import { Awareness, LaniakeaError } from '@laniakea/sdk'

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

const opened: { destroy(): void }[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one.destroy()
})

function ours(client: number): Awareness {
  const awareness = new Awareness({ client })
  opened.push(awareness)
  return awareness
}

function theirs(client: number): protocol.Awareness {
  const doc = new Y.Doc()
  doc.clientID = client
  const awareness = new protocol.Awareness(doc)
  opened.push(awareness)
  return awareness
}

function record(awareness: Awareness | protocol.Awareness): unknown[] {
  const told: unknown[] = []
  const { on } = awareness as { on(event: string, listener: (change: unknown, origin: unknown) => void): void }
  for (const event of ['change', 'update']) on.call(awareness, event, (change, origin) => told.push([event, change, origin]))
  return told
}

const STATES = [{}, { name: 'Ada' }, { name: 'Ada', cursor: { anchor: { tname: 'é', assoc: 0 }, head: null } }, { list: [1, [2, '😀'], { a: null }] }, { list: [1, [2, '😀'], { b: null }] }, { list: { 0: 1, length: 1 } }, { list: [1] }, { list: { 0: 1 } }, { a: undefined }, { b: undefined }, null]

/** An update that nobody may have sent. */
function forged(client: number, clock: number, state: unknown): Uint8Array {
  const encoder = encoding.createEncoder()
  for (const number of [1, client, clock]) encoding.writeVarUint(encoder, number)
  encoding.writeVarString(encoder, JSON.stringify(state))
  return encoding.toUint8Array(encoder)
}

/* Goal: there is no telling them apart. Method: three of ours and three of theirs with the same clients, to which the same
 * is done at random; all bytes, all events, all states are compared. */
test('the same calls give the same bytes, events and states as those of y-protocols', () => {
  for (let seed = 1; seed <= 60; seed++) {
    let state = seed * 7919
    const next = (below: number): number => ((state = (state * 48271) % 2147483647) >> 4) % below
    const clients = [1, 300, 2 ** 32 + 5]
    const a = clients.map(ours)
    const b = clients.map(theirs)
    const told = a.map(record)
    const expected = b.map(record)
    const sent: Uint8Array[] = []
    for (let i = 0; i < 60; i++) {
      const [at, what] = [next(3), next(8)]
      const [mine, other] = [a[at]!, b[at]!]
      if (what < 2) {
        const shown = STATES[next(STATES.length)]!
        mine.setLocalState(shown)
        other.setLocalState(shown)
      } else if (what < 3) {
        const value = next(3)
        mine.setLocalStateField('field', value)
        other.setLocalStateField('field', value)
      } else if (what < 4) {
        const gone = clients.filter(() => next(3) === 0)
        mine.remove(gone, 'connection')
        protocol.removeAwarenessStates(other, gone, 'connection')
      } else if (what < 5 || sent.length === 0) {
        const known = clients.filter((client) => other.meta.has(client) && next(3) > 0)
        const update = mine.encode(known)
        assert.equal(hex(update), hex(protocol.encodeAwarenessUpdate(other, known)), `seed ${seed}, step ${i}`)
        assert.equal(hex(mine.encode()), hex(protocol.encodeAwarenessUpdate(other, [...other.states.keys()])))
        sent.push(update)
      } else {
        const client = clients[next(3)]!
        const isForged = what === 7
        const update = isForged ? forged(client, (other.meta.get(client)?.clock ?? 0) + next(3), STATES[next(STATES.length)]) : sent[next(sent.length)]!
        mine.apply(update, 'net')
        protocol.applyAwarenessUpdate(other, update, 'net')
      }
      assert.deepEqual(told[at]!.splice(0), expected[at]!.splice(0), `seed ${seed}, step ${i}`)
      assert.deepEqual([...mine.getStates()], [...other.getStates()])
      assert.deepEqual(clients.map((client) => mine.meta.get(client)?.clock), clients.map((client) => other.meta.get(client)?.clock))
      assert.deepEqual(mine.getLocalState(), other.getLocalState())
    }
    for (const one of opened.splice(0)) one.destroy()
  }
})

test("y-protocols' functions take it as one of theirs", () => {
  const [mine, other] = [ours(1), theirs(2)]
  const as = mine as unknown as protocol.Awareness
  other.setLocalState({ name: 'Ben' })
  const told = record(mine)
  protocol.applyAwarenessUpdate(as, protocol.encodeAwarenessUpdate(other, [2]), 'net')
  assert.deepEqual(told, [['change', { added: [2], updated: [], removed: [] }, 'net'], ['update', { added: [2], updated: [], removed: [] }, 'net']])
  assert.equal(hex(protocol.encodeAwarenessUpdate(as, [2, 1])), hex(mine.encode([2, 1])))
})

test('a state is sent again within half a minute, and those of whom nothing is heard have gone', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  const [mine, far] = [ours(1), ours(2)]
  far.setLocalState({ name: 'far' })
  mine.apply(far.encode())
  const told = record(mine)
  t.mock.timers.tick(14_000)
  assert.deepEqual(told, [])
  t.mock.timers.tick(1_000)
  assert.deepEqual(told.splice(0), [['update', { added: [], updated: [1], removed: [] }, 'local']])
  assert.equal(mine.meta.get(1)?.clock, 1)
  t.mock.timers.tick(12_000)
  assert.ok(mine.getStates().has(2))
  t.mock.timers.tick(3_000)
  const gone = { added: [], updated: [], removed: [2] }
  assert.deepEqual(told.slice(-2), [['change', gone, 'timeout'], ['update', gone, 'timeout']])
  assert.equal(mine.meta.get(2)?.clock, 1, 'what it sends with this clock is old')
  mine.apply(ours(3).encode())
  far.setLocalState({})
  mine.apply(far.encode())
  mine.destroy()
  t.mock.timers.tick(60_000)
  assert.ok(mine.getStates().has(2), 'it looks no more')
})

test('it ends by telling so', () => {
  const mine = ours(1)
  const told = record(mine)
  let ended = 0
  const listener = (): void => void ended++
  mine.on('destroy', listener)
  mine.on('change', listener)
  mine.off('change', listener)
  mine.destroy()
  assert.equal(ended, 1)
  assert.deepEqual(told, [['change', { added: [], updated: [], removed: [1] }, 'local'], ['update', { added: [], updated: [], removed: [1] }, 'local']])
  assert.equal(hex(mine.encode([1])), '010101046e756c6c')
  assert.throws(() => mine.encode([7]), hasCode('LK_ERR_NOT_FOUND'))
})

test('it ends, whatever a listener does', (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'Date'] })
  const awareness = new Awareness({ client: 1 })
  awareness.setLocalState({})
  let calls = 0
  awareness.on('update', () => {
    calls++
    throw new Error('the socket is closed')
  })
  assert.throws(() => awareness.destroy(), /closed/)
  t.mock.timers.tick(60_000)
  assert.equal(calls, 1)
})

test('bytes that are no update are refused as a whole', () => {
  const mine = ours(1)
  const told = record(mine)
  const good = '0201' + '05' + '0378' // truncated below, wrong in other ways
  const state = (json: string): string => Buffer.from([json.length]).toString('hex') + Buffer.from(json).toString('hex')
  const first = '0205' + '01' + state('{}') // a good one, of two
  const deep = '['.repeat(65) + ']'.repeat(65)
  const long = '0107' + '01' + '8201' + Buffer.from(deep).toString('hex')
  const refused: [string, string][] = [['', 'TRUNCATED'], [good, 'TRUNCATED'], ['0000', 'TRAILING'], [`${first}06`, 'TRUNCATED'], [`${first}0601${state('{')}`, 'SYNTAX'], [`${first}060102ff`, 'TRUNCATED'], [`${first}060101ff`, 'UTF8'], ['01ffffffffffffffffff01', 'RANGE'], [long, 'DEPTH']]
  for (const [bytes, code] of refused) assert.throws(() => mine.apply(bytesOf(bytes)), hasCode(`LK_ERR_${code}`), bytes)
  assert.deepEqual(told, [])
  assert.deepEqual([...mine.meta.keys()], [1])
  assert.throws(() => mine.apply(new ArrayBuffer(3) as unknown as Uint8Array), hasCode('LK_ERR_TYPE'))
})
