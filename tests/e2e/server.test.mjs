// The real program, real sockets, the unmodified npm client of Phoenix.
//
//   node --test tests/e2e/            runs build/laniakea; LK_PROGRAM names another one
//
// Every server here listens on a port that the system chose and is stopped by its process id.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { Socket } = require('phoenix')
const WebSocket = globalThis.WebSocket ?? require('ws')
const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))

// ---- servers ----

const running = new Set()
const directories = []

/** Starts `laniakea serve` on a free port and waits until it says that it listens. */
async function start(...args) {
  const child = spawn(program, ['serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const server = { child, pid: child.pid, out: '', err: '', url: null, ended: once(child, 'exit') }
  running.add(server)
  child.stderr.setEncoding('utf8').on('data', (text) => (server.err += text))
  child.stdout.setEncoding('utf8').on('data', (text) => (server.out += text))
  await until(() => server.out.includes('\n') || child.exitCode !== null, 'the server to start')
  assert.equal(child.exitCode, null, server.err)
  server.url = server.out.match(/listens on (http:\S+)/)[1]
  server.port = Number(new URL(server.url).port)
  return server
}

async function stop(server, signal = 'SIGTERM') {
  if (server.child.exitCode === null && server.child.signalCode === null) server.child.kill(signal)
  const [code] = await server.ended
  running.delete(server)
  return code
}

/** Runs the program to its end: { code, out, err }. */
async function run(...args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (said.err += text))
  const [code] = await once(child, 'close')
  return { code, ...said }
}

async function until(condition, what, ms = 5000) {
  const end = Date.now() + ms
  // A condition that never answers, such as a request that nobody takes, has failed as well.
  const holds = () => Promise.race([condition(), sleep(Math.max(end - Date.now(), 0) + 100, false, { ref: false })])
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`waited ${ms} ms for ${what}`)
    await sleep(5)
  }
}

const parentOf = (pid) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1])

/** The children of a process. One that ends while we look is none. */
function childrenOf(pid) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((child) => {
    try {
      return parentOf(child) === pid
    } catch {
      return false
    }
  })
}

/** A dead process that nobody has asked about yet is dead. */
function isAlive(pid) {
  try {
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** The process of a server that does this: 'room' or 'edge'. None while there is none. */
function processOf(server, kind) {
  return childrenOf(server.pid).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === `laniakea-${kind}` && isAlive(pid)
    } catch {
      return false
    }
  })
}

const openFilesOf = (pid) => readdirSync(`/proc/${pid}/fd`).length

function directory() {
  const path = mkdtempSync(join(tmpdir(), 'laniakea-e2e-'))
  directories.push(path)
  return path
}

/** The files and directories that the processes of a server have open. */
function filesOf(server) {
  const pids = [server.pid, ...childrenOf(server.pid)]
  const open = pids.flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`)))
  return open.filter((path) => path.startsWith('/') && !path.startsWith('/dev/') && !path.startsWith('/memfd:'))
}

// Stopped by signal, so that the processes close all it holds, and whatever the test was about: no
// assertion failed and no sanitizer spoke.
afterEach(async () => {
  for (const server of [...running]) {
    await stop(server)
    assert.doesNotMatch(server.err, /assertion failed|Sanitizer|runtime error/)
  }
})
after(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true })
})

// ---- raw bytes ----

/** Sends `text` and returns all that comes until the server closes, or until `ms` of silence. */
function raw(server, text, ms = 3000) {
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(server.port, '127.0.0.1', () => socket.write(text))
    socket.setEncoding('latin1').setTimeout(ms, () => socket.destroy())
    socket.on('data', (piece) => (got += piece)).on('error', reject).on('close', () => resolve(got))
  })
}

const upgradeRequest = 'GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** A text message of less than 126 bytes, masked with zeros. */
const frameOf = (text) => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

/** An open WebSocket of which nothing will be read. */
function deafClient(server) {
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(upgradeRequest))
    socket.once('data', () => resolve(socket.pause())).on('error', () => {})
  })
}

const statusOf = (response) => Number(response.match(/^HTTP\/1\.1 (\d{3})/)?.[1])

/** The status of a handshake with these headers instead of the usual ones; null leaves one out. */
async function handshake(server, path, headers = {}) {
  const all = {
    Host: `127.0.0.1:${server.port}`, Connection: 'Upgrade', Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers,
  }
  const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`)
  return raw(server, `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 300)
}

// ---- Phoenix ----

const clients = new Set()
afterEach(() => {
  for (const client of clients) client.disconnect()
  clients.clear()
})

function client(server) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, {
    transport: WebSocket, heartbeatIntervalMs: 200, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20,
  })
  clients.add(socket)
  socket.connect()
  return socket
}

const reply = (push) => new Promise((resolve, reject) => {
  push.receive('ok', resolve).receive('error', (reason) => reject(new Error(JSON.stringify(reason))))
    .receive('timeout', () => reject(new Error('timeout')))
})

const join_ = (socket, topic) => {
  const channel = socket.channel(topic, {})
  return reply(channel.join()).then((joined) => ({ channel, joined }))
}
const increment = (channel, amount) => reply(channel.push('crdt.increment', { payload: { amount } }))

// ---- starting and stopping ----

describe('the program', () => {
  test('answers on the port that it printed, and stops with 0 when told', async () => {
    const server = await start()
    assert.match(server.out, /^Laniakea \d+\.\d+\.\d+ listens on http:\/\/127\.0\.0\.1:\d+\n/)
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200)
    assert.equal(await stop(server), 0)
    assert.equal(server.err, '')
  })

  test('stops with 0 on Ctrl-C too', async () => assert.equal(await stop(await start(), 'SIGINT'), 0))

  test('without a data directory has no file open anywhere', async () => {
    const server = await start()
    await join_(client(server), 'crdt:demo')
    assert.deepEqual(filesOf(server), [])
    assert.equal(await stop(server), 0)
  })

  test('says nothing when it is to be quiet', async () => {
    const child = spawn(program, ['serve', '--port', '0', '--quiet'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stdout.on('data', (text) => (said += text))
    child.stderr.on('data', (text) => (said += text))
    await until(() => childrenOf(child.pid).length === 2, 'its processes')
    await sleep(100)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'close'), [0, null])
    assert.equal(said, '')
  })

  test('says that a port is taken and what to do, and ends with 1', async () => {
    const server = await start()
    const second = await run('serve', '--port', String(server.port))
    assert.equal(second.code, 1)
    assert.match(second.err, /^laniakea: port \d+ of 127\.0\.0\.1 is taken .*--port.*\n$/)
  })

  for (const address of ['0.0.0.0', '::', '192.0.2.1', '10.0.0.1', 'example.org', '127.0.0.1.evil.example']) {
    test(`refuses to listen on ${address}`, async () => {
      const { code, err } = await run('serve', '--port', '0', '--listen', address)
      assert.equal(code, 1)
      assert.equal(err.split('\n').length, 2, err)
    })
  }

  test('refuses a data directory that another server uses', async () => {
    const data = directory()
    await start('--data', data)
    const second = await run('serve', '--port', '0', '--data', data)
    assert.equal(second.code, 1)
    assert.match(second.err, /in use by another server/)
  })

  test('refuses a data directory that was made for another number of room processes', async () => {
    const data = directory()
    for (const rooms of ['2', '2']) await stop(await start('--data', data, '--rooms', rooms))
    const { code, err } = await run('serve', '--port', '0', '--data', data)
    assert.equal(code, 1)
    assert.match(err, /was made with --rooms 2, and has to be used with that\n$/)
  })

  test('gives up at once where the data directory cannot be used', async () => {
    const { code, err } = await run('serve', '--port', '0', '--data', '/proc/nowhere/at/all')
    assert.equal(code, 1)
    assert.match(err, /cannot make the data directory/)
  })

  test('names the nearest command and option, and ends with 2', async () => {
    for (const [args, text] of [[['sevre'], /did you mean serve\?/], [['serve', '--prot', '1'], /did you mean --port\?/],
      [['launch'], /laniakea --help lists them/], [['serve', 'x'], /takes no argument x/], [['serve', '--port'], /--port N/],
      [['serve', '--port', '65536'], /0 to 65535/], [['serve', '--quiet=1'], /takes no value/], [['version', '-p'], /no option -p/]]) {
      const { code, err, out } = await run(...args)
      assert.equal(code, 2, args.join(' '))
      assert.match(err, text)
      assert.equal(err.split('\n').length, 2)
      assert.equal(out, '')
    }
  })

  test('prints control characters of its arguments as escapes', async () => {
    const { err } = await run('serve', '--\u001b[31mred\u009b\n')
    assert.match(err, /--\\x1b\[31mred\\xc2\\x9b\\x0a/)
  })

  test('prints its version, for people and for scripts', async () => {
    const version = readFileSync(new URL('../../VERSION', import.meta.url), 'utf8').trim()
    assert.equal((await run('version')).out, `laniakea ${version}\n`)
    assert.deepEqual(JSON.parse((await run('version', '--json')).out), { name: 'laniakea', version })
  })

  test('explains every command that it lists', async () => {
    const { out } = await run('--help')
    const names = [...out.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name)
    assert.ok(names.includes('serve'))
    for (const name of names) assert.match((await run(name, '--help')).out, new RegExp(`^usage: laniakea ${name} `))
  })
})

// ---- HTTP ----

describe('HTTP', () => {
  test('every response carries the headers that keep pages safe', async () => {
    const server = await start()
    for (const path of ['/', '/healthz', '/nothing', '/metrics']) {
      const { headers } = await fetch(server.url + path)
      const policy = headers.get('content-security-policy')
      for (const part of ["default-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "connect-src 'self'", "frame-ancestors 'none'"]) {
        assert.ok(policy.split('; ').includes(part), `${path} lacks ${part}`)
      }
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
      assert.equal(headers.get('referrer-policy'), 'no-referrer')
      assert.match(headers.get('date'), /GMT$/)
    }
  })

  test('what is not there is 404, and what cannot be done is 405, in JSON', async () => {
    const server = await start()
    const missing = await fetch(`${server.url}/../../etc/passwd%2e`)
    assert.equal(missing.status, 404)
    assert.equal((await missing.json()).error, 'not_found')
    const refused = await fetch(`${server.url}/`, { method: 'DELETE' })
    assert.equal(refused.status, 405)
    assert.equal(refused.headers.get('allow'), 'GET, HEAD')
    assert.equal((await refused.json()).error, 'method_not_allowed')
  })

  test('HEAD has the length and no body; a tag that is known gives 304', async () => {
    const server = await start()
    const head = await raw(server, 'HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    assert.match(head, /^HTTP\/1\.1 200 .*content-length: [1-9]\d*\r\n.*\r\n\r\n$/s)
    const { headers } = await fetch(`${server.url}/`)
    if (headers.get('etag')) {
      const again = await fetch(`${server.url}/`, { headers: { 'if-none-match': `"x", W/${headers.get('etag')}` } })
      assert.equal(again.status, 304)
    }
  })

  test('garbage is 400, a long head 431, a long line 414, a body 413; and then the connection ends', async () => {
    const server = await start()
    const line = (length) => `GET /${'a'.repeat(length)} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    assert.equal(statusOf(await raw(server, '\x16\x03\x01\x02\x00\x01garbage\r\n\r\n')), 400)
    assert.equal(statusOf(await raw(server, 'GET / HTTP/1.1\r\n\r\n')), 400)
    assert.equal(statusOf(await raw(server, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')), 400)
    assert.equal(statusOf(await raw(server, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20000)}\r\n\r\n`)), 431)
    assert.equal(statusOf(await raw(server, `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(101)}\r\n`)), 431)
    assert.equal(statusOf(await raw(server, line(20000))), 414)
    assert.equal(statusOf(await raw(server, 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello')), 413)
    assert.equal(statusOf(await raw(server, 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')), 413)
    assert.equal(statusOf(await raw(server, 'POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n')), 501)
    assert.equal(statusOf(await raw(server, 'GET / HTTP/2.5\r\nHost: localhost\r\n\r\n')), 505)
    const began = Date.now()
    await raw(server, 'nonsense\r\n\r\n')
    assert.ok(Date.now() - began < 1000, 'the server ends its half at once')
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
  })

  test('requests in one packet are answered in order', async () => {
    const server = await start()
    const one = (path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const got = await raw(server, `${one('/healthz')}${one('/x')}`.repeat(20) + 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    const statuses = [...got.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    assert.deepEqual(statuses, [...Array(20)].flatMap(() => ['200', '404']).concat('200'))
  })

  test('only requests that name this machine are served, whatever they ask for', async () => {
    const server = await start()
    const ask = (host) => raw(server, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:80', '[::1]:4000']) assert.equal(statusOf(await ask(host)), 200, host)
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '0.0.0.0', '127.0.0.2', '[::]']) {
      assert.equal(statusOf(await ask(host)), 403, host)
    }
  })
})

// ---- the handshake ----

describe('the WebSocket handshake', () => {
  const path = '/socket/websocket?vsn=2.0.0'

  test('is for programs and for pages of this machine', async () => {
    const server = await start()
    for (const Origin of [null, 'http://localhost:5173', 'https://localhost', `http://127.0.0.1:${server.port}`, 'http://[::1]:3000']) {
      const response = await handshake(server, path, { Origin })
      assert.equal(statusOf(response), 101, String(Origin))
      assert.match(response, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
    }
    for (const Origin of ['http://evil.example', 'null', 'http://localhost.evil.example', 'http://evil.example:80#localhost', 'file://', 'localhost']) {
      assert.equal(statusOf(await handshake(server, path, { Origin })), 403, Origin)
    }
    assert.equal(statusOf(await handshake(server, path, { Host: 'evil.example' })), 403)
  })

  test('wants serializer 1 or 2, an upgrade, and the headers of RFC 6455', async () => {
    const server = await start()
    assert.equal(statusOf(await handshake(server, '/socket/websocket?a=1&vsn=2.0.7')), 101)
    for (const query of ['', '?vsn=1.0.0']) assert.equal(statusOf(await handshake(server, `/socket/websocket${query}`)), 101, query)
    for (const query of ['?vsn=2', '?vsn=2.1.0', '?vsn=2.0.x', '?vsn=2.0.0&vsn=9', '?vsn=3.0.0']) {
      assert.equal(statusOf(await handshake(server, `/socket/websocket${query}`)), 403, query)
    }
    assert.equal((await fetch(`${server.url}${path}`)).status, 400)
    assert.equal(statusOf(await handshake(server, path, { 'Sec-WebSocket-Key': 'short' })), 400)
    assert.equal(statusOf(await handshake(server, path, { 'Sec-WebSocket-Version': '8' })), 426)
    assert.match(await handshake(server, path, { 'Sec-WebSocket-Protocol': 'phoenix, base64url.bearer.phx.abc' }), /sec-websocket-protocol: phoenix\r\n/i)
  })
})

// ---- rooms ----

describe('a counter', () => {
  test('joins, increments, and tells the others, with the client of Phoenix as it is', async () => {
    const server = await start()
    const one = await join_(client(server), 'crdt:demo')
    const two = await join_(client(server), 'crdt:demo')
    assert.equal(one.joined.type, 'gcounter')
    assert.equal(one.joined.value, 0)
    assert.notEqual(one.joined.replica, two.joined.replica)
    const told = new Promise((resolve) => two.channel.on('state_updated', resolve))
    const done = await increment(one.channel, 2)
    assert.equal(done.value, 2)
    assert.equal((await told).value, 2)
    assert.equal((await reply(two.channel.push('crdt.get', { payload: {} }))).value, 2)
    await assert.rejects(increment(one.channel, -1))
    // Completions of the storage wake the server: it does not wait for the next heartbeat.
    const began = performance.now()
    for (let i = 0; i < 100; i++) await increment(one.channel, 1)
    assert.ok(performance.now() - began < 2500, `100 increments took ${performance.now() - began} ms`)
  })

  test('answers heartbeats', async () => {
    const server = await start()
    const socket = client(server)
    await until(() => socket.isConnected(), 'the connection')
    assert.ok(await new Promise((resolve) => socket.ping(resolve)) >= 0)
    await sleep(700) // three heartbeats: a client that misses one closes
    assert.ok(socket.isConnected())
  })

  test('keeps what was acknowledged when its processes are killed, and clients come back by themselves', async () => {
    const server = await start()
    const { channel } = await join_(client(server), 'crdt:demo')
    const other = await join_(client(server), 'crdt:demo')
    let acknowledged = 0
    for (const kind of ['edge', 'room', 'room', 'edge', 'room', 'edge']) {
      for (let i = 0; i < 20; i++) acknowledged = (await increment(channel, 1)).value
      const before = processOf(server, kind)
      const died = Date.now()
      process.kill(before, 'SIGKILL')
      await until(() => ![undefined, before].includes(processOf(server, kind)), `the next ${kind} process`, 1000)
      await until(async () => (await fetch(`${server.url}/healthz`).catch(() => ({}))).status === 200, 'an answer', 1000)
      assert.ok(Date.now() - died < 1000)
      await until(() => channel.isJoined() && channel.socket.isConnected() && other.channel.isJoined(), 'the clients')
    }
    assert.equal(acknowledged, 120)
    assert.equal((await reply(other.channel.push('crdt.get', { payload: {} }))).value, acknowledged)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, /^laniakea_restarts_total\{process="edge"\} 3$/m)
    assert.match(metrics, /^laniakea_restarts_total\{process="room"\} 3$/m)
    for (const kind of ['edge', 'room']) {
      const lines = server.err.split('\n').filter((line) => line.includes(`the ${kind} process 0 was killed by signal 9`))
      assert.equal(lines.length, 3)
    }
    assert.match(server.err, /starting another one \(restart 6\)/)
    assert.equal(await stop(server), 0)
  })

  test('does not notice on its connection that the room process was killed', async () => {
    const server = await start()
    const { channel } = await join_(client(server), 'crdt:demo')
    let drops = 0
    channel.socket.onClose(() => drops++)
    channel.onError(() => drops++)
    assert.equal((await increment(channel, 1)).value, 1)
    process.kill(processOf(server, 'room'), 'SIGKILL')
    assert.equal((await increment(channel, 1)).value, 2)
    assert.equal(drops, 0)
  })

  test('keeps its value over a restart of the server with --data', async () => {
    const data = directory()
    const first = await start('--data', data)
    assert.equal((await increment((await join_(client(first), 'crdt:demo')).channel, 41)).value, 41)
    assert.equal(await stop(first), 0)
    const second = await start('--data', data)
    const { joined, channel } = await join_(client(second), 'crdt:demo')
    assert.equal(joined.value, 41)
    assert.equal((await increment(channel, 1)).value, 42)
    await stop(second, 'SIGKILL')
    const third = await start('--data', data)
    assert.equal((await join_(client(third), 'crdt:demo')).joined.value, 42)
  })

  test('is closed with 1012 when the server stops', async () => {
    const server = await start()
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
    await new Promise((resolve) => (socket.onopen = resolve))
    const closed = new Promise((resolve) => (socket.onclose = resolve))
    assert.equal(await stop(server), 0)
    assert.equal((await closed).code, 1012)
  })

  test('closes what does not speak the protocol, never with 1000', async () => {
    const server = await start()
    for (const [message, code] of [['garbage', 1008], ['{}', 1008], [new Uint8Array([0, 1, 2]), 1008], ['x'.repeat(1 << 21), 1009]]) {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
      socket.onerror = () => {}
      await new Promise((resolve) => (socket.onopen = resolve))
      const closed = new Promise((resolve) => (socket.onclose = resolve))
      socket.send(message)
      assert.equal((await closed).code, code)
      const metrics = await (await fetch(`${server.url}/metrics`)).text()
      assert.match(metrics, /^laniakea_sockets 0$/m)
    }
    assert.equal(server.err, '')
  })

  const numberOf = async (server, name) => Number((await (await fetch(`${server.url}/metrics`)).text()).match(new RegExp(`^laniakea_${name} (\\d+)$`, 'm'))[1])

  // Goal: where nobody can tell later what was said, a member that never reads is cut off at the bound of its queue, and nobody else is.
  test('closes a member of a relay that does not read what others write', async () => {
    const server = await start()
    const deaf = await deafClient(server)
    deaf.write(frameOf('["1","1","relay:demo","phx_join",{}]'))
    const { channel } = await join_(client(server), 'relay:demo')
    await until(async () => (await numberOf(server, 'members')) === 2, 'both members')
    for (let round = 1; round < 300 && (await numberOf(server, 'members')) === 2; round++) await reply(channel.push('say', { text: 'x'.repeat(60_000) }))
    assert.equal(await numberOf(server, 'members'), 1)
    await reply(channel.push('say', { text: 'still here' }))
    deaf.destroy()
  })

  // Goal: who reads nothing of an object is spared what others change in it, and stays (decision 025).
  // Method: deltas of many replicas, until the kernel's buffers are full and a quarter of ours.
  test('spares a member of an object that does not read what others write', async () => {
    const server = await start()
    const deaf = await deafClient(server)
    deaf.write(frameOf('["1","1","crdt:demo","phx_join",{}]'))
    const { channel } = await join_(client(server), 'crdt:demo')
    await until(async () => (await numberOf(server, 'members')) === 2, 'both members')
    const replicas = Array.from({ length: 4000 }, (_, index) => index.toString(16).padStart(32, '0'))
    let left = 20 // and so many more that it would have been cut off
    for (let round = 1; round < 100 && left > 0; round++) {
      await reply(channel.push('crdt.merge', { counts: Object.fromEntries(replicas.map((replica) => [replica, round])) }))
      if ((await numberOf(server, 'members_skipped_total')) > 0) left--
    }
    assert.equal(left, 0)
    assert.equal(await numberOf(server, 'members'), 2)
    assert.ok((await increment(channel, 1)).value > 4000)
    deaf.destroy()
  })

  // Goal: one client that never reads costs the others nothing, and the server a bounded queue.
  test('goes on for others while one client reads nothing', async () => {
    const server = await start()
    const deaf = await deafClient(server)
    // Heartbeats without end, none of whose replies is read.
    const flood = Buffer.concat(Array(5000).fill(frameOf('[null,"1","phoenix","heartbeat",{}]')))
    let sent = 0
    const pour = () => {
      while (sent < 200 && deaf.write(flood)) sent++
      sent++
      if (sent < 200 && !deaf.destroyed) deaf.once('drain', pour)
    }
    pour()
    const { channel } = await join_(client(server), 'crdt:demo')
    let worst = 0
    for (let i = 0; i < 50; i++) {
      const began = performance.now()
      await increment(channel, 1)
      worst = Math.max(worst, performance.now() - began)
    }
    assert.ok(worst < 500, `an increment took ${worst} ms`)
    for (const kind of ['edge', 'room']) {
      const memory = readFileSync(`/proc/${processOf(server, kind)}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]
      if (!process.env.LK_PROGRAM_IS_SANITIZED) assert.ok(Number(memory) < 32768, `${kind}: ${memory} KiB`)
    }
    deaf.destroy()
  })

  // Goal: what all strangers together make an edge keep is bounded, and those who were there go on.
  // Method: clients begin bodies that they never end, each allowed, together four times the budget.
  test('keeps no more than its budget of what strangers begin and do not end', async () => {
    const server = await start('--limit', 'edge_memory_bytes=8388608')
    const { channel } = await join_(client(server), 'crdt:demo')
    const edge = processOf(server, 'edge')
    const body = 'x'.repeat(1 << 20)
    const strangers = Array.from({ length: 32 }, () => {
      const socket = connect(server.port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`POST /socket/longpoll?vsn=2.0.0&token=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n${body}`)
      return socket
    })
    await sleep(500)
    if (!process.env.LK_PROGRAM_IS_SANITIZED) {
      const memory = readFileSync(`/proc/${edge}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]
      assert.ok(Number(memory) < 24576, `${memory} KiB`)
    }
    for (const socket of strangers) socket.destroy()
    await sleep(100)
    await increment(channel, 1)
    await join_(client(server), 'crdt:demo')
    assert.equal(processOf(server, 'edge'), edge)
  })

  // Goal: what clients make a room process keep is bounded, and rooms that are small go on.
  // Method: one client fills documents that together are four times the budget, each update allowed.
  test('keeps no more rooms than its budget has memory for', async () => {
    const server = await start('--limit', 'house_memory_bytes=16777216')
    const { channel } = await join_(client(server), 'crdt:demo')
    const room = processOf(server, 'room')
    // One struct of a new client: text at the front of the root "t".
    const update = (id, length) => {
      const varuint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varuint(n >> 7)])
      return Uint8Array.from([1, 1, id, 0, 4, 1, 1, 116, ...varuint(length), ...new Array(length).fill(120), 0]).buffer
    }
    const vandal = client(server)
    let refused = 0
    for (let i = 0; i < 80; i++) {
      const doc = vandal.channel(`doc:${i}`, { encoding: 'binary' })
      const joined = await new Promise((done) => {
        doc.join().receive('ok', () => done(true)).receive('error', () => done(false)).receive('timeout', () => done(false))
      })
      if (!joined) refused++
      else doc.push('client_update', update(1 + i, 800000))
      doc.onError(() => { refused++; doc.leave() })
    }
    await sleep(500)
    if (!process.env.LK_PROGRAM_IS_SANITIZED) {
      const memory = readFileSync(`/proc/${room}/status`, 'utf8').match(/RssAnon:\s+(\d+)/)[1]
      assert.ok(Number(memory) < 32768, `${memory} KiB`)
    }
    assert.ok(refused > 0)
    vandal.disconnect()
    await increment(channel, 1)
    assert.equal(processOf(server, 'room'), room)
  })

  test('leaves no descriptor behind when clients go, whatever way they go', async () => {
    const server = await start()
    const edge = processOf(server, 'edge')
    await join_(client(server), 'crdt:demo')
    const files = openFilesOf(edge)
    for (let i = 0; i < 40; i++) {
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      if (i % 4 === 1) socket.write('GET / HT')
      if (i % 4 === 2) socket.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      if (i % 4 === 3) await handshake(server, '/socket/websocket?vsn=2.0.0')
      i % 4 < 2 ? socket.resetAndDestroy() : socket.destroy()
    }
    await until(() => openFilesOf(edge) <= files, 'the descriptors')
  })
})

// ---- supervision ----

describe('the supervisor', () => {
  for (const kind of ['edge', 'room']) {
    test(`gives up when ${kind} processes die too fast, and says so`, async () => {
      const server = await start()
      for (let i = 0; i < 100 && server.child.exitCode === null; i++) {
        const pid = processOf(server, kind)
        if (pid) {
          try {
            process.kill(pid, 'SIGKILL')
          } catch { /* it was gone already */ }
        }
        await sleep(20)
      }
      assert.equal((await server.ended)[0], 1)
      assert.match(server.err, new RegExp(`the ${kind} process 0 was killed .* more than 10 times within 10 seconds`))
      const restarts = server.err.split('\n').filter((line) => /restart \d+\)/.test(line))
      assert.equal(restarts.length, 10)
      for (const line of restarts) assert.match(line, new RegExp(`"process_died".*"the ${kind} process 0 was killed by signal 9`))
    })
  }

  test('starts another process for one that was told to end by somebody else', async () => {
    const server = await start()
    for (const kind of ['edge', 'room']) {
      const before = processOf(server, kind)
      process.kill(before, 'SIGTERM')
      await until(() => ![undefined, before].includes(processOf(server, kind)), `another ${kind} process`)
      await until(() => server.err.includes(`the ${kind} process 0 ended with code 0; starting another one`), 'the words')
    }
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
    assert.equal(await stop(server), 0)
  })

  test('stops processes for connections before those for rooms, and all of a kind together', async () => {
    const server = await start('--edges', '3', '--rooms', '2')
    const kinds = new Map(childrenOf(server.pid).map((pid) => [pid, readFileSync(`/proc/${pid}/comm`, 'utf8').trim()]))
    assert.deepEqual([...kinds.values()].sort(), ['laniakea-edge', 'laniakea-edge', 'laniakea-edge', 'laniakea-room', 'laniakea-room'])
    const edges = [...kinds.keys()].filter((pid) => kinds.get(pid) === 'laniakea-edge')
    for (const pid of edges) process.kill(pid, 'SIGSTOP')
    server.child.kill('SIGTERM')
    await sleep(300)
    assert.ok([...kinds.keys()].every(isAlive), 'rooms wait for the edges')
    for (const pid of edges) process.kill(pid, 'SIGCONT')
    assert.deepEqual(await server.ended, [0, null])
    assert.equal(server.err, '')
  })

  test('leaves connections to the processes that have room for them', async () => {
    const server = await start('--edges', '2', '--limit', 'server_connections_count=20')
    const opened = (socket) => new Promise((resolve) => ((socket.onopen = () => resolve(true)), (socket.onerror = () => resolve(false))))
    const open = () => new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
    const sockets = Array.from({ length: 40 }, open)
    const results = await Promise.all(sockets.map(opened))
    assert.equal(results.filter((ok) => !ok).length, 0, 'both are full, and neither has turned anybody away')
    assert.equal(await opened(open()), false, 'there is room nowhere')
    for (const socket of sockets) socket.close()
    assert.equal(await stop(server), 0)
  })

  test('takes as many restarts as its settings say', async () => {
    const server = await start('--restart-count', '1', '--restart-period', '60s')
    const before = processOf(server, 'room')
    process.kill(before, 'SIGKILL')
    await until(() => ![undefined, before].includes(processOf(server, 'room')), 'another process')
    process.kill(processOf(server, 'room'), 'SIGKILL')
    assert.equal((await server.ended)[0], 1)
    assert.match(server.err, /more than 1 times within 60 seconds/)
  })

  test('starts with as many restarts as its settings allow', async () => {
    const { code, err } = await run('serve', '--restart-count', '1000000')
    assert.equal(code, 2)
    const [, most] = /from 0 to (\d+)/.exec(err) ?? []
    assert.equal(await stop(await start('--restart-count', most)), 0)
  })

  test('wakes one edge process for a connection, and each in its turn', async () => {
    const server = await start('--edges', '4')
    const edges = childrenOf(server.pid).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'laniakea-edge')
    assert.equal(edges.length, 4)
    const switchesOf = (pid) => Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
    const sumOfSwitches = () => edges.reduce((sum, pid) => sum + switchesOf(pid), 0)
    await sleep(200)
    const [files, switches] = [edges.map(openFilesOf), sumOfSwitches()]
    const sockets = []
    for (let i = 0; i < 400; i++) { // one after the other: the kernel has a choice each time
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      sockets.push(socket)
    }
    const have = () => edges.map((pid, i) => openFilesOf(pid) - files[i])
    await until(() => have().reduce((sum, count) => sum + count) === 400, 'all to be accepted')
    const woken = sumOfSwitches() - switches
    // Whoever is busy is passed over; without turns two of them have none.
    assert.ok(have().every((count) => count >= 40 && count <= 200), `${have()}`)
    // Waking all four for each connection is 1,600.
    assert.ok(woken < 800, `${woken} awakenings`)
    for (const socket of sockets) socket.destroy()
    assert.equal(await stop(server), 0)
  })

  test('starts nobody again while it stops, where the signal was sent to all processes', async () => {
    const server = await start()
    const [edge, room] = [processOf(server, 'edge'), processOf(server, 'room')]
    process.kill(edge, 'SIGSTOP')
    server.child.kill('SIGTERM')
    await sleep(100)
    process.kill(room, 'SIGTERM')
    await until(() => !isAlive(room), 'the room process to end')
    await sleep(100)
    process.kill(edge, 'SIGCONT')
    assert.deepEqual(await server.ended, [0, null])
    assert.equal(server.err, '')
  })

  test('ends when a process says that another one would fail as well', async () => {
    const data = directory()
    const server = await start('--data', join(data, 'here'))
    renameSync(join(data, 'here'), join(data, 'gone'))
    process.kill(processOf(server, 'room'), 'SIGKILL')
    const began = Date.now()
    assert.deepEqual(await server.ended, [1, null])
    assert.ok(Date.now() - began < 6000)
    const lines = server.err.trimEnd().split('\n').map((line) => JSON.parse(line)) // standard error is no terminal
    assert.deepEqual(lines.map(({ event, level, process }) => [event, level, process]), [['process_died', 'error', 'supervisor'], ['storage_refused', 'error', 'room']])
    assert.match(lines[0].message, /^the room process 0 was killed.*\(restart 1\)$/)
    assert.match(lines[1].message, /^rooms cannot be served from /)
  })

  test('takes its processes with it when it is killed', async () => {
    const server = await start()
    const pids = childrenOf(server.pid)
    assert.equal(pids.length, 2)
    await stop(server, 'SIGKILL')
    await until(() => !pids.some(isAlive), 'the processes to die', 1000)
  })

  test('goes on when nobody reads its words any more', async () => {
    const server = await start()
    server.child.stdout.destroy()
    server.child.stderr.destroy()
    for (const kind of ['edge', 'room']) {
      const before = processOf(server, kind)
      process.kill(before, 'SIGKILL') // of which the supervisor has something to say
      await until(() => ![undefined, before].includes(processOf(server, kind)), `another ${kind} process`)
    }
    assert.equal(statusOf(await raw(server, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')), 200)
    assert.equal(await stop(server), 0)
  })

  for (const kind of ['edge', 'room']) {
    test(`kills a process for ${kind}s that does not stop, says so, and ends with 1`, async () => {
      const server = await start('--drain', kind === 'edge' ? '500ms' : '9s', '--stop-timeout', kind === 'edge' ? '1s' : '1500ms')
      process.kill(processOf(server, kind), 'SIGSTOP')
      const began = Date.now()
      assert.equal(await stop(server), 1)
      const took = Date.now() - began
      assert.ok(took >= 1500 && took < 4000, `${took} ms`)
      assert.match(server.err, /^\{.*"event":"killed".*"some processes did not stop within 1.5 seconds; they are killed"\}\n$/)
    })

    test(`stops at once on a second signal, where ${kind}s do not stop`, async () => {
      const server = await start()
      process.kill(processOf(server, kind), 'SIGSTOP')
      server.child.kill('SIGTERM')
      await sleep(100)
      const began = Date.now()
      assert.equal(await stop(server, 'SIGINT'), 1)
      assert.ok(Date.now() - began < 1000)
      assert.equal(server.err, '')
    })
  }
})

// ---- draining ----

describe('a server that stops', () => {
  const url = (server) => `${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`

  /** A client that increments without end, and remembers what it was told and how it was closed. */
  async function writer(server, name) {
    const own = { acknowledged: 0, code: null, closedAt: 0, asked: 0 }
    const socket = new WebSocket(url(server))
    own.closed = new Promise((resolve) => {
      socket.onclose = ({ code }) => resolve(Object.assign(own, { code, closedAt: Date.now() }))
    })
    await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }))
    const ask = () => socket.readyState === 1 && socket.send(JSON.stringify(['1', String(++own.asked), `crdt:${name}`, 'crdt.increment', { amount: 1 }]))
    socket.onmessage = ({ data }) => {
      const [, , , event, { status }] = JSON.parse(data)
      if (event !== 'phx_reply') return
      assert.equal(status, 'ok')
      if (own.isJoined) own.acknowledged++
      own.isJoined = true
      setTimeout(ask, 20)
    }
    socket.send(JSON.stringify(['1', '0', `crdt:${name}`, 'phx_join', {}]))
    return own
  }

  test('lets many clients go one after the other with 1012, within its time, and keeps what it acknowledged', { timeout: 60_000 }, async () => {
    const data = directory()
    const server = await start('--data', data, '--edges', '2', '--drain', '3s')
    const writers = await Promise.all(Array.from({ length: 300 }, (_, i) => writer(server, `drain-${i % 10}`)))
    await until(() => writers.every(({ acknowledged }) => acknowledged > 0), 'all to write', 20_000)
    const before = writers.map(({ acknowledged }) => acknowledged)
    const began = Date.now()
    server.child.kill('SIGTERM')
    await sleep(200)
    await assert.rejects(fetch(`${server.url}/healthz`), 'nobody new is taken')
    await Promise.all(writers.map(({ closed }) => closed))
    assert.deepEqual(await server.ended, [0, null])
    const took = Date.now() - began
    assert.ok(took < 3000 + 5000, `${took} ms`)
    assert.deepEqual([...new Set(writers.map(({ code }) => code))], [1012])
    const times = writers.map(({ closedAt }) => closedAt - began).sort((a, b) => a - b)
    assert.ok(times[225] - times[75] > 400, `the middle half went between ${times[75]} and ${times[225]} ms`)
    const most = Math.max(...Array.from({ length: 40 }, (_, i) => times.filter((time) => time >= i * 250 && time < (i + 1) * 250).length))
    assert.ok(most <= 120, `${most} within 250 ms`)
    assert.ok(writers.some(({ acknowledged }, i) => acknowledged > before[i] + 5), 'whoever waited for its turn was served')

    const next = await start('--data', data)
    const socket = new Socket(`${next.url.replace('http', 'ws')}/socket`, { transport: WebSocket })
    socket.connect()
    for (let i = 0; i < 10; i++) {
      const { value } = await new Promise((resolve, reject) => {
        const channel = socket.channel(`crdt:drain-${i}`)
        channel.join().receive('ok', () => channel.push('crdt.get', { payload: {} }).receive('ok', resolve)).receive('error', reject)
      })
      const acknowledged = writers.filter((_, k) => k % 10 === i).reduce((sum, own) => sum + own.acknowledged, 0)
      assert.ok(value >= acknowledged, `${acknowledged} were acknowledged, ${value} are there`)
    }
    socket.disconnect()
  })

  test('lets a few go at once', async () => {
    const server = await start('--drain', '60s')
    const writers = await Promise.all(Array.from({ length: 8 }, () => writer(server, 'few')))
    const began = Date.now()
    assert.equal(await stop(server), 0)
    assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`)
    assert.deepEqual([...new Set((await Promise.all(writers.map(({ closed }) => closed))).map(({ code }) => code))], [1012])
  })

  test('says on connections that are there that it drains, and ends at once on a second signal', async () => {
    const server = await start('--drain', '60s')
    const writers = await Promise.all(Array.from({ length: 100 }, () => writer(server, 'many')))
    const asked = connect(server.port, '127.0.0.1')
    asked.setEncoding('latin1').write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match((await once(asked, 'data'))[0], /^HTTP\/1.1 200 /)
    server.child.kill('SIGTERM')
    await sleep(300)
    asked.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [text] = await once(asked, 'data')
    assert.match(text, /^HTTP\/1.1 503 /)
    assert.match(text, /"error":"draining"/)
    asked.on('error', () => {})
    const began = Date.now()
    server.child.kill('SIGINT')
    await server.ended
    assert.ok(Date.now() - began < 1000)
    await Promise.all(writers.map(({ closed }) => closed))
  })
})
