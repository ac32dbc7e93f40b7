// Webhooks: the real program, and applications that answer, refuse, fail, hang and are away.
//
//   node --test tests/e2e/hooks.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// Whatever reaches an application here is checked first: signed as docs/guides/webhooks.md says, by the code that stands there.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const require = createRequire(import.meta.url)
const { Socket } = require('phoenix')
const { WebsocketProvider } = require('y-websocket')
const WebSocket = globalThis.WebSocket ?? require('ws')

const folder = mkdtempSync(join(tmpdir(), 'laniakea-hooks-'))
const secretFile = join(folder, 'secret')
const key = Buffer.from('a secret of more than 24 bytes')
writeFileSync(secretFile, `whsec_${key.toString('base64')}\n`, { mode: 0o600 })

// ---- applications ----

const disposables = new Set()

function verify(headers, body, secret) {
  const id = headers['webhook-id']
  const timestamp = headers['webhook-timestamp']
  assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)
  const mine = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest()
  return headers['webhook-signature'].split(' ').some((one) => {
    const [version, theirs] = one.split(',')
    return version === 'v1' && timingSafeEqual(Buffer.from(theirs, 'base64'), mine)
  })
}

/** An application whose `answer(message, path)` gives [status, body, headers], now or later. */
class Application {
  heard = []
  answer = () => [200, { allow: true }]
  connections = 0
  #server
  #port = 0

  constructor(tls) {
    const listener = async (request, response) => {
      let body = ''
      for await (const bytes of request) body += bytes
      assert.ok(verify(request.headers, body, key), 'the signature')
      const message = JSON.parse(body)
      this.heard.push({ ...message.data, type: message.type, timestamp: message.timestamp, id: request.headers['webhook-id'], path: request.url, at: Date.now() })
      const [status, said = '', headers = {}] = await this.answer(message.data, request.url, message.type)
      if (status === 0) return
      const bytes = Buffer.isBuffer(said) ? said : typeof said === 'string' ? said : JSON.stringify(said)
      response.writeHead(status, headers).end(bytes)
    }
    this.#server = tls ? createTlsServer(tls, listener) : createServer(listener)
    this.#server.on('connection', () => this.connections++)
    disposables.add(this)
  }

  get port() {
    return this.#port
  }

  async start() {
    await new Promise((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = this.#server.address().port
    return this
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  dispose() {
    return this.#port === 0 || !this.#server.listening ? undefined : this.stop()
  }
}

async function serve(rules, ...args) {
  const options = Object.entries(rules).map(([kind, rule]) => `--webhook-${kind}=${rule}`)
  const hasData = args[0]?.data !== false
  const program = new Program(...(hasData ? [] : [args.shift()]), ...options, '--webhook-secret-file', secretFile, '--webhook-debounce=50ms', '--webhook-retry=50ms', '--drain=0ms', '--log-level=warning', ...args)
  disposables.add(program)
  await program.start()
  return program
}

afterEach(async () => {
  for (const one of [...disposables].reverse()) await one.dispose()
  disposables.clear()
})
after(() => rmSync(folder, { recursive: true }))

// ---- clients ----

async function until(condition, what, ms = 8000) {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(`waited ${ms} ms for ${what}`)
    await sleep(10)
  }
}

const increment = (program, topic, headers = {}) =>
  fetch(`${program.url}/api/topics/${topic}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{"type":"crdt.increment","payload":{"amount":1}}' })

function join_(program, topic, params = {}, token = undefined) {
  const socket = new Socket(`${program.url.replace('http', 'ws')}/socket`, { transport: WebSocket, timeout: 6000, params: token ? { token } : {} })
  socket.connect()
  disposables.add({ dispose: () => socket.disconnect() })
  const channel = socket.channel(topic, params)
  return new Promise((resolve) => {
    const end = (result) => {
      if (result.error || result.timeout) channel.leave()
      resolve({ channel, socket, ...result })
    }
    channel.join().receive('ok', (ok) => end({ ok })).receive('error', (error) => end({ error })).receive('timeout', () => end({ timeout: true }))
  })
}

const updateOf = (text) => {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, text)
  return Buffer.from(Y.encodeStateAsUpdate(doc))
}

const metric = async (program, name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${program.url}/metrics`)).text())[1])

/** The process id of the one that calls webhooks. */
function hooksProcess(program) {
  return readdirSync('/proc').map(Number).find((pid) => {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      return comm === 'laniakea-hooks' && Number(parent) === program.pid
    } catch {
      return false
    }
  })
}

describe('a change', () => {
  test('is told once its topic is quiet, with what, when and how often', async () => {
    const app = await new Application().start()
    const program = await serve({ change: `crdt:v*=http://127.0.0.1:${app.port}/changed` })
    for (let i = 0; i < 5; i++) assert.equal((await increment(program, 'crdt:votes')).status, 200)
    assert.equal((await increment(program, 'crdt:others')).status, 200)
    await until(() => app.heard.reduce((sum, { changes }) => sum + changes, 0) === 5, 'all changes')
    const { type, topic, kind, path, level } = app.heard.at(-1)
    assert.deepEqual({ type, topic, kind, path, level }, { type: 'topic.changed', topic: 'crdt:votes', kind: 'crdt', path: '/changed', level: 'durable' })
    assert.ok(app.heard.length < 5, 'they are told together')
    assert.equal(app.heard.at(-1).sequence, 5)
    await sleep(200)
    assert.deepEqual([...new Set(app.heard.map(({ topic }) => topic))], ['crdt:votes'])
  })

  test('of a document comes with its state vector', async () => {
    const app = await new Application().start()
    const program = await serve({ change: `doc:*=http://localhost:${app.port}/` })
    const update = updateOf('hello')
    const made = await fetch(`${program.url}/api/topics/doc:a`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: update })
    assert.equal(made.status, 201)
    await until(() => app.heard.length === 1, 'the change')
    assert.deepEqual(Buffer.from(app.heard[0].state_vector, 'base64'), Buffer.from(Y.encodeStateVectorFromUpdate(update)))
  })

  test('of a document says which one it is, and its deletion is told', async () => {
    const app = await new Application().start()
    const program = await serve({ change: `doc:*=http://127.0.0.1:${app.port}/` })
    const update = updateOf('one')
    const put = () => fetch(`${program.url}/api/topics/doc:g`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: update })
    const remove = () => fetch(`${program.url}/api/topics/doc:g`, { method: 'DELETE' })
    assert.equal((await put()).status, 201)
    await until(() => app.heard.length === 1, 'the change')
    const { ok, socket } = await join_(program, 'doc:g')
    assert.equal(app.heard[0].generation, ok.generation)
    socket.disconnect()
    assert.equal((await remove()).status, 204)
    await until(() => app.heard.length === 2, 'the deletion')
    const { type, topic, level, path, generation, state_vector: vector } = app.heard[1]
    assert.deepEqual([type, topic, level, generation, vector], ['topic.deleted', 'doc:g', 'durable', undefined, undefined])
    assert.equal(path, '/') // where it was heard; the message has none
    app.answer = () => [503]
    assert.equal((await put()).status, 201)
    assert.equal((await remove()).status, 204)
    assert.equal((await put()).status, 201)
    app.answer = () => [204]
    await until(() => app.heard.at(-1).anew, 'the change after another deletion')
    assert.equal(app.heard.at(-1).type, 'topic.changed')
    assert.notEqual(app.heard.at(-1).generation, ok.generation)
  })

  test('says who made it, wherever the topic and he are', async () => {
    const app = await new Application().start()
    const jwtFile = join(folder, 'jwt')
    writeFileSync(jwtFile, 'a secret of at least 32 bytes, which it is', { mode: 0o600 })
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = (sub) => {
      const body = `${encode({ alg: 'HS256' })}.${encode({ sub, exp: Math.floor(Date.now() / 1000) + 60 })}`
      return `${body}.${createHmac('sha256', readFileSync(jwtFile)).update(body).digest('base64url')}`
    }
    const program = await serve({ change: `*=http://127.0.0.1:${app.port}/`, authorise: `crdt:*=http://127.0.0.1:${app.port}/` }, '--edges=2', '--rooms=2', '--token-jwt-secret-file', jwtFile, '--webhook-debounce=300ms')
    const topics = ['crdt:a', 'crdt:b', 'crdt:c', 'crdt:d']
    for (const topic of topics) {
      const { channel, ok } = await join_(program, topic, {}, token('ann'))
      assert.ok(ok)
      await new Promise((resolve) => channel.push('crdt.increment', { payload: { amount: 1 } }).receive('ok', resolve))
      assert.equal((await increment(program, topic, { authorization: `Bearer ${token('bob')}` })).status, 200)
      await new Promise((resolve) => channel.push('crdt.get', {}).receive('ok', resolve))
    }
    const changes = () => app.heard.filter(({ type }) => type === 'topic.changed')
    await until(() => changes().length === 4, 'all changes')
    for (const { topic, by, changes: count } of changes()) {
      assert.ok(topics.includes(topic))
      assert.deepEqual(by, ['ann', 'bob'])
      assert.equal(count, 2)
    }
    assert.deepEqual([...new Set(app.heard.filter(({ type }) => type === 'topic.authorise').map(({ subject }) => subject))], ['ann', 'bob'])
    assert.equal(JSON.stringify(app.heard).includes('eyJ'), false, 'tokens go nowhere')
  })

  test('is told again until it is taken, by the same id, and later and later', async () => {
    const app = await new Application().start()
    const program = await serve({ change: `crdt:*=http://127.0.0.1:${app.port}/` })
    let left = 4
    app.answer = () => [left-- > 0 ? 500 : 204]
    await increment(program, 'crdt:a')
    await until(() => app.heard.length === 5, 'five attempts')
    assert.equal(new Set(app.heard.map(({ id }) => id)).size, 1)
    const waits = app.heard.slice(1).map(({ at }, i) => at - app.heard[i].at)
    assert.ok(waits[3] > 150, `back-off: ${waits}`)
    await sleep(200)
    assert.equal(app.heard.length, 5)
    assert.equal(await metric(program, 'laniakea_webhook_due'), 0)
    assert.equal(await metric(program, 'laniakea_webhook_failed_total'), 4)
  })

  test('waits for an application that is away, over restarts of the server, and is told as one', async () => {
    const app = await new Application().start()
    await app.stop()
    const program = await serve({ change: `*=http://127.0.0.1:${app.port}/` }, '--webhook-retry-most=100ms')
    await increment(program, 'crdt:a')
    await until(async () => (await metric(program, 'laniakea_webhook_due')) === 1, 'the change to be due')
    await program.stop()
    await program.start()
    await increment(program, 'crdt:a')
    await program.stop('SIGKILL')
    await program.start()
    assert.equal(app.heard.length, 0)
    await app.start()
    await until(() => app.heard.some(({ sequence }) => sequence === 2), 'both changes')
    await until(async () => (await metric(program, 'laniakea_webhook_due')) === 0, 'nothing to be due')
  })

  test('survives the process that calls webhooks, also where all is in memory', async () => {
    const app = await new Application().start()
    app.answer = () => [503]
    const program = await serve({ change: `*=http://127.0.0.1:${app.port}/` }, { data: false }, '--webhook-retry-most=100ms')
    await increment(program, 'crdt:a')
    await until(() => app.heard.length > 0, 'an attempt')
    process.kill(hooksProcess(program), 'SIGKILL')
    app.heard.length = 0
    app.answer = () => [200]
    await until(() => app.heard.length > 0, 'the next attempt')
    assert.equal(app.heard[0].level, 'memory')
    assert.equal(app.heard[0].sequence, 1)
  })

  test('that nobody takes is given up in the end', async () => {
    const app = await new Application().start()
    app.answer = () => [400]
    const program = await serve({ change: `*=http://127.0.0.1:${app.port}/` }, '--webhook-retry-most=50ms', '--webhook-retry-for=200ms')
    await increment(program, 'crdt:a')
    await until(async () => (await metric(program, 'laniakea_webhook_given_up_total')) === 1, 'it to be given up')
    assert.equal(await metric(program, 'laniakea_webhook_due'), 0)
  })

  test('is signed with what the file of the secret holds now', async () => {
    const file = join(folder, 'secret-that-changes')
    const next = Buffer.from('another secret of 24 bytes or more')
    let used = key
    writeFileSync(file, key, { mode: 0o600 })
    const heard = []
    const app = createServer(async (request, response) => {
      let body = ''
      for await (const bytes of request) body += bytes
      heard.push(verify(request.headers, body, used))
      response.writeHead(204).end()
    })
    await new Promise((resolve) => app.listen(0, '127.0.0.1', resolve))
    disposables.add({ dispose: () => app.close() })
    const program = new Program('--webhook-change', `crdt:*=http://127.0.0.1:${app.address().port}/`, '--webhook-secret-file', file, '--webhook-debounce=20ms', '--drain=0ms', '--log-level=info')
    disposables.add(program)
    await program.start()
    await increment(program, 'crdt:s')
    await until(() => heard.length > 0, 'the first message')
    writeFileSync(`${file}.new`, next, { mode: 0o600 })
    renameSync(`${file}.new`, file)
    used = next
    await until(() => program.output.includes('webhooks are signed with what the files of secrets hold now'), 'the line in the log')
    await sleep(600) // the process that signs looks by itself
    await increment(program, 'crdt:s')
    await until(() => heard.length > 1, 'the next message')
    process.kill(hooksProcess(program), 'SIGKILL') // the next one begins with what was last good
    writeFileSync(file, 'short', { mode: 0o600 })
    await increment(program, 'crdt:s')
    await until(() => heard.length > 2, 'the one behind a crash')
    assert.ok(heard.every((each) => each), JSON.stringify(heard))
  })

  // Goal: who has taken a message, and was too slow to say so, knows it again although the secret was replaced meanwhile.
  test('has the same id when it is signed with another secret', async () => {
    const file = join(folder, 'secret-that-is-replaced')
    const secrets = [key, Buffer.from('another secret of 24 bytes or more')]
    const attempts = []
    writeFileSync(file, secrets[0], { mode: 0o600 })
    const app = createServer(async (request, response) => {
      let body = ''
      for await (const bytes of request) body += bytes
      const by = secrets.findIndex((secret) => verify(request.headers, body, secret))
      attempts.push({ id: request.headers['webhook-id'], by })
      response.writeHead(by === 1 ? 204 : 503).end()
    })
    await new Promise((resolve) => app.listen(0, '127.0.0.1', resolve))
    disposables.add({ dispose: () => app.close() })
    const program = new Program('--webhook-change', `crdt:*=http://127.0.0.1:${app.address().port}/`, '--webhook-secret-file', file, '--webhook-debounce=20ms', '--webhook-retry=50ms', '--webhook-retry-most=100ms', '--drain=0ms', '--log-level=warning')
    disposables.add(program)
    await program.start()
    await increment(program, 'crdt:s')
    await until(() => attempts.length > 1, 'two attempts')
    writeFileSync(`${file}.new`, secrets[1], { mode: 0o600 })
    renameSync(`${file}.new`, file)
    await until(() => attempts.some(({ by }) => by === 1), 'an attempt with the new secret')
    assert.deepEqual([...new Set(attempts.map(({ by }) => by))], [0, 1])
    assert.equal(new Set(attempts.map(({ id }) => id)).size, 1)
  })

  // Goal: a topic in memory that was erased begins with its first sequence again, and is another one all the same.
  test('has another id when its topic in memory was erased meanwhile', async () => {
    const app = await new Application().start()
    app.answer = () => [204]
    const program = await serve({ change: `*=http://127.0.0.1:${app.port}/` }, '--ephemeral=crdt:m*', '--room-idle', '200ms')
    for (let count = 1; count <= 2; count++) {
      await increment(program, 'crdt:m')
      await until(() => app.heard.length === count, 'the change')
      await until(async () => (await metric(program, 'laniakea_rooms')) === 0, 'the topic to be erased')
    }
    const [first, second] = app.heard
    assert.deepEqual([first.level, first.sequence, first.changes], ['memory', 1, 1])
    assert.deepEqual([second.level, second.sequence, second.changes], ['memory', 1, 1])
    assert.notEqual(first.id, second.id)
  })

  test('goes by https to who can prove to be the one', async () => {
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=a', '-addext', 'subjectAltName=DNS:localhost', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')])
    assert.equal(made.status, 0, String(made.stderr))
    const app = await new Application({ key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) }).start()
    const rules = { change: `crdt:good*=https://localhost:${app.port}/,crdt:*=https://127.0.0.1:${app.port}/` }
    const program = await serve(rules, '--webhook-ca-file', join(folder, 'cert.pem'), '--webhook-retry-most=50ms')
    await increment(program, 'crdt:good')
    await until(() => app.heard.length === 1, 'the change')
    await increment(program, 'crdt:good') // over the same connection
    await increment(program, 'crdt:bad') // where the certificate is not of the address
    await until(() => app.heard.length === 2, 'the change')
    await until(async () => (await metric(program, 'laniakea_webhook_failed_total')) > 1, 'attempts to fail')
    assert.deepEqual(app.heard.map(({ topic }) => topic), ['crdt:good', 'crdt:good'])
  })
})

describe('the receiver of the guide', () => {
  test('believes what the server signs, and nobody else', async () => {
    const guide = readFileSync(new URL('../../docs/guides/webhooks.md', import.meta.url), 'utf8')
    const file = join(folder, 'receiver.mjs')
    writeFileSync(file, /```js\n([^]*?)```/.exec(guide)[1])
    const port = await new Promise((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address()
        server.close(() => resolve(port))
      })
    })
    const receiver = spawn(process.execPath, [file], { env: { ...process.env, PORT: String(port), SECRET: readFileSync(secretFile, 'utf8').trim() }, stdio: ['ignore', 'pipe', 'inherit'] })
    disposables.add({ dispose: () => receiver.kill() })
    let said = ''
    receiver.stdout.on('data', (bytes) => (said += bytes))
    const url = `http://127.0.0.1:${port}/`
    await until(() => fetch(url).then(() => true, () => false), 'the receiver')
    assert.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 401)
    const program = await serve({ change: `crdt:*=${url}`, authorise: `crdt:*=${url}` })
    assert.ok((await join_(program, 'crdt:a', { ticket: 'good' })).ok)
    assert.equal((await join_(program, 'crdt:a', { ticket: 'bad' })).error.reason, 'forbidden')
    assert.equal((await increment(program, 'crdt:a')).status, 403)
    await until(() => said.includes('topic.authorise crdt:a'), 'its words')
  })
})

describe('a join', () => {
  test('is for those whom the application lets in, and to what it says', async () => {
    const app = await new Application().start()
    const program = await serve({ authorise: `crdt:*=http://127.0.0.1:${app.port}/may` })
    app.answer = ({ params }) => (params.ticket === 'good' ? [200, { allow: true }] : params.ticket === 'half' ? [200, { allow: true, rights: 'read' }] : [200, { allow: false }])
    const [good, half, bad] = await Promise.all(['good', 'half', 'bad'].map((ticket) => join_(program, 'crdt:a', { ticket })))
    assert.ok(good.ok && half.ok)
    assert.equal(bad.error.reason, 'forbidden')
    const reply = (client) => new Promise((resolve) => client.channel.push('crdt.increment', { payload: { amount: 1 } }).receive('ok', resolve).receive('error', resolve))
    assert.equal((await reply(good)).value, 1)
    assert.equal((await reply(half)).reason, 'read_only')
    const { type, action, subject, rights, topic } = app.heard[0]
    assert.deepEqual({ type, action, subject, rights, topic }, { type: 'topic.authorise', action: 'join', subject: null, rights: 'admin', topic: 'crdt:a' })
    assert.ok((await join_(program, 'relay:free')).ok, 'other topics are not asked about')
  })

  test('is refused where the application fails, is away or takes too long, and works when it is back', async () => {
    const app = await new Application().start()
    const program = await serve({ authorise: `*=http://127.0.0.1:${app.port}/` }, '--webhook-timeout=300ms')
    app.answer = () => [500]
    assert.equal((await join_(program, 'crdt:a')).error.reason, 'hook_failed')
    app.answer = () => [200, '<html>please log in</html>']
    assert.equal((await join_(program, 'crdt:a')).error.reason, 'hook_failed')
    app.answer = () => [0]
    assert.equal((await join_(program, 'crdt:a')).error.reason, 'hook_timeout')
    await app.stop()
    assert.equal((await join_(program, 'crdt:a')).error.reason, 'hook_failed')
    await app.start()
    app.answer = () => [200, { allow: true }]
    assert.ok((await join_(program, 'crdt:a')).ok)
  })

  test('waits for its answer with what was sent behind it, also while the process that asks dies', async () => {
    const app = await new Application().start()
    const program = await serve({ authorise: `*=http://127.0.0.1:${app.port}/` })
    app.answer = () => [0]
    const joining = join_(program, 'crdt:a')
    await until(() => app.heard.length === 1, 'the question')
    app.answer = () => [200, { allow: true }]
    process.kill(hooksProcess(program), 'SIGKILL')
    assert.ok((await joining).ok)
    assert.equal(app.heard.length, 2)
  })

  test('of a document by y-websocket is ended for good where it is forbidden, and HTTP is asked about as well', async () => {
    const app = await new Application().start()
    const program = await serve({ authorise: `doc:*=http://127.0.0.1:${app.port}/` })
    app.answer = ({ topic }) => [200, { allow: topic !== 'doc:no', rights: 'read' }]
    const ended = new Promise((resolve) => {
      const provider = new WebsocketProvider(`${program.url.replace('http', 'ws')}/y`, 'no', new Y.Doc(), { WebSocketPolyfill: WebSocket, disableBc: true })
      provider.on('connection-close', (event) => resolve(event.code))
      disposables.add({ dispose: () => { provider.destroy(); provider.doc.destroy() } })
    })
    assert.equal(await ended, 4403)
    const put = (topic) => fetch(`${program.url}/api/topics/${topic}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: updateOf('x') })
    assert.equal((await put('doc:no')).status, 403)
    assert.equal((await put('doc:yes')).status, 403, 'it may only read')
    assert.equal((await fetch(`${program.url}/api/topics/doc:yes`)).status, 404)
    assert.equal((await fetch(`${program.url}/render/doc:no`)).status, 403)
    assert.ok(app.heard.some(({ action, topic }) => action === 'http' && topic === 'doc:yes'))
  })
})

describe('a document', () => {
  const octets = { 'content-type': 'application/octet-stream' }
  const text = async (program, topic) => (await fetch(`${program.url}/api/topics/${topic}?as=text`)).text()

  test('begins with what the application has, once', async () => {
    const app = await new Application().start()
    const program = await serve({ load: `doc:*=http://127.0.0.1:${app.port}/load` })
    app.answer = async () => {
      await sleep(100)
      return [200, updateOf('once upon a time'), octets]
    }
    const joined = await Promise.all([1, 2, 3].map(() => join_(program, 'doc:tale')))
    for (const { ok } of joined) {
      const doc = new Y.Doc()
      for (const update of ok.history) Y.applyUpdate(doc, Uint8Array.from(update))
      assert.equal(doc.getText('t').toString(), 'once upon a time')
    }
    assert.deepEqual(app.heard.map(({ type, topic }) => ({ type, topic })), [{ type: 'topic.load', topic: 'doc:tale' }])
    await program.stop('SIGKILL')
    await program.start()
    assert.equal(await text(program, 'doc:tale'), 'once upon a time')
    assert.equal(app.heard.length, 1, 'what was loaded is kept')
    assert.equal(await metric(program, 'laniakea_webhook_loaded_total'), 0)
  })

  test('may come as JSON, or be said to be empty', async () => {
    const app = await new Application().start()
    const program = await serve({ load: `doc:*=http://127.0.0.1:${app.port}/load` })
    app.answer = ({ topic }) => (topic === 'doc:empty' ? [204] : [200, { b64: updateOf('hello').toString('base64') }, { 'content-type': 'application/json' }])
    assert.equal(await text(program, 'doc:json'), 'hello')
    assert.ok((await join_(program, 'doc:empty')).ok)
  })

  test('is not opened where the application has nothing to say, and never begins empty', async () => {
    const app = await new Application().start()
    const program = await serve({ load: `doc:*=http://127.0.0.1:${app.port}/load` }, '--webhook-timeout=300ms')
    const cases = [
      [[500], 'hook_failed'], [[200, ''], 'hook_failed'], [[200, 'no update', octets], 'hook_failed'], [[200, '{"b64":"!"}', { 'content-type': 'application/json' }], 'hook_failed'],
      [[200, updateOf('x'), { 'content-type': 'text/plain' }], 'hook_failed'], [[0], 'hook_timeout'], [[404], 'forbidden'],
    ]
    for (const [answer, reason] of cases) {
      app.answer = () => answer
      assert.equal((await join_(program, 'doc:a')).error?.reason, reason, JSON.stringify(answer))
    }
    // Nor may anybody write what would be its first content.
    app.answer = () => [500]
    const put = await fetch(`${program.url}/api/topics/doc:a`, { method: 'PUT', headers: octets, body: updateOf('mine') })
    assert.equal(put.status, 503)
    assert.equal((await put.json()).reason, 'hook_failed')
    app.answer = () => [200, updateOf('theirs'), octets]
    assert.equal(await text(program, 'doc:a'), 'theirs')
  })

  test('is loaded for those alone who may see it', async () => {
    const app = await new Application().start()
    const program = await serve({ load: `doc:*=http://127.0.0.1:${app.port}/load`, authorise: `doc:*=http://127.0.0.1:${app.port}/may` })
    app.answer = ({ topic }, path) => (path === '/load' ? [200, updateOf('x'), octets] : [200, { allow: topic === 'doc:yes' }])
    assert.equal((await join_(program, 'doc:no')).error.reason, 'forbidden')
    assert.ok((await join_(program, 'doc:yes')).ok)
    assert.deepEqual(app.heard.filter(({ path }) => path === '/load').map(({ topic }) => topic), ['doc:yes'])
  })
})
