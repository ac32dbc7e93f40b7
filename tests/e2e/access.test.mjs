// Who may come in, and what he may do: the unmodified npm client of Phoenix with tokens in its params and in its option
// authToken, over WebSocket and long-poll, against servers with keys of each kind.
//
//   node --test tests/e2e/access.test.mjs      runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const { LongPoll, Socket } = require('phoenix')
const WebSocket = globalThis.WebSocket ?? require('ws')
const Y = require('yjs')
const { WebsocketProvider } = require('y-websocket')
const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))

// ---- keys and tokens ----

const folder = mkdtempSync(join(tmpdir(), 'laniakea-access-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** A file of our own that is there at once and as a whole, as tools write keys. */
function file(name, text, mode = 0o600) {
  const path = join(folder, name)
  writeFileSync(`${path}.new`, text, { mode })
  chmodSync(`${path}.new`, mode)
  renameSync(`${path}.new`, path)
  return path
}

const base = 'laniakea'.repeat(8)
const secret = '0123456789abcdef0123456789abcdef'
const ed = generateKeyPairSync('ed25519')
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = (pair) => pair.publicKey.export({ type: 'spki', format: 'pem' })
const b64 = (bytes) => Buffer.from(bytes).toString('base64url')
const inSeconds = (seconds) => Date.now() / 1000 + seconds

const signers = {
  HS256: (text, key = secret) => createHmac('sha256', key).update(text).digest(),
  EdDSA: (text) => signBytes(null, Buffer.from(text), ed.privateKey),
  ES256: (text) => signBytes('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' }),
}

function jwt(claims, { alg = 'HS256', key } = {}) {
  const text = `${b64(JSON.stringify({ alg, typ: 'JWT' }))}.${b64(JSON.stringify({ exp: inSeconds(3600), ...claims }))}`
  return `${text}.${b64(signers[alg](text, key))}`
}

const phoenix = (data, ...args) => execFileSync(program, ['token', 'sign', '--salt', 'user socket', '--secret-file', file('base', base), ...args], { input: JSON.stringify(data), encoding: 'utf8' }).trim()

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
  server.port = Number(/http:\/\/\S+:(\d+)/.exec(line)[1])
  server.url = `http://127.0.0.1:${server.port}`
  return server
}

const withSecret = (...args) => start('--token-jwt-secret-file', file('jwt', secret), ...args)

afterEach(async () => {
  for (const socket of sockets) socket.disconnect()
  sockets.clear()
  for (const server of [...running]) {
    server.child.kill('SIGTERM')
    const [code] = await server.ended
    running.delete(server)
    assert.doesNotMatch(server.err, /assertion failed|Sanitizer|runtime error/)
    assert.equal(code, 0, server.err)
  }
})

async function until(condition, what, ms = 8000) {
  for (const end = Date.now() + ms; !(await condition()); await sleep(5)) {
    if (Date.now() > end) assert.fail(`waited ${ms} ms for ${what}`)
  }
}

// ---- clients ----

function client(server, options = {}) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, {
    transport: WebSocket, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20, longpollerTimeout: 20_000, ...options,
  })
  socket.closes = []
  socket.onClose((event) => socket.closes.push(event))
  socket.onError(() => {})
  sockets.add(socket)
  socket.connect()
  return socket
}

const reply = (push) => new Promise((resolve, reject) => {
  push.receive('ok', resolve).receive('error', (reason) => reject(new Error(JSON.stringify(reason))))
    .receive('timeout', () => reject(new Error('timeout')))
})

async function joined(socket, topic, params = {}) {
  const channel = socket.channel(topic, params)
  await reply(channel.join())
  return channel
}

/** A refused channel tries again for ever. */
async function refused(socket, topic, params, reason) {
  const channel = socket.channel(topic, params)
  await assert.rejects(reply(channel.join()), reason)
  channel.leave()
}

const increment = (channel, amount = 1) => reply(channel.push('crdt.increment', { payload: { amount } }))

/** What an upgrade is answered. */
function upgrade(server, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1', port: server.port, path,
      headers: {
        connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers,
      },
    })
    asked.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode, protocol: response.headers['sec-websocket-protocol'] })
    })
    asked.on('response', async (response) => {
      let text = ''
      for await (const part of response.setEncoding('utf8')) text += part
      resolve({ status: response.statusCode, ...JSON.parse(text) })
    })
    asked.on('error', reject)
    asked.end()
  })
}

const at = '/socket/websocket?vsn=2.0.0'

/** How a WebSocket of one document ends, which is open before that: [code, reason]. */
const endOfDocument = (server, name) => new Promise((resolve, reject) => {
  let opened = false
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/y/${name}`)
  socket.onopen = () => { opened = true }
  socket.onclose = ({ code, reason, wasClean }) => opened && wasClean ? resolve([code, reason]) : reject(new Error(`${code} before it was open`))
})

describe('a server with keys', () => {
  test('takes tokens of each kind in each place where clients put them', async () => {
    const server = await start('--token-secret-file', file('base', base), '--token-jwt-secret-file', file('jwt', secret),
      '--token-jwt-public-key-file', `${file('ed', pem(ed))},${file('ec', pem(ec))}`)
    const tokens = [
      phoenix({ user_id: 42 }), phoenix(42), phoenix('user-42', '--encrypt'),
      jwt({ sub: 'a' }), jwt({ sub: 'a' }, { alg: 'EdDSA' }), jwt({ sub: 'a' }, { alg: 'ES256' }),
    ]
    for (const token of tokens) {
      const bearer = `base64url.bearer.phx.${Buffer.from(token).toString('base64').replaceAll('=', '')}`
      const ways = [
        [`${at}&token=${encodeURIComponent(token)}`],
        [at, { authorization: `Bearer ${token}` }],
        [at, { 'x-phoenix-authtoken': token }],
        [at, { 'sec-websocket-protocol': `phoenix, ${bearer}` }],
        [at, { 'sec-websocket-protocol': `phoenix, base64url.bearer.phx.${b64(token)}` }],
        [`/y/one?token=${encodeURIComponent(token)}`],
      ]
      for (const [path, headers] of ways) {
        const answer = await upgrade(server, path, headers)
        assert.equal(answer.status, 101, JSON.stringify([path, headers, answer]))
        assert.equal(answer.protocol, headers?.['sec-websocket-protocol'] && 'phoenix')
      }
    }
  })

  test('says why it does not take others', async () => {
    const server = await withSecret('--token-issuer', 'https://login', '--token-revoked-file', file('revoked', '# of today\n\ntaken\r\n'))
    const good = { sub: 'a', iss: 'https://login' }
    const rows = [
      ['LK_ERR_TOKEN_MISSING', ''],
      ['LK_ERR_TOKEN_INVALID', 'x'],
      ['LK_ERR_TOKEN_INVALID', jwt(good, { key: 'another secret of thirty-two byte' })],
      ['LK_ERR_TOKEN_INVALID', jwt(good, { alg: 'EdDSA' })],
      ['LK_ERR_TOKEN_INVALID', phoenix(42)],
      ['LK_ERR_TOKEN_EXPIRED', jwt({ ...good, exp: inSeconds(-1) })],
      ['LK_ERR_TOKEN_CLAIMS', jwt({ ...good, iss: 'https://other' })],
      ['LK_ERR_TOKEN_CLAIMS', jwt({ ...good, nbf: inSeconds(120) })],
      ['LK_ERR_TOKEN_CLAIMS', jwt({ ...good, topics: { 'doc:*': 'own' } })],
      ['LK_ERR_TOKEN_REVOKED', jwt({ ...good, jti: 'taken' })],
      ['LK_ERR_TOO_BIG', 'x'.repeat(8193)],
    ]
    for (const [error, token] of rows) {
      const answer = await upgrade(server, at, { 'x-phoenix-authtoken': token })
      assert.deepEqual([answer.status, answer.error], [403, error], token)
      assert.ok(answer.message.length > 10)
    }
    assert.equal((await upgrade(server, at)).error, 'LK_ERR_TOKEN_MISSING')
    for (const [error, token] of rows.slice(0, -1)) assert.deepEqual(await endOfDocument(server, `one?token=${token}`), [4401, error])
    const poll = await fetch(`${server.url}/socket/longpoll?vsn=2.0.0`)
    assert.equal(poll.status, 200)
    const { status, error } = await poll.json()
    assert.deepEqual([status, error], [403, 'LK_ERR_TOKEN_MISSING'])
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, new RegExp(`^laniakea_tokens_refused_total ${2 * rows.length + 1}$`, 'm'))
  })

  test('takes new keys while it runs, and keeps the old ones where the new are no good', async () => {
    const path = file('rotating', secret)
    const server = await start('--token-jwt-secret-file', path, '--log-level', 'info')
    const socket = client(server, { params: { token: jwt({ sub: 'a' }) } })
    const channel = await joined(socket, 'crdt:demo')
    const next = 'another secret of thirty-two byte'
    file('rotating', next)
    await until(async () => (await upgrade(server, at, { authorization: `Bearer ${jwt({}, { key: next })}` })).status === 101, 'the new key')
    assert.equal((await upgrade(server, at, { authorization: `Bearer ${jwt({})}` })).error, 'LK_ERR_TOKEN_INVALID')
    file('rotating', 'short')
    await until(() => server.err.includes('shorter than 32 bytes'), 'the refusal')
    assert.equal((await upgrade(server, at, { authorization: `Bearer ${jwt({}, { key: next })}` })).status, 101)
    assert.equal((await increment(channel)).value, 1)
    assert.deepEqual(socket.closes, [])
  })

  test('ends who has a token that is taken back', async () => {
    const revoked = file('revoked-later', '')
    const server = await withSecret('--token-revoked-file', revoked)
    let token = jwt({ sub: 'a', jti: 'one' })
    const socket = client(server, { params: () => ({ token }) })
    const other = client(server, { params: { token: jwt({ sub: 'b', jti: 'two' }) } })
    const channel = await joined(socket, 'crdt:demo')
    const members = await joined(other, 'crdt:demo')
    token = jwt({ sub: 'a', jti: 'three' })
    file('revoked-later', 'one\n')
    await until(() => socket.closes.length > 0, 'the end')
    assert.equal(socket.closes[0].code, 4401)
    await until(() => channel.isJoined() && socket.isConnected(), 'the return')
    assert.equal((await increment(members)).value, 1)
    assert.deepEqual(other.closes, [])
  })

  for (const [name, options, ...args] of [['WebSocket', {}], ['LongPoll', { transport: LongPoll }], ['LongPoll over three edges', { transport: LongPoll }, '--edges', '3']]) {
    test(`closes ${name} connections when their token ends, and they come back with another`, async () => {
      const server = await withSecret(...args)
      const exp = inSeconds(1.5)
      let asked = 0
      const tokens = [jwt({ sub: 'a', exp }), jwt({ sub: 'a' })]
      const socket = client(server, { authToken: () => tokens[asked], ...options })
      const channel = await joined(socket, 'crdt:demo')
      assert.equal((await increment(channel)).value, 1)
      asked = 1
      await until(() => socket.closes.length > 0, 'the end')
      const late = Date.now() / 1000 - exp
      assert.ok(late >= 0 && late < 0.5, `${late} s late`)
      await until(() => channel.isJoined() && socket.isConnected(), 'the return')
      assert.equal((await increment(channel)).value, 2)
    })

    test(`lets ${name} clients renew their token in band`, async () => {
      const server = await withSecret(...args)
      const exp = inSeconds(2)
      const socket = client(server, { params: { token: jwt({ sub: 'a', exp }) }, ...options })
      const channel = await joined(socket, 'crdt:demo')
      const phoenixTopic = socket.channel('phoenix', {})
      const renew = (token) => new Promise((resolve) => {
        const ref = socket.makeRef()
        socket.onMessage((message) => { if (message.ref === ref) resolve(message.payload) })
        socket.push({ topic: phoenixTopic.topic, event: 'access_token', payload: { token }, ref })
      })
      assert.equal((await renew(jwt({ sub: 'b' }))).response.reason, 'token_claims')
      assert.equal((await renew(jwt({ sub: 'a', exp: inSeconds(-5) }))).response.reason, 'token_expired')
      const until_ = Math.floor(inSeconds(100))
      assert.deepEqual(await renew(jwt({ sub: 'a', exp: until_ })), { status: 'ok', response: { expires_at: until_ * 1000 } })
      await sleep(Math.max(0, exp * 1000 - Date.now()) + 500)
      assert.equal((await increment(channel)).value, 1)
      assert.deepEqual(socket.closes, [])
    })
  }
})

describe('rights', () => {
  test('of a token are those of its topics', async () => {
    const server = await withSecret()
    const socket = client(server, { params: { token: jwt({ sub: 'a', topics: { 'crdt:mine': 'write', 'relay:*': 'read' } }) } })
    assert.equal((await increment(await joined(socket, 'crdt:mine'))).value, 1)
    await refused(socket, 'crdt:demo', {}, /"reason":"unauthorized"/)
    await refused(socket, 'crdt:mine2', {}, /"reason":"unauthorized"/)
  })

  test('are asked of clients of one document, too', async () => {
    const server = await withSecret()
    const token = jwt({ sub: 'a', topics: { 'doc:one': 'write' } })
    const ends = (name) => new Promise((resolve, reject) => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/y/${name}?token=${token}`)
      socket.onmessage = () => { resolve('served'); socket.close() }
      socket.onclose = ({ code }) => resolve(code)
      socket.onerror = reject
    })
    assert.equal(await ends('one'), 'served')
    assert.equal(await ends('two'), 4403)
  })

  test('that are missing end y-websocket for good, and it can begin anew with a token', async () => {
    const server = await withSecret('--y-off', 'doc:closed/*')
    const params = {}
    const provider = new WebsocketProvider(`${server.url.replace('http', 'ws')}/y`, 'one', new Y.Doc(), { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 50, params })
    let tries = 0
    const ends = []
    provider.on('status', ({ status }) => { if (status === 'connecting') tries++ })
    provider.on('closed', (event) => ends.push(event))
    await until(() => ends.length > 0, 'the end')
    assert.deepEqual(ends, [{ code: 4401, reason: 'LK_ERR_TOKEN_MISSING' }])
    await sleep(300)
    assert.deepEqual([tries, provider.shouldConnect], [0, false])
    provider.params = { token: jwt({ sub: 'a' }) }
    provider.connect()
    await until(() => provider.synced, 'the document')
    provider.destroy()
    provider.awareness.destroy() // its clock would go on
    assert.deepEqual(await endOfDocument(server, `closed%2Fnotes?token=${jwt({ sub: 'a' })}`), [4426, 'LK_ERR_DIALECT'])
    const socket = client(server, { params: { token: jwt({ sub: 'a' }) } })
    await joined(socket, 'doc:closed/notes')
  })

  test('on one topic come by a token in the params of its join, and go with it', async () => {
    const server = await withSecret()
    const exp = inSeconds(1.5)
    const topics = { 'crdt:demo': 'write' }
    const socket = client(server, { params: { token: jwt({ sub: 'a', topics: {} }) } })
    await refused(socket, 'crdt:demo', {}, /"reason":"unauthorized"/)
    await refused(socket, 'crdt:demo', { token: jwt({ sub: 'b', topics }) }, /"reason":"token_claims"/)
    await refused(socket, 'crdt:demo', { token: 'x' }, /"reason":"token_invalid"/)
    await refused(socket, 'crdt:demo', { token: 7 }, /"reason":"token_invalid"/)
    const tokens = [jwt({ topics, exp }), jwt({ topics })]
    const channel = socket.channel('crdt:demo', () => ({ token: tokens.shift() }))
    const errors = []
    channel.onError((reason) => errors.push(reason))
    await reply(channel.join())
    assert.equal((await increment(channel)).value, 1)
    await until(() => errors.length > 0, 'the end')
    assert.deepEqual(errors[0], { reason: 'token_expired' })
    assert.ok(Date.now() / 1000 >= exp)
    await until(() => channel.isJoined(), 'the return')
    assert.equal((await increment(channel)).value, 2)
    assert.deepEqual(socket.closes, [])
    const renewed = await reply(channel.push('access_token', { token: jwt({ topics, exp: 4_000_000_000 }) }))
    assert.deepEqual(renewed, { expires_at: 4_000_000_000_000 })
    await assert.rejects(reply(channel.push('access_token', { token: jwt({ topics: {} }) })), /"reason":"unauthorized"/)
    assert.equal((await increment(channel)).value, 3)
  })
})

describe('an address that others can reach', () => {
  const listen = (...args) => {
    const child = spawn(program, ['serve', '--port', '0', '--listen', '0.0.0.0', ...args])
    let err = ''
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
    return once(child, 'close').then(([code]) => ({ code, err }))
  }

  test('is refused without keys, and it is said how to go on', async () => {
    const { code, err } = await listen()
    assert.equal(code, 1)
    for (const word of ['token.secret-file', 'token.jwt-secret-file', 'token.jwt-public-key-file', 'open']) assert.ok(err.includes(word), err)
    assert.equal((await listen('--open', '--token-jwt-secret-file', file('jwt', secret))).code, 1)
  })

  test('is served with keys, or where it is said to be open', async () => {
    const open = await start('--listen', '0.0.0.0', '--open')
    assert.equal((await upgrade(open, at)).status, 101)
    const closed = await withSecret('--listen', '0.0.0.0')
    assert.equal((await upgrade(closed, at)).status, 403)
    assert.equal((await upgrade(closed, at, { authorization: `Bearer ${jwt({})}` })).status, 101)
  })
})

describe('names and pages', () => {
  const asks = async (server, host, origin) =>
    (await upgrade(server, at, { host, ...(origin && { origin }) })).status

  test('are those of this machine where nothing else is said', async () => {
    const server = await start()
    assert.equal(await asks(server, 'localhost:1', 'http://localhost:5173'), 101)
    assert.equal(await asks(server, 'localhost', 'http://app.example'), 403)
    assert.equal(await asks(server, 'app.example'), 403)
  })

  test('are others where settings say so', async () => {
    const server = await start('--hosts', 'app.example, *.b.example', '--origins', 'https://*.pages.example')
    const rows = [
      ['app.example', undefined, 101], ['x.b.example:80', undefined, 101], ['b.example', undefined, 403],
      ['app.example', 'https://one.pages.example', 101], ['app.example', 'http://one.pages.example', 403],
      ['app.example', 'https://pages.example', 403], ['app.example', 'https://xpages.example', 403],
      ['app.example', 'https://app.example', 101], ['app.example', 'http://localhost:5173', 403],
    ]
    for (const [host, origin, status] of rows) assert.equal(await asks(server, host, origin), status, `${host} ${origin}`)
  })

  test('in numbers cannot be made to point away, and will do where others can connect', async () => {
    const server = await start('--listen', '0.0.0.0', '--open')
    assert.equal(await asks(server, '192.0.2.7:80'), 101)
    assert.equal(await asks(server, '[2001:db8::1]:80'), 101)
    assert.equal(await asks(server, 'rebound.example'), 403)
    assert.equal(await asks(server, '192.0.2.7', 'http://localhost:5173'), 403)
    assert.equal(await asks(server, '192.0.2.7', 'http://192.0.2.7'), 101)
  })
})

describe('a server that has no keys', () => {
  test('makes a secret in its data directory, by which tokens are minted and then asked for', async () => {
    const data = join(folder, 'data')
    const own = join(data, '.token-secret')
    const mint = (env, ...args) => execFileSync(program, ['token', 'mint', '--subject', 'ann', ...args], { encoding: 'utf8', env: { ...process.env, SECRET_KEY_BASE: undefined, ...env } }).trim()
    const open = await start('--data', data)
    assert.equal(statSync(own).mode & 0o777, 0o600)
    const secret = readFileSync(own, 'utf8')
    assert.match(secret, /^[A-Za-z0-9+/]{64}\n$/)
    assert.equal((await upgrade(open, at)).status, 101) // nobody is asked
    open.child.kill()
    await open.ended
    running.delete(open)
    assert.ok(!open.err.includes(secret.trim()))

    const server = await start('--data', data, '--listen', '0.0.0.0', '--token-secret-file', own)
    assert.equal((await upgrade(server, at)).error, 'LK_ERR_TOKEN_MISSING')
    for (const token of [mint({}, '--data', data), mint({ LANIAKEA_DATA: data }), mint({ LANIAKEA_TOKEN_SECRET_FILE: own }), mint({ SECRET_KEY_BASE: base }, '--data', data)]) {
      assert.equal((await upgrade(server, at, { authorization: `Bearer ${token}` })).status, 101)
      assert.deepEqual(JSON.parse(execFileSync(program, ['token', 'verify', '--data', data], { input: token, encoding: 'utf8' })), { sub: 'ann' })
    }
    assert.equal(readFileSync(own, 'utf8'), secret)
  })

  test('does not use a secret that others can read, and says how to listen elsewhere', () => {
    const data = mkdtempSync(join(folder, 'open-'))
    writeFileSync(join(data, '.token-secret'), base, { mode: 0o644 })
    const fails = (...args) => {
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, SECRET_KEY_BASE: undefined }, timeout: 20_000 })
      assert.equal(status, 1, stderr)
      assert.ok(!stderr.includes(base))
      return stderr
    }
    assert.match(fails('serve', '--port', '0', '--data', data), /its mode is 644\): chmod 600 closes it.*LK_ERR_PERMISSION/)
    assert.match(fails('token', 'mint', '--data', data), /chmod 600 closes it/)
    assert.match(fails('token', 'mint', '--data', join(data, 'none')), /No such file/)
    assert.match(fails('serve', '--port', '0', '--listen', '0.0.0.0', '--data', data), /`laniakea token mint` uses .*\.token-secret/)
  })

  test('needs none where all is in memory', async () => {
    const server = await start('--ephemeral')
    assert.equal((await upgrade(server, at)).status, 101)
  })
})

describe('a proxy', () => {
  const forwarded = (server, headers, token) => upgrade(server, at, { ...headers, ...(token && { authorization: `Bearer ${token}` }) })

  test('that is trusted says whose requests it passes on, and by which scheme', async () => {
    const server = await withSecret('--trusted-proxies', '127.0.0.1, 10.0.0.0/8', '--hosts', 'app.example', '--log-level', 'info', '--log-format', 'json')
    const token = jwt({ sub: 'a' })
    const from = (scheme, origin) => forwarded(server, { host: 'app.example', origin, 'x-forwarded-for': '198.51.100.9, 203.0.113.7, 10.0.0.1', 'x-forwarded-proto': scheme }, token)
    assert.equal((await from('https', 'https://app.example')).status, 101)
    assert.equal((await from('https', 'http://app.example')).status, 403)
    assert.equal((await from('http', 'http://app.example')).status, 101)
    assert.equal((await from('https', 'http://localhost:5173')).status, 403) // others can connect
    await forwarded(server, { host: 'app.example', 'x-forwarded-for': '198.51.100.9, 203.0.113.7, 10.0.0.1' })
    await until(() => server.err.includes('token_refused'), 'the line')
    const line = JSON.parse(server.err.split('\n').find((text) => text.includes('token_refused')))
    assert.match(line.message, /^203\.0\.113\.7 brought no good token: .*LK_ERR_TOKEN_MISSING/)
    await forwarded(server, { host: 'app.example', 'x-forwarded-for': '203.0.113.7', forwarded: 'for=127.0.0.1' }, token)
    await until(() => server.err.includes('proxy_torn'), 'the warning')
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    assert.match(metrics, /^laniakea_requests_proxied_total 5$/m)
    assert.match(metrics, /^laniakea_forwarded_ignored_total 1$/m)
  })

  test('that nobody has named is not believed, and told of once', async () => {
    const server = await start('--log-format', 'json')
    for (let i = 0; i < 3; i++) assert.equal((await forwarded(server, { origin: 'http://127.0.0.1', 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https' })).status, 101)
    const lines = server.err.trim().split('\n').map((text) => JSON.parse(text))
    assert.deepEqual(lines.map(({ event }) => event), ['proxy_unknown'])
    assert.match(lines[0].message, /^127\.0\.0\.1 passes on requests of others.*may do everything here/)
  })
})
