// tests/e2e/pains.test.mjs -- what users of such servers complain about, one test for each complaint, as a user would see it.
//
//   node --test tests/e2e/pains.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// The fifteen complaints that are heard most about servers of shared documents, and their names below. Each test is short, and
// shows the user's side with clients as they are; other files go into depth, and are named. One lies elsewhere: that several nodes
// load and store one document (5) is no question for a single one, where each topic has one room in one process.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LongPoll, Socket } from 'phoenix'
import { WebSocket } from 'ws' // Node's own may say nothing more after an error while it connects
import * as Y from 'yjs'
import { Program, root } from './program.mjs'

const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-pains-'))
const sockets = new Set()
const servers = new Set()

afterEach(async () => {
  for (const socket of sockets) socket.disconnect()
  sockets.clear()
  await Promise.all([...servers].map((server) => server.dispose()))
  servers.clear()
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function start(...args) {
  const server = new Program(...args)
  servers.add(server)
  await server.start()
  return server
}

function connect(server, options = {}) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, { transport: WebSocket, reconnectAfterMs: () => 30, rejoinAfterMs: () => 30, ...options })
  sockets.add(socket)
  socket.connect()
  return socket
}

const reply = (push) => new Promise((resolve, reject) =>
  push.receive('ok', resolve).receive('error', (response) => reject(Object.assign(new Error(JSON.stringify(response)), { response }))).receive('timeout', () => reject(new Error('timeout'))))
const refused = (push) => reply(push).then((said) => assert.fail(`it was not refused: ${JSON.stringify(said)}`), ({ response }) => response)

async function until(what, isSo, ms = 5000) {
  for (const end = Date.now() + ms; !(await isSo()); await sleep(10)) assert.ok(Date.now() < end, `it does not happen: ${what}`)
}

const b64 = (bytes) => Buffer.from(bytes).toString('base64')
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64'))

/** A document that somebody edits: `joined` is the answer to its join. */
async function edit(server, topic, { doc = new Y.Doc(), socket = connect(server), params = {} } = {}) {
  const channel = socket.channel(topic, () => ({ encoding: 'base64', state_vector: b64(Y.encodeStateVector(doc)), ...params }))
  channel.on('server_update', ({ b64: update }) => Y.applyUpdate(doc, bytesOf(update), channel))
  const joined = await reply(channel.join())
  for (const update of joined.history) Y.applyUpdate(doc, typeof update === 'string' ? bytesOf(update) : bytesOf(update.b64), channel)
  const text = doc.getText('t')
  return { doc, text, socket, channel, joined, write: (change) => {
    const before = Y.encodeStateVector(doc)
    change(text)
    return reply(channel.push('client_update', { b64: b64(Y.encodeStateAsUpdate(doc, before)) }))
  } }
}

const read = async (server, topic) => (await fetch(`${server.url}/api/topics/${topic}?as=text`)).text()
const metric = async (server, name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${server.url}/metrics`)).text())[1])

/** The server's processes for `kind`. */
function processes(server, kind) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const [, comm, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      return comm === `laniakea-${kind}` && Number(parent) === server.pid
    } catch {
      return false
    }
  })
}

/** Memory of its own that a process has. A sanitizer keeps some, too: bench/server measures it. */
const privateBytes = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
const sanitized = process.env.LK_PROGRAM_IS_SANITIZED ? 'a sanitizer keeps memory of its own: bench/server measures it' : false

test('1: an edit that was acknowledged is there, whatever dies in that moment', async () => {
  const server = await start()
  const ann = await edit(server, 'doc:kept')
  for (let i = 0; i < 10; i++) {
    assert.equal((await ann.write((text) => text.insert(text.length, String(i)))).level, 'durable')
    if (i === 4) for (const pid of processes(server, 'room')) process.kill(pid, 'SIGKILL')
  }
  ann.channel.leave() // no pause in which anything might be saved
  await server.stop('SIGKILL')
  await server.start()
  assert.equal(await read(server, 'doc:kept'), '0123456789')
})

test('2: a document that nobody has open leaves memory, and is there when somebody comes', async () => {
  const server = await start('--room-idle', '100ms')
  const ann = await edit(server, 'doc:rare')
  await ann.write((text) => text.insert(0, 'still here'))
  assert.equal(await metric(server, 'laniakea_rooms'), 1)
  ann.socket.disconnect()
  await until('the room goes', async () => (await metric(server, 'laniakea_rooms')) === 0)
  assert.equal((await edit(server, 'doc:rare')).text.toString(), 'still here')
})

test('3: who comes back to a document that began again does not double its content', async () => {
  const server = await start({ data: false })
  const ann = await edit(server, 'doc:again')
  await ann.write((text) => text.insert(0, 'first life'))
  ann.socket.disconnect()
  await fetch(`${server.url}/api/topics/doc:again`, { method: 'DELETE' })
  await (await edit(server, 'doc:again')).write((text) => text.insert(0, 'second life'))
  const back = connect(server).channel('doc:again', { encoding: 'base64', generation: ann.joined.generation, state_vector: b64(Y.encodeStateVector(ann.doc)) })
  assert.equal((await refused(back.join())).reason, 'diverged')
  back.leave()
  assert.equal(await read(server, 'doc:again'), 'second life')
  assert.equal(ann.text.toString(), 'first life') // kept apart
})

test('4: a document that cannot be loaded is not taken for an empty one', async () => {
  const server = await start('--room-idle', '100ms')
  const ann = await edit(server, 'doc:damaged')
  await ann.write((text) => text.insert(0, 'worth keeping'))
  ann.socket.disconnect()
  await until('the room goes', async () => (await metric(server, 'laniakea_rooms')) === 0)
  await server.stop()
  const files = readdirSync(server.data).map((name) => join(server.data, name)).filter((path) => statSync(path).isFile() && readFileSync(path).includes('worth keeping'))
  assert.ok(files.length > 0, 'its bytes are in no file')
  for (const path of files) {
    const bytes = readFileSync(path)
    bytes[bytes.indexOf('worth keeping')] ^= 0x55
    writeFileSync(path, bytes)
  }
  const before = files.map((path) => readFileSync(path))
  try {
    await server.start()
  } catch (error) {
    assert.match(String(error), /corrupt|damaged|journal/i) // it says so, and serves nothing
    return
  }
  const channel = connect(server).channel('doc:damaged', {})
  const said = await refused(channel.join())
  channel.leave()
  assert.match(JSON.stringify(said), /storage|LK_ERR_CORRUPT/)
  for (const [i, path] of files.entries()) assert.ok(readFileSync(path).equals(before[i]), path)
})

test('6: who has most of a large document gets what is missing, and memory stays near what it says', async () => {
  const server = await start()
  const memory = () => processes(server, 'room').reduce((sum, pid) => sum + privateBytes(pid), 0)
  const before = memory()
  const ann = await edit(server, 'doc:large')
  for (let i = 0; i < 80; i++) await ann.write((text) => text.insert(text.length, randomBytes(30_000).toString('base64')))
  const grown = memory() - before
  if (!sanitized) assert.ok(grown < 3 * ann.text.length, `${grown} bytes for a document of ${ann.text.length}`)
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(ann.doc))
  await ann.write((text) => text.insert(0, 'new: '))
  const ben = await edit(server, 'doc:large', { doc: copy, params: { generation: ann.joined.generation } })
  assert.equal(ben.text.toString(), ann.text.toString())
  assert.ok(JSON.stringify(ben.joined.history).length < 1000, 'all of it came again')
})

test('7: an update that is none is refused, and changes nothing for anybody', async () => {
  const server = await start()
  const ann = await edit(server, 'doc:checked')
  await ann.write((text) => text.insert(0, 'sound'))
  const eve = await edit(server, 'doc:checked')
  for (const bytes of [[1, 1, 255, 255, 255], [9, 9, 9]]) {
    const { reason } = await refused(eve.channel.push('client_update', { bin: bytes }))
    assert.equal(reason, 'replica_refused')
  }
  await ann.write((text) => text.insert(5, ' still'))
  assert.equal(await read(server, 'doc:checked'), 'sound still')
})

test('8: a document says again what it said before', async () => {
  const server = await start('--versions', 'doc:*=saved')
  const ann = await edit(server, 'doc:told')
  await ann.write((text) => text.insert(0, 'a good sentence'))
  const { id } = await reply(ann.channel.push('version_save', { name: 'good' }))
  await ann.write((text) => text.delete(0, text.length))
  await ann.write((text) => text.insert(0, 'nonsense'))
  await reply(ann.channel.push('version_restore', { id }))
  await until('the old text is back', () => ann.text.toString() === 'a good sentence')
  const { versions } = await reply(ann.channel.push('versions', {}))
  assert.ok(versions.some(({ name }) => name === 'good') && versions.length === 2, 'what was replaced is a version, too')
})

test('9: a token ends when it says, and is renewed without a new connection', async () => {
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'laniakea'.repeat(8), { mode: 0o600 })
  const server = await start('--token-secret-file', secret)
  const mint = (seconds) => execFileSync(program, ['token', 'mint', '--subject', 'ann', '--topic', 'doc:*=write', '--max-age', String(seconds)], { env: { ...process.env, SECRET_KEY_BASE: 'laniakea'.repeat(8) }, encoding: 'utf8' }).trim()
  const closes = []
  const renewing = connect(server, { params: { token: mint(2) } }), forgetful = connect(server, { params: { token: mint(2) }, reconnectAfterMs: () => 60_000 })
  renewing.onClose(({ code }) => closes.push(['renewing', code]))
  forgetful.onClose(() => closes.push(['forgetful']))
  const ann = await edit(server, 'doc:mine', { socket: renewing })
  await edit(server, 'doc:mine', { socket: forgetful })
  renewing.push({ topic: 'phoenix', event: 'access_token', payload: { token: mint(3600) }, ref: renewing.makeRef() })
  await until('the other token ends', () => closes.length > 0)
  await ann.write((text) => text.insert(0, 'on and on'))
  assert.deepEqual(closes, [['forgetful']])
})

test('10: cursors of many cost each of them a few messages, not one for every pair', async () => {
  const server = await start({ data: false })
  const count = 30
  const heard = []
  const people = await Promise.all(Array.from({ length: count }, () => edit(server, 'doc:crowd')))
  for (const [i, { channel }] of people.entries()) channel.on('awareness', () => (heard[i] = (heard[i] ?? 0) + 1))
  const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)])
  const began = performance.now()
  for (let move = 1; move <= 20; move++) {
    for (const [i, { channel }] of people.entries()) {
      const state = Buffer.from(JSON.stringify({ cursor: move }))
      channel.push('awareness', { bin: [1, ...varint(1000 + i), move, state.length, ...state] })
    }
    await sleep(5)
  }
  await until('each hears', () => people.every((_, i) => heard[i] > 0))
  const took = performance.now() - began
  await sleep(300)
  const most = 3 + took / 40 // they are told 40 ms after what was told last
  assert.ok(Math.max(...heard) <= most, `${Math.max(...heard)} messages in ${Math.round(took)} ms for ${20 * (count - 1)} moves`)
})

test('11: who was there before a crash and does not come back is not shown', async () => {
  const server = await start()
  const join = async (id, socket) => {
    const channel = socket.channel('doc:seen', { presence: { key: id } })
    let people = {}
    channel.on('presence_state', (state) => (people = state))
    channel.on('presence_diff', ({ joins, leaves }) => {
      for (const key of Object.keys(leaves)) delete people[key]
      Object.assign(people, joins)
    })
    await reply(channel.join())
    return () => Object.keys(people).sort()
  }
  const ghost = connect(server), ann = connect(server)
  await join('ghost', ghost)
  const seen = await join('ann', ann)
  await until('both are seen', () => seen().length === 2)
  await server.stop('SIGKILL')
  ghost.disconnect()
  await server.start()
  await until('ann is back', () => ann.isConnected())
  await until('she is alone', () => seen().length === 1)
  await sleep(300)
  assert.equal(seen().length, 1)
})

test('12: a server that stops lets its clients go one after the other', async () => {
  const server = await start('--drain', '1s')
  const times = []
  const clients = Array.from({ length: 120 }, () => new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`))
  await Promise.all(clients.map((client) => new Promise((resolve) => client.addEventListener('open', resolve))))
  const began = Date.now()
  const ended = clients.map((client) => new Promise((resolve) => client.addEventListener('close', ({ code }) => resolve(times.push(Date.now() - began) && code))))
  const stopped = server.stop()
  assert.deepEqual([...new Set(await Promise.all(ended))], [1012])
  await stopped
  times.sort((a, b) => a - b)
  assert.ok(times.at(-1) - times[0] > 200, `all within ${times.at(-1) - times[0]} ms`)
})

test('13: a client that can only poll is in the same room, and one that polled may go back to a socket', async () => {
  const server = await start()
  const poll = { transport: LongPoll, longPollFallbackMs: undefined }
  const polling = await edit(server, 'doc:slow', { socket: connect(server, poll) })
  const quick = await edit(server, 'doc:slow')
  await polling.write((text) => text.insert(0, 'polled'))
  await until('the other hears', () => quick.text.toString() === 'polled')
  await quick.write((text) => text.insert(6, ' and pushed'))
  await until('who polls hears', () => polling.text.toString() === 'polled and pushed')
  polling.socket.disconnect()
  const back = await edit(server, 'doc:slow', { doc: polling.doc })
  await back.write((text) => text.insert(0, 'again: '))
  assert.equal(await read(server, 'doc:slow'), 'again: polled and pushed')
})

test('14: a connection that waits costs little', { skip: sanitized }, async () => {
  const server = await start({ data: false }, '--edges', '1')
  const [edge] = processes(server, 'edge')
  const memory = () => privateBytes(edge)
  const open = (count) => Promise.all(Array.from({ length: count }, () => new Promise((resolve, reject) => {
    const client = new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
    sockets.add({ disconnect: () => client.close() })
    client.addEventListener('error', reject)
    client.addEventListener('message', resolve)
    client.addEventListener('open', () => client.send('["1","1","relay:idle","phx_join",{}]'))
  })))
  await open(100)
  const before = memory()
  await open(400)
  await sleep(300)
  const each = (memory() - before) / 400
  assert.ok(each < 4096, `${Math.round(each)} bytes for each`)
})

test('15: a document that is changed all the time does not fill the disk', async () => {
  const server = await start('--limit', 'log_segment_bytes=262144')
  const ann = await edit(server, 'doc:busy')
  let written = 0
  for (let i = 0; i < 60; i++) {
    const word = randomBytes(20_000).toString('base64')
    written += word.length
    await ann.write((text) => {
      text.delete(0, text.length)
      text.insert(0, word)
    })
  }
  await sleep(300)
  const kept = readdirSync(server.data).reduce((sum, name) => sum + statSync(join(server.data, name)).size, 0)
  assert.ok(kept < written, `${kept} bytes of ${written} are on the disk, for a document of ${ann.text.length}`)
})
