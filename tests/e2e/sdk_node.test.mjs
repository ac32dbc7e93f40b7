// tests/e2e/sdk_node.test.mjs -- @laniakea/sdk in Node, over a real socket to the real program.
//
//   node --test tests/e2e/sdk_node.test.mjs
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { createCounter, memoryStorage } from '@laniakea/sdk'
import { Program } from './program.mjs'

const server = new Program()
before(() => server.start())
after(() => server.dispose())

function until(counter, condition) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`stayed at ${JSON.stringify(counter.state, (_, x) => String(x))}`)), 15_000)
    const check = () => {
      if (!condition(counter.state)) return
      clearTimeout(timer)
      leave()
      resolve()
    }
    const leave = counter.subscribe(check)
    queueMicrotask(check)
  })
}

const settled = (value) => (state) => state.value === value && state.pending === 0n && state.status === 'online'

test('two Nodes count through a restart of the server', async () => {
  const storage = memoryStorage()
  const open = () => createCounter({ url: `${server.url}/socket`, topic: 'crdt:node', storage })
  const [a, b] = await Promise.all([open(), open()])
  for (let i = 0; i < 100; i++) void a.increment()
  await b.increment(1000)
  await Promise.all([until(a, settled(1100n)), until(b, settled(1100n))])
  await server.stop()
  await a.increment(5)
  assert.equal(a.value, 1105n)
  await a.close()
  await server.start()
  await until(b, settled(1105n)) // b brings home what a left
  const c = await open()
  await Promise.all([until(b, settled(1105n)), until(c, settled(1105n))])
  await Promise.all([b.close(), c.close()])
})
