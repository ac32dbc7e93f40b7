// tests/e2e/slow.test.mjs -- who reads too slowly is spared, and then told at once what it missed (docs/decisions/025).
//
//   node --test tests/e2e/slow.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// Goal: a reader that stops reading costs neither itself its connection, nor others their news, nor the server memory.
// Method: phoenix.js with a socket of TCP that is not read, while another writes much more into the document than it will hold.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Socket } from 'phoenix'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const sanitized = Boolean(process.env.LK_PROGRAM_IS_SANITIZED)
const sockets = new Set()
let server

afterEach(async () => {
  for (const socket of sockets) {
    const { conn } = socket
    socket.disconnect()
    conn?.terminate() // what is not read would wait for the end of a handshake
  }
  sockets.clear()
  if (server === undefined) return
  const { output } = server
  const code = await server.stop()
  await server.dispose()
  server = undefined
  assert.equal(code, 0, output)
})

async function start(...args) {
  server = new Program(...args)
  await server.start()
}

/** A socket that counts how often it was closed, and that knows its TCP connection. */
function connect() {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, { transport: WebSocket, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20 })
  socket.closes = []
  socket.onClose(({ code }) => socket.closes.push(code))
  sockets.add(socket)
  socket.connect()
  return Object.defineProperty(socket, 'tcp', { get: () => socket.conn._socket })
}

const reply = (push) => new Promise((resolve, reject) =>
  push.receive('ok', resolve).receive('error', (response) => reject(new Error(JSON.stringify(response)))).receive('timeout', () => reject(new Error('timeout'))))

async function until(what, isSo, ms = 5000) {
  for (const end = Date.now() + ms; !(await isSo()); await sleep(5)) assert.ok(Date.now() < end, `it does not happen: ${what}`)
}

const b64 = (bytes) => Buffer.from(bytes).toString('base64')
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64'))

/** Somebody in `topic` who is shown as `key`. `people` are those whom it sees; `left` those whom it saw go. */
async function member(topic, key, params = {}) {
  const socket = connect()
  const doc = new Y.Doc()
  const me = { socket, doc, people: [], left: [], updates: 0 }
  const channel = socket.channel(topic, { encoding: 'base64', presence: { key }, ...params })
  me.channel = channel
  channel.on('server_update', ({ b64: update }) => {
    me.updates++
    Y.applyUpdate(doc, bytesOf(update), channel)
  })
  channel.on('presence_state', (state) => (me.people = Object.keys(state)))
  channel.on('presence_diff', ({ joins, leaves }) => {
    me.left.push(...Object.keys(leaves))
    me.people = [...new Set([...me.people.filter((name) => !(name in leaves)), ...Object.keys(joins)])]
  })
  const { history } = await reply(channel.join())
  for (const update of history) Y.applyUpdate(doc, bytesOf(update.b64 ?? update), channel)
  return me
}

const state = (doc) => b64(Y.encodeStateVector(doc))
const metric = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${server.url}/metrics`)).text())[1])

/** kB of memory of its own that the edge process has. */
function memoryOfEdge() {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      if (comm === 'laniakea-edge' && Number(parent) === server.pid) return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
    } catch {} // it ended meanwhile
  }
  assert.fail('there is no edge')
}

/** 4 KB texts for 64 keys of a map, over and over: resolves with the bytes written when all are acknowledged. */
async function write({ doc, channel }, count) {
  let written = 0
  for (let i = 0; i < count;) {
    const answers = []
    for (const end = Math.min(count, i + 20); i < end; i++) {
      const before = Y.encodeStateVector(doc)
      doc.getMap('m').set(`key ${i % 64}`, randomBytes(2048).toString('hex'))
      const update = Y.encodeStateAsUpdate(doc, before)
      written += update.length
      answers.push(reply(channel.push('client_update', { b64: b64(update) })))
    }
    await Promise.all(answers)
  }
  return written
}

test('who stops reading keeps its connection, costs nobody anything, and is told at once what it missed', async () => {
  await start('--edges', '1', '--rate-burst', '0ms')
  const [writer, third] = [await member('doc:much', 'writer'), await member('doc:much', 'third')]
  const [other] = [await member('doc:other', 'writer'), await member('doc:other', 'reader')]
  await write(other, 200) // what buffers take once, they keep
  const slow = await member('doc:much', 'slow')
  await until('it is shown', () => third.people.includes('slow'))

  const memory = memoryOfEdge(), begin = slow.socket.tcp.bytesRead
  slow.socket.tcp.pause()
  const written = await write(writer, 2000)
  assert.ok(written > 8e6)
  await member('doc:much', 'late')
  await until('the third has all', () => state(third.doc) === state(writer.doc))
  await until('the third sees who came', () => third.people.includes('late'))
  assert.deepEqual([third.people.sort(), third.left], [['late', 'slow', 'third', 'writer'], []])
  const grown = memoryOfEdge() - memory
  if (!sanitized) assert.ok(grown < 2048, `the edge has ${grown} kB more`)
  assert.ok(await metric('laniakea_members_skipped_total') >= 1)
  assert.ok(slow.updates < 2000)

  slow.socket.tcp.resume()
  await until('it has caught up', () => state(slow.doc) === state(writer.doc))
  assert.deepEqual(slow.doc.getMap('m').toJSON(), writer.doc.getMap('m').toJSON())
  await until('it sees who came', () => slow.people.includes('late'))
  const got = slow.socket.tcp.bytesRead - begin
  assert.ok(got < written / 4, `it got ${got} bytes, and ${written} were written`)
  assert.deepEqual([slow.socket.closes, third.socket.closes], [[], []])

  await write(writer, 1) // and it hears of what comes then, like everybody
  await until('all have it', () => [slow, third].every(({ doc }) => state(doc) === state(writer.doc)))
})
