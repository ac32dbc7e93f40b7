// What a hub knows of awareness: who is here, who speaks for whom, and no more than that.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { AwarenessTable, readAwareness, writeAwareness } from '../dist/internal/client/awareness_table.js'

const says = (client: number, clock: number, state: string) => writeAwareness([{ client, clock, state }])
const who = (update: Uint8Array<ArrayBuffer> | undefined) => (update === undefined ? [] : readAwareness(update).map(({ client, clock, state }) => [client, clock, state]))

test('updates are read as they are written, and what is none is refused', () => {
  const entries = [{ client: 2 ** 40, clock: 300, state: '{"name":"Ada ü"}' }, { client: 1, clock: 0, state: 'null' }]
  assert.deepEqual(readAwareness(writeAwareness(entries)), entries)
  const bytes = writeAwareness(entries)
  for (let length = 0; length < bytes.length; length++) assert.throws(() => readAwareness(bytes.slice(0, length)), RangeError)
})

test('the greater clock wins, and who has gone is not brought back by something old', () => {
  const table = new AwarenessTable<string>()
  table.take(says(7, 2, '{"a":2}'), 'tab')
  table.take(says(7, 1, '{"a":1}'), 'tab')
  assert.deepEqual(who(table.everybody()), [[7, 2, '{"a":2}']])
  table.take(says(7, 3, 'null'), 'tab')
  table.take(says(7, 2, '{"a":2}'), 'tab')
  assert.deepEqual(who(table.everybody()), [])
  table.take(says(7, 4, '{"a":4}'), undefined)
  assert.deepEqual([who(table.everybody()).length, who(table.own()).length], [1, 0])
})

test('who leaves takes along those that it spoke for, and nobody else', () => {
  const table = new AwarenessTable<string>()
  table.take(says(1, 5, '{}'), 'tab')
  table.take(says(2, 6, '{}'), undefined)
  assert.deepEqual(who(table.drop('tab')), [[1, 6, 'null']])
  assert.equal(table.drop('tab'), undefined)
  assert.deepEqual(who(table.everybody()), [[2, 6, '{}']])
})

test('there is no end of those who come and go, and an end of what is remembered of them', () => {
  const table = new AwarenessTable<string>()
  for (let client = 1; client <= 100_000; client++) {
    table.take(says(client, 1, '{}'), undefined)
    table.take(says(client, 2, 'null'), undefined)
  }
  table.take(says(100_000, 1, '{}'), undefined) // the latest are known
  assert.equal(table.everybody(), undefined)
  table.take(says(1, 1, '{}'), undefined) // the first are not any more
  assert.deepEqual(who(table.everybody()), [[1, 1, '{}']])
})
