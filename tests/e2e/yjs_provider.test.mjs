// tests/e2e/yjs_provider.test.mjs -- @laniakea/yjs, with the real program and the npm package phoenix.
//
//   node --test tests/e2e/yjs_provider.test.mjs        after tools/build_js.mjs; LK_SEED=7 repeats a run
//
// Goal: Y.Docs agree, whatever becomes of connections, processes and pages; who is refused is told why and loses nothing.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LongPoll, Socket } from 'phoenix'
import { WebSocket } from 'ws'
import { WebsocketProvider as TheirProvider } from 'y-websocket'
import * as Y from 'yjs'
import { PhoenixProvider, memory } from '@laniakea/yjs'
import { Program } from './program.mjs'

const seed = Number(process.env.LK_SEED ?? Date.now() % 1_000_000)
let state = seed
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / (1 << 24)
const below = (count) => Math.floor(random() * count)
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const program = new Program('--versions', 'doc:asked=saved')
const open = new Set()
before(() => program.start())
beforeEach((t) => t.after(() => {
  for (const client of open) client.close()
}))
after(() => program.dispose())

/** Waits until `done()` is true; `what` says what for. */
async function until(what, done, millis = 15_000) {
  const end = Date.now() + millis
  while (!done()) {
    if (Date.now() > end) assert.fail(`waited ${millis} ms until ${typeof what === 'function' ? what() : what} (LK_SEED=${seed})`)
    await sleep(5)
  }
}

const wsUrl = (server) => server.url.replace('http', 'ws')

/** Somebody with a document, a socket of their own and a provider, of which all events are kept. */
class Person {
  events = []
  constructor(name, { server = program, socket: socketOptions = {}, doc = new Y.Doc(), ...options } = {}) {
    this.doc = doc
    this.socket = new Socket(`${wsUrl(server)}/socket`, { transport: WebSocket, reconnectAfterMs: () => 30, rejoinAfterMs: () => 30, timeout: 5000, ...socketOptions })
    this.socket.connect()
    this.provider = new PhoenixProvider({ socket: this.socket, topic: `doc:${name}`, doc, ...options })
    for (const event of ['status', 'sync', 'connection-close', 'connection-error', 'read_only', 'replica_refused', 'diverged', 'refused', 'persistence-error']) {
      this.provider.on(event, (value) => this.events.push([event, value?.status ?? value]))
    }
    open.add(this)
  }
  get text() {
    return this.doc.getText('t')
  }
  get online() {
    return this.provider.synced && !this.provider.pending
  }
  count(event) {
    return this.events.filter(([name]) => name === event).length
  }
  leave() {
    this.socket.disconnect()
  }
  come() {
    this.socket.connect()
  }
  close() {
    open.delete(this)
    this.provider.destroy()
    this.socket.disconnect()
    this.doc.destroy()
  }
}

const content = ({ doc }) => JSON.stringify([doc.getText('t').toDelta(), doc.getArray('a').toJSON(), Object.entries(doc.getMap('m').toJSON()).sort()])
const online = (...people) => until(() => `all are online: ${people.map((p) => `${p.provider.status} synced=${p.provider.synced} pending=${p.provider.pending}`)}`, () => people.every((p) => p.online))
const agree = (people, millis) => until(() => `all agree:\n${people.map((p) => `${p.provider.status} ${p.provider.pending} ${content(p).slice(0, 100)}`).join('\n')}`,
  () => people.every((p) => p.online && content(p) === content(people[0])), millis)

/** One edit at a random place. */
function edit({ doc }, i) {
  const t = doc.getText('t'), choice = random()
  if (choice < 0.6 || t.length === 0) t.insert(below(t.length + 1), `${String.fromCharCode(97 + (i % 26))}${i} `)
  else if (choice < 0.75) t.delete(below(t.length), 1)
  else if (choice < 0.85) t.format(below(t.length), 1, { bold: random() < 0.5 || null })
  else if (choice < 0.95) doc.getArray('a').push([i])
  else doc.getMap('m').set(`k${i % 5}`, i)
}

test('two type at once and agree', async () => {
  const people = [new Person('two'), new Person('two')]
  await online(...people)
  for (let i = 0; i < 300; i++) {
    edit(people[i % 2], i)
    if (i % 7 === 0) await sleep(1)
  }
  await agree(people)
  const late = new Person('two')
  await agree([...people, late])
  assert.equal(late.provider.access, 'admin')
  assert.equal(late.provider.durability, 'durable')
  assert.match(late.provider.generation, /^[0-9a-f]{16}$/)
})

/** As clients of the first serializer speak. */
const ofV1 = { vsn: '1.0.0', encode: (message, send) => send(JSON.stringify(message)), decode: (text, hear) => hear(JSON.parse(text)) }

test('every transport and encoding reads and writes the same', async () => {
  const people = [
    new Person('dress'),
    new Person('dress', { encoding: 'base64' }),
    new Person('dress', { socket: ofV1 }),
    new Person('dress', { socket: { transport: LongPoll } }),
    new Person('dress', { topic: 'y_doc_room:dress' }),
  ]
  await online(...people)
  for (let i = 0; i < 100; i++) edit(people[i % people.length], i)
  await agree(people)
  await agree([...people, new Person('dress'), new Person('dress', { encoding: 'base64' }), new Person('dress', { socket: { transport: LongPoll } })])
  people.forEach((p) => assert.equal(p.count('refused'), 0))
})

test('what is typed while an update is under way goes with the next', async () => {
  const person = new Person('merged')
  await online(person)
  let pushes = 0
  const { push } = person.socket
  person.socket.push = function (data, ...rest) {
    if (data.event === 'client_update') pushes++
    return push.call(this, data, ...rest)
  }
  for (let i = 0; i < 500; i++) person.text.insert(i, 'x')
  assert.equal(person.provider.pending, true)
  await online(person)
  assert.equal(pushes, 2)
  const other = new Person('merged')
  await agree([person, other])
  assert.equal(other.text.length, 500)
})

test('what was written offline comes in when its writer comes back', async () => {
  const people = [new Person('offline'), new Person('offline', { encoding: 'base64' }), new Person('offline')]
  people[2].text.insert(0, 'before the first connection ')
  await agree(people)
  for (let round = 0; round < 5; round++) {
    people.slice(0, 2).forEach((p) => p.leave())
    await until('they have left', () => people.slice(0, 2).every((p) => p.provider.status === 'disconnected'))
    for (let i = 0; i < 60; i++) edit(people[i % 3], round * 60 + i)
    assert.equal(people[0].provider.pending, true)
    assert.equal(people[0].provider.synced, false)
    people.slice(0, 2).forEach((p) => p.come())
    await agree(people)
  }
  const statuses = people[0].events.filter(([name]) => name === 'status').map(([, status]) => status)
  // That it connects was told before anybody could listen.
  assert.deepEqual(statuses.slice(0, 4), ['connected', 'disconnected', 'connecting', 'connected'])
  assert.deepEqual(people[0].events.filter(([name]) => name === 'sync').map(([, synced]) => synced).slice(0, 3), [true, false, true])
})

test('provider.disconnect() and connect() leave and join the channel only', async () => {
  const [a, b] = [new Person('rejoin'), new Person('rejoin')]
  await online(a, b)
  for (let i = 0; i < 5; i++) {
    a.provider.disconnect()
    assert.equal(a.provider.status, 'disconnected')
    assert.ok(a.socket.isConnected())
    a.text.insert(0, 'while away ')
    b.text.insert(0, 'while alone ')
    a.provider.connect()
    await agree([a, b])
  }
  assert.equal(a.socket.channels.length, 1)
})

test('the server is killed and started again: nothing is lost, nothing doubled', { timeout: 60_000 }, async () => {
  const server = new Program()
  await server.start()
  try {
    const people = [new Person('killed', { server }), new Person('killed', { server, encoding: 'base64' })]
    await online(...people)
    let typed = ''
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40; i++) {
        const word = `${round}.${i} `
        typed += word
        people[0].text.insert(people[0].text.length, word)
        edit({ doc: { getText: () => people[1].doc.getText('u'), getArray: () => people[1].doc.getArray('a'), getMap: () => people[1].doc.getMap('m') } }, i)
        if (i % 4 === 0) await sleep(1)
      }
      await server.stop('SIGKILL')
      people[0].text.insert(people[0].text.length, `offline ${round} `)
      typed += `offline ${round} `
      await startAgain(server)
      await agree(people, 30_000)
    }
    assert.equal(people[1].text.toString(), typed)
    people.forEach((p) => p.close())
    await server.stop('SIGKILL')
    await startAgain(server)
    const late = new Person('killed', { server })
    await online(late)
    assert.equal(late.text.toString(), typed)
    late.close()
  } finally {
    await server.dispose()
  }
})

/** Its edges end after it, and have its port until then. */
async function startAgain(server) {
  for (let left = 200; ; left--) {
    try {
      return await server.start()
    } catch (error) {
      if (left === 0 || !/is taken/.test(error.message)) throw error
      await sleep(20)
    }
  }
}

/** Ids of the server's processes of a kind, by their names. */
function processesOf(server, kind) {
  const found = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === server.pid) found.push(Number(pid))
    } catch { /* it has ended */ }
  }
  return found
}

test('processes of the server are killed while people type, and all agree', { timeout: 60_000 }, async () => {
  const people = [new Person('processes'), new Person('processes', { encoding: 'base64' }), new Person('processes', { socket: { transport: LongPoll } })]
  await online(...people)
  for (let i = 0; i < 600; i++) {
    edit(people[i % 3], i)
    if (i % 100 === 50) process.kill(processesOf(program, i % 200 === 50 ? 'room' : 'edge')[0], 'SIGKILL')
    if (i % 3 === 0) await sleep(4)
  }
  await agree(people, 30_000)
  await agree([...people, new Person('processes')])
})

// ---- refusals ----

async function withServer(args, run) {
  const server = new Program(...args)
  await server.start()
  try {
    await run(server)
  } finally {
    for (const client of open) client.close()
    await server.dispose()
  }
}

test('who may only read is told so, keeps reading and keeps what it wrote', () => {
  const secret = '0123456789abcdef0123456789abcdef'
  const folder = mkdtempSync(join(tmpdir(), 'laniakea-yjs-'))
  const token = (topics) => {
    const b64 = (text) => Buffer.from(text).toString('base64url')
    const text = `${b64('{"alg":"HS256","typ":"JWT"}')}.${b64(JSON.stringify({ sub: 'a', exp: Date.now() / 1000 + 600, topics }))}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  writeFileSync(join(folder, 'jwt'), secret, { mode: 0o600 })
  return withServer(['--token-jwt-secret-file', join(folder, 'jwt')], async (server) => {
    const writer = new Person('rights', { server, socket: { params: { token: token({ 'doc:*': 'write' }) } } })
    writer.text.insert(0, 'hello')
    await online(writer)
    const reader = new Person('rights', { server, socket: { params: { token: token({ 'doc:*': 'read' }) } } })
    await online(reader)
    assert.equal(reader.provider.access, 'read')
    assert.equal(reader.text.toString(), 'hello')
    reader.text.insert(0, 'mine ')
    await until('it is told', () => reader.count('read_only') === 1)
    reader.text.insert(0, 'more ')
    writer.text.insert(5, ' world')
    await until('it reads on', () => reader.text.toString() === 'more mine hello world')
    assert.equal(reader.provider.pending, true)
    assert.equal(writer.text.toString(), 'hello world')
    reader.leave()
    reader.come()
    await until('it is told again', () => reader.count('read_only') === 2 && reader.provider.synced)
    const stranger = new Person('rights', { server, socket: { params: { token: token({}) } } })
    await until('the stranger is refused', () => stranger.count('refused') > 0)
    assert.equal(stranger.events.find(([name]) => name === 'refused')[1].reason, 'unauthorized')
    assert.equal(stranger.provider.synced, false)
  }).finally(() => rmSync(folder, { recursive: true, force: true }))
})

test('who writes what the server refuses keeps it and reads on', async () => {
  const [a, b] = [new Person('deep'), new Person('deep')]
  await online(a, b)
  a.doc.transact(() => {
    let map = a.doc.getMap('m')
    for (let i = 0; i < 300; i++) map = map.set('in', new Y.Map()) // doc_depth is 256
  })
  await until('it is told', () => a.count('replica_refused') === 1)
  const [, refusal] = a.events.find(([name]) => name === 'replica_refused')
  assert.equal(refusal.reason, 'replica_refused')
  assert.ok(refusal.error, JSON.stringify(refusal))
  a.text.insert(0, 'stays here')
  b.text.insert(0, 'arrives')
  await until('it reads on', () => a.text.toString().includes('arrives'))
  await sleep(50)
  assert.equal(b.text.toString(), 'arrives')
  assert.equal(a.provider.pending, true)
  assert.equal(a.count('replica_refused'), 1)
})

for (const [what, count] of [['a little', 1 << 19], ['far', 3 << 20]]) {
  test(`an update that is ${what} too big for the server is told, once`, () => withServer(['--limit', 'ws_message_bytes=131072'], async (server) => {
    const [a, b] = [new Person('big', { server }), new Person('big', { server })]
    await online(a, b)
    a.text.insert(0, 'x'.repeat(count))
    await until(() => `it is told ${JSON.stringify(a.events)}`, () => a.count('replica_refused') === 1)
    await until('it reads on', () => a.provider.synced)
    b.text.insert(0, 'arrives')
    await until('it has read', () => a.text.toString().includes('arrives'))
    await sleep(300)
    assert.equal(a.count('replica_refused'), 1)
    assert.equal(b.text.toString(), 'arrives')
    assert.ok(a.count('connection-close') <= 1)
  }))
}

test('a document that began again takes content back, and keeps apart what shares nothing with it', () => withServer([{ data: false }], async (server) => {
  const place = memory()
  const [a, b] = [new Person('again', { server, persistence: place }), new Person('again', { server })]
  a.text.insert(0, 'first life')
  await agree([a, b])
  const first = a.provider.generation
  await server.stop('SIGKILL')
  b.leave()
  await startAgain(server)
  await online(a)
  assert.notEqual(a.provider.generation, first)
  // What a brought back is what b has, too: they go on together, with what b wrote meanwhile.
  b.text.insert(0, 'meanwhile, ')
  b.come()
  await agree([a, b])
  assert.equal(b.count('diverged'), 0)
  assert.equal(b.text.toString(), 'meanwhile, first life')

  await a.provider.destroy()
  a.close()
  await server.stop('SIGKILL')
  b.leave()
  await startAgain(server)
  const c = new Person('again', { server })
  c.text.insert(0, 'third life')
  await online(c)
  b.come()
  await until('b is told', () => b.count('diverged') === 1)
  const [, refusal] = b.events.find(([name]) => name === 'diverged')
  assert.equal(refusal.generation, c.provider.generation)
  assert.equal(b.provider.status, 'disconnected')
  b.text.insert(0, 'still mine: ')
  await sleep(200)
  assert.equal(c.text.toString(), 'third life')
  assert.equal(b.text.toString(), 'still mine: meanwhile, first life')
  assert.equal(b.count('diverged'), 1)

  // The generation is kept with the document: a page that comes back later is told, too.
  const later = new Person('again', { server, persistence: place })
  await until('later is told', () => later.count('diverged') === 1)
  assert.equal(later.text.toString(), 'meanwhile, first life')
  assert.equal(c.text.toString(), 'third life')
  const empty = new Person('again', { server, persistence: memory() })
  await agree([c, empty])
}))

// ---- awareness ----

const names = ({ provider }) => [...provider.awareness.getStates().values()].map((shown) => shown.user).filter(Boolean).sort().join()
const seen = (people, what) => until(() => `${what} is seen: ${people.map(names).join(' | ')}`, () => people.every((p) => names(p) === what))

test('what people show is seen by all, and goes when they go', async () => {
  const people = [new Person('shown'), new Person('shown', { encoding: 'base64' }), new Person('shown', { socket: { transport: LongPoll } })]
  people.forEach((p, i) => p.provider.awareness.setLocalStateField('user', `u${i}`))
  const doc = new Y.Doc()
  const theirs = new TheirProvider(`${wsUrl(program)}/y`, 'shown', doc, { WebSocketPolyfill: WebSocket, disableBc: true })
  theirs.awareness.setLocalStateField('user', 'y')
  const all = [...people, { provider: theirs }]
  try {
    await seen(all, 'u0,u1,u2,y')
    people[0].leave()
    await seen(all.slice(1), 'u1,u2,y')
    await seen([people[0]], 'u0')
    people[0].come()
    await seen(all, 'u0,u1,u2,y') // at once, though others were told that it went
    people[2].provider.destroy()
    await seen([people[0], people[1], all[3]], 'u0,u1,y')
    people[1].socket.conn.terminate()
    await seen([people[0], people[1], all[3]], 'u0,u1,y')
    for (let i = 0; i < 300; i++) people[0].provider.awareness.setLocalStateField('cursor', i)
    await until('the last cursor is seen', () => people[1].provider.awareness.getStates().get(people[0].doc.clientID)?.cursor === 299)
  } finally {
    theirs.destroy()
    doc.destroy()
  }
})

test('a page without awareness shows nothing', async () => {
  const [a, b] = [new Person('quiet', { awareness: null }), new Person('quiet')]
  b.provider.awareness.setLocalStateField('user', 'b')
  a.text.insert(0, 'x')
  await agree([a, b])
  assert.equal(a.provider.awareness, null)
  assert.equal(b.provider.awareness.getStates().size, 1)
})

// ---- what is kept ----

test('versions are asked for in every dress, and who is refused is told why', async () => {
  const people = [new Person('asked'), new Person('asked', { encoding: 'base64' }), new Person('asked', { socket: ofV1 }), new Person('asked', { socket: { transport: LongPoll } })]
  const heard = people.map(() => [])
  people.forEach(({ provider }, i) => provider.on('versions_changed', ({ id, change }) => heard[i].push([id, change])))
  const [{ provider, text }] = people
  await assert.rejects(provider.ask('versions'), { reason: 'disconnected' })
  await online(...people)
  text.insert(0, 'as it was')
  await agree(people)
  const { id } = await provider.ask('version_save', { name: 'first' })
  text.delete(0, text.length)
  await agree(people)
  for (const asking of people) {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, await asking.provider.ask('version_read', { id, as: 'update' }))
    assert.equal(doc.getText('t').toString(), 'as it was')
    assert.equal((await asking.provider.ask('versions')).versions[0].name, 'first')
  }
  await assert.rejects(provider.ask('version_read', { id: 99 }), { reason: 'LK_ERR_NOT_FOUND', field: 'id' })
  await until(() => `all hear of it: ${JSON.stringify(heard)}`, () => heard.every((changes) => JSON.stringify(changes) === JSON.stringify([[id, 'made']])))
})

test('a document is there before the connection, and what it has for the server arrives once', async () => {
  const place = memory()
  const first = new Person('kept', { persistence: place, socket: { transport: WebSocket } })
  await online(first)
  first.text.insert(0, 'online ')
  await online(first)
  first.leave()
  first.text.insert(7, 'offline ')
  await first.provider.destroy()
  first.close()
  const second = new Person('kept', { persistence: place, connect: false })
  await second.provider.whenLoaded
  assert.equal(second.text.toString(), 'online offline ')
  assert.equal(second.provider.status, 'disconnected')
  second.provider.connect()
  const other = new Person('kept')
  await agree([second, other])
  assert.equal(other.text.toString(), 'online offline ')
})

test('a place that does not work is told, and the document is edited all the same', async () => {
  const broken = { load: async () => { throw new Error('no') }, append: async () => { throw new Error('no') }, setGeneration: async () => { throw new Error('no') }, clear: async () => {}, close: async () => {} }
  const [a, b] = [new Person('broken', { persistence: broken }), new Person('broken')]
  a.text.insert(0, 'x')
  await agree([a, b])
  assert.ok(a.count('persistence-error') > 0)
})

// ---- in the long run ----

test('four people edit two thousand times while connections come and go, and all agree', { timeout: 120_000 }, async () => {
  const people = [new Person('long'), new Person('long', { encoding: 'base64' }), new Person('long', { socket: { transport: LongPoll } }), new Person('long')]
  await online(...people)
  const away = new Map()
  for (let i = 0; i < 2000; i++) {
    edit(people[below(4)], i)
    if (random() < 0.02) {
      const person = people[below(4)], way = below(4)
      if (away.has(person)) continue
      if (way === 0) person.leave()
      else if (way === 1) person.provider.disconnect()
      else if (way === 2) person.socket.conn?.terminate?.() // comes back by itself
      else person.socket.conn?.close()
      if (way < 2) away.set(person, i + below(100))
    }
    for (const [person, end] of away) {
      if (end > i) continue
      person.come()
      person.provider.connect()
      away.delete(person)
    }
    if (i % 3 === 0) await sleep(1)
  }
  for (const person of away.keys()) {
    person.come()
    person.provider.connect()
  }
  await agree(people, 30_000)
  await agree([...people, new Person('long')])
  for (const person of people) {
    assert.ok(person.count('connection-close') > 0)
    assert.equal(person.count('refused') + person.count('replica_refused') + person.count('diverged'), 0, JSON.stringify(person.events.filter(([name]) => name.includes('refused'))))
  }
})

test('connections that come and go leave nothing behind', async () => {
  const person = new Person('lean')
  const { socket, doc, provider } = person
  await online(person)
  const counts = () => [
    socket.channels.length,
    socket.channels[0]?.bindings.length,
    ...Object.values(socket.stateChangeCallbacks).map((all) => all.length),
    doc._observers.get('update').size,
    provider.awareness._observers.get('update').size,
  ]
  const round = async (i) => {
    if (i % 2 === 0) {
      person.leave()
      await until('it left', () => provider.status === 'disconnected')
      person.come()
    } else {
      provider.disconnect()
      provider.connect()
    }
    person.text.insert(0, 'x')
    await online(person)
  }
  for (let i = 0; i < 20; i++) await round(i)
  await until('the last awareness is answered', () => socket.channels.length === 1 && socket.channels[0].bindings.length <= 8)
  gc()
  const [before, heap] = [counts(), process.memoryUsage().heapUsed]
  for (let i = 0; i < 400; i++) await round(i)
  person.events.length = 0
  await sleep(50)
  gc()
  assert.deepEqual(counts(), before)
  const grown = process.memoryUsage().heapUsed - heap
  assert.ok(grown < 1 << 20, `${grown} bytes more after 400 connections`)
  await provider.destroy()
  await sleep(50)
  assert.equal(socket.channels.length, 0)
  assert.equal(doc._observers.get('update')?.size ?? 0, 0)
  assert.deepEqual(Object.values(socket.stateChangeCallbacks).map((all) => all.length), [0, 0, 0, 0])
})

test('a listener of the application that throws costs nobody the connection', async () => {
  const [a, b] = [new Person('throws'), new Person('throws')]
  const caught = []
  const catching = (error) => caught.push(error.message)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', catching)
  try {
    a.provider.on('sync', () => { throw new Error('on sync') })
    a.text.observe((event, { origin }) => { if (origin === a.provider) throw new Error('on update') })
    await online(a, b)
    b.text.insert(0, 'x')
    await until('it is there', () => a.text.toString() === 'x')
    a.text.insert(0, 'y')
    await agree([a, b])
    a.close()
    assert.deepEqual(caught, ['on sync', 'on update'])
    await sleep(5)
    assert.deepEqual(caught, ['on sync', 'on update', 'on sync'])
  } finally {
    process.removeAllListeners('uncaughtException')
    others.forEach((listener) => process.on('uncaughtException', listener))
  }
})

test('a document that is destroyed takes its provider with it, and so does `using`', async () => {
  const a = new Person('gone'), b = new Person('gone')
  await online(a, b)
  a.doc.destroy()
  b.provider[Symbol.dispose]()
  assert.deepEqual([a.provider.status, b.provider.status], ['disconnected', 'disconnected'])
  await until('they left', () => a.socket.channels.length + b.socket.channels.length === 0)
})
