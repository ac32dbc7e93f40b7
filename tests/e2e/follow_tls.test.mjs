// The example of a native peer over TLS: whom it speaks with, and whom it does not. Run as tests/e2e/follow.test.mjs is.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Authority } from './certificates.mjs'
import { Terminal, checkFollowing } from './follow.mjs'
import { Program, root } from './program.mjs'

const follow = process.env.LK_FOLLOW ?? join(root, 'build/asan/follow')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-follow-tls-'))
after(() => rmSync(folder, { recursive: true }))

const HERE = 'DNS:localhost,IP:127.0.0.1'
const ours = new Authority(folder, 'ours')
const theirs = new Authority(folder, 'theirs')
const good = ours.sign('good', HERE)
const serverWith = ({ cert, key }) => new Program('--tls-cert', cert, '--tls-key', key)
const terminalOf = (...args) => new Terminal(follow, {}, ...args)

/** Runs `play` with a terminal, which is ended whatever happens. */
async function withTerminal(args, play) {
  const terminal = terminalOf(...args)
  try {
    await play(terminal)
    await terminal.close()
  } finally {
    await terminal.kill()
  }
}

async function withServer(files, play) {
  const server = serverWith(files)
  try {
    await server.start()
    await play(server)
  } finally {
    await server.dispose()
  }
}

/** How many handshakes have succeeded at a server, before this one that asks. */
async function handshakesAt(server) {
  const [response] = await once(get(`${server.url}/metrics`, { rejectUnauthorized: false }), 'response')
  let text = ''
  for await (const part of response.setEncoding('utf8')) text += part
  return Number(/^laniakea_tls_handshakes_total (\d+)/m.exec(text)[1]) - 1
}

test('two terminals follow a counter and a document by TLS, over restarts of all', () =>
  checkFollowing(follow, { server: serverWith(good), options: ['--ca', ours.file] }))

test('a name and an address are both what a certificate may be for', () =>
  withServer(good, async (server) => {
    const { port } = new URL(server.url)
    for (const url of [`https://localhost:${port}`, `wss://127.0.0.1:${port}`])
      await withTerminal(['--ca', ours.file, url], (terminal) => terminal.shows('(online, 0 pending)'))
  }))

const trusted = ['--ca', ours.file]
for (const [what, files, options, name] of [
  ['is for another name', ours.sign('other', 'DNS:other.example,IP:127.0.0.2'), trusted, 'CERT_NAME'],
  ['is for no name at all', ours.sign('nameless', 'email:somebody@example.test'), trusted, 'CERT_NAME'],
  ['is of an authority that the system does not know', good, [], 'CERT_ISSUER'],
  ['is of another authority than the one that is trusted', good, ['--ca', theirs.file], 'CERT_ISSUER'],
  ['has expired', ours.sign('expired', HERE, { days: -1 }), trusted, 'CERT_TIME'],
  ['is not for servers', ours.sign('client', HERE, { purpose: 'clientAuth' }), trusted, 'CERT_REFUSED'],
]) {
  test(`a certificate that ${what} is refused, by its name, and nothing is said`, () =>
    withServer(files, (server) =>
      withTerminal([...options, server.url], async (terminal) => {
        await terminal.shows(`LK_ERR_${name}: the certificate`)
        terminal.type('3')
        await terminal.shows('crdt:likes 3')
        await terminal.shows('1 pending')
        assert.equal(await handshakesAt(server), 0)
      })))
}

test('a certificate that is renewed is trusted again, and what waited is sent', async () => {
  const expired = ours.sign('late', HERE, { days: -1 })
  await withServer(expired, (server) =>
    withTerminal([...trusted, server.url], async (terminal) => {
      await terminal.shows('LK_ERR_CERT_TIME')
      terminal.type('3')
      await terminal.shows('1 pending')
      for (const kind of ['cert', 'key']) {
        copyFileSync(good[kind], `${expired[kind]}.new`)
        renameSync(`${expired[kind]}.new`, expired[kind])
      }
      await terminal.shows('(online, 0 pending)')
    }))
})

/** A port whose connections are given to `serve`. */
async function withPort(serve, play) {
  const sockets = new Set()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await play(`https://127.0.0.1:${server.address().port}`)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

test('a server that says nothing in the handshake is given up in time, and holds up nothing meanwhile', async () => {
  const came = []
  const hear = async (socket) => {
    const [bytes] = await once(socket, 'data')
    return { bytes, time: Date.now() }
  }
  await withPort((socket) => came.push(hear(socket)), (url) =>
    withTerminal([...trusted, url.replace('127.0.0.1', 'localhost')], async (terminal) => {
      await terminal.shows('(connecting')
      terminal.type('5')
      await terminal.shows('crdt:likes 5')
      const { bytes, time } = await came[0]
      assert.ok(bytes.includes('localhost'), 'it names whom it wants')
      await terminal.shows('LK_ERR_TIMEOUT')
      const took = Date.now() - time
      assert.ok(took > 8000 && took < 15_000, `${took} ms`)
      while (came.length < 2) await new Promise((resolve) => setTimeout(resolve, 20)) // it tries again
    }))
})

test('what speaks no TLS, and what ends at once, is told apart', async () => {
  const plain = (socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await withPort(plain, (url) => withTerminal([...trusted, url], (terminal) => terminal.shows('LK_ERR_TLS')))
  await withPort((socket) => socket.end(), (url) => withTerminal([...trusted, url], (terminal) => terminal.shows('LK_ERR_CLOSED')))
})
