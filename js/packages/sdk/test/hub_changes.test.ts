// What other pages hear of a change, and when: a real hub and its core, over files in memory whose writes can be held up.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { Bytes } from '../dist/internal/client/protocol.js'
import { Page, begin, settled, typed } from './hub_fixture.ts'

/* Goal: what need not wait is told at once; what may be forgotten with its page when it is recorded; and what stands behind
 * such a one not before it, in the order in which it was made. */
test('a change behind one that waits is told when that is', async () => {
  const { hub, files } = await begin()
  const [one, other] = [new Page(hub, 'one'), new Page(hub, 'other')]
  for (const page of [one, other]) await page.open('doc:notes')
  await one.waitFor('topic')
  const updates = await typed(7, ['a', 'b', 'c', 'd'])
  const [a, b, c, d] = updates as [Bytes, Bytes, Bytes, Bytes]
  const hex = updates.map((update) => Buffer.from(update).toString('hex'))
  let release = (): void => undefined
  files.gate = new Promise((resolve) => { release = resolve })
  one.change(1, a, false)
  assert.deepEqual(other.news, hex.slice(0, 1), 'what need not wait')
  one.change(2, b, true)
  one.change(3, c, false)
  await settled()
  assert.deepEqual(other.news, hex.slice(0, 1), 'what waits, and what stands behind it')
  release()
  for (const end = Date.now() + 10_000; other.news.length < 3 && Date.now() < end; ) await settled()
  assert.deepEqual(other.news, hex.slice(0, 3))
  one.change(4, d, false)
  assert.deepEqual(other.news, hex, 'nothing waits any more')
  assert.deepEqual(one.news, [], 'who made them knows them')
  await hub.end()
})

/* Goal: one page's change waits for its own, and not for another page's. */
test('a change of a page does not wait for those of another one', async () => {
  const { hub, files } = await begin()
  const [one, two, reader] = [new Page(hub, 'one'), new Page(hub, 'two'), new Page(hub, 'reader')]
  for (const page of [one, two, reader]) await page.open('doc:notes')
  await reader.waitFor('topic')
  const [[mine], [yours]] = (await Promise.all([typed(7, ['x']), typed(8, ['y'])])) as [[Bytes], [Bytes]]
  let release = (): void => undefined
  files.gate = new Promise((resolve) => { release = resolve })
  one.change(1, mine, true)
  two.change(1, yours, false)
  await settled()
  assert.deepEqual(reader.news, [Buffer.from(yours).toString('hex')])
  release()
  for (const end = Date.now() + 10_000; reader.news.length < 2 && Date.now() < end; ) await settled()
  assert.deepEqual(reader.news, [yours, mine].map((update) => Buffer.from(update).toString('hex')))
  await hub.end()
})
