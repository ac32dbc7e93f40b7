// tests/e2e/blocking_proxy.mjs -- what stands between some clients and the server, and does not let everything through.
import { createServer, request } from 'node:http'
import { connect } from 'node:net'

/** Passes HTTP on to `target`, an URL. What becomes of the rest is said by its fields, at any time. */
export class BlockingProxy {
  /** Upgrades: 'refuse' says 403, 'swallow' nothing at all, 'mute' says 101 and nothing more, 'pass' lets them through. */
  upgrades = 'refuse'
  /** What happens to a request: 'pass'; 'hang', never an answer; 'lose', the server has it, and its answer is lost; 'drop', nobody has it;
   * or a function that answers it. */
  fate = () => 'pass'
  seen = { upgrades: 0, GET: 0, POST: 0 }
  #target
  #server
  #sockets = new Set()

  constructor(target) {
    this.#target = target
    this.#server = createServer((request, response) => this.#onRequest(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    this.#server.on('connection', (socket) => this.#hold(socket))
  }

  async start() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`
  }

  /** Ends all connections. */
  cut() {
    for (const socket of this.#sockets) socket.destroy()
  }

  close() {
    this.#server.close()
    this.cut()
  }

  #hold(socket) {
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
  }

  async #onRequest(incoming, response) {
    this.seen[incoming.method] = (this.seen[incoming.method] ?? 0) + 1
    const chunks = []
    for await (const chunk of incoming) chunks.push(chunk)
    const fate = this.fate(incoming, response)
    if (fate === 'hang' || fate === undefined) return
    if (fate === 'drop') return incoming.socket.destroy()
    const target = new URL(this.#target())
    const outgoing = request({ agent: false, host: target.hostname, port: target.port, path: incoming.url, method: incoming.method, headers: { ...incoming.headers, host: target.host } }, (answer) => {
      answer.on('error', () => incoming.socket.destroy())
      if (fate === 'lose') return void answer.resume().on('end', () => incoming.socket.destroy())
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => incoming.socket.destroy())
    response.once('close', () => outgoing.destroy())
    outgoing.end(Buffer.concat(chunks))
  }

  #onUpgrade(incoming, socket, head) {
    this.seen.upgrades++
    if (this.upgrades === 'swallow') return
    if (this.upgrades === 'refuse') return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    const target = new URL(this.#target())
    const through = connect(Number(target.port), target.hostname)
    this.#hold(through)
    const lines = incoming.rawHeaders.flatMap((name, at, all) => (at % 2 === 0 ? [`${name}: ${name.toLowerCase() === 'host' ? target.host : all[at + 1]}`] : []))
    through.write(`GET ${incoming.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    through.write(head)
    if (this.upgrades === 'mute') through.once('data', (answer) => socket.write(answer.subarray(0, answer.indexOf('\r\n\r\n') + 4)))
    else {
      through.pipe(socket)
      socket.pipe(through)
    }
    socket.on('close', () => through.destroy())
    through.on('close', () => socket.destroy())
  }
}
