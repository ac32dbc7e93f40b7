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
})

/** All that comes until the server closes. */
function raw(server, text) {
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(server.port, '127.0.0.1', () => socket.write(text))
    socket.setEncoding('latin1').on('data', (piece) => (got += piece)).on('error', reject).on('close', () => resolve(got))
  })
}

// ---- several edge processes ----

const edgesOf = (server) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
  try {
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return name === 'laniakea-edge' && Number(parent) === server.child.pid
  } catch {
    return false // it ended while we looked
  }
})
/** As `ask`, on a connection of its own, which comes to any of the edge processes. */
async function alone(server, method, query, body = '') {
  const text = await raw(server, `${method} /socket/longpoll?vsn=2.0.0${query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n` +
    `Content-Type: application/x-ndjson\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))
}
const metric = async (server, name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${server.url}/metrics`)).text())[1])
/** The index of the edge process that has the session of `token`, of two. */
const homeOf = (token) => Buffer.from(token, 'base64url').at(-1) % 2

describe('long-poll over several edge processes', () => {
  test('finds its session from whichever process a request came to', async () => {
    const server = await start('--edges', '2')
    const { token } = await alone(server, 'GET', '')
    const body = 'x'.repeat(300_000) // more than a ring holds at once
    for (let i = 0; i < 20; i++) {
      const large = JSON.stringify([null, String(i), 'phoenix', 'heartbeat', { body }])
      assert.equal((await alone(server, 'POST', `&token=${token}`, i % 5 === 0 ? large : heartbeat(String(i)))).status, 200)
      const got = await alone(server, 'GET', `&token=${token}`)
      assert.equal(got.status, 200)
      assert.deepEqual(refsOf(got), [String(i)])
      assert.equal(got.token, token)
    }
    const relayed = await metric(server, 'laniakea_longpoll_relayed_total')
    assert.ok(relayed >= 10 && relayed <= 30, `${relayed} of 40 requests came to the other process`)
    assert.equal(await metric(server, 'laniakea_longpoll_sessions'), 1)
    const stranger = Buffer.alloc(16, 7).toString('base64url')
    assert.equal((await alone(server, 'POST', `&token=${stranger}`, heartbeat('1'))).status, 410)
  })

  test('answers 410 at once to those whose process died, and serves the others', async () => {
    const server = await start('--edges', '2')
    const tokens = []
    while ([0, 1].some((home) => tokens.filter((token) => homeOf(token) === home).length < 10)) {
      tokens.push((await alone(server, 'GET', '')).token)
      assert.ok(tokens.length < 200, 'sessions are spread')
    }
    tokens.sort(() => Math.random() - 0.5) // processes take turns: in order, each poll could come to the right one
    const polls = []
    for (const token of tokens) { // not all at once: one process may take many connections that come together
      polls.push(alone(server, 'GET', `&token=${token}`).then(({ status }) => status, () => 'cut'))
      await sleep(5)
    }
    await until(async () => (await metric(server, 'laniakea_longpoll_relayed_total')) > 0, 'polls to be passed on')
    await sleep(200)
    process.kill(edgesOf(server)[0], 'SIGKILL')
    await until(() => edgesOf(server).length === 2, 'its successor')
    const began = Date.now()
    const statuses = await Promise.all(tokens.map((token) => alone(server, 'POST', `&token=${token}`, heartbeat('9')).then(({ status }) => status)))
    const dead = [0, 1].find((home) => tokens.every((token, i) => statuses[i] === (homeOf(token) === home ? 410 : 200)))
    assert.notEqual(dead, undefined, `${statuses}`)
    const ends = await Promise.all(tokens.map((token, i) => homeOf(token) === dead ? polls[i] : 'alive'))
    assert.ok(ends.every((end) => end === 'alive' || end === 410 || end === 'cut'), `${ends}`)
    assert.ok(ends.includes(410), 'some connections were not at the process that died')
    assert.ok(Date.now() - began < 3000, 'nobody waited for what cannot come')
    await Promise.all(polls)
  })

  test('sessions end in batches when the server stops', async () => {
    const server = await start('--edges', '2', '--drain', '2s')
    const sessions = await Promise.all(Array.from({ length: 240 }, () => alone(server, 'GET', '')))
    const polls = sessions.map(({ token }) => alone(server, 'GET', `&token=${token}`).then(({ status }) => ({ status, at: Date.now() })))
    // One that comes later, to a session that has ended, is answered at once.
    await until(async () => (await metric(server, 'laniakea_connections')) >= polls.length, 'all to poll')
    await sleep(500)
    const began = Date.now()
    server.child.kill('SIGTERM')
    const ends = await Promise.all(polls)
    assert.deepEqual([...new Set(ends.map(({ status }) => status))], [410])
    const times = ends.map(({ at }) => at - began).sort((a, b) => a - b)
    assert.ok(times[180] - times[60] >= 200, `the middle half went between ${times[60]} and ${times[180]} ms`)
    assert.deepEqual(await server.ended, [0, null])
    assert.ok(Date.now() - began < 4000, `${Date.now() - began} ms`)
    running.delete(server)
  })

  test('50 clients of Phoenix go on when one of the processes is killed, and lose nothing', { timeout: 60_000 }, async () => {
    const server = await start('--edges', '2')
    const clients = await Promise.all(Array.from({ length: 50 }, async () => {
      const socket = client(server)
      const own = { socket, breaks: 0, ...(await joined(socket, 'crdt:many')) }
      socket.onClose(() => own.breaks++)
      return own
    }))
    await Promise.all(clients.map(({ channel }) => increment(channel, 1)))
    const victim = edgesOf(server)[0]
    process.kill(victim, 'SIGKILL')
    await until(() => edgesOf(server).length === 2 && !edgesOf(server).includes(victim), 'the next process')
    await until(() => clients.some(({ breaks }) => breaks > 0), 'somebody to notice')
    await sleep(500)
    await until(() => clients.every(({ channel, socket }) => channel.isJoined() && socket.isConnected()), 'all to be back', 30_000)
    await Promise.all(clients.map(({ channel }) => increment(channel, 1)))
    assert.equal((await reply(clients[0].channel.push('crdt.get', { payload: {} }))).value, 100)
    assert.ok((await metric(server, 'laniakea_longpoll_relayed_total')) > 50)
  })
})
