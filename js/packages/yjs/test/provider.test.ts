// PhoenixProvider with a server that does what real ones do seldom: answers late, not at all, or with what nobody expects.
import { test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { PhoenixProvider, memory, type JoinReply, type Persistence, type PhoenixProviderOptions } from '@laniakea/yjs'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness'
import { FakeSocket, type FakeChannel, type FakePush } from './fake_socket.ts'

const EMPTY_VECTOR = 'AA=='
const reply = (more: Partial<JoinReply> = {}): JoinReply => ({ history: [], state_vector: EMPTY_VECTOR, generation: '00000000000000aa', access: 'write', durability: 'memory', encoding: 'binary', ...more })

interface Stage {
  readonly socket: FakeSocket
  readonly doc: Y.Doc
  readonly provider: PhoenixProvider
  readonly channel: FakeChannel
  readonly told: unknown[]
}

function stage(t: TestContext, options: Partial<PhoenixProviderOptions> = {}): Stage {
  const socket = new FakeSocket()
  const { doc = new Y.Doc() } = options
  const provider = new PhoenixProvider({ socket, topic: 'doc:x', awareness: null, ...options, doc })
  const told: unknown[] = []
  for (const event of ['read_only', 'replica_refused', 'diverged', 'refused'] as const) provider.on(event, (refusal) => void told.push([event, refusal]))
  t.after(() => doc.destroy())
  return { socket, doc, provider, channel: socket.channels[0]!, told }
}

const updateOf = (payload: ArrayBuffer | { b64: string }): Uint8Array =>
  payload instanceof ArrayBuffer ? new Uint8Array(payload) : new Uint8Array(Buffer.from(payload.b64, 'base64'))

/** What a server would have that took in these updates. */
function readAll(channel: FakeChannel): string {
  const doc = new Y.Doc()
  for (const { payload } of channel.updates()) Y.applyUpdate(doc, updateOf(payload))
  const text = doc.getText('t').toString()
  doc.destroy()
  return text
}

test('a join names what is here and how the transport reads', (t) => {
  const { socket, channel, doc } = stage(t, { params: () => ({ token: 'abc' }) })
  assert.deepEqual(channel.askParams(), { token: 'abc', encoding: 'binary', state_vector: { b64: EMPTY_VECTOR } })
  channel.joinPush.answer('ok', reply())
  assert.equal('generation' in channel.askParams(), false) // an empty document fits any
  channel.joinPush.answer('ok', reply())
  doc.getText('t').insert(0, 'x')
  socket.conn = { pollEndpoint: 'http://x' }
  const { encoding, generation, state_vector } = channel.askParams()
  assert.deepEqual([encoding, generation], ['base64', '00000000000000aa'])
  assert.deepEqual(new Uint8Array(Buffer.from(state_vector.b64, 'base64')), Y.encodeStateVector(doc))
  socket.conn = {}
  socket.vsn = '1.0.0'
  assert.equal(channel.askParams().encoding, 'base64')
})

test('history and updates are read in every dress', (t) => {
  const { channel, doc } = stage(t)
  const others = [1, 2, 3, 4].map((client) => {
    const other = new Y.Doc()
    other.clientID = client
    other.getText('t').insert(0, String(client))
    return Y.encodeStateAsUpdate(other)
  })
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  channel.joinPush.answer('ok', reply({ history: [base64(others[0]!), [...others[1]!]] }))
  channel.trigger('server_update', others[2]!.slice().buffer)
  channel.trigger('server_update', { bin: [...others[3]!] })
  channel.trigger('server_update', { b64: base64(others[3]!) })
  channel.trigger('server_update', { nothing: true })
  channel.trigger('awareness', {})
  assert.equal([...doc.getText('t').toString()].sort().join(''), '1234')
})

test('it is synced when the first update is answered, and pending until the last is', (t) => {
  const { channel, doc, provider } = stage(t)
  const seen: unknown[] = []
  provider.on('sync', (synced) => seen.push(synced))
  provider.on('pending', (pending) => seen.push({ pending }))
  doc.getText('t').insert(0, 'a')
  channel.joinPush.answer('ok', reply())
  assert.deepEqual([provider.status, provider.synced, provider.pending], ['connected', false, true])
  doc.getText('t').insert(1, 'b')
  doc.getText('t').insert(2, 'c')
  assert.equal(channel.updates().length, 1)
  channel.updates()[0]!.answer('ok')
  assert.deepEqual([provider.synced, provider.pending, channel.updates().length], [true, true, 2])
  channel.updates()[1]!.answer('ok')
  assert.deepEqual(seen, [{ pending: true }, true, { pending: false }])
  assert.equal(readAll(channel), 'abc')
})

test('what is not answered is sent again', (t) => {
  const { channel, doc, provider } = stage(t)
  channel.joinPush.answer('ok', reply())
  channel.updates()[0]!.answer('ok')
  doc.getText('t').insert(0, 'a')
  channel.updates()[1]!.answer('timeout')
  doc.getText('t').insert(1, 'b')
  assert.equal(channel.updates().length, 3)
  assert.deepEqual(channel.updates()[2]!.payload, channel.updates()[1]!.payload)
  channel.updates()[2]!.answer('ok')
  channel.updates()[3]!.answer('ok')
  assert.equal(provider.pending, false)
  assert.equal(readAll(channel), 'ab')
})

test('answers to an earlier connection change nothing', (t) => {
  const { socket, channel, doc, provider } = stage(t)
  channel.joinPush.answer('ok', reply())
  channel.updates()[0]!.answer('ok')
  doc.getText('t').insert(0, 'a')
  const [, lost] = channel.updates()
  socket.close({ code: 1006 })
  assert.deepEqual([provider.status, provider.synced], ['disconnected', false])
  doc.getText('t').insert(1, 'b')
  lost!.answer('ok')
  lost!.answer('timeout')
  lost!.answer('error', { reason: 'replica_refused' })
  assert.deepEqual([provider.pending, channel.updates().length], [true, 2])
  channel.askParams()
  assert.equal(provider.status, 'connecting')
  channel.joinPush.answer('ok', reply())
  assert.equal(channel.updates().length, 3)
  const server = new Y.Doc()
  Y.applyUpdate(server, updateOf(channel.updates()[2]!.payload))
  assert.equal(server.getText('t').toString(), 'ab')
})

test('a refusal that may pass is tried again, ever later', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { channel, doc, provider, told } = stage(t)
  channel.joinPush.answer('ok', reply())
  doc.getText('t').insert(0, 'a')
  const waits = [1000, 2000, 4000, 8000, 16000, 30000, 30000]
  for (const [i, wait] of waits.entries()) {
    channel.updates()[i]!.answer('error', { reason: 'LK_ERR_NOMEM' })
    t.mock.timers.tick(wait - 1)
    assert.equal(channel.updates().length, i + 1)
    t.mock.timers.tick(1)
    assert.equal(channel.updates().length, i + 2)
  }
  assert.equal(told.length, waits.length)
  assert.deepEqual(told[0], ['refused', { reason: 'LK_ERR_NOMEM' }])
  channel.updates().at(-1)!.answer('ok')
  channel.updates().at(-1)!.answer('ok')
  assert.equal(provider.pending, false)
  assert.equal(readAll(channel), 'a')
})

test('what waits for another try is dropped with its connection', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { socket, channel, provider } = stage(t)
  channel.joinPush.answer('ok', reply())
  channel.updates()[0]!.answer('error', { reason: 'LK_ERR_NOMEM' })
  socket.close({ code: 1006 })
  t.mock.timers.tick(60_000)
  assert.equal(channel.updates().length, 1)
  assert.equal(provider.status, 'disconnected')
})

for (const [reason, event, refusal] of [
  ['read_only', 'read_only', { reason: 'read_only' }],
  ['replica_refused', 'replica_refused', { reason: 'replica_refused', error: 'LK_ERR_LIMIT', limit: 'doc_depth' }],
  ['too big', 'replica_refused', { reason: 'LK_ERR_TOO_BIG' }],
] as const) {
  test(`after "${reason}" nothing more is sent, until the next connection`, (t) => {
    const { channel, doc, provider, told } = stage(t)
    channel.joinPush.answer('ok', reply())
    doc.getText('t').insert(0, 'a')
    channel.updates()[0]!.answer('error', refusal)
    doc.getText('t').insert(1, 'b')
    assert.equal(channel.updates().length, 1)
    assert.deepEqual(told, [[event, refusal]])
    assert.deepEqual([provider.pending, provider.synced], [true, true])
    channel.trigger('phx_error', { reason: 'restarted' })
    channel.joinPush.answer('ok', reply())
    assert.equal(channel.updates().length, 2)
  })
}

test('a join that is refused is told each time and may succeed later', (t) => {
  const { channel, provider, told } = stage(t)
  channel.joinPush.answer('error', { reason: 'unauthorized' })
  assert.equal(provider.status, 'disconnected')
  channel.askParams()
  channel.joinPush.answer('error', { reason: 'unauthorized' })
  channel.askParams()
  channel.joinPush.answer('ok', reply())
  assert.equal(provider.status, 'connected')
  assert.deepEqual(told.map(([event]: any) => event), ['refused', 'refused'])
})

test('a document that diverged is left, and connect() asks again', (t) => {
  const { socket, channel, provider, told } = stage(t)
  const refusal = { reason: 'diverged', generation: '00000000000000bb' }
  channel.joinPush.answer('error', refusal)
  assert.deepEqual(told, [['diverged', refusal]])
  assert.deepEqual([provider.status, channel.hasLeft], ['disconnected', true])
  provider.connect()
  assert.equal(socket.channels.length, 2)
  channel.joinPush.answer('ok', reply()) // too late
  assert.equal(provider.status, 'connecting')
})

test('a channel that the server closes is not joined again by itself', (t) => {
  const { channel, provider } = stage(t)
  channel.joinPush.answer('ok', reply())
  channel.trigger('phx_close', {})
  assert.equal(provider.status, 'disconnected')
  provider.connect()
  assert.equal(provider.status, 'connecting')
})

test('a listener that disconnects while it joins is obeyed', (t) => {
  const { channel, provider } = stage(t)
  provider.on('status', ({ status }) => status === 'connected' && provider.disconnect())
  channel.joinPush.answer('ok', reply())
  assert.deepEqual([provider.status, channel.updates().length, channel.hasLeft], ['disconnected', 0, true])
})

test('a connection that is closed for a message too big comes back without it', (t) => {
  const { socket, channel, doc, told } = stage(t)
  channel.joinPush.answer('ok', reply())
  channel.updates()[0]!.answer('ok')
  doc.getText('t').insert(0, 'x'.repeat(100_000))
  socket.close({ code: 1009 })
  assert.deepEqual(told, [['replica_refused', { reason: 'replica_refused', error: 'LK_ERR_TOO_BIG' }]])
  channel.joinPush.answer('ok', reply())
  assert.deepEqual(updateOf(channel.updates().at(-1)!.payload), Uint8Array.of(0, 0))
})

test('the generation is kept before what it brings, and named when a page comes back', async (t) => {
  const log: string[] = []
  const inner = memory()
  const place: Persistence = {
    ...inner,
    append: (update) => (log.push('append'), inner.append(update)),
    setGeneration: (generation) => (log.push('generation'), inner.setGeneration(generation)),
  }
  const first = stage(t, { persistence: place })
  assert.equal(first.channel, undefined) // it is loading
  await first.provider.whenLoaded
  await Promise.resolve()
  const other = new Y.Doc()
  other.getText('t').insert(0, 'hello')
  first.socket.channels[0]!.joinPush.answer('ok', reply({ history: [[...Y.encodeStateAsUpdate(other)]] }))
  await first.provider.destroy()
  assert.deepEqual(log, ['generation', 'append'])
  const second = stage(t, { persistence: place })
  await second.provider.whenLoaded
  await Promise.resolve()
  assert.equal(second.doc.getText('t').toString(), 'hello')
  assert.equal(second.socket.channels[0]!.askParams().generation, '00000000000000aa')
  assert.equal(second.provider.pending, true) // whether the server has it all is not known yet
  await second.provider.destroy()
  assert.deepEqual(log, ['generation', 'append']) // what was loaded is not written again
})

test('writes that fail are tried again with the next change', async (t) => {
  let isBroken = true
  const inner = memory()
  const place: Persistence = { ...inner, append: async (update) => (isBroken ? Promise.reject(new Error('full')) : inner.append(update)) }
  const { provider, doc } = stage(t, { persistence: place })
  const errors: unknown[] = []
  provider.on('persistence-error', (error) => errors.push(error))
  await provider.whenLoaded
  doc.getText('t').insert(0, 'a')
  await new Promise((resolve) => setTimeout(resolve, 1))
  assert.equal(errors.length, 1)
  isBroken = false
  doc.getText('t').insert(1, 'b')
  await provider.destroy()
  const { updates } = await inner.load()
  const kept = new Y.Doc()
  for (const update of updates) Y.applyUpdate(kept, update)
  assert.equal(kept.getText('t').toString(), 'ab')
})

test('awareness goes out one message at a time, and once more when the server asks', (t) => {
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  const { channel, provider } = stage(t, { doc, awareness })
  const shown = (): FakePush[] => channel.pushes.filter(({ event }) => event === 'awareness')
  const other = new Awareness(new Y.Doc())
  const read = (push: FakePush): unknown => {
    applyAwarenessUpdate(other, updateOf(push.payload), 'test')
    return other.getStates().get(doc.clientID)
  }
  awareness.setLocalState({ n: 0 })
  assert.equal(shown().length, 0)
  channel.joinPush.answer('ok', reply())
  assert.deepEqual(shown().map(read), [{ n: 0 }])
  for (let n = 1; n < 10; n++) awareness.setLocalState({ n })
  assert.equal(shown().length, 1)
  shown()[0]!.answer('ok')
  assert.deepEqual(read(shown()[1]!), { n: 9 })
  shown()[1]!.answer('timeout')
  assert.equal(shown().length, 2)
  channel.trigger('awareness', { b64: 'AA==' })
  assert.equal(shown().length, 3)
  shown()[2]!.answer('error')

  // Somebody took us to have gone.
  channel.trigger('awareness', { bin: [...encodeAwarenessUpdate(awareness, [doc.clientID], new Map())] })
  assert.deepEqual(read(shown()[3]!), { n: 9 })
  void provider.destroy()
  awareness.setLocalState({ n: 10 })
  assert.equal(shown().length, 4)
  assert.equal((awareness as unknown as { _observers: Map<string, Set<unknown>> })._observers.get('update')?.size ?? 0, 0)
  doc.destroy()
  other.doc.destroy()
})

test('a provider that is destroyed says and does nothing more', async (t) => {
  const { socket, channel, provider, doc } = stage(t)
  channel.joinPush.answer('ok', reply())
  const seen: unknown[] = []
  provider.on('status', ({ status }) => seen.push(status))
  await provider.destroy()
  await provider.destroy()
  provider.connect()
  doc.getText('t').insert(0, 'x')
  channel.trigger('server_update', { bin: [0, 0] })
  assert.equal(socket.channels.length, 1)
  assert.deepEqual(seen, ['disconnected'])
  assert.equal(channel.updates().length, 1)
})
