// bench/server/shared/ws.mjs PORT -- rooms as the library `ws` would have them: the path of a connection is its room.
import { WebSocketServer } from 'ws'

const rooms = new Map()
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false, backlog: 4096 })
server.on('connection', (socket, request) => {
  const members = rooms.get(request.url) ?? new Set()
  rooms.set(request.url, members.add(socket))
  socket.on('message', (message, isBinary) => {
    for (const other of members) if (other !== socket) other.send(message, { binary: isBinary })
  })
  socket.on('close', () => members.delete(socket))
  socket.on('error', () => {})
})
process.on('SIGTERM', () => process.exit(0))
