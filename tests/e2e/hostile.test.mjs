// Strangers who want the server to wait, to keep or to work: each attack has its name here, and what it may cost is
// counted. Compression bombs are in websocket.test.mjs, the same attacks on the machines alone in tests/unit/wire.
//
//   node --test tests/e2e/hostile.test.mjs      runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'

const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'laniakea-hostile-'))
const running = new Set()

async function start(...args) {
  const child = spawn(program, ['serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const server = { child, err: '', ended: once(child, 'exit') }
  running.add(server)
  child.stderr.setEncoding('utf8').on('data', (text) => (server.err += text))
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data')
  child.stdout.resume()
  server.url = /https?:\S+/.exec(line)[0]
  server.port = Number(new URL(server.url).port)
  server.edge = edgeOf(server)
  return server
}

afterEach(async () => {
  for (const server of running) {
    server.child.kill('SIGTERM')
    assert.equal((await server.ended)[0], 0, server.err)
    running.delete(server)
    assert.doesNotMatch(server.err, /assertion failed|Sanitizer|runtime error/)
  }
})
after(() => rmSync(folder, { recursive: true }))

function edgeOf(server) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
    try {
      const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      return name === 'laniakea-edge' && Number(parent) === server.child.pid
    } catch {
      return false
    }
  })
}

/** KiB that the edge process has. With a sanitizer they say nothing. */
const residentOf = (server) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.edge}/status`, 'utf8'))[1])
function staysWithin(server, before, kib) {
  const grown = residentOf(server) - before
  if (!process.env.LK_PROGRAM_IS_SANITIZED) assert.ok(grown < kib, `grown by ${grown} KiB`)
}

/** A stranger: what it was told, how much it could send, and when it was cut. */
function stranger(server, first) {
  const own = { socket: connect(server.port, '127.0.0.1'), told: '', began: Date.now(), sent: 0 }
  own.closed = new Promise((resolve) => own.socket.on('close', () => resolve(Object.assign(own, { took: Date.now() - own.began }))))
  own.socket.setEncoding('latin1').on('data', (text) => (own.told += text)).on('error', () => {})
  own.socket.write(first, 'latin1')
  return own
}

/** Sends `piece` each `ms` until it is cut. */
async function trickle(own, piece, ms) {
  for (let i = 0; !own.socket.destroyed; i++) {
    own.socket.write(piece(i), 'latin1')
    await sleep(ms)
  }
}

/** Sends as much as is taken, at most `most` bytes, until it is cut. */
async function flood(own, piece, most) {
  await once(own.socket, 'connect')
  while (!own.socket.destroyed && own.sent < most) {
    own.sent += piece.length
    if (!own.socket.write(piece, 'latin1')) await Promise.race([once(own.socket, 'drain').catch(() => {}), own.closed])
  }
}

const isAlive = async (server) => {
  const began = Date.now()
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
  assert.ok(Date.now() - began < 1000, `others waited ${Date.now() - began} ms`)
}

// ---- who takes their time ----

test('slow-loris on headers and bodies: 200 strangers are cut by the clock, whatever trickles', { timeout: 30_000 }, async () => {
  const server = await start('--http-request-timeout', '1s')
  const strangers = Array.from({ length: 200 }, (_, i) => stranger(server, i % 2 === 0
    ? 'GET / HTTP/1.1\r\nHost: localhost\r\n'
    : 'POST /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n'))
  for (const own of strangers) void trickle(own, (i) => `x${i}: y\r\n`, 100)
  await sleep(500)
  await isAlive(server)
  for (const own of await Promise.all(strangers.map(({ closed }) => closed))) {
    assert.match(own.told, /^HTTP\/1.1 408 /)
    assert.ok(own.took >= 900 && own.took < 4000, `${own.took} ms`)
  }
})

test('slow-loris on handshakes of TLS: 100 strangers are cut by the clock, and others are served meanwhile', { timeout: 30_000 }, async () => {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-keyout', key, '-out', cert])
  assert.equal(made.status, 0)
  const server = await start('--tls-cert', cert, '--tls-key', key, '--tls-handshake-timeout', '1s')
  const hello = Buffer.concat([Buffer.from('16030101ff010001fb0303', 'hex'), Buffer.alloc(500, 1)]).toString('latin1')
  const before = residentOf(server)
  const strangers = Array.from({ length: 100 }, () => stranger(server, hello.slice(0, 3)))
  for (const own of strangers) void trickle(own, (i) => hello.slice(3 + i, 4 + i), 100)
  await sleep(500)
  const ask = (path) => new Promise((resolve, reject) => get(`${server.url}${path}`, { rejectUnauthorized: false, agent: false }, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (piece) => (text += piece)).on('end', () => resolve(text))
  }).on('error', reject))
  const began = Date.now()
  assert.match(await ask('/healthz'), /ok/)
  assert.ok(Date.now() - began < 1000)
  staysWithin(server, before, 100 * 48)
  for (const { took } of await Promise.all(strangers.map(({ closed }) => closed))) assert.ok(took >= 900 && took < 3500, `${took} ms`)
  assert.match(await ask('/metrics'), /^laniakea_tls_handshake_failures_total 100$/m)
  const socket = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  socket.destroy()
})

// ---- who sends without end ----

test('header floods: 100 strangers get 431 for at most one head each, however much they send', { timeout: 60_000 }, async () => {
  const server = await start()
  const before = residentOf(server)
  for (const line of [`x: ${'y'.repeat(1000)}\r\n`, 'a:b\r\n'.repeat(200)]) { // long ones, and many
    const strangers = Array.from({ length: 100 }, () => stranger(server, 'GET / HTTP/1.1\r\nHost: localhost\r\n'))
    await Promise.all(strangers.map((own) => flood(own, line, 8 << 20)))
    for (const own of strangers) own.socket.end()
    await isAlive(server)
    const ends = await Promise.all(strangers.map(({ closed }) => closed))
    // What the kernel holds on the way is no memory of ours; a reset may overtake the words.
    assert.ok(ends.filter(({ told }) => /^HTTP\/1.1 431 /.test(told)).length >= 50)
    for (const { told } of ends) assert.match(told, /^(HTTP\/1.1 431 |$)/)
  }
  staysWithin(server, before, 100 * 48 + 8192)
})

const upgrade = 'GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const closeCode = (told) => {
  const frame = told.slice(told.indexOf('\r\n\r\n') + 4)
  return frame.length >= 4 && frame.charCodeAt(0) === 0x88 ? frame.charCodeAt(2) << 8 | frame.charCodeAt(3) : undefined
}

test('endless fragments: 50 strangers are closed at one message or some hundred empty pieces', { timeout: 60_000 }, async () => {
  const server = await start('--limit', 'ws_message_bytes=65536', '--limit', 'edge_memory_bytes=64M')
  const before = residentOf(server)
  const head = (len) => String.fromCharCode(0x00, 0x80 | (len < 126 ? len : 126), ...(len < 126 ? [] : [len >> 8, len & 255]), 0, 0, 0, 0)
  for (const piece of [head(0).repeat(500), `${head(1)}x`.repeat(500), `${head(1000)}${'x'.repeat(1000)}`]) {
    const strangers = Array.from({ length: 50 }, () => stranger(server, `${upgrade}\x01\x80\0\0\0\0`))
    await Promise.all(strangers.map((own) => flood(own, piece, 8 << 20)))
    for (const own of strangers) own.socket.end()
    await isAlive(server)
    const codes = (await Promise.all(strangers.map(({ closed }) => closed))).map(({ told }) => closeCode(told))
    assert.ok(codes.every((code) => [1008, 1009, undefined].includes(code)), `${codes}`)
    assert.ok(codes.filter((code) => code !== undefined).length >= 25, `${codes}`)
  }
  staysWithin(server, before, 50 * 160 + 8192)
})

test('giant claims of length: 300 strangers make room for nothing, and are refused from the claim', { timeout: 30_000 }, async () => {
  const server = await start()
  const before = residentOf(server)
  const post = 'POST /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n'
  const claims = [
    [`${post}Content-Length: 99999999999\r\n\r\n`, /^HTTP\/1.1 413 /],
    [`${post}Transfer-Encoding: chunked\r\n\r\nfffffffffff\r\n`, /^HTTP\/1.1 413 /],
    [`${upgrade}\x82\xff\x3f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0`, 1009],
  ]
  const strangers = Array.from({ length: 300 }, (_, i) => stranger(server, claims[i % 3][0]))
  await until(() => strangers.every(({ told }, i) => i % 3 === 2 ? closeCode(told) !== undefined : told !== ''))
  staysWithin(server, before, 300 * 16 + 4096)
  for (const [i, { told }] of strangers.entries()) {
    const wanted = claims[i % 3][1]
    if (typeof wanted === 'number') assert.equal(closeCode(told), wanted)
    else assert.match(told, wanted)
  }
  for (const { socket } of strangers) socket.destroy()
  await isAlive(server)
})

async function until(what, patience = 10_000) {
  for (const began = Date.now(); !what(); await sleep(20)) if (Date.now() - began > patience) assert.fail(`not within ${patience} ms: ${what}`)
}
