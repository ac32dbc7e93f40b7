// The HTTP API and the pages without script, against the program: what docs/reference/http.md says, who may, what browsers
// send from elsewhere, and what happens to requests when rooms are slow or the server stops.
//
//   node --test tests/e2e/api.test.mjs      runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as Y from 'yjs'
import { Program, root } from './program.mjs'
import { shapeOf } from './shape.mjs'

const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-api-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const json = { 'content-type': 'application/json' }
const bytes = { 'content-type': 'application/octet-stream' }
const command = (type, payload, more = {}) => ({ method: 'POST', headers: json, body: JSON.stringify({ type, payload, ...more }) })

/** A document with what `write` does to it, as an update. */
function update(write) {
  const doc = new Y.Doc()
  write(doc)
  return Y.encodeStateAsUpdate(doc)
}

async function fails(response, status, reason, field) {
  const body = await response.json()
  assert.equal(response.status, status, JSON.stringify(body))
  assert.equal(body.reason, reason)
  if (field !== undefined) assert.equal(body.field, field)
  assert.equal(typeof body.message, 'string')
  assert.equal(response.headers.get('content-type'), 'application/json')
  return body
}

describe('the API', () => {
  const server = new Program()
  const ask = (path, options) => fetch(`${server.url}${path}`, options)
  const topic = (name, options) => ask(`/api/topics/${encodeURIComponent(name)}`, options)
  before(() => server.start())
  after(() => server.dispose())

  test('a document is made, read in each form, added to, and deleted', async () => {
    const first = update((doc) => doc.getText('t').insert(0, 'Hi', { bold: true }))
    await fails(await topic('doc:a'), 404, 'LK_ERR_NOT_FOUND', 'topic')
    const made = await topic('doc:a', { method: 'PUT', headers: bytes, body: first })
    assert.equal(made.status, 201)
    assert.deepEqual(await made.json(), { level: 'durable' })
    await fails(await topic('doc:a', { method: 'PUT', headers: bytes, body: first }), 409, 'LK_ERR_EXISTS')
    const forms = { text: 'Hi', markdown: '**Hi**\n', html: '<p><strong>Hi</strong></p>\n', json: '{"t":"Hi"}', delta: '[{"insert":"Hi","attributes":{"bold":true}}]' }
    for (const [as, want] of Object.entries(forms)) {
      const response = await topic(`doc:a`, {}).then(() => ask(`/api/topics/doc:a?as=${as}`))
      assert.equal((await response.text()).trim(), want.trim(), as)
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      assert.match(response.headers.get('content-security-policy'), /default-src 'none'/)
    }
    const doc = new Y.Doc()
    Y.applyUpdate(doc, new Uint8Array(await (await ask('/api/topics/doc:a?as=update')).arrayBuffer()))
    Y.applyUpdateV2(new Y.Doc(), new Uint8Array(await (await ask('/api/topics/doc:a?as=update_v2')).arrayBuffer()))
    assert.deepEqual(new Uint8Array(await (await ask('/api/topics/doc:a?as=state_vector')).arrayBuffer()), Y.encodeStateVector(doc))
    doc.getText('t').insert(2, '!')
    const added = await topic('doc:a', { method: 'POST', headers: json, body: JSON.stringify({ b64: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64') }) })
    assert.deepEqual([added.status, await added.json()], [200, { level: 'durable' }])
    assert.equal(await (await ask('/api/topics/doc:a?as=text')).text(), 'Hi!')
    assert.equal((await topic('doc:a', { method: 'DELETE' })).status, 204)
    assert.equal((await topic('doc:a', { method: 'DELETE' })).status, 204)
    await fails(await topic('doc:a'), 404, 'LK_ERR_NOT_FOUND')
    assert.equal((await topic('doc:a', { method: 'PUT', headers: bytes, body: first })).status, 201)
  })

  test('members hear of what came by HTTP', async () => {
    const { createRequire } = await import('node:module')
    const { Socket } = createRequire(import.meta.url)('phoenix')
    const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, { transport: globalThis.WebSocket ?? createRequire(import.meta.url)('ws') })
    socket.connect()
    const channel = socket.channel('doc:heard')
    const heard = new Promise((resolve) => channel.on('server_update', resolve))
    await new Promise((resolve) => channel.join().receive('ok', resolve))
    await topic('doc:heard', { method: 'POST', headers: bytes, body: update((doc) => doc.getText('t').insert(0, 'x')) })
    const doc = new Y.Doc()
    Y.applyUpdate(doc, Uint8Array.from((await heard).bin))
    assert.equal(doc.getText('t').toString(), 'x')
    socket.disconnect()
  })

  test('asking makes no topic, and an alias leads to it', async () => {
    for (const path of ['/api/topics/doc:never', '/api/topics/crdt:never', '/api/topics/counter:never', '/render/doc:never', '/render/counter:never']) await ask(path)
    await topic('y_doc_room:aliased', { method: 'PUT', headers: bytes, body: update((doc) => doc.getText('t').insert(0, 'x')) })
    assert.equal((await topic('doc:aliased')).status, 200)
    await fails(await topic('counter:never'), 404, 'LK_ERR_NOT_FOUND')
    await topic('doc:never', { method: 'PUT', headers: bytes, body: update((doc) => doc.getMap('m').set('a', 1)) }).then((made) => assert.equal(made.status, 201))
  })

  test('a command is executed once for each key', async () => {
    const key = (id) => ({ ...command('crdt.increment', { amount: 2 }), headers: { ...json, 'idempotency-key': id } })
    for (const id of ['a', 'a', 'b']) assert.equal((await topic('crdt:once', key(id))).status, 200)
    assert.equal(await (await topic('crdt:once')).json(), 4)
    await fails(await topic('crdt:once', { ...key('a'), body: JSON.stringify({ type: 'crdt.increment', payload: { amount: 3 } }) }), 409, 'LK_ERR_EXISTS', 'request_id')
    await fails(await topic('crdt:once', { ...key('a'), body: JSON.stringify({ type: 'crdt.increment', payload: { amount: 2 }, request_id: 'c' }) }), 400, 'LK_ERR_INVALID', 'Idempotency-Key')
    assert.equal(await (await topic('crdt:once')).json(), 4)
    // A PUT that comes again under its key has made the object itself.
    const make = { ...key('made'), method: 'PUT' }
    assert.equal((await topic('crdt:made', make)).status, 201)
    assert.equal((await topic('crdt:made', make)).status, 201)
    await fails(await topic('crdt:made', { ...key('other'), method: 'PUT' }), 409, 'LK_ERR_EXISTS', 'topic')
    assert.equal(await (await topic('crdt:made')).json(), 2)
  })

  test('objects take the type that is asked for, while they are new', async () => {
    const add = { ...command('crdt.add', { element: '<b>' }), method: 'PUT' }
    assert.equal((await ask('/api/topics/crdt:set?type=orset', add)).status, 201)
    assert.deepEqual(await (await topic('crdt:set')).json(), ['<b>'])
    assert.match((await (await ask('/api/topics/crdt:set?as=state')).json()).state, /^[A-Za-z0-9+/=]+$/)
    assert.match(await (await ask('/api/topics/crdt:set?as=html')).text(), /<li>&lt;b&gt;<\/li>/)
    await fails(await ask('/api/topics/crdt:set?type=list', command('crdt.add', { element: 1 })), 409, 'type_mismatch', 'type')
    await fails(await ask('/api/topics/crdt:set?type=nix', command('crdt.add', { element: 1 })), 400, 'LK_ERR_UNKNOWN_TYPE', 'type')
  })

  test('each mistake has its status, and its field', async () => {
    const rows = [
      ['/api/topics/nix:a', {}, 404, 'LK_ERR_UNMATCHED_TOPIC', 'topic'],
      ['/api/topics/doc:%ff', {}, 400, 'LK_ERR_UTF8', 'topic'],
      ['/api/topics/doc:%zz', {}, 400, 'LK_ERR_SYNTAX', 'topic'],
      ['/api/topics/doc:%00', {}, 400, 'LK_ERR_SYNTAX', 'topic'],
      [`/api/topics/doc:${'a'.repeat(252)}`, {}, 414, 'LK_ERR_TOO_BIG', 'topic'],
      ['/api/topics/doc:a/b', {}, 404, 'LK_ERR_NOT_FOUND', 'path'],
      ['/api/topics/', {}, 404, 'LK_ERR_NOT_FOUND', 'path'],
      ['/api/', {}, 404, 'LK_ERR_NOT_FOUND', 'path'],
      ['/api/topics/doc:aliased?as=pdf', {}, 400, 'LK_ERR_INVALID', 'as'],
      ['/api/topics/doc:aliased?as=state', {}, 400, 'LK_ERR_INVALID', 'as'],
      ['/api/topics/doc:aliased?root=nix', {}, 404, 'LK_ERR_NOT_FOUND', 'root'],
      ['/api/topics/doc:never?as=text', {}, 400, 'LK_ERR_TYPE', 'root'],
      ['/api/topics/relay:a', {}, 501, 'LK_ERR_UNSUPPORTED', 'topic'],
      ['/api/topics?limit=0', {}, 400, 'LK_ERR_RANGE', 'limit'],
      ['/api/topics?limit=x', {}, 400, 'LK_ERR_RANGE', 'limit'],
      ['/api/topics/doc:a', { method: 'PATCH' }, 405, 'LK_ERR_HTTP_METHOD'],
      ['/api/topics', { method: 'DELETE' }, 405, 'LK_ERR_HTTP_METHOD'],
      ['/api/topics/doc:a', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }, 415, 'LK_ERR_PAYLOAD', 'content-type'],
      ['/api/topics/doc:a', { method: 'POST', headers: bytes, body: '' }, 400, 'LK_ERR_PAYLOAD', 'body'],
      ['/api/topics/doc:a', { method: 'POST', headers: bytes, body: 'nonsense' }, 422, 'replica_refused'],
      ['/api/topics/doc:a', { method: 'POST', headers: json, body: '{"b64":"!"}' }, 400, 'LK_ERR_SYNTAX'],
      ['/api/topics/crdt:e', { method: 'POST', headers: bytes, body: 'x' }, 415, 'LK_ERR_PAYLOAD', 'content-type'],
      ['/api/topics/crdt:e', { method: 'POST', headers: json, body: '{' }, 400, 'LK_ERR_TRUNCATED', 'body'],
      ['/api/topics/crdt:e', { method: 'POST', headers: json, body: '{} {}' }, 400, 'LK_ERR_TRAILING', 'body'],
      ['/api/topics/crdt:e', { method: 'POST', headers: json, body: '[]' }, 400, 'LK_ERR_TYPE', 'body'],
      ['/api/topics/crdt:e', { method: 'POST', headers: json, body: '{}' }, 400, 'LK_ERR_PAYLOAD', 'type'],
      ['/api/topics/crdt:e', command('crdt.nix', {}), 400, 'LK_ERR_UNKNOWN_EVENT'],
      ['/api/topics/crdt:e', command('crdt.increment', { amount: 'x' }), 400, 'LK_ERR_PAYLOAD', 'payload.amount'],
      ['/api/topics/crdt:e', { ...command('crdt.increment', { amount: 1 }), headers: { ...json, 'idempotency-key': 'k'.repeat(129) } }, 400, 'LK_ERR_TOO_BIG', 'Idempotency-Key'],
      ['/api/topics/doc:aliased/snapshot', { method: 'POST' }, 501, 'LK_ERR_UNSUPPORTED'],
    ]
    for (const [path, options, status, reason, field] of rows) {
      const response = await ask(path, options)
      await fails(response, status, reason, field).catch((error) => assert.fail(`${options.method ?? 'GET'} ${path}: ${error.message}`))
      if (status === 405) assert.match(response.headers.get('allow'), /GET/)
    }
    assert.equal((await ask('/api/topics/crdt:e')).status, 404)
  })

  test('a body longer than its path allows is refused before it has come', async () => {
    assert.equal((await ask('/api/topics/doc:big', { method: 'POST', headers: bytes, body: new Uint8Array((8 << 20) + 1) }).catch(() => ({ status: 413 }))).status, 413)
    assert.equal((await ask('/render/counter:big', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `amount=1&x=${'a'.repeat(5000)}` })).status, 413)
  })

  test('what was read before is 304, until it changes', async () => {
    await topic('crdt:tag', command('crdt.increment', { amount: 1 }))
    const first = await topic('crdt:tag')
    const headers = { 'if-none-match': first.headers.get('etag') }
    const second = await topic('crdt:tag', { headers })
    assert.deepEqual([second.status, await second.text()], [304, ''])
    await topic('crdt:tag', command('crdt.increment', { amount: 1 }))
    assert.equal((await topic('crdt:tag', { headers })).status, 200)
    const head = await topic('crdt:tag', { method: 'HEAD' })
    assert.deepEqual([head.status, await head.text(), head.headers.get('content-length')], [200, '', '1'])
  })

  test('topics are listed in order, page by page', async () => {
    for (const name of ['crdt:l1', 'crdt:l2', 'crdt:l3']) await topic(name, command('crdt.increment', { amount: 1 }))
    const names = []
    for (let after = 'crdt:l', more = true; more && names.length < 3;) {
      const page = await (await ask(`/api/topics?limit=1&after=${encodeURIComponent(after)}`)).json()
      names.push(...page.topics.map((each) => each.topic))
      after = names.at(-1)
      more = page.more
    }
    assert.deepEqual(names, ['crdt:l1', 'crdt:l2', 'crdt:l3'])
  })

  test('requests that come one behind the other without waiting are answered in order', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const host = `Host: ${new URL(server.url).host}\r\n`
    const body = '{"type":"crdt.increment","payload":{"amount":1}}'
    const post = `POST /api/topics/crdt:pipe HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    let text = ''
    socket.setEncoding('utf8').on('data', (part) => (text += part))
    socket.write(post.repeat(20) + `GET /api/topics/crdt:pipe HTTP/1.1\r\n${host}\r\nGET /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)
    await new Promise((resolve) => socket.on('end', resolve))
    assert.deepEqual([...text.matchAll(/"value":(\d+)/g)].map((match) => Number(match[1])), Array.from({ length: 20 }, (_, i) => i + 1))
    assert.match(text, /\r\n\r\n20HTTP\/1\.1 200 OK[\s\S]*"status":"ok"/)
    assert.equal(text.match(/HTTP\/1\.1 200 OK/g).length, 22)
  })

  test('a client that goes away takes its request with it, and nothing else', async () => {
    for (let i = 0; i < 30; i++) {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write(`GET /api/topics/crdt:pipe HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\n\r\n`)
      await sleep(i % 3)
      socket.destroy()
    }
    assert.equal(await (await topic('crdt:pipe')).json(), 20)
  })

  test('pages of elsewhere may not ask, those of this machine may', async () => {
    const evil = { origin: 'https://evil.example' }
    const post = (headers) => topic('crdt:csrf', { ...command('crdt.increment', { amount: 1 }), headers: { ...json, ...headers } })
    await fails(await post(evil), 403, 'origin')
    await fails(await post({ origin: 'null' }), 403, 'origin')
    await fails(await topic('crdt:pipe', { headers: evil }), 403, 'origin')
    await fails(await topic('crdt:pipe', { method: 'OPTIONS', headers: { ...evil, 'access-control-request-method': 'PUT' } }), 403, 'origin')
    const form = (headers) => ask('/render/counter:csrf', { method: 'POST', redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: 'amount=1' })
    assert.equal((await form(evil)).status, 403)
    const own = await post({ origin: 'http://localhost:5173' })
    assert.equal(own.headers.get('access-control-allow-origin'), 'http://localhost:5173')
    assert.equal(own.headers.get('vary'), 'origin')
    const preflight = await topic('crdt:csrf', { method: 'OPTIONS', headers: { origin: 'http://localhost:5173', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization, idempotency-key' } })
    assert.equal(preflight.status, 204)
    assert.match(preflight.headers.get('access-control-allow-methods'), /PUT/)
    assert.match(preflight.headers.get('access-control-allow-headers'), /idempotency-key/)
    assert.equal(await (await topic('crdt:csrf')).json(), 1)
    // fetch may not say where it comes from; browsers do.
    const raw = (site) => new Promise((resolve) => {
      const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
      let text = ''
      socket.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => resolve(Number(text.slice(9, 12))))
      socket.write(`POST /render/counter:csrf HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nSec-Fetch-Site: ${site}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\nConnection: close\r\n\r\namount=1`)
    })
    assert.deepEqual([await raw('cross-site'), await raw('same-site'), await raw('same-origin')], [403, 403, 303])
  })

  test('a counter works without a script', async () => {
    const page = await ask('/render/counter:press')
    const text = await page.text()
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(text, /<html lang="en">[\s\S]*<title>press<\/title>[\s\S]*<main>[\s\S]*<h1>press<\/h1>[\s\S]*<form method="post">/)
    assert.doesNotMatch(text, /<script| on\w+=/)
    const policy = page.headers.get('content-security-policy')
    const style = /<style>([\s\S]*?)<\/style>/.exec(text)[1]
    const { createHash } = await import('node:crypto')
    assert.ok(policy.includes(`'sha256-${createHash('sha256').update(style).digest('base64')}'`), policy)
    assert.match(policy, /default-src 'none'.*form-action 'self'/)
    const pressed = await ask('/render/counter:press', { method: 'POST', redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'amount=4' })
    assert.deepEqual([pressed.status, pressed.headers.get('location')], [303, '/render/counter:press'])
    assert.match(await (await ask('/render/counter:press')).text(), />4<\/output>/)
    for (const amount of ['', 'amount=', 'amount=0', 'amount=-1', 'amount=1.5', 'amount=x', 'amount=9007199254740993', 'amount=%zz']) {
      const wrong = await ask('/render/counter:press', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: amount })
      assert.equal(wrong.status, 400, amount)
      assert.match(wrong.headers.get('content-type'), /text\/html/)
    }
  })

  test('hostile text is data: pages have the same tree, whatever is in them', async () => {
    const hostile = ['plain words', '<script>alert(1)</script>', '</main></body><h1>', '"><img src=x onerror=alert(1)>', '<!--', ']]>', '&lt;b&amp;', '\u0000\u0001\u007f', '</pre></ul></dl></section>', '<svg><style><a title="</style>', "' onload='", '\u2028</title><script>', 'a\rb']
    const shapes = new Set(), shapesOfObjects = new Set()
    for (const [i, text] of hostile.entries()) {
      const body = update((doc) => {
        doc.clientID = 1
        doc.getText('words').insert(0, text)
        doc.getMap('map').set('value', text)
        doc.getArray(`list`).push([text])
      })
      await topic(`doc:h${i}`, { method: 'PUT', headers: bytes, body })
      shapes.add(shapeOf(await (await ask(`/render/doc:h${i}`)).text()))
      await ask(`/api/topics/crdt:h${i}?type=orset`, command('crdt.add', { element: text }))
      shapesOfObjects.add(shapeOf(await (await ask(`/render/crdt:h${i}`)).text()))
    }
    assert.deepEqual([...shapes].length, 1, [...shapes].join('\n'))
    assert.deepEqual([...shapesOfObjects].length, 1, [...shapesOfObjects].join('\n'))
    const name = 'doc:<script>"\'&'
    await topic(name, { method: 'PUT', headers: bytes, body: update((doc) => doc.getText('<b>').insert(0, 'x')) })
    assert.doesNotMatch(await (await ask(`/render/${encodeURIComponent(name)}`)).text(), /<script|<b>/)
  })

  test('the examples of the manual do what they say', async () => {
    const text = readFileSync(join(root, 'docs/reference/http.md'), 'utf8')
    const fresh = new Program('--versions', 'doc:*=saved')
    await fresh.start()
    try {
      let count = 0
      for (const [, block] of text.matchAll(/```sh\n([\s\S]*?)```/g)) {
        const lines = block.trim().split('\n')
        for (let i = 0; i < lines.length; i += 2) {
          const { stdout } = await promisify(execFile)('bash', ['-o', 'pipefail', '-ec', lines[i]], { env: { ...process.env, URL: fresh.url } })
          const want = lines[i + 1].slice(2).replace(/"bytes":\d+/, '"bytes":N')
          assert.equal(stdout.trim().replace(/"bytes":\d+/, '"bytes":N'), want, lines[i])
          count++
        }
      }
      assert.ok(count >= 15, String(count))
    } finally {
      await fresh.dispose()
    }
  })

  test('requests are counted by the kind of their topic', async () => {
    const text = await (await ask('/metrics')).text()
    const number = (name) => Number(new RegExp(`^laniakea_api_${name}_total (\\d+)`, 'm').exec(text)[1])
    for (const name of ['documents', 'objects', 'others', 'refused']) assert.ok(number(name) > 0, name)
  })
})

describe('a server with keys', () => {
  const secret = join(folder, 'secret')
  const server = new Program('--token-secret-file', secret)
  const env = { ...process.env, SECRET_KEY_BASE: 'laniakea'.repeat(8) }
  const mint = (...topics) => execFileSync(program, ['token', 'mint', '--subject', 'ann', ...topics.flatMap((each) => ['--topic', each])], { env, encoding: 'utf8' }).trim()
  const ask = (path, token, options = {}) => fetch(`${server.url}${path}`, { ...options, headers: { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) } })
  const count = command('crdt.increment', { amount: 1 })
  before(async () => {
    writeFileSync(secret, 'laniakea'.repeat(8), { mode: 0o600 })
    await server.start()
  })
  after(() => server.dispose())

  test('each may do what his token says', async () => {
    const reader = mint('crdt:*=read'), writer = mint('crdt:*=write'), admin = mint('*=admin')
    const missing = await ask('/api/topics/crdt:a')
    assert.equal(missing.headers.get('www-authenticate'), 'Bearer')
    await fails(missing, 401, 'LK_ERR_TOKEN_MISSING')
    await fails(await ask('/api/topics/crdt:a', 'nonsense'), 401, 'LK_ERR_TOKEN_INVALID')
    await fails(await ask('/api/topics/crdt:a', reader, count), 403, 'read_only')
    await fails(await ask('/api/topics/doc:a', reader), 403, 'unauthorized')
    assert.equal((await ask('/api/topics/crdt:a', writer, count)).status, 200)
    assert.equal(await (await ask('/api/topics/crdt:a', reader)).json(), 1)
    assert.equal(await (await ask(`/api/topics/crdt:a?token=${reader}`)).json(), 1)
    await fails(await ask('/api/topics/crdt:a', writer, { method: 'DELETE' }), 403, 'unauthorized')
    await fails(await ask('/api/topics', writer), 403, 'unauthorized')
    await fails(await ask('/api/topics', mint('crdt:*=admin')), 403, 'unauthorized')
    assert.equal((await (await ask('/api/topics', admin)).json()).topics.length, 1)
    assert.equal((await ask('/api/topics/crdt:a', admin, { method: 'DELETE' })).status, 204)
    const page = await ask('/render/counter:a')
    assert.equal(page.status, 401)
    assert.match(await page.text(), /<h1>/)
  })

  test('who has no token sends no long body', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let text = ''
    socket.setEncoding('utf8').on('data', (part) => (text += part)).on('error', () => {})
    socket.write(`POST /api/topics/doc:a HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nExpect: 100-continue\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n`)
    await new Promise((resolve) => socket.on('end', resolve))
    assert.match(text, /^HTTP\/1\.1 401 [\s\S]*connection: close[\s\S]*LK_ERR_TOKEN_MISSING/)
    const long = update((doc) => doc.getText('t').insert(0, 'x'.repeat(200_000)))
    assert.equal((await ask('/api/topics/doc:a', mint('doc:*=write'), { method: 'POST', headers: bytes, body: long })).status, 200)
    assert.equal((await (await ask('/api/topics/doc:a?as=text', mint('doc:*=read'))).text()).length, 200_000)
  })

  test('a form leads back with the token that it came with', async () => {
    const token = mint('crdt:*=write') // what counter:f stands for
    const pressed = await ask(`/render/counter:f?token=${token}`, null, { method: 'POST', redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'amount=4' })
    assert.deepEqual([pressed.status, pressed.headers.get('location')], [303, `/render/counter:f?token=${token}`])
    assert.match(await (await fetch(new URL(pressed.headers.get('location'), server.url))).text(), />4<\/output>/)
  })
})

describe('a server with a rate', () => {
  const secret = join(folder, 'secret-rate')
  const server = new Program('--token-secret-file', secret, '--edges', '1', '--trusted-proxies', '127.0.0.1', '--hosts', '127.0.0.1',
    '--rate-api-requests', '5', '--rate-burst', '2s')
  const env = { ...process.env, SECRET_KEY_BASE: 'laniakea'.repeat(8) }
  const mint = (subject) => execFileSync(program, ['token', 'mint', '--subject', subject, '--topic', '*=admin'], { env, encoding: 'utf8' }).trim()
  const ask = (headers, options = {}) => fetch(`${server.url}/api/topics/crdt:r`, { ...options, headers: { ...options.headers, ...headers } })
  const statuses = async (headers, count, options) => {
    const all = []
    for (let i = 0; i < count; i++) all.push((await ask(headers, options)).status)
    return all
  }
  before(async () => {
    writeFileSync(secret, 'laniakea'.repeat(8), { mode: 0o600 })
    await server.start()
  })
  after(() => server.dispose())

  test('refuses who is faster, says when to come again, and changes nothing', async () => {
    const ann = { authorization: `Bearer ${mint('ann')}` }, ben = { authorization: `Bearer ${mint('ben')}` }
    const began = performance.now()
    const got = await Promise.all(Array.from({ length: 40 }, () => ask(ann, command('crdt.increment', { amount: 1 }))))
    const most = 10 + Math.ceil((performance.now() - began) / 200)
    const done = got.filter((each) => each.status === 200).length
    assert.ok(done >= 10 && done <= most, `${done} of ${most}`)
    const refused = got.find((each) => each.status !== 200)
    await fails(refused, 429, 'rate_limited')
    const wait = Number(refused.headers.get('retry-after'))
    assert.ok(wait >= 1 && wait <= 3, String(wait))
    assert.equal(await (await ask(ben)).json(), done)
    await sleep(wait * 1000)
    assert.equal((await ask(ann)).status, 200)
  })

  test('knows who brings no token by an address, which a proxy may say', async () => {
    const from = (address) => ({ 'x-forwarded-for': address })
    const first = await statuses(from('198.51.100.1'), 20)
    assert.deepEqual([first[0], first.at(-1)], [401, 429])
    assert.deepEqual(await statuses(from('198.51.100.2'), 3), [401, 401, 401])
    assert.deepEqual(await statuses(from('1.2.3.4, 198.51.100.1'), 1), [429]) // what the client says counts for nothing
    const text = await (await fetch(`${server.url}/metrics`)).text()
    assert.ok(Number(/^laniakea_api_throttled_total (\d+)/m.exec(text)[1]) > 20)
  })
})

/** The process called |name| below |parent|. */
function processes(parent, name) {
  return readdirSync('/proc').filter((each) => /^\d+$/.test(each)).filter((each) => {
    try {
      const stat = readFileSync(`/proc/${each}/stat`, 'utf8')
      return stat.includes(`(${name})`) && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
    } catch {
      return false
    }
  }).map(Number)
}

describe('a server in trouble', () => {
  const server = new Program('--edges', '2', '--rooms', '2')
  const topic = (name, options) => fetch(`${server.url}/api/topics/${name}`, options)
  const counted = (id) => ({ ...command('crdt.increment', { amount: 1 }), headers: { ...json, 'idempotency-key': id } })
  before(() => server.start())
  after(() => server.dispose())

  test('a list is of all room processes', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `crdt:m${String(i).padStart(2, '0')}`)
    await Promise.all(names.map((name) => topic(name, counted('a'))))
    const all = await (await fetch(`${server.url}/api/topics?after=crdt:m&limit=20`)).json()
    assert.deepEqual(all.topics.map((each) => each.topic), names.slice(0, 20))
    assert.equal(all.more, true)
  })

  test('a list has what was put away, after a restart too, and not what was deleted', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `crdt:m${String(i).padStart(2, '0')}`)
    assert.equal((await topic(names[3], { method: 'DELETE' })).status, 204)
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      await server.stop(signal)
      await server.start()
      let list
      for (let tries = 0; tries < 100 && list?.complete !== true; tries++) {
        list = await (await fetch(`${server.url}/api/topics?prefix=crdt:m`)).json()
        await sleep(20)
      }
      assert.equal(list.complete, true)
      assert.deepEqual(list.topics.map((each) => each.topic), names.filter((each) => each !== names[3]))
    }
  })

  test('a room that is killed answers when it is back, and counts each once', async () => {
    const asked = []
    for (let i = 0; i < 100; i++) {
      asked.push(topic('crdt:killed', counted(`k${i}`)).then((response) => response.status))
      if (i % 25 === 10) for (const pid of processes(server.pid, 'laniakea-room')) process.kill(pid, 'SIGKILL')
      await sleep(2)
    }
    const statuses = await Promise.all(asked)
    for (const [i, status] of statuses.entries()) {
      if (status !== 200) assert.equal((await topic('crdt:killed', counted(`k${i}`))).status, 200, String(status))
    }
    assert.equal(await (await topic('crdt:killed')).json(), 100)
  })

  test('a room that does not answer is 504, and what was asked is not lost', { timeout: 30_000 }, async () => {
    const rooms = processes(server.pid, 'laniakea-room')
    for (const pid of rooms) process.kill(pid, 'SIGSTOP')
    const late = await topic('crdt:late', counted('l'))
    for (const pid of rooms) process.kill(pid, 'SIGCONT')
    await fails(late, 504, 'LK_ERR_TIMEOUT')
    assert.deepEqual((await (await topic('crdt:late', counted('l'))).json()).value, 1)
  })

  test('a server that stops answers what was asked, and takes nothing new', async () => {
    const port = Number(new URL(server.url).port)
    const open = connect(port, '127.0.0.1')
    let text = ''
    open.setEncoding('utf8').on('data', (part) => (text += part))
    const { createRequire } = await import('node:module')
    const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)('ws')
    const holders = Array.from({ length: 200 }, () => new WebSocket(`${server.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`))
    await Promise.all(holders.map((each) => new Promise((resolve) => (each.onopen = resolve))))
    for (const pid of processes(server.pid, 'laniakea-edge')) process.kill(pid, 'SIGTERM')
    await sleep(50)
    open.on('error', () => {})
    open.write(`GET /api/topics/crdt:late HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    for (let i = 0; i < 100 && text === ''; i++) await sleep(20)
    assert.match(text, /HTTP\/1\.1 503[\s\S]*retry-after: 1[\s\S]*"reason":"LK_ERR_CLOSED"/i)
    open.destroy()
    for (const each of holders) each.close()
  })
})

describe('laniakea tail', () => {
  const server = new Program()
  before(() => server.start())
  after(() => server.dispose())

  function tail(...args) {
    const child = spawn(program, ['tail', '--url', server.url, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const self = { child, out: '', err: '', ended: new Promise((resolve) => child.on('exit', (code) => resolve(code))) }
    child.stdout.setEncoding('utf8').on('data', (text) => (self.out += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (self.err += text))
    self.until = async (pattern) => {
      for (const end = Date.now() + 8000; !pattern.test(self.out); await sleep(10)) if (Date.now() > end) assert.fail(`no ${pattern} in ${self.out} ${self.err}`)
    }
    return self
  }

  test('says what happens, without what users wrote, until it is interrupted', async () => {
    const quiet = tail('doc:t'), full = tail('--content', '--json', 'doc:t'), object = tail('crdt:t')
    for (const each of [quiet, full, object]) await each.until(/joined/)
    const doc = new Y.Doc()
    doc.clientID = 77
    doc.getText('t').insert(0, 'secret \u001b[31mwords')
    await fetch(`${server.url}/api/topics/doc:t`, { method: 'POST', headers: bytes, body: Y.encodeStateAsUpdate(doc) })
    await fetch(`${server.url}/api/topics/crdt:t`, command('crdt.increment', { amount: 3 }))
    await quiet.until(/^\d\d:\d\d:\d\d\.\d{3} server_update bytes=\d+ structs=1 clients=1 text_bytes=\d+ deleted=0 by=77$/m)
    await full.until(/"event":"server_update".*"text":"secret \\u001b\[31mwords"/)
    await object.until(/state_updated bytes=\d+$/m)
    assert.doesNotMatch(quiet.out, /secret/)
    for (const line of full.out.trim().split('\n')) assert.equal(typeof JSON.parse(line).at, 'number')
    await fetch(`${server.url}/api/topics/doc:t`, { method: 'DELETE' })
    await quiet.until(/phx_error.*reason="deleted"[\s\S]*joined/)
    for (const each of [quiet, full, object]) {
      each.child.kill('SIGINT')
      assert.equal(await each.ended, 0, each.err)
    }
  })

  test('ends with 1 where it is refused, with 2 where it is not understood', async () => {
    const refused = tail('nix:t')
    assert.equal(await refused.ended, 1)
    assert.match(refused.out, /refused.*reason="unmatched topic"/)
    assert.equal(await tail().ended, 2)
    const gone = tail('doc:t')
    await gone.until(/joined/)
    await server.stop()
    assert.equal(await gone.ended, 1)
    assert.equal(await tail('doc:t').ended, 1)
  })
})
