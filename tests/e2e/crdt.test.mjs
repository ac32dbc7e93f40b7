// Objects of the catalogue over the wire: phoenix.js on one side, replicas of the SDK on the other.
//
// Goal: each operation of types.def works from a real client; a replica that merges what the server says reads the same, and
// the server reads what the replica made; nothing of it is lost or done twice over reconnects and restarts.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Socket } from 'phoenix'
import { createCrdts } from '../../js/packages/sdk/dist/node.js'
import { Program, root } from './program.mjs'

const types = [...readFileSync(`${root}/src/crdt/types.def`, 'utf8').matchAll(/^CRDT_TYPE\((\w+), \d+, \w+, "([^"]*)"/gm)]
  .map(([, type, operations]) => ({
    type,
    operations: operations.split(';').map((one) => {
      const [, name, inside] = /(\w+)\((.*)\)/.exec(one)
      return { name, args: inside === '' ? [] : inside.split(',').map((argument) => argument.trim().split(': ')) }
    })
  }))
const samples = { u64: 3, u32: 0, json: { a: ['<b>', 1] }, text: 'some', actor: 'bob' }

const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64'))
const textOf = (bytes) => Buffer.from(bytes).toString('base64')
const reply = (push) => new Promise((resolve, reject) =>
  push.receive('ok', resolve).receive('error', (response) => reject(Object.assign(new Error(JSON.stringify(response)), { response }))))
const refused = async (push) => reply(push).then(() => assert.fail('it was not refused'), ({ response }) => response)

const server = new Program()
const sockets = []
before(() => server.start())
after(async () => {
  for (const socket of sockets) socket.disconnect()
  await server.dispose()
})

function open(topic, params = {}) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, { transport: WebSocket, reconnectAfterMs: () => 50, rejoinAfterMs: () => 50 })
  sockets.push(socket)
  socket.connect()
  const channel = socket.channel(topic, params)
  return { socket, channel }
}

async function join(topic, params) {
  const { socket, channel } = open(topic, params)
  return { socket, channel, joined: await reply(channel.join()) }
}

describe('objects of the catalogue', () => {
  for (const { type, operations } of types) {
    test(`${type}: every operation, and a replica that hears of it`, async () => {
      const crdts = await createCrdts()
      const here = crdts.create(type)
      const { channel, joined } = await join(`crdt:${type}`, { type })
      assert.equal(joined.type, type)
      here.merge(bytesOf(joined.state))
      const watcher = await join(`crdt:${type}`)
      watcher.channel.on('state_updated', ({ delta }) => here.merge(bytesOf(delta)))
      const payloadOf = ({ args }) => Object.fromEntries(args.map(([name, kind]) => [name, samples[kind]]))
      const command = (operation, at) => reply(channel.push(`crdt.${operation.name}`,
        { type: `crdt.${operation.name}`, payload: { ...payloadOf(operation), ...at }, request_id: crypto.randomUUID(), timestamp: Date.now() }))
      if (type === 'ormap') await command({ name: 'add', args: [['element', 'json']] }, { at: [['orset', 'tags']] })
      for (let i = 0; i < 4; i++) await command(operations[0])
      for (const operation of operations) await command(operation)
      const { value, state } = await reply(channel.push('crdt.get', {}))
      const there = crdts.create(type)
      there.merge(bytesOf(state))
      while (here.digest() !== there.digest()) await new Promise((resolve) => setTimeout(resolve, 10))
      const plain = (one) => JSON.parse(JSON.stringify(one, (_, v) => (typeof v === 'bigint' ? Number(v) : v)))
      assert.deepEqual(plain(here.value), value)
    })
  }

  test('replicas push what they made', async () => {
    const crdts = await createCrdts()
    const mine = crdts.create('orset')
    const { channel } = await join('crdt:pushed', { type: 'orset' })
    const { value, level } = await reply(channel.push('crdt.merge', { delta: textOf(mine.add('a')) }))
    assert.deepEqual({ value, level }, { value: ['a'], level: 'durable' })
    mine.add('b')
    assert.deepEqual((await reply(channel.push('crdt.merge', { state: JSON.parse(mine.encodeJson()) }))).value, ['a', 'b'])
  })

  test('a command is done once under its request_id, over connections and restarts', async () => {
    const command = { payload: { amount: 5 }, request_id: crypto.randomUUID() }
    for (let i = 0; i < 3; i++) {
      const { channel } = await join('crdt:once', { type: 'pncounter' })
      assert.equal((await reply(channel.push('crdt.increment', command))).value, 5)
      if (i === 1) {
        await server.stop()
        await server.start()
      }
    }
  })

  test('a key keeps its type, and errors say which field is wrong', async () => {
    const { channel } = await join('crdt:typed', { type: 'lww' })
    await reply(channel.push('crdt.set', { payload: { value: 'x' } }))
    const other = open('crdt:typed', { type: 'orset' })
    const { reason, field } = await refused(other.channel.join())
    assert.deepEqual({ reason, field }, { reason: 'type_mismatch', field: 'type' })
    other.channel.leave()
    assert.equal((await refused(channel.push('crdt.set', { payload: {} }))).field, 'payload.value')
    assert.equal((await refused(channel.push('crdt.add', { payload: { element: 1 } }))).field, 'type')
    assert.equal((await reply(channel.push('crdt.get', {}))).value, 'x')
  })

  test('the first clients have their counter', async () => {
    const { channel, joined } = await join('counter:likes')
    assert.deepEqual({ ...joined.state }, { value: 0, counts: {} })
    const told = new Promise((resolve) => channel.on('state_updated', resolve))
    await reply(channel.push('increment', { node_id: 'user_123' }))
    const { value, counts } = await told
    assert.equal(value, 1)
    assert.deepEqual(Object.values(counts), [1])
  })

  for (const type of ['gcounter', 'pncounter']) {
    test(`counter:<id> and crdt:<id> are one ${type}, each in its own words`, async () => {
      const crdts = await createCrdts()
      const replica = crdts.create(type)
      const modern = await join(`crdt:shared-${type}`, { type })
      const first = await join(`counter:shared-${type}`)
      replica.merge(bytesOf(modern.joined.state))
      modern.channel.on('state_updated', ({ delta }) => replica.merge(bytesOf(delta)))
      const values = []
      first.channel.on('state_updated', ({ value }) => values.push(value))
      assert.equal((await reply(first.channel.push('increment', { node_id: 'ann' }))).value, 1)
      assert.equal((await reply(modern.channel.push('crdt.increment', { payload: { amount: 4 } }))).value, 5)
      await reply(modern.channel.push('crdt.merge', { delta: textOf(replica.increment(2)) }))
      while (values.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
      assert.deepEqual(values, [1, 5, 7])
      assert.equal(Number(replica.value), 7)
      const { state } = (await join(`counter:shared-${type}`)).joined
      assert.equal(state.value, 7)
      assert.equal(state.counts === undefined ? 7 : Object.values(state.counts).reduce((a, b) => a + b), 7)
    })
  }

  test('counter:<id> of what does not count is refused', async () => {
    await join('crdt:words', { type: 'orset' })
    const { channel } = open('counter:words')
    assert.equal((await refused(channel.join())).reason, 'type_mismatch')
    channel.leave()
  })

  test('a page of a counter shows it, with a form, and no script', async () => {
    const { channel } = await join('crdt:page')
    await reply(channel.push('crdt.increment', { payload: { amount: 8 } }))
    const { html } = await reply(channel.push('render', {}))
    assert.match(html, /<output aria-live="polite">8<\/output><form method="post">.*name="amount"/)
  })
})
