// Clients without WebSockets: the unmodified npm client of Phoenix with its LongPoll transport, raw requests that
// were captured from a genuine Phoenix 1.8.12, and what goes wrong between a session and its connections.
//
//   node --test tests/e2e/longpoll.test.mjs      runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { LongPoll, Socket } = require('phoenix')
const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const batch = { 'Content-Type': 'application/x-ndjson' }
const window = 10_000

// ---- servers ----

const running = new Set()
const sockets = new Set()

async function start(...args) {
  const child = spawn(program, ['serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const server = { child, err: '', ended: once(child, 'exit') }
  running.add(server)
  child.stderr.setEncoding('utf8').on('data', (text) => (server.err += text))
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  child.stdout.resume()
  server.url = /http:\S+/.exec(line)[0]
  server.port = Number(new URL(server.url).port)
  return server
}

async function stop(server) {
  server.child.kill('SIGTERM')
  const [code] = await server.ended
  running.delete(server)
  return code
}

/** The process of `server` that holds its connections. */
function edgeOf(server) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
    try {
      const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      return name === 'laniakea-edge' && Number(parent) === server.child.pid
    } catch {
      return false // it ended while we looked
    }
  })
}

async function until(condition, what, ms = 8000) {
  for (const end = Date.now() + ms; !(await condition()); await sleep(5)) {
    if (Date.now() > end) assert.fail(`waited ${ms} ms for ${what}`)
  }
}

afterEach(async () => {
  for (const socket of sockets) socket.disconnect()
  sockets.clear()
  for (const server of [...running]) {
    await stop(server)
    assert.doesNotMatch(server.err, /assertion failed|Sanitizer|runtime error/)
  }
})

// ---- the client of Phoenix ----

function client(server, transport = LongPoll) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, {
    transport, longpollerTimeout: 20_000, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20,
  })
  sockets.add(socket)
  socket.connect()
  return socket
}

const reply = (push) => new Promise((resolve, reject) => {
  push.receive('ok', resolve).receive('error', (reason) => reject(new Error(JSON.stringify(reason))))
    .receive('timeout', () => reject(new Error('timeout')))
})
const increment = (channel, amount) => reply(channel.push('crdt.increment', { payload: { amount } }))

async function joined(socket, topic) {
  const channel = socket.channel(topic, {})
  const told = []
  channel.onMessage = (event, payload) => {
    if (!event.startsWith('phx_') && !event.startsWith('chan_')) told.push(event)
    return payload
  }
  await reply(channel.join())
  return { channel, told }
}

describe('phoenix.js with its LongPoll transport', () => {
  test('joins, pushes, is answered, and hears of others', async () => {
    const server = await start()
    const polling = await joined(client(server), 'crdt:demo')
    const other = await joined(client(server, globalThis.WebSocket ?? require('ws')), 'crdt:demo')
    assert.equal((await increment(polling.channel, 2)).value, 2)
    await until(() => other.told.length > 0, 'the WebSocket to hear of it')
    polling.told.length = 0
    assert.equal((await increment(other.channel, 3)).value, 5)
    await until(() => polling.told.length > 0, 'the poll to hear of it')
    await assert.rejects(increment(polling.channel, -1))
    await reply(polling.channel.leave())
    assert.equal(await stop(server), 0)
    assert.equal(server.err, '')
  })

  test('sends more than fits one request, and binary messages', async () => {
    const server = await start()
    const { channel } = await joined(client(server), 'crdt:demo')
    await Promise.all(Array.from({ length: 350 }, () => increment(channel, 1)))
    assert.equal((await reply(channel.push('crdt.get', { payload: {} }))).value, 350)
    await assert.rejects(reply(channel.push('bytes', new Uint8Array([1, 2, 255]).buffer)), /UNKNOWN_EVENT/)
  })

  test('comes back by itself when its process is killed, and nothing acknowledged is lost', async () => {
    const server = await start()
    const { channel } = await joined(client(server), 'crdt:demo')
    let value = 0
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) ({ value } = await increment(channel, 1))
      const edge = edgeOf(server)
      process.kill(edge, 'SIGKILL')
      await until(() => edgeOf(server) !== undefined && edgeOf(server) !== edge, 'the next process')
      await until(() => !channel.isJoined() || !channel.socket.isConnected(), 'the client to notice')
      await until(() => channel.isJoined() && channel.socket.isConnected(), 'the client to come back')
    }
    assert.equal((await increment(channel, 1)).value, value + 1)
    assert.equal(value, 15)
  })

  test('is told to come back when the server stops', async () => {
    const server = await start()
    const socket = client(server)
    await joined(socket, 'crdt:demo')
    const closed = new Promise((resolve) => socket.onClose(({ code }) => resolve(code)))
    await sleep(300) // its poll waits
    const began = Date.now()
    assert.equal(await stop(server), 0)
    assert.equal(await closed, 3410)
    assert.ok(Date.now() - began < 4000, `stopping took ${Date.now() - began} ms`)
  })
})

// ---- raw requests ----

const ask = async (server, method, query, headers, body) => {
  const response = await fetch(`${server.url}/socket/longpoll?${query}`, { method, headers, body })
  const text = await response.text()
  assert.equal(response.headers.get('access-control-allow-origin'), method === 'PUT' ? null : '*')
  return { http: response.status, headers: response.headers, ...(text.startsWith('{') ? JSON.parse(text) : { text }) }
}

/** A new session: `get` and `post` on it. */
async function session(server, vsn = '2.0.0') {
  const { status, token, messages } = await ask(server, 'GET', `vsn=${vsn}`)
  assert.equal(status, 410)
  assert.deepEqual(messages, [])
  const query = `vsn=${vsn}&token=${encodeURIComponent(token)}`
  return {
    token,
    query,
    get: (headers) => ask(server, 'GET', query, headers),
    post: (body, headers = batch) => ask(server, 'POST', query, headers, body),
  }
}

const lines = (...messages) => messages.map((m) => (typeof m === 'string' ? m : JSON.stringify(m))).join('\n')
const binary = (joinRef, ref, topic, event, data) => Buffer.concat([
  Buffer.from([0, joinRef.length, ref.length, topic.length, event.length]), Buffer.from(joinRef + ref + topic + event), Buffer.from(data),
]).toString('base64')
const heartbeat = (ref) => JSON.stringify([null, ref, 'phoenix', 'heartbeat', {}])
const refsOf = ({ messages }) => messages.map((text) => JSON.parse(text)[1])

describe('long-poll, request by request', () => {
  // The rows of the capture, in its order. What differs from Phoenix: the token, the rooms, and the last row, where
  // Phoenix answers 500 and loses the message.
  test('answers as the captured Phoenix does', async () => {
    const server = await start()
    const s = await session(server)
    assert.equal((await s.post(lines(['1', '1', 'crdt:a', 'phx_join', {}], ['1', '2', 'crdt:a', 'crdt.get', {}]))).status, 200)
    const first = await s.get()
    assert.equal(first.status, 200)
    assert.equal(first.token, s.token)
    assert.deepEqual(first.messages.map((text) => JSON.parse(text).slice(0, 4)), [['1', '1', 'crdt:a', 'phx_reply'], ['1', '2', 'crdt:a', 'phx_reply']])
    assert.ok(first.messages.every((text) => JSON.parse(text)[4].status === 'ok'))
    const idle = s.get()
    const began = Date.now()
    assert.deepEqual(await idle.then(({ status, messages, token }) => ({ status, messages, token })), { status: 204, messages: [], token: s.token })
    assert.ok(Math.abs(Date.now() - began - window) < 3000, `204 came after ${Date.now() - began} ms`)
    assert.equal((await s.post(heartbeat('3'))).status, 200)
    assert.deepEqual((await s.get()).messages.map((text) => JSON.parse(text)), [[null, '3', 'phoenix', 'phx_reply', { status: 'ok', response: {} }]])
    await s.post(lines(['1', '9', 'crdt:zzz', 'echo', {}]))
    assert.deepEqual((await s.get()).messages.map((text) => JSON.parse(text)),
      [[null, '9', 'crdt:zzz', 'phx_reply', { status: 'error', response: { reason: 'unmatched topic' } }]])
    assert.equal((await s.post(JSON.stringify(['1', '5', 'crdt:a', 'crdt.get', {}]), { 'Content-Type': 'application/json' })).status, 200)
    assert.deepEqual(refsOf(await s.get()), ['5'])
    const bogus = await ask(server, 'GET', 'vsn=2.0.0&token=bogus')
    assert.equal(bogus.status, 410)
    assert.notEqual(bogus.token, s.token)
    assert.equal((await ask(server, 'POST', 'vsn=2.0.0&token=bogus', {}, '[]')).status, 410)
    assert.equal((await ask(server, 'PUT', 'vsn=2.0.0', {}, 'x')).http, 400)
    const preflight = await ask(server, 'OPTIONS', 'vsn=2.0.0', { 'access-control-request-headers': 'x-a' })
    assert.deepEqual([preflight.http, preflight.text], [200, ''])
    assert.equal(preflight.headers.get('access-control-allow-headers'), 'x-a')
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'get, post, options')
    assert.equal(preflight.headers.get('access-control-max-age'), '3600')
    assert.equal((await ask(server, 'GET', 'vsn=9.0.0')).status, 403)
    assert.equal((await s.post(binary('1', '4', 'crdt:a', 'bin', [1, 2, 255]))).status, 200)
    assert.deepEqual(refsOf(await s.get()), ['4'])
  })

  test('serves clients of V1, tokens in a header, and bodies in chunks', async () => {
    const server = await start()
    const old = await session(server, '1.0.0')
    await old.post('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}', {})
    assert.equal(JSON.parse((await old.get()).messages[0]).ref, '7')
    const s = await session(server)
    const header = { 'X-Phoenix-Longpoll-Token': s.token }
    const body = new ReadableStream({
      start(stream) {
        for (const piece of [heartbeat('1').slice(0, 9), heartbeat('1').slice(9), '\r\n', heartbeat('2')]) stream.enqueue(Buffer.from(piece))
        stream.close()
      },
    })
    const sent = await fetch(`${server.url}/socket/longpoll?vsn=2.0.0&token=x`, { method: 'POST', headers: { ...batch, ...header }, body, duplex: 'half' })
    assert.deepEqual(await sent.json(), { status: 200 })
    assert.deepEqual(refsOf(await ask(server, 'GET', 'vsn=2.0.0', header)), ['1', '2'])
  })

  test('takes 100 lines and drops the rest; newlines cost nothing, and more than the limit is refused by its length', async () => {
    const server = await start()
    const s = await session(server)
    assert.equal((await s.post(Array.from({ length: 150 }, (_, i) => heartbeat(String(i))).join('\n'))).status, 200)
    assert.deepEqual(refsOf(await s.get()), Array.from({ length: 100 }, (_, i) => String(i)))
    const began = Date.now()
    for (let i = 0; i < 20; i++) assert.equal((await s.post('\n'.repeat(2 << 20))).status, 200)
    assert.ok(Date.now() - began < 4000, `40 MB of newlines took ${Date.now() - began} ms`)
    const tooLong = `POST /socket/longpoll?${s.query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n`
    assert.match(await raw(server, tooLong), /^HTTP\/1\.1 413 /)
    assert.match(await raw(server, tooLong.replace('/socket/longpoll', '/socket/websocket').replace('8388608', '1')), /^HTTP\/1\.1 413 /)
  })

  test('ends a session that breaks the protocol, and one that nobody polls', async () => {
    const server = await start()
    for (const bad of ['[', '!', '[1,2]', 'AAEB', Buffer.from('["1","1","crdt:a","x",{"a":"\xff"}]', 'latin1')]) {
      const s = await session(server)
      assert.equal((await s.post(bad)).status, 410, String(bad))
      assert.equal((await s.post(heartbeat('1'))).status, 410)
    }
    const left = await session(server)
    const kept = await session(server)
    const idle = kept.get()
    await sleep(1.5 * window + 500)
    assert.equal((await left.post(heartbeat('1'))).status, 410)
    assert.equal((await idle).status, 204)
    assert.equal((await kept.post(heartbeat('1'))).status, 200)
  })

  test('loses no message when the connection of a poll dies', async () => {
    const server = await start()
    const s = await session(server)
    for (let i = 0; i < 20; i++) {
      const gone = connect(server.port, '127.0.0.1')
      gone.write(`GET /socket/longpoll?${s.query} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await sleep(20) // it waits now
      gone.end()
      await once(gone, 'close')
      assert.equal((await s.post(heartbeat(String(i)))).status, 200)
      assert.deepEqual(refsOf(await s.get()), [String(i)])
    }
  })

  test('answers an older poll when a second one takes its place', async () => {
    const server = await start()
    const s = await session(server)
    const first = s.get()
    await sleep(100)
    const second = s.get()
    assert.equal((await first).status, 204)
    await s.post(heartbeat('1'))
    assert.deepEqual(refsOf(await second), ['1'])
  })

  test('is not for pages of other sites', async () => {
    const server = await start()
    for (const method of ['GET', 'POST', 'OPTIONS'])
      assert.equal((await ask(server, method, 'vsn=2.0.0', { Origin: 'http://evil.example' })).status, 403)
    assert.equal((await ask(server, 'GET', 'vsn=2.0.0', { Origin: 'http://localhost:1' })).status, 410)
  })

  test('says why it is not served by a server of several edges', async () => {
    const server = await start('--edges', '2')
    const { http, status, error, message } = await ask(server, 'GET', 'vsn=2.0.0')
    assert.deepEqual([http, status, error], [501, 403, 'longpoll_needs_one_edge'])
    assert.match(message, /--edges 1/)
  })
})

/** All that comes until the server closes. */
function raw(server, text) {
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(server.port, '127.0.0.1', () => socket.write(text))
    socket.setEncoding('latin1').on('data', (piece) => (got += piece)).on('error', reject).on('close', () => resolve(got))
  })
}
