// TLS of `laniakea serve --tls-cert FILE --tls-key FILE`, with Node's TLS and the library `ws` as clients.
//
//   node --test tests/e2e/tls.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// Certificates are made anew for each run, by openssl(1): there is no key in the source tree.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect as connectPlainly } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'

const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'laniakea-tls-'))
const cert = join(folder, 'cert.pem')
const key = join(folder, 'key.pem')
const HANDSHAKE_MS = 5000
const REQUEST = 'GET /healthz HTTP/1.1\r\nhost: localhost\r\n'

/** Puts a new certificate for `name` and its key where the server looks for them. */
function replace(name) {
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...subject, '-keyout', `${key}.new`, '-out', `${cert}.new`])
  assert.equal(made.status, 0, String(made.stderr))
  renameSync(`${cert}.new`, cert)
  renameSync(`${key}.new`, key)
}

async function serve(...args) {
  const child = spawn(program, ['serve', '--port', '0', '--debug-echo', '--tls-cert', cert, '--tls-key', key, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const started = { child, port: 0, err: '' }
  child.stderr.setEncoding('utf8').on('data', (text) => (started.err += text))
  const [out] = await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), once(child, 'exit').then(() => [''])])
  started.port = Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(out)?.[1])
  assert.ok(started.port, started.err)
  return started
}

async function end(started) {
  started.child.kill('SIGTERM')
  const [code] = await once(started.child, 'exit')
  assert.equal(code, 0, started.err)
}

let server
before(async () => {
  replace('first')
  server = await serve('--edges', '2')
})
after(async () => {
  await end(server)
  rmSync(folder, { recursive: true })
  for (const line of server.err.trimEnd().split('\n').filter(Boolean)) assert.equal(JSON.parse(line).event, 'certificate_refused', line)
})

/** A connection whose handshake is done. */
async function meet(options = {}, port = server.port) {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close').then(() => assert.fail('closed in the handshake'))])
  return socket
}

async function nameShown(port = server.port) {
  const socket = await meet({}, port)
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return CN
}

async function until(what, patience = 10_000) {
  for (const start = Date.now(); Date.now() < start + patience; await sleep(20)) if (await what()) return
  assert.fail(`not within ${patience} ms: ${what}`)
}

/** All that a socket gets until it is closed. */
async function readAll(socket) {
  let text = ''
  socket.on('data', (bytes) => (text += bytes)).on('error', () => {})
  await once(socket, 'close')
  return text
}

/** The body of the answer, on a connection of its own. */
async function request(path, method = 'GET', body = '') {
  const socket = await meet()
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  const text = await readAll(socket)
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

async function open(path, port = server.port) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, { rejectUnauthorized: false, perMessageDeflate: false })
  await once(socket, 'open')
  return socket
}

test('https: the certificate is checked, a file and the state are served', async () => {
  const ask = (path) => new Promise((resolve, reject) => get({ host: '127.0.0.1', port: server.port, path, ca: readFileSync(cert), servername: 'localhost' }, resolve).on('error', reject))
  for (const path of ['/', '/healthz', '/metrics']) {
    const response = await ask(path)
    response.resume()
    assert.equal(response.statusCode, 200)
    await once(response, 'end')
  }
})

test('wss: Phoenix answers a heartbeat, and large messages come back whole', async () => {
  const phoenix = await open('/socket/websocket?vsn=2.0.0')
  phoenix.send('[null,"1","phoenix","heartbeat",{}]')
  const [reply] = await once(phoenix, 'message')
  assert.deepEqual(JSON.parse(reply), [null, '1', 'phoenix', 'phx_reply', { status: 'ok', response: {} }])
  phoenix.close()
  const echo = await open('/debug/echo')
  for (const size of [1, 16_384, 16_385, 300_000, 5_000_000]) {
    const sent = Buffer.alloc(size, size % 251)
    echo.send(sent)
    const [got] = await once(echo, 'message')
    assert.ok(sent.equals(got), `${size} bytes`)
  }
  echo.close()
  const [code] = await once(echo, 'close')
  assert.equal(code, 1005)
})

test('versions and suites that are not served are refused', async () => {
  const refused = [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' },
    { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA' },
    { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    { ALPNProtocols: ['h2'] },
  ]
  for (const options of refused) {
    const socket = connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    const [error] = await once(socket, 'error')
    assert.match(error.code, /ALERT|PROTOCOL/, JSON.stringify(options))
  }
  for (const options of [{ maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }, { ALPNProtocols: ['h2', 'http/1.1'] }]) {
    const socket = await meet(options)
    assert.match(socket.getCipher().standardName, /GCM|POLY1305/)
    socket.destroy()
  }
})

test('a session is taken up again, by any edge process', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    const first = await meet({ maxVersion })
    const [session] = maxVersion === 'TLSv1.2' ? [first.getSession()] : await once(first, 'session')
    first.destroy()
    for (let i = 0; i < 8; i++) {
      const again = await meet({ maxVersion, session })
      assert.ok(again.isSessionReused(), `${maxVersion}, ${i}`)
      again.destroy()
    }
  }
})

test('the end of a response is a close_notify, also where the client ends first', async () => {
  const asked = await meet()
  let notified = false
  asked.on('end', () => (notified = true))
  asked.write(`${REQUEST}connection: close\r\n\r\n`)
  assert.match(await readAll(asked), /^HTTP\/1\.1 200 /)
  assert.ok(notified)
  const hasty = await meet()
  hasty.end(`${REQUEST}\r\n`)
  assert.match(await readAll(hasty), /^HTTP\/1\.1 200 /)
})

test('plain requests are told, garbage is cut', async () => {
  const plain = connectPlainly(server.port, '127.0.0.1')
  plain.end(`${REQUEST}\r\n`)
  assert.match(await readAll(plain), /^HTTP\/1\.1 400 [^]*This port speaks TLS/)
  for (const bytes of [Buffer.alloc(100), Buffer.alloc(100_000, 22), Buffer.from('16030100050100ffffff', 'hex'), Buffer.from('80', 'hex')]) {
    const socket = connectPlainly(server.port, '127.0.0.1')
    socket.end(bytes)
    assert.ok((await readAll(socket)).length < 64)
  }
  assert.equal(await nameShown(), 'first')
})

test('a handshake that trickles is cut at its deadline', async () => {
  const quiet = connectPlainly(server.port, '127.0.0.1')
  const slow = connectPlainly(server.port, '127.0.0.1')
  const start = Date.now()
  const hello = Buffer.concat([Buffer.from('16030102000100', 'hex'), Buffer.alloc(510)])
  let at = 0
  const timer = setInterval(() => slow.write(hello.subarray(at, ++at)), 100)
  const ends = [quiet, slow].map(async (socket) => (await readAll(socket), Date.now() - start))
  for (const took of await Promise.all(ends)) assert.ok(took > HANDSHAKE_MS - 100 && took < HANDSHAKE_MS + 2000, `${took} ms`)
  clearInterval(timer)
})

test('certificates are replaced under load, and no connection is lost', { timeout: 120_000 }, async () => {
  const load = { count: 0, lost: 0, stopped: false }
  const sockets = await Promise.all(Array.from({ length: 50 }, () => open('/debug/echo')))
  const talks = sockets.map(async (socket, i) => {
    socket.on('close', () => (load.lost += load.stopped ? 0 : 1)).on('error', () => {})
    for (let n = 0; !load.stopped && socket.readyState === WebSocket.OPEN; n++) {
      const said = `${i}/${n}/${'x'.repeat(n % 3000)}`
      socket.send(said)
      const [heard] = await once(socket, 'message')
      assert.equal(String(heard), said)
      load.count++
      await sleep(2)
    }
  })
  for (let i = 0; i < 20; i++) {
    if (i % 5 === 4) {
      const before = server.err.length
      writeFileSync(key, i % 2 === 0 ? 'no key' : '')
      await until(() => server.err.slice(before).includes('new connections get the certificate from before'))
      assert.equal(await nameShown(), `round-${i - 1}`)
    }
    replace(`round-${i}`)
    const shown = load.count
    await until(async () => (await Promise.all(Array.from({ length: 8 }, () => nameShown()))).every((name) => name === `round-${i}`))
    assert.ok(load.count > shown)
    if (i % 5 === 3) await sleep(1000) // each of the two edge processes looks by itself: now both have
  }
  load.stopped = true
  await Promise.all(talks)
  assert.equal(load.lost, 0)
  assert.equal(sockets[0]._socket.getPeerCertificate().subject.CN, 'first')
  for (const socket of sockets) socket.terminate()
})

function childrenOf(pid) {
  const isOne = (name) => {
    try {
      return /^\d+$/.test(name) && Number(readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1]) === pid
    } catch {
      return false // it ended while we looked
    }
  }
  return readdirSync('/proc').filter(isOne).map((name) => ({ pid: Number(name), name: readFileSync(`/proc/${name}/comm`, 'utf8').trim() }))
}

test('long-poll goes from one edge process to the other, whichever the connection came to', async () => {
  const ask = async (method, query, body) => JSON.parse(await request(`/socket/longpoll?vsn=2.0.0${query}`, method, body))
  const { token } = await ask('GET', '')
  for (let i = 0; i < 12; i++) {
    assert.equal((await ask('POST', `&token=${token}`, JSON.stringify([null, String(i), 'phoenix', 'heartbeat', {}]))).status, 200)
    const { status, messages } = await ask('GET', `&token=${token}`)
    assert.equal(status, 200)
    assert.deepEqual(messages.map((text) => JSON.parse(text)[1]), [String(i)])
  }
  assert.match(await request('/metrics'), /^laniakea_longpoll_relayed_total [1-9]/m)
})

test('handshakes are counted and timed', async () => {
  const metric = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await request('/metrics'))[1])
  const [done, failed] = [await metric('laniakea_tls_handshakes_total'), await metric('laniakea_tls_handshake_failures_total')]
  for (let i = 0; i < 5; i++) {
    const socket = connectPlainly(server.port, '127.0.0.1', () => socket.end('\x16nonsense'))
    await once(socket.on('error', () => {}).resume(), 'close')
  }
  await until(async () => (await metric('laniakea_tls_handshake_failures_total')) === failed + 5)
  assert.ok((await metric('laniakea_tls_handshakes_total')) > done)
  assert.ok((await metric('laniakea_tls_handshake_seconds_count')) > done)
})

test('an edge process that is started again has the last good certificate, whatever the files hold', async () => {
  replace('before')
  const mine = await serve()
  writeFileSync(key, 'broken')
  await until(() => mine.err.includes('new connections get the certificate from before'))
  const edge = childrenOf(mine.child.pid).find(({ name }) => name === 'laniakea-edge')
  process.kill(edge.pid, 'SIGKILL')
  assert.equal(await nameShown(mine.port), 'before')
  replace('after')
  await until(async () => (await nameShown(mine.port)) === 'after')
  await end(mine)
})

test('it does not start with files that cannot be used, and says why', () => {
  const start = (...args) => spawnSync(program, ['serve', '--port', '0', ...args], { encoding: 'utf8', timeout: 10_000 })
  const bad = join(folder, 'bad.pem')
  writeFileSync(bad, 'nothing of use', { mode: 0o600 })
  for (const [args, code, words] of [
    [['--tls-cert', bad, '--tls-key', key], 1, /bad\.pem holds no chain of certificates in PEM form/],
    [['--tls-cert', cert, '--tls-key', bad], 1, /bad\.pem holds no private key in PEM form/],
    [['--tls-cert', cert], 1, /tls\.cert needs tls\.key/],
    [['--tls-key', key], 1, /tls\.key needs tls\.cert/],
  ]) {
    const { status, stderr } = start(...args)
    assert.equal(status, code, stderr)
    assert.match(stderr, words)
  }
  const missing = start('--tls-cert', join(folder, 'none.pem'), '--tls-key', key)
  assert.notEqual(missing.status, 0)
  assert.match(missing.stderr, /none\.pem/)
})
