// tests/e2e/yjs.test.mjs -- documents, with the providers that Yjs's users have.
//
// Goal: unmodified clients of three kinds meet in one document and agree: y-websocket at /y/, y-phoenix-channel on an
// alias of the topic, and phoenix.js with the events client_update and server_update, whose bytes go as arrays, base64 or
// frames. Method: the packages of npm against the real program, whose processes are killed while they type.
//
// LK_SEED repeats a run, LK_SLOW=1 runs what takes long: LK_SEED=7 node --test tests/e2e/yjs.test.mjs
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { Socket } from 'phoenix'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { PhoenixChannelProvider } from 'y-phoenix-channel'
import * as awarenessProtocol from 'y-protocols/awareness'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const seed = Number(process.env.LK_SEED ?? Date.now() % 1_000_000)
let state = seed
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / (1 << 24)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const socketUrl = () => program.url.replace('http', 'ws')

// The documents of two tests are larger than what waits for a client, or comes from one, by default.
const program = new Program('--edges', '2', '--rooms', '2', '--limit', 'ws_message_bytes=8388608', '--limit', 'ws_output_bytes=16777216')
const open = new Set()
before(() => program.start())
beforeEach((t) => {
  t.after(async () => {
    for (const client of open) client.close()
    open.clear()
  })
})
after(() => program.dispose())

/** Waits until `done()` is true; `what` says what for. */
async function until(what, done, millis = 15_000) {
  const end = Date.now() + millis
  while (!done()) {
    if (Date.now() > end) assert.fail(`waited ${millis} ms until ${typeof what === 'function' ? what() : what} (LK_SEED=${seed})`)
    await sleep(5)
  }
}

// ---- the three kinds of client, each with `doc`, `awareness`, `connected`, `leave()`, `come()`, `close()` ----

/** y-websocket at /y/. */
class OfYWebsocket {
  doc = new Y.Doc()
  lost = 0
  constructor(name, options = {}) {
    this.provider = new WebsocketProvider(`${socketUrl()}/y`, name, this.doc, { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 200, ...options })
    this.awareness = this.provider.awareness
    this.provider.on('connection-error', () => {})
    this.provider.on('status', ({ status }) => { if (status === 'disconnected') this.lost++ })
    open.add(this)
  }
  get connected() {
    return this.provider.synced
  }
  leave() {
    this.provider.disconnect()
  }
  come() {
    this.provider.connect()
  }
  close() {
    this.provider.destroy()
    this.doc.destroy()
    open.delete(this)
  }
}

function phoenixSocket() {
  const socket = new Socket(`${socketUrl()}/socket`, { transport: WebSocket, reconnectAfterMs: () => 50, rejoinAfterMs: () => 50, vsn: '2.0.0' })
  socket.connect()
  return socket
}

/** y-phoenix-channel on y_doc_room:<name>, which is doc:<name>. */
class OfYPhoenixChannel {
  doc = new Y.Doc()
  constructor(name, topic = `y_doc_room:${name}`) {
    this.socket = phoenixSocket()
    this.provider = new PhoenixChannelProvider(this.socket, topic, this.doc, { disableBc: true })
    this.awareness = this.provider.awareness
    open.add(this)
  }
  get connected() {
    return this.provider.synced
  }
  leave() {
    this.provider.disconnect()
  }
  come() {
    this.provider.connect()
  }
  close() {
    this.provider.destroy()
    this.socket.disconnect()
    this.doc.destroy()
    open.delete(this)
  }
}

const dress = {
  array: (bytes) => ({ bin: [...bytes] }),
  base64: (bytes) => ({ b64: Buffer.from(bytes).toString('base64') }),
  binary: (bytes) => bytes.slice().buffer
}
function undress(payload) {
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload)
  if (Array.isArray(payload.bin)) return Uint8Array.from(payload.bin)
  return new Uint8Array(Buffer.from(payload.b64, 'base64'))
}

/** phoenix.js and Yjs as the seed has them, and nothing between. */
class OfPhoenix {
  doc = new Y.Doc()
  connected = false
  refused = []
  acknowledged = 0
  #offline = false
  constructor(name, encoding = 'array', topic = `doc:${name}`) {
    this.encoding = encoding
    this.socket = phoenixSocket()
    this.awareness = new awarenessProtocol.Awareness(this.doc)
    this.channel = this.socket.channel(topic, () => ({ encoding: this.encoding, state_vector: dress.base64(Y.encodeStateVector(this.doc)) }))
    this.channel.on('server_update', (payload) => Y.applyUpdate(this.doc, undress(payload), this))
    this.channel.on('awareness', (payload) => awarenessProtocol.applyAwarenessUpdate(this.awareness, undress(payload), this))
    this.channel.onError(() => { this.connected = false })
    this.channel.onClose(() => { this.connected = false })
    this.doc.on('update', (update, origin) => origin !== this && this.#send('client_update', update))
    this.awareness.on('update', ({ added, updated, removed }, origin) => {
      if (origin !== this) this.#send('awareness', awarenessProtocol.encodeAwarenessUpdate(this.awareness, [...added, ...updated, ...removed]))
    })
    this.#join()
    open.add(this)
  }
  #send(event, bytes) {
    if (!this.connected) return
    this.channel.push(event, dress[this.encoding](bytes)).receive('ok', () => this.acknowledged++).receive('error', (e) => this.refused.push(e))
  }
  #join() {
    this.channel.join().receive('ok', (reply) => {
      for (const update of reply.history) Y.applyUpdate(this.doc, undress(Array.isArray(update) ? { bin: update } : { b64: update }), this)
      this.connected = true
      const vector = Array.isArray(reply.state_vector) ? Uint8Array.from(reply.state_vector) : new Uint8Array(Buffer.from(reply.state_vector, 'base64'))
      this.#send('client_update', Y.encodeStateAsUpdate(this.doc, vector))
      this.#send('awareness', awarenessProtocol.encodeAwarenessUpdate(this.awareness, [this.doc.clientID]))
    }).receive('error', (e) => this.refused.push(e))
  }
  leave() {
    this.connected = false
    this.socket.disconnect()
  }
  come() {
    this.socket.connect()
  }
  close() {
    this.awareness.destroy()
    this.connected = false
    this.channel.leave()
    this.socket.disconnect()
    this.doc.destroy()
    open.delete(this)
  }
}

const text = (client) => client.doc.getText('t')
const content = (client) => JSON.stringify([text(client).toString(), client.doc.getArray('a').toJSON(), Object.entries(client.doc.getMap('m').toJSON()).sort()])
const allOnline = (clients) => until(() => `all are connected: ${clients.map((c) => `${c.constructor.name} ${c.connected}`)}`, () => clients.every((c) => c.connected))

/** One edit at a random place. */
function edit(client, i) {
  const t = text(client), len = t.length, choice = random()
  if (choice < 0.6 || len === 0) t.insert(Math.floor(random() * (len + 1)), `${String.fromCharCode(97 + (i % 26))}${i} `)
  else if (choice < 0.8) t.delete(Math.floor(random() * len), Math.min(len, 1))
  else if (choice < 0.9) client.doc.getArray('a').push([i])
  else client.doc.getMap('m').set(`k${i % 5}`, i)
}

async function agree(clients, millis) {
  await until(() => `all agree: ${clients.map((c) => `${c.constructor.name} ${c.connected} ${text(c).length} ${Buffer.from(Y.encodeStateVector(c.doc)).toString('hex').slice(0, 40)}`).join('; ')}`,
    () => clients.every((c) => c.connected && content(c) === content(clients[0])), millis)
}

/** Process ids of the server's processes of a kind, by their names. */
function processesOf(kind) {
  const found = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === program.pid) found.push(Number(pid))
    } catch { /* it has ended */ }
  }
  return found
}

// ---- ----

test('two clients of y-websocket type at once and agree', async () => {
  const clients = [new OfYWebsocket('two'), new OfYWebsocket('two')]
  await allOnline(clients)
  for (let i = 0; i < 200; i++) {
    edit(clients[i % 2], i)
    if (i % 7 === 0) await sleep(1)
  }
  await agree(clients)
  assert.ok(text(clients[0]).length > 0)
})

test('a name may have slashes and letters of any kind, and is the topic', async () => {
  const name = 'team/ä ö/日本'
  const a = new OfYWebsocket(name), b = new OfPhoenix(name)
  await allOnline([a, b])
  text(a).insert(0, 'hello')
  await agree([a, b])
})

test('clients of all kinds meet in one document and agree', async () => {
  const clients = [
    new OfYWebsocket('all'), new OfYPhoenixChannel('all'), new OfPhoenix('all', 'array'),
    new OfPhoenix('all', 'base64'), new OfPhoenix('all', 'binary'), new OfYWebsocket('all'), new OfYPhoenixChannel('all', 'doc:all')
  ]
  await allOnline(clients)
  for (let i = 0; i < 350; i++) {
    edit(clients[i % clients.length], i)
    if (i % 5 === 0) await sleep(2)
  }
  await agree(clients)
  for (const c of clients) assert.deepEqual(c.refused ?? [], [])
  const late = [new OfYWebsocket('all'), new OfYPhoenixChannel('all'), new OfPhoenix('all', 'array'), new OfPhoenix('all', 'base64'), new OfPhoenix('all', 'binary')]
  await agree([...clients, ...late])
})

test('who comes by an alias hears its own name and sees who came by another', async () => {
  const socket = phoenixSocket()
  const heard = []
  socket.onMessage(({ topic, event }) => heard.push([topic, event]))
  const channel = socket.channel('y_doc_room:names', {})
  await new Promise((resolve, reject) => channel.join().receive('ok', resolve).receive('error', reject))
  const other = new OfPhoenix('names')
  await allOnline([other])
  text(other).insert(0, 'x')
  await until('it is told', () => heard.some(([, event]) => event === 'server_update'))
  assert.deepEqual([...new Set(heard.map(([topic]) => topic))], ['y_doc_room:names'])
  socket.disconnect()
})

test('what others show is seen, and goes when they go', async () => {
  const clients = [new OfYWebsocket('shown'), new OfYPhoenixChannel('shown'), new OfPhoenix('shown', 'binary'), new OfPhoenix('shown', 'array')]
  await allOnline(clients)
  clients.forEach((c, i) => c.awareness.setLocalStateField('user', { name: `user ${i}` }))
  const names = (c) => [...c.awareness.getStates().values()].map((s) => s.user?.name).filter(Boolean).sort().join()
  const seen = (who, what) => until(() => `${what} is seen: ${who.map(names).join(' | ')}`, () => who.every((c) => names(c) === what))
  await seen(clients, 'user 0,user 1,user 2,user 3')
  const late = new OfYWebsocket('shown')
  await seen([late, new OfYPhoenixChannel('shown'), new OfPhoenix('shown')], 'user 0,user 1,user 2,user 3')
  clients[0].provider.ws.terminate() // without a word
  clients[0].provider.shouldConnect = false
  await seen([...clients.slice(1), late], 'user 1,user 2,user 3')
  clients[2].socket.conn.terminate()
  clients[2].socket.disconnect()
  await seen([clients[1], clients[3], late], 'user 1,user 3')
  clients[1].leave()
  await seen([clients[3], late], 'user 3')
})

test('what a client repeats of others does not bring them back', async () => {
  const a = new OfYWebsocket('echo'), b = new OfYWebsocket('echo'), c = new OfYWebsocket('echo')
  await allOnline([a, b, c])
  a.awareness.setLocalStateField('user', 'a')
  await until('a is seen', () => [b, c].every((x) => x.awareness.getStates().get(a.doc.clientID)?.user === 'a'))
  const stale = awarenessProtocol.encodeAwarenessUpdate(b.awareness, [a.doc.clientID])
  a.leave()
  await until('a has gone', () => [b, c].every((x) => !x.awareness.getStates().has(a.doc.clientID)))
  b.provider.ws.send(Uint8Array.from([1, stale.length, ...stale]))
  b.awareness.setLocalStateField('user', 'b')
  await until('b is seen', () => c.awareness.getStates().get(b.doc.clientID)?.user === 'b')
  assert.ok(!c.awareness.getStates().has(a.doc.clientID))
})

test('what was written offline comes in when its writer comes back', async () => {
  const clients = [new OfYWebsocket('offline'), new OfYPhoenixChannel('offline'), new OfPhoenix('offline'), new OfYWebsocket('offline')]
  await allOnline(clients)
  text(clients[3]).insert(0, 'before ')
  await agree(clients)
  for (let round = 0; round < 3; round++) {
    const away = clients.slice(0, 3)
    for (const c of away) c.leave()
    for (let i = 0; i < 40; i++) edit(clients[i % 4], round * 40 + i)
    await sleep(20)
    for (const c of away) c.come()
    await agree(clients)
  }
})

test('a silent client of y-websocket stays: it hears something in time', { timeout: 60_000, skip: process.env.LK_SLOW ? false : 'takes 35 s: LK_SLOW=1' }, async () => {
  const a = new OfYWebsocket('silent')
  a.awareness.setLocalState(null)
  await allOnline([a])
  await sleep(35_000) // it would leave after 30 s
  assert.equal(a.lost, 0)
})

test('a large document comes whole to clients of all kinds', async () => {
  const writer = new OfYWebsocket('large')
  await allOnline([writer])
  for (let i = 0; i < 256; i++) text(writer).insert(text(writer).length, Buffer.from(Array.from({ length: 3072 }, () => random() * 256)).toString('base64'))
  await until('it is sent', () => writer.provider.ws.bufferedAmount === 0)
  assert.ok(text(writer).length >= 1 << 20)
  const readers = [new OfYWebsocket('large'), new OfYPhoenixChannel('large'), new OfPhoenix('large', 'base64'), new OfPhoenix('large', 'binary'), new OfPhoenix('large', 'array')]
  await agree([writer, ...readers], 30_000)
})

test('one update of a megabyte is taken and passed on', async () => {
  const writer = new OfYWebsocket('pasted'), reader = new OfYWebsocket('pasted')
  await allOnline([writer, reader])
  text(writer).insert(0, Buffer.from(Array.from({ length: 786_432 }, () => random() * 256)).toString('base64'))
  await agree([writer, reader], 30_000)
})

// ---- hostile bytes ----

/** A bare socket: what it hears, and the code with which it is closed. */
async function bare(path, sent, { binary = true } = {}) {
  const socket = new WebSocket(socketUrl() + path)
  const closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })))
  socket.on('error', () => {})
  await new Promise((resolve, reject) => { socket.on('open', resolve); socket.on('close', reject) })
  for (const bytes of sent) socket.send(bytes, { binary })
  const timer = setTimeout(() => socket.terminate(), 10_000)
  const end = await closed
  clearTimeout(timer)
  return end
}

test('hostile bytes close their connection, and no other', async () => {
  const a = new OfYWebsocket('hostile'), b = new OfPhoenix('hostile')
  await allOnline([a, b])
  const update = [0, 2, 4, 1, 1, 255, 255]
  const rows = [
    ['text', ['hello'], { binary: false }, 1003],
    ['nothing', [new Uint8Array(0)], {}, 1008],
    ['an unknown kind', [Uint8Array.of(9)], {}, 1008],
    ['half a message', [Uint8Array.of(0, 2, 200, 1)], {}, 1008],
    ['a length beyond all', [Uint8Array.of(0, 2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)], {}, 1008],
    ['a message of Phoenix', ['["1","1","doc:x","phx_join",{}]'], { binary: true }, 1008],
    ['an update that is none', [Uint8Array.from(update)], {}, 4422],
    ['a state vector that is none', [Uint8Array.of(0, 0, 3, 200, 200, 200)], {}, 4422]
  ]
  for (const [what, sent, options, code] of rows) {
    const end = await bare('/y/hostile', sent, options)
    assert.equal(end.code, code, `${what}: ${end.reason}`)
  }
  for (let i = 0; i < 100; i++) {
    const bytes = Uint8Array.from({ length: 1 + random() * 40 }, () => random() * (random() < 0.5 ? 4 : 256))
    const socket = new WebSocket(`${socketUrl()}/y/hostile`)
    socket.on('error', () => {})
    socket.on('open', () => { socket.send(bytes); setTimeout(() => socket.terminate(), 20) })
  }
  await sleep(200)
  text(a).insert(0, 'still here')
  await agree([a, b])
  assert.equal(a.lost, 0)
  assert.deepEqual(b.refused, [])
})

test('a provider whose update is refused does not come back by itself', async () => {
  const a = new OfYWebsocket('refused')
  await allOnline([a])
  let closed
  a.provider.on('closed', (event) => { closed = event })
  a.provider.ws.send(Uint8Array.from([0, 2, 4, 1, 1, 255, 255]))
  await until('it is closed', () => closed !== undefined)
  assert.equal(closed.code, 4422)
  await sleep(500)
  assert.equal(a.provider.wsconnected, false)
})

test('names that are none are refused before there is a connection', async () => {
  const status = (path) => new Promise((resolve) => {
    const socket = new WebSocket(socketUrl() + path)
    socket.on('unexpected-response', (_, response) => { resolve(response.statusCode); socket.terminate() })
    socket.on('open', () => { resolve(101); socket.terminate() })
    socket.on('error', () => {})
  })
  assert.equal(await status('/y/'), 404)
  assert.equal(await status('/y/%ff'), 400)
  assert.equal(await status(`/y/${'a'.repeat(252)}`), 414)
  assert.equal(await status(`/y/${'a'.repeat(251)}`), 101)
})

// ---- deaths ----

async function typeWhile(clients, deaths) {
  for (let i = 0; i < deaths.length * 120; i++) {
    edit(clients[i % clients.length], i)
    if (i % 120 === 60) await deaths[Math.floor(i / 120)]()
    if (i % 3 === 0) await sleep(5)
  }
}

/** All at once, and again. The edges of the one that was killed end after it, and have its port until then. */
async function startAgain() {
  for (let left = 100; ; left--) {
    try {
      return await program.start()
    } catch (error) {
      if (left === 0 || !/is taken/.test(error.message)) throw error
      await sleep(20)
    }
  }
}

const kill = (kind) => async () => {
  const [pid] = processesOf(kind)
  assert.ok(pid, `there is a process ${kind}`)
  process.kill(pid, 'SIGKILL')
}

test('room and edge processes are killed while clients type, and all agree', { timeout: 120_000 }, async () => {
  const clients = [new OfYWebsocket('killed'), new OfYPhoenixChannel('killed'), new OfPhoenix('killed', 'binary'), new OfYWebsocket('killed')]
  await allOnline(clients)
  await typeWhile(clients, [kill('room'), kill('edge'), kill('room'), kill('room'), kill('edge')])
  await agree(clients, 30_000)
  const late = new OfYWebsocket('killed')
  await agree([...clients, late])
})

test('the whole server is killed and started again: what was acknowledged is there', { timeout: 120_000 }, async () => {
  const phoenix = new OfPhoenix('restarted', 'binary'), y = new OfYWebsocket('restarted')
  await allOnline([phoenix, y])
  for (let i = 0; i < 100; i++) {
    edit(i % 2 ? phoenix : y, i)
    if (i % 5 === 0) await sleep(2)
  }
  await agree([phoenix, y])
  const joins = phoenix.acknowledged
  text(phoenix).insert(0, 'acknowledged ')
  await until('it is acknowledged', () => phoenix.acknowledged > joins)
  const before = content(phoenix)
  for (const c of [phoenix, y]) c.leave()
  await program.stop('SIGKILL')
  await startAgain()
  const fresh = new OfYWebsocket('restarted')
  await allOnline([fresh])
  await until('what was acknowledged is there', () => text(fresh).toString().startsWith('acknowledged '))
  assert.equal(content(fresh), before)
  for (const c of [phoenix, y]) {
    edit(c, 1000)
    c.come()
  }
  await agree([phoenix, y, fresh])
  y.provider.ws?.close()
  await program.stop('SIGKILL')
  for (const c of [phoenix, y, fresh]) edit(c, 2000)
  await startAgain()
  await agree([phoenix, y, fresh], 30_000)
})
