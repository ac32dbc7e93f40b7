// tests/e2e/limits.test.mjs -- how fast and how much: what the program does with clients that want too much of either.
//
//   node --test tests/e2e/limits.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// Goal: whoever is too fast is slowed down and loses nothing, others do not notice, and whatever is refused has a name, a
// number in /metrics, and leaves the rest as it was. Method: clients of Phoenix and of Yjs against low rates and limits.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const require = createRequire(import.meta.url)
const { LongPoll, Socket } = require('phoenix')
const patience = 20_000

let server
const sockets = new Set()

afterEach(async () => {
  for (const socket of sockets) socket.disconnect()
  sockets.clear()
  if (server !== undefined) assert.equal(await server.stop(), 0)
  await server?.dispose()
  server = undefined
})

async function start(...args) {
  server = new Program({ data: false }, ...args)
  await server.start()
}

function connect(options = {}) {
  const socket = new Socket(`${server.url.replace('http', options.transport === undefined ? 'ws' : 'http')}/socket`, { heartbeatIntervalMs: 60_000, ...options })
  sockets.add(socket)
  socket.connect()
  return socket
}

const answer = (push) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error('no answer')), patience)
  const done = (status) => (response) => {
    clearTimeout(timer)
    resolve({ status, ...response })
  }
  push.receive('ok', done('ok')).receive('error', done('error'))
})
async function join_(socket, topic, params = {}) {
  const channel = socket.channel(topic, params)
  const joined = await answer(channel.join(patience))
  return Object.assign(channel, { joined })
}
const push = (channel, event, payload) => answer(channel.push(event, payload, patience))

async function metric(name) {
  const text = await (await fetch(`${server.url}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
}
const base64 = (bytes) => ({ b64: Buffer.from(bytes).toString('base64') })

describe('rates', () => {
  test('a client that floods is slowed to its rate, every update arrives, and others are not disturbed', async () => {
    await start('--rate-connection-messages', '200', '--rate-burst', '1s')
    const [writer, reader, other] = [connect(), connect(), connect()]
    const [source, copy] = [new Y.Doc(), new Y.Doc()]
    const hears = await join_(reader, 'doc:flood', { encoding: 'base64' })
    hears.on('server_update', ({ b64 }) => Y.applyUpdate(copy, Buffer.from(b64, 'base64')))
    const writes = await join_(writer, 'doc:flood')
    const beside = await join_(other, 'relay:quiet')
    const answers = []
    source.on('update', (update) => answers.push(push(writes, 'client_update', base64(update))))
    const began = performance.now()
    for (let i = 0; i < 500; i++) source.getText('t').insert(0, String.fromCharCode(97 + i % 26))
    let worst = 0
    let isDone = false
    const all = Promise.all(answers).finally(() => (isDone = true))
    while (!isDone) {
      const asked = performance.now()
      assert.equal((await push(beside, 'x', {})).status, 'ok')
      worst = Math.max(worst, performance.now() - asked)
      await sleep(20)
    }
    for (const { status } of await all) assert.equal(status, 'ok')
    const took = performance.now() - began
    assert.ok(took > 1400 && took < 5000, `500 messages took ${took} ms`) // 200 at once, the others in 1.5 s
    assert.ok(worst < 400, `somebody else waited ${worst} ms`)
    for (const end = performance.now() + 2000; copy.getText('t').length < 500 && performance.now() < end;) await sleep(5)
    assert.equal(copy.getText('t').toString(), source.getText('t').toString())
    assert.ok(await metric('laniakea_throttled_by_connection_total') > 5)
    assert.equal(await metric('laniakea_connections_throttled'), 0)
  })

  test('who polls is slowed down likewise', async () => {
    await start('--rate-connection-messages', '50', '--rate-burst', '1s')
    const channel = await join_(connect({ transport: LongPoll }), 'relay:polled')
    const began = performance.now()
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => push(channel, 'x', { i })))
    for (const { status } of all) assert.equal(status, 'ok')
    const took = performance.now() - began
    assert.ok(took > 900 && took < 6000, `100 messages took ${took} ms`)
  })

  test('an honest editor never meets a rate: cursors, a long paste, a hundred topics that are joined anew', async () => {
    await start()
    const socket = connect()
    const channels = Array.from({ length: 99 }, (_, i) => socket.channel(`relay:${i}`))
    await Promise.all(channels.map((channel) => answer(channel.join())))
    const editor = await join_(socket, 'doc:paste')
    socket.disconnect()
    sockets.delete(socket)
    const again = connect()
    await Promise.all(channels.map((channel) => answer(again.channel(channel.topic).join())))
    const doc = new Y.Doc()
    const written = await join_(again, 'doc:paste')
    doc.getText('t').insert(0, 'x'.repeat(700_000))
    assert.equal((await push(written, 'client_update', base64(Y.encodeStateAsUpdate(doc)))).status, 'ok')
    for (let i = 0; i < 60; i++) written.push('cursor_pos', { at: i })
    await push(written, 'cursor_pos', { at: 60 })
    assert.equal(editor.joined.status, 'ok')
    for (const by of ['connection', 'subject', 'topic']) assert.equal(await metric(`laniakea_throttled_by_${by}_total`), 0)
  })
})

describe('sizes', () => {
  test('a message that is too long is answered and the connection goes on; far beyond it is closed with 1009', async () => {
    await start('--limit', 'ws_message_bytes=20000')
    for (const transport of [undefined, LongPoll]) {
      const socket = connect(transport === undefined ? {} : { transport })
      const channel = await join_(socket, 'relay:big')
      const refused = await push(channel, 'x', { text: 'x'.repeat(100_000) })
      assert.deepEqual([refused.status, refused.reason, refused.limit], ['error', 'message_too_big', 'ws_message_bytes'])
      assert.equal((await push(channel, 'x', { small: 1 })).status, 'ok')
      if (transport !== undefined) continue
      const bytes = await push(channel, 'x', new Uint8Array(300_000).buffer) // as a frame
      assert.equal(bytes.reason, 'message_too_big')
      const join = socket.channel('relay:other', { text: 'x'.repeat(30_000) })
      assert.equal((await answer(join.join())).reason, 'message_too_big')
      join.leave()
      const bare = new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
      const closed = new Promise((resolve) => bare.addEventListener('close', ({ code }) => resolve(code)))
      bare.addEventListener('open', () => bare.send('x'.repeat(400_000)))
      assert.equal(await closed, 1009)
    }
    assert.equal(await metric('laniakea_refused_messages_total'), 4)
  })

  test('an update that is too long ends the writing of its replica, since what follows needs it', async () => {
    await start('--limit', 'ws_message_bytes=20000')
    const channel = await join_(connect(), 'doc:big')
    const doc = new Y.Doc()
    const updates = []
    doc.on('update', (update) => updates.push(update))
    for (const text of ['a', 'b'.repeat(50_000), 'c']) doc.getText('t').insert(doc.getText('t').length, text)
    const said = []
    for (const update of updates) said.push(await push(channel, 'client_update', base64(update)))
    assert.deepEqual(said.map(({ status, reason }) => reason ?? status), ['ok', 'replica_refused', 'replica_refused'])
    assert.equal(said[1].error, 'LK_ERR_TOO_BIG')
    const awareness = await push(channel, 'awareness', base64(new Uint8Array(30_000)))
    assert.equal(awareness.reason, 'message_too_big')
    assert.ok(await metric('laniakea_refused_limits_total') >= 2)
  })

  test('an update that makes its document too large is told which limit that was, also by HTTP', async () => {
    await start('--limit', 'crdt_state_bytes=50000')
    const channel = await join_(connect(), 'doc:state')
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'x'.repeat(60_000))
    const refused = await push(channel, 'client_update', base64(Y.encodeStateAsUpdate(doc)))
    assert.deepEqual([refused.reason, refused.error, refused.limit], ['replica_refused', 'LK_ERR_TOO_BIG', 'crdt_state_bytes'])
    const response = await fetch(`${server.url}/api/topics/doc:state`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: Y.encodeStateAsUpdate(doc) })
    assert.equal(response.status, 422)
    assert.equal((await response.json()).limit, 'crdt_state_bytes')
    await server.stop()
    await start('--limit', 'log_record_bytes=1500000')
    const other = await join_(connect(), 'doc:record')
    doc.getText('t').insert(0, 'x'.repeat(600_000))
    const one = await push(other, 'client_update', base64(Y.encodeStateAsUpdate(doc)))
    assert.equal(one.limit, 'log_record_bytes')
  })

  // 8 M is too much for every document, however wide its way is; and three of them are more than waits between processes at once.
  test('messages of many megabytes are refused to their senders, and nobody else waits', async () => {
    const wide = ['ws_message_bytes=18M', 'bus_frame_bytes=19M', 'bus_output_bytes=38M'].flatMap((limit) => ['--limit', limit])
    await start('--edges', '1', '--rooms', '1', ...wide)
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'x'.repeat(16_900_000))
    const update = Y.encodeStateAsUpdate(doc)
    const others = await join_(connect(), 'doc:small')
    const senders = await Promise.all([1, 2, 3].map((i) => join_(connect(), `doc:large${i}`, { encoding: 'binary' })))
    const pushed = senders.map((channel) => push(channel, 'client_update', update.buffer.slice(update.byteOffset, update.byteOffset + update.byteLength)))
    let isDone = false
    const all = Promise.all(pushed).finally(() => (isDone = true))
    const small = new Y.Doc()
    do {
      small.getText('t').insert(0, 'a')
      assert.equal((await push(others, 'client_update', base64(Y.encodeStateAsUpdate(small)))).status, 'ok')
      assert.equal((await fetch(`${server.url}/api/topics/doc:small?as=text`)).status, 200)
    } while (!isDone)
    for (const refused of await all) assert.deepEqual([refused.reason, refused.limit], ['replica_refused', 'crdt_state_bytes'])
    assert.equal(await metric('laniakea_requests_unanswered'), 0)
  })

  test('a long update comes through while its document is still being loaded', async () => {
    server = new Program('--rooms', '1')
    await server.start()
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'x'.repeat(3_000_000))
    const response = await fetch(`${server.url}/api/topics/doc:fresh`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: Y.encodeStateAsUpdate(doc) })
    assert.deepEqual([response.status, await response.json()], [201, { level: 'durable' }])
  })

  // All of them together are more than what may wait between two processes, with nothing set at all.
  test('many who open a large document at once all get it, also from a server that has just begun', async () => {
    const count = 12
    server = new Program('--edges', '1', '--rooms', '1')
    await server.start()
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'x'.repeat(7_500_000))
    const response = await fetch(`${server.url}/api/topics/doc:popular`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: Y.encodeStateAsUpdate(doc) })
    assert.equal(response.status, 201)
    const open = () => new Promise((resolve, reject) => {
      const y = new WebSocket(`${server.url.replace('http', 'ws')}/y/popular`)
      const timer = setTimeout(() => reject(new Error('it did not come')), patience)
      let bytes = 0
      y.binaryType = 'arraybuffer'
      y.addEventListener('open', () => y.send(new Uint8Array([0, 0, 1, 0]))) // all of it
      y.addEventListener('message', ({ data }) => {
        bytes += data.byteLength
        if (bytes < 7_500_000) return
        clearTimeout(timer)
        y.close()
        resolve()
      })
    })
    for (const round of ['warm', 'cold']) {
      if (round === 'cold') {
        assert.equal(await server.stop(), 0)
        await server.start()
      }
      const all = Promise.all(Array.from({ length: count }, open))
      for (let i = 0; i < 5; i++) assert.equal((await fetch(`${server.url}/api/topics/doc:none`)).status, 404)
      await all
      assert.equal(await metric('laniakea_requests_sent_again_total'), 0, round) // the edge was not made to begin again
    }
  })

  test('a document that is larger than what goes between processes by now is refused to who wants it, and to nobody else', async () => {
    const wide = ['ws_message_bytes=18M', 'bus_frame_bytes=19M', 'bus_output_bytes=38M', 'log_record_bytes=40M', 'crdt_state_bytes=32M'].flatMap((limit) => ['--limit', limit])
    server = new Program('--edges', '1', '--rooms', '1', ...wide)
    await server.start()
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'x'.repeat(18_000_000))
    const update = Y.encodeStateAsUpdate(doc)
    const writer = await join_(connect(), 'doc:grown', { encoding: 'binary' })
    assert.equal((await push(writer, 'client_update', update.buffer.slice(update.byteOffset, update.byteOffset + update.byteLength))).status, 'ok')
    for (const socket of sockets) socket.disconnect()
    sockets.clear()
    await server.stop()
    await server.start('--limit', 'bus_frame_bytes=17M', '--limit', 'ws_message_bytes=1M')
    const others = await join_(connect(), 'doc:small')
    const y = new WebSocket(`${server.url.replace('http', 'ws')}/y/grown`)
    const closed = new Promise((resolve) => y.addEventListener('close', ({ code, reason }) => resolve([code, reason])))
    y.addEventListener('open', () => y.send(new Uint8Array([0, 0, 1, 0]))) // all of it
    assert.deepEqual(await closed, [4422, 'LK_ERR_REFUSED'])
    const late = connect().channel('doc:grown', { encoding: 'binary' })
    const crashed = new Promise((resolve) => late.onError(resolve))
    late.join(patience)
    assert.deepEqual(await crashed, { reason: 'answer_too_big' })
    late.leave()
    const read = await fetch(`${server.url}/api/topics/doc:grown?as=text`)
    assert.equal(read.status, 503)
    assert.equal((await read.json()).limit, 'bus_frame_bytes')
    assert.equal((await push(others, 'client_update', base64(Y.encodeStateAsUpdate(new Y.Doc())))).status, 'ok')
    assert.equal(await metric('laniakea_requests_unanswered'), 0)
  })

  test('a document has no more memory than a room may have, and may still be made smaller', async () => {
    await start('--limit', 'room_memory_bytes=200000')
    const channel = await join_(connect(), 'doc:full')
    const doc = new Y.Doc()
    const text = doc.getText('t')
    text.insert(0, 'x'.repeat(100_000))
    assert.equal((await push(channel, 'client_update', base64(Y.encodeStateAsUpdate(doc)))).status, 'ok')
    const other = new Y.Doc()
    other.getText('u').insert(0, 'y'.repeat(150_000))
    const second = await join_(connect(), 'doc:full')
    const refused = await push(second, 'client_update', base64(Y.encodeStateAsUpdate(other)))
    assert.deepEqual([refused.reason, refused.error, refused.limit], ['replica_refused', 'LK_ERR_LIMIT', 'room_memory_bytes'])
    let removal
    doc.once('update', (update) => (removal = update))
    text.delete(0, 90_000)
    assert.equal((await push(channel, 'client_update', base64(removal))).status, 'ok')
    assert.equal(await metric('laniakea_refused_limits_total'), 1)
  })

  test('an object has no more than its limits, and what is refused is counted', async () => {
    await start('--limit', 'crdt_value_bytes=1000')
    const channel = await join_(connect(), 'crdt:small', { type: 'lww' })
    const refused = await push(channel, 'crdt.set', { payload: { value: 'x'.repeat(2000) } })
    assert.equal(refused.reason, 'LK_ERR_TOO_BIG')
    assert.equal((await push(channel, 'crdt.set', { payload: { value: 'x' } })).status, 'ok')
    assert.equal(await metric('laniakea_refused_limits_total'), 1)
  })

  test('topics of a connection, rooms and members have limits with names and numbers', async () => {
    await start('--limit', 'channel_topics_count=3', '--limit', 'rooms_count=3', '--limit', 'room_members_count=1')
    const [a, b] = [connect(), connect()]
    for (const i of [1, 2, 3]) assert.equal((await join_(a, `relay:${i}`)).joined.status, 'ok')
    assert.equal((await join_(a, 'relay:4')).joined.reason, 'too many channels joined')
    const { joined: full } = await join_(b, 'relay:1')
    assert.deepEqual([full.reason, full.retry_after_ms], ['room full', 5000])
    const { joined: over } = await join_(b, 'relay:5')
    assert.deepEqual([over.reason, over.retry_after_ms], ['server full', 5000])
    for (const what of ['topics', 'members', 'rooms']) assert.ok(await metric(`laniakea_refused_${what}_total`) >= 1, what)
  })
})

describe('subjects', () => {
  const folder = mkdtempSync(join(tmpdir(), 'laniakea-limits-'))
  const secret = 'a secret of thirty-two bytes or more'
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = (claims) => {
    const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`
    return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
  }

  test('all connections of a subject share its rate', async () => {
    const file = join(folder, 'secret')
    writeFileSync(file, secret, { mode: 0o600 })
    await start('--token-jwt-secret-file', file, '--rate-subject-messages', '100', '--rate-burst', '1s')
    const channels = await Promise.all([1, 2, 3, 4].map((i) => join_(connect({ params: { token: token({ sub: i < 4 ? 'ann' : 'bob' }) } }), 'relay:shared')))
    const [, , , bob] = channels
    const began = performance.now()
    const flood = Promise.all(channels.slice(0, 3).flatMap((channel) => Array.from({ length: 80 }, () => push(channel, 'x', {}))))
    await sleep(100)
    const asked = performance.now()
    await push(bob, 'x', {})
    assert.ok(performance.now() - asked < 300)
    for (const { status } of await flood) assert.equal(status, 'ok')
    const took = performance.now() - began
    assert.ok(took > 1000 && took < 5000, `240 messages took ${took} ms`) // 100 at once, the others in 1.4 s
    assert.ok(await metric('laniakea_throttled_by_subject_total') > 0)
    rmSync(folder, { recursive: true })
  })
})
