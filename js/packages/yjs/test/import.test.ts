// The importer's connection, to a server that does not answer. What it does with one that does: tests/e2e/yjs_import.test.mjs.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Server, Unreachable } from '../src/internal/import/server.ts'

const EMPTY = new Uint8Array(2)
const CLOSE = 0x88 // how such a frame begins

test('a server that says nothing is left, and the next document has a connection of its own', async (t) => {
  const sockets: Socket[] = []
  const silent = createHttpServer().on('upgrade', ({ headers }, socket: Socket) => {
    sockets.push(socket)
    socket.on('data', ([first]) => first === CLOSE && socket.end())
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  })
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
  const server = new Server(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`, undefined, 100)
  for (let i = 1; i <= 2; i++) {
    await assert.rejects(server.send('doc:a', EMPTY), { message: 'the server has not answered for 0.1 s' })
    assert.equal(sockets.length, i)
  }
})

test('who takes connections and says nothing at all cannot be reached', async (t) => {
  const mute = createServer(() => {})
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  t.after(() => mute.close())
  const server = new Server(`http://127.0.0.1:${(mute.address() as AddressInfo).port}`, undefined, 100)
  await assert.rejects(server.send('doc:a', EMPTY), Unreachable)
})
