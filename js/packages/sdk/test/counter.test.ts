// Counters in Node over a fake server: what a user sees, and what the supervisors do.
import { afterEach, test } from 'node:test'
import assert from 'node:assert/strict'
import {
  createCounter, loadCore, memoryStorage, LaniakeaError,
  type Counter, type CounterOptions, type ReplicaHold, type ReplicaStorage,
} from '@laniakea/sdk'
import { Engine, type EngineHost } from '../dist/internal/engine.js'
import type { FromEngine, ToEngine } from '../dist/internal/protocol.js'
import { FakeServer, FakeSocket } from './fake_server.ts'

const url = 'http://localhost:1/socket'
const topic = 'crdt:test'

const opened: Counter[] = []

async function open(server: FakeServer, more: Partial<CounterOptions> = {}): Promise<Counter> {
  const counter = await createCounter({ url, topic, webSocket: server.webSocket, ...more })
  opened.push(counter)
  return counter
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((counter) => counter.close()))
})

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + 5_000
  while (!condition()) {
    if (Date.now() > end) assert.fail(`not within 5 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code

test('an increment is seen in the call that makes it, and reaches the server', async () => {
  const server = new FakeServer()
  const counter = await open(server)
  const saved = counter.increment(3)
  assert.equal(counter.value, 3n)
  assert.equal(counter.pending, 3n)
  await saved
  await until('acknowledged', () => counter.pending === 0n)
  assert.equal(server.value, 3)
  assert.equal(counter.status, 'online')
  assert.equal(counter.value, 3n)
})

test('the address is the one that clients of Phoenix would use', async () => {
  const urls: string[] = []
  const server = new FakeServer()
  const webSocket = (given: string) => {
    urls.push(given)
    return server.webSocket(given)
  }
  const counter = await open(server, { webSocket, url: 'https://example.test/a/socket/?token=x' })
  await until('online', () => counter.status === 'online')
  assert.equal(urls[0], 'wss://example.test/a/socket/websocket?token=x&vsn=2.0.0')
})

test('two replicas converge, each with an actor of its own', async () => {
  const server = new FakeServer()
  const a = await open(server)
  const b = await open(server)
  await Promise.all([a.increment(2), b.increment(5)])
  await until('both see 7', () => a.value === 7n && b.value === 7n && a.pending + b.pending === 0n)
  assert.equal(server.counts.size, 2)
})

test('without a server counting goes on, and what waited arrives once when it is back', async () => {
  const server = new FakeServer()
  const counter = await open(server)
  await counter.increment()
  await until('acknowledged', () => counter.pending === 0n)
  server.stop()
  await until('offline', () => counter.status !== 'online')
  for (let i = 0; i < 10; i++) void counter.increment()
  assert.equal(counter.value, 11n)
  assert.equal(counter.pending, 10n)
  server.start()
  await until('acknowledged', () => counter.pending === 0n)
  assert.equal(server.value, 11)
  assert.equal(counter.value, 11n)
})

test('a connection that fails without being closed is tried again as well', async () => {
  const server = new FakeServer()
  server.up = false
  server.failure = 'error'
  const counter = await open(server)
  await until('given up', () => counter.status === 'offline')
  server.start()
  await until('online', () => counter.status === 'online')
})

/* Goal: a reload of the page loses nothing and counts nothing twice. Method: the same storage again. */
test('changes survive their counter and arrive once with the next', async () => {
  const server = new FakeServer()
  server.up = false
  const storage = memoryStorage()
  const first = await open(server, { storage })
  await first.increment(4)
  await first.close()
  server.up = true
  const second = await open(server, { storage })
  assert.equal(second.value, 4n)
  await until('acknowledged', () => second.pending === 0n)
  assert.equal(server.value, 4)
  assert.equal(server.counts.size, 1, 'the same replica')
  await second.increment()
  await until('acknowledged', () => second.pending === 0n)
  assert.equal(server.value, 5)
})

test('two counters on one storage never share an actor', async () => {
  const server = new FakeServer()
  const storage = memoryStorage()
  const first = await open(server, { storage })
  await first.increment()
  await first.close()
  const a = await open(server, { storage })
  const b = await open(server, { storage })
  await Promise.all([a.increment(), b.increment()])
  await until('both have all', () => a.value === 3n && b.value === 3n && a.pending + b.pending === 0n)
  assert.equal(server.counts.size, 2)
})

/* Goal: the changes of two closed pages arrive although only one is opened again. */
test('what other counters left behind is brought home', async () => {
  const server = new FakeServer()
  server.up = false
  const storage = memoryStorage()
  const left = await Promise.all([1, 2, 3].map(() => open(server, { storage })))
  await Promise.all(left.map((counter, i) => counter.increment(10 ** i)))
  await Promise.all(left.map((counter) => counter.close()))
  server.up = true
  const counter = await open(server, { storage })
  await until('all is there', () => counter.value === 111n)
  assert.equal(server.value, 111)
})

/* Goal: nothing reaches the server that would be forgotten here. Method: a storage that waits. */
test('nothing is sent before it is saved', async () => {
  const server = new FakeServer()
  const inner = memoryStorage()
  let open_ = (): void => {}
  const gate = new Promise<void>((resolve) => (open_ = resolve))
  const storage: ReplicaStorage = {
    ...inner,
    acquire: async (scope, resume) => {
      const hold = await inner.acquire(scope, resume)
      return { ...hold, save: (record) => gate.then(() => hold.save(record)) }
    },
  }
  const counter = await open(server, { storage })
  let settled = false
  const saved = counter.increment().then(() => (settled = true))
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(counter.value, 1n)
  assert.equal(settled, false)
  assert.equal(server.received.length, 0)
  open_()
  await saved
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  assert.equal(server.value, 1)
})

/* Goal: a server never gets a message of another connection, and hears of a join first. Method: the connection
 * ends while a merge waits for a slow save; what the next one carries is looked at once the save is done. */
test('what waited for a save is not sent on the next connection', async () => {
  const server = new FakeServer()
  const inner = memoryStorage()
  let gate = Promise.resolve()
  const storage: ReplicaStorage = {
    ...inner,
    acquire: async (scope, resume) => {
      const hold = await inner.acquire(scope, resume)
      return { ...hold, save: (record) => gate.then(() => hold.save(record)) }
    },
  }
  const counter = await open(server, { storage })
  await counter.increment()
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  let open_ = (): void => {}
  gate = new Promise((resolve) => (open_ = resolve))
  void counter.increment()
  await new Promise((resolve) => setTimeout(resolve, 60))
  const before = server.received.length
  server.stop()
  await until('offline', () => counter.status !== 'online')
  server.start()
  await until('connected again', () => server.connections === 1)
  open_()
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  const [join, ...others] = server.received.slice(before)
  assert.equal(join?.[3], 'phx_join')
  for (const [joinRef] of others) assert.equal(joinRef, join?.[0])
  assert.equal(server.value, 2)
})

// Goal: a change in the moment in which a save ends goes into another save. Method: the second change comes any
// number of microtasks after the first, so that one of them hits the moment.
test('a change is saved however close it is to the end of a save', async () => {
  for (let turns = 0; turns < 40; turns++) {
    // A connection in which nothing happens: what happens would lead to other saves.
    const webSocket = (given: string) => new FakeSocket(new FakeServer(), given)
    const counter = await open(new FakeServer(), { webSocket })
    const first = counter.increment()
    for (let i = 0; i < turns; i++) await undefined
    let saved = 0
    void Promise.all([first, counter.increment()]).then(() => (saved = 2), () => {})
    await until(`saved after ${turns} turns`, () => saved === 2)
    await counter.close()
  }
})

test('a storage that fails is told, and tried again', async () => {
  const server = new FakeServer()
  const inner = memoryStorage()
  let failures = 1
  const storage: ReplicaStorage = {
    ...inner,
    acquire: async (scope, resume) => {
      const hold = await inner.acquire(scope, resume)
      const save: ReplicaHold['save'] = async (record) => {
        if (failures-- > 0) throw new Error('the disk is not there')
        await hold.save(record)
      }
      return { ...hold, save }
    },
  }
  const errors: LaniakeaError[] = []
  const counter = await open(server, { storage, onError: (error) => errors.push(error) })
  await counter.increment()
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  assert.deepEqual(errors.map(({ code }) => code), ['LK_ERR_IO'])
  assert.equal(server.value, 1)
})

test('what is no increment is refused and changes nothing', async () => {
  const counter = await open(new FakeServer())
  for (const amount of [0, -1, 1.5, NaN, Infinity, 2 ** 60, 0n, -5n, 2n ** 64n]) {
    await assert.rejects(counter.increment(amount), hasCode('LK_ERR_RANGE'), String(amount))
  }
  assert.equal(counter.value, 0n)
  await counter.increment(2n ** 64n - 1n)
  await assert.rejects(counter.increment(1), hasCode('LK_ERR_OVERFLOW'))
  assert.equal(counter.value, 2n ** 64n - 1n)
})

test('options that make no sense are refused', async () => {
  const server = new FakeServer()
  await assert.rejects(open(server, { url: 'no address' }), hasCode('LK_ERR_INVALID'))
  await assert.rejects(open(server, { url: 'ftp://x/socket' }), hasCode('LK_ERR_INVALID'))
  await assert.rejects(open(server, { topic: '' }), hasCode('LK_ERR_INVALID'))
  await assert.rejects(loadCore({ bytes: new Uint8Array([1, 2, 3]) }), hasCode('LK_ERR_CORRUPT'))
  const empty = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  await assert.rejects(loadCore({ bytes: empty }), hasCode('LK_ERR_VERSION'))
})

test('listeners hear of each change until they leave', async () => {
  const server = new FakeServer()
  const counter = await open(server)
  const values: bigint[] = []
  const leave = counter.subscribe(({ value }) => values.push(value))
  void counter.increment()
  assert.deepEqual(values, [1n])
  const { state } = counter
  assert.equal(counter.state, state, 'the same object until something changes')
  leave()
  void counter.increment()
  assert.deepEqual(values.filter((value) => value === 2n), [])
  await counter.close()
  await assert.rejects(counter.increment(), hasCode('LK_ERR_CLOSED'))
  await until('the connection is closed', () => server.connections === 0)
})

test('a listener that throws is reported, and harms neither other listeners nor increments', async () => {
  const counter = await open(new FakeServer())
  const reported: unknown[] = []
  const seen: bigint[] = []
  const mistake = new Error('of the listener')
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error))
  try {
    const leave = counter.subscribe(() => {
      leave()
      leaveToo()
      throw mistake
    })
    const leaveToo = counter.subscribe(() => seen.push(-1n))
    counter.subscribe(({ value }) => seen.push(value))
    await counter.increment(2)
    await until('reported', () => reported.length > 0)
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
  assert.deepEqual(reported, [mistake])
  assert.equal(seen[0], 2n)
  assert.ok(!seen.includes(-1n)) // its subscription had ended before its turn came
})

test('a server that talks nonsense is left and tried again', async () => {
  const server = new FakeServer()
  let bad = 2
  server.mangle = (text) => (bad-- > 0 ? '{"not":"a message"}' : text)
  const errors: string[] = []
  const counter = await open(server, { onError: ({ code }) => errors.push(code) })
  await counter.increment()
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  assert.equal(server.value, 1)
  assert.deepEqual(errors, ['LK_ERR_BAD_MESSAGE', 'LK_ERR_BAD_MESSAGE'])
})

test('a saved state that cannot be read is set aside, and counting goes on under a new actor', async () => {
  const server = new FakeServer()
  const storage = memoryStorage()
  const first = await open(server, { storage })
  await first.increment()
  await until('acknowledged', () => first.pending === 0n)
  await first.close()
  const hold = await storage.acquire(`ws://localhost:1/socket/websocket?vsn=2.0.0 ${topic}`)
  assert.ok(hold.record)
  await hold.save({ ...hold.record, state: new Uint8Array([9, 9, 9, 9]) })
  hold.release()
  const errors: string[] = []
  const second = await open(server, { storage, onError: ({ code }) => errors.push(code) })
  await second.increment()
  await until('both are there', () => second.value === 2n && second.pending === 0n)
  assert.equal(errors.length, 1)
  assert.equal(server.counts.size, 2)
})

// ---- workers ----

/** A worker without a thread, which breaks down instead of telling a message that `breaksAt` picks. */
function fakeWorker(host: Omit<EngineHost, 'emit'>, breaksAt: (message: FromEngine) => boolean): Worker {
  let gone = false
  const emit = (message: FromEngine): void => {
    if (gone) return
    gone = breaksAt(message)
    if (gone) queueMicrotask(() => worker.onerror?.({ message: 'broken', preventDefault: () => {} }))
    else queueMicrotask(() => worker.onmessage?.({ data: message }))
  }
  const engine = new Engine({ ...host, emit })
  const worker = {
    onmessage: null as ((event: { data: FromEngine }) => void) | null,
    onerror: null as ((event: { message: string; preventDefault: () => void }) => void) | null,
    postMessage: (message: ToEngine) => queueMicrotask(() => gone || engine.handle(message)),
    terminate: () => {
      gone = true
      engine.handle({ kind: 'close' })
    },
  }
  return worker as unknown as Worker
}

/* Goal: the page posts again what it does not know to be saved, and that may be saved already. Method: the worker
 * breaks down between the save and the message that tells of it. */
test('an increment that was saved by a worker that broke down counts once', async () => {
  const server = new FakeServer()
  const storage = memoryStorage()
  const host = { storage: () => storage, webSocket: server.webSocket }
  let workers = 0
  const worker = (): Worker => {
    const first = workers++ === 0
    return fakeWorker(host, (message) => first && message.kind === 'state' && message.durable === 1)
  }
  const errors: string[] = []
  const counter = await createCounter({ url, topic, worker, onError: ({ code }) => errors.push(code) })
  opened.push(counter)
  await counter.increment(3)
  await counter.increment() // comes behind the one that is posted again
  assert.equal(workers, 2)
  assert.equal(counter.value, 4n)
  await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
  assert.equal(server.value, 4)
  assert.equal(server.counts.size, 1, 'the same replica')
  assert.deepEqual(errors, ['LK_ERR_TRAP'])
})

// ---- traps ----

/** Lets the core trap in `name` when `when()` says so. */
function trapIn(name: string, when: () => boolean): () => void {
  const { Instance } = WebAssembly
  const patched = function (module: WebAssembly.Module): WebAssembly.Instance {
    const { exports } = new Instance(module)
    const original = exports[name] as (...args: unknown[]) => unknown
    const trapping = (...args: unknown[]): unknown => {
      if (when()) throw new WebAssembly.RuntimeError('unreachable')
      return original(...args)
    }
    return { exports: { ...exports, [name]: trapping } }
  }
  WebAssembly.Instance = patched as unknown as typeof Instance
  return () => (WebAssembly.Instance = Instance)
}

test('a core that traps is replaced, and nothing that was counted is lost', async () => {
  let traps = 0
  const restore = trapIn('peer_increment', () => traps-- > 0)
  try {
    const server = new FakeServer()
    const errors: string[] = []
    const counter = await open(server, { onError: ({ code }) => errors.push(code) })
    await counter.increment(5)
    traps = 1
    await counter.increment(2)
    assert.equal(counter.value, 7n)
    await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
    assert.equal(server.value, 7)
    assert.deepEqual(errors, ['LK_ERR_TRAP'])
    traps = 2
    await assert.rejects(counter.increment(100), hasCode('LK_ERR_TRAP'))
    assert.equal(counter.value, 7n)
    await counter.increment()
    await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
    assert.equal(server.value, 8)
  } finally {
    restore()
  }
})

test('an increment counts once where the core traps after it was copied', async () => {
  let traps = 0
  const restore = trapIn('peer_value', () => traps-- > 0)
  try {
    const server = new FakeServer()
    const counter = await open(server)
    await until('online', () => counter.status === 'online')
    traps = 1
    await counter.increment(2)
    assert.equal(counter.value, 2n)
    await until('acknowledged', () => counter.pending === 0n && counter.status === 'online')
    assert.equal(server.value, 2)
  } finally {
    restore()
  }
})

test('a core that traps again and again ends its counter, whose replica the next one takes', async () => {
  const storage = memoryStorage()
  const server = new FakeServer()
  server.stop()
  let traps = false
  const restore = trapIn('peer_increment', () => traps)
  try {
    const broken = await open(server, { storage })
    await broken.increment(3)
    traps = true
    for (let i = 0; i < 7; i++) await assert.rejects(broken.increment(), hasCode('LK_ERR_TRAP'))
    traps = false
    await takeOver(server, storage, broken)
  } finally {
    restore()
  }
})

async function takeOver(server: FakeServer, storage: ReplicaStorage, broken: Counter): Promise<void> {
  const next = await open(server, { storage })
  assert.equal(next.value, 3n)
  await broken.close()
  // Closing the broken one gave nothing away a second time.
  const other = await open(server, { storage })
  assert.equal(other.value, 0n)
}

test('a server whose messages trap is left alone for a while, and counting goes on', async () => {
  const restore = trapIn('peer_receive', () => true)
  try {
    const server = new FakeServer()
    const errors: string[] = []
    const counter = await open(server, { onError: ({ code }) => errors.push(code) })
    await until('given up', () => errors.length === 6)
    await counter.increment()
    await new Promise((resolve) => setTimeout(resolve, 400))
    assert.equal(errors.length, 6)
    assert.equal(server.connections, 0)
    assert.equal(counter.value, 1n)
  } finally {
    restore()
  }
})
