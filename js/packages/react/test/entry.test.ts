// Topics that components share, from the first to the last, without a page: clocks are ours, and the client opens what and when the
// test says.
import { beforeEach, test, type TestContext } from 'node:test'
import assert from 'node:assert/strict'
import type { Client, PresenceState, Topic } from '@laniakea/sdk'
import { OPENING, type Kind } from '../src/internal/entry.ts'
import { GRACE_MS } from '../src/internal/held.ts'
import { ownSource, Source } from '../src/internal/source.ts'

const log: string[] = []
beforeEach(() => void log.splice(0))

interface Fake extends Topic {
  readonly changes: string[]
  tell(state: PresenceState): void
}

/** A client whose topics open when open() is called, or fail. */
function fakeClient(): { readonly client: Client; open(): Promise<void>; fail(error: Error): Promise<void>; readonly topics: Fake[] } {
  const waiting: { resolve(topic: Fake): void; reject(error: Error): void }[] = []
  const topics: Fake[] = []
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const made = (): Fake => {
    const changes: string[] = []
    const listeners = new Set<(state: PresenceState) => void>()
    const topic = {
      changes, status: { ...OPENING, state: 'joined' }, onStatus: () => () => {},
      presence: {
        state: {},
        subscribe: (listener: (state: PresenceState) => void) => (listeners.add(listener), () => listeners.delete(listener)),
        show: (key: string, meta: unknown) => log.push(`show ${key} ${JSON.stringify(meta)}`),
        hide: (key: string) => log.push(`hide ${key}`),
      },
      tell: (state: PresenceState) => listeners.forEach((listener) => listener(state)),
      close: async () => void log.push(`leave ${changes.join(' ')}`.trim()),
    } as unknown as Fake
    topics.push(topic)
    return topic
  }
  const client = {
    status: { state: 'online' }, onStatus: () => () => {},
    channel: (name: string) => new Promise<Fake>((resolve, reject) => {
      log.push(`join ${name}`)
      waiting.push({ resolve, reject })
    }),
    close: async () => void log.push('close'),
  } as unknown as Client
  return {
    client, topics,
    open: async () => {
      await turn()
      waiting.shift()!.resolve(made())
      await turn()
    },
    fail: async (error) => {
      await turn()
      waiting.shift()!.reject(error)
      await turn()
    },
  }
}

const KIND: Kind<Fake, { readonly topic: Fake | undefined }> = {
  id: 'plain',
  open: (client, name) => client.channel(name) as Promise<Fake>,
  watch: () => () => {},
  result: (_, topic) => ({ topic }),
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const clocks = (t: TestContext): ((ms: number) => Promise<void>) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return async (ms) => {
    t.mock.timers.tick(ms)
    await turn()
  }
}
const sourceFor = (client: Client): Source => new Source(() => client, true, (error) => log.push(String(error)))
const change = (what: string) => (topic: Fake): void => void topic.changes.push(what)

test('who comes back within the grace finds the topic, and after it joins again', async (t) => {
  const pass = clocks(t)
  const { client, open } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  const first = entry.acquire()
  await open()
  first()
  first() // once
  await pass(GRACE_MS - 1)
  const [second, third] = [entry.acquire(), entry.acquire()]
  await pass(GRACE_MS * 2)
  second()
  await pass(GRACE_MS * 2)
  assert.deepEqual(log, ['join a'])
  third()
  await pass(GRACE_MS)
  assert.deepEqual(log, ['join a', 'leave'])
  await pass(GRACE_MS)
  assert.deepEqual(log, ['join a', 'leave', 'close'])
  entry.acquire()
  await open()
  assert.deepEqual(log.slice(3), ['join a'])
})

test('what is changed while the topic opens arrives in order, also when everybody is gone before', async (t) => {
  const pass = clocks(t)
  const { client, open } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  entry.run(change('1'))
  const release = entry.acquire()
  entry.run((topic) => {
    change('2')(topic)
    entry.run(change('3')) // within a change: now
  })
  release()
  await pass(GRACE_MS * 10)
  entry.run(change('5')) // the next life has begun, and asks for the topic as well
  await open()
  assert.deepEqual(log, ['join a', 'join a', 'leave 1 2 3 5'])
  await open()
  await pass(GRACE_MS)
  assert.deepEqual(log.slice(3), ['leave'])
  await pass(GRACE_MS)
  assert.deepEqual(log.slice(4), ['close'])
})

test('a change that throws is reported, and holds up no other', async () => {
  const { client, open, topics } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  entry.acquire()
  entry.run(() => {
    throw new Error('too much')
  })
  entry.run(change('2'))
  await open()
  assert.deepEqual(log, ['join a', 'Error: too much'])
  assert.deepEqual(topics[0]!.changes, ['2'])
  assert.throws(() => entry.run(() => {
    throw new Error('now')
  }), /now/)
})

test('a topic that failed throws what was wrong, keeps what was to be changed, and is tried again by who comes next', async (t) => {
  const pass = clocks(t)
  const { client, open, fail, topics } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  const told: unknown[] = []
  const release = entry.subscribe(() => told.push(entry.getStatus().state))
  entry.run(change('1'))
  await fail(new Error('another type'))
  assert.deepEqual(told, ['failed'])
  assert.throws(() => entry.getResult(), /another type/)
  release()
  assert.deepEqual(entry.getResult(), { topic: undefined })
  assert.equal(entry.getStatus(), OPENING)
  entry.acquire()
  await open()
  await pass(GRACE_MS * 2)
  assert.deepEqual(log, ['join a', 'join a'])
  assert.deepEqual(topics[0]!.changes, ['1'])
  assert.equal(entry.getResult().topic, topics[0])
})

test('presence is asked for when somebody wants it, and tells of what changed', async () => {
  const { client, open, topics } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  entry.acquire()
  await open()
  let told = 0
  entry.subscribePresence(() => told++)
  const ada = { ada: { metas: [{ phx_ref: '1' }] } }
  topics[0]!.tell(ada)
  topics[0]!.tell(structuredClone(ada))
  assert.equal(told, 1)
  assert.equal(entry.getPresent(), ada)
})

test('what is shown is hidden a moment after the last one who shows it is gone', async (t) => {
  const pass = clocks(t)
  const { client, open } = fakeClient()
  const entry = sourceFor(client).entry('a', KIND)
  const first = entry.show('ada', { color: 'red' })
  await open()
  first()
  const second = entry.show('ada', { color: 'red' })
  await pass(GRACE_MS)
  const third = entry.show('ada', { color: 'blue' })
  second()
  await pass(GRACE_MS)
  assert.deepEqual(log, ['join a', 'show ada {"color":"red"}', 'show ada {"color":"blue"}'])
  third()
  await pass(GRACE_MS)
  assert.deepEqual(log.slice(3), ['hide ada'])
  await pass(GRACE_MS)
  assert.deepEqual(log.slice(4), ['leave'])
})

test('topics that nobody holds are forgotten, and a client that is not ours is not closed', async (t) => {
  const pass = clocks(t)
  const { client, open } = fakeClient()
  const source = new Source(() => client, false, () => {})
  const entry = source.entry('a', KIND)
  assert.equal(source.entry('a', KIND), entry)
  const release = entry.acquire()
  await open()
  assert.equal(source.client, client)
  release()
  await pass(GRACE_MS)
  assert.notEqual(source.entry('a', KIND), entry)
  await pass(GRACE_MS)
  assert.equal(source.client, undefined)
  assert.deepEqual(log, ['join a', 'leave'])
})

test('in Node a client of its own is made with the latest token, and closed', async () => {
  const options = { url: 'ws://127.0.0.1:1/socket', token: () => (log.push('old'), 'x') }
  let latest = options
  const source = ownSource(() => latest)
  latest = { ...options, token: () => (log.push('new'), 'x') }
  const release = source.subscribe(() => {})
  const client = await source.opening
  assert.equal(client.status.storage, 'memory')
  for (const end = Date.now() + 5_000; log.length === 0 && Date.now() < end;) await turn()
  assert.deepEqual(log, ['new'])
  release()
  for (const end = Date.now() + 5_000; Date.now() < end && await client.crdt('crdt:x', 'lww').then((topic) => topic.close().then(() => true), () => false);) await turn()
  await assert.rejects(client.crdt('crdt:y', 'lww'), /closed/)
})
