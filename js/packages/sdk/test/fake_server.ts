// A server for tests without sockets: one topic, Phoenix's messages, and a switch.
import type { WebSocketLike } from '@laniakea/sdk'

type Message = [joinRef: string | null, ref: string | null, topic: string, event: string, payload: Record<string, unknown>]

export class FakeServer {
  readonly counts = new Map<string, number>()
  readonly received: Message[] = []
  /** While down, connections fail. */
  up = true
  /** How connections fail: a WebSocket should close in the end, and Node's at times only has an error. */
  failure: 'close' | 'error' = 'close'
  /** Sees every answer before it is sent, and may change or swallow it. */
  mangle: (text: string) => string | undefined = (text) => text
  readonly #sockets = new Set<FakeSocket>()

  readonly webSocket = (url: string): WebSocketLike => {
    const socket = new FakeSocket(this, url)
    setTimeout(() => (this.up ? this.#open(socket) : this.#fail(socket)), 1)
    return socket
  }

  get value(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  get connections(): number {
    return this.#sockets.size
  }

  stop(): void {
    this.up = false
    for (const socket of [...this.#sockets]) this.drop(socket)
  }

  start(): void {
    this.up = true
  }

  drop(socket: FakeSocket): void {
    if (this.#sockets.delete(socket)) queueMicrotask(() => socket.onclose?.({} as never))
  }

  #fail(socket: FakeSocket): void {
    if (this.failure === 'error') socket.onerror?.({} as never)
    else socket.onclose?.({} as never)
  }

  #open(socket: FakeSocket): void {
    this.#sockets.add(socket)
    socket.onopen?.({} as never)
  }

  receive(socket: FakeSocket, text: string): void {
    if (!this.#sockets.has(socket)) return
    const message = JSON.parse(text) as Message
    const [joinRef, ref, topic, event, payload] = message
    this.received.push(message)
    if (event === 'crdt.merge') this.#merge(payload['counts'] as Record<string, number>)
    const response = { value: this.value, counts: Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1))) }
    this.#send(socket, [joinRef, ref, topic, 'phx_reply', { status: 'ok', response }])
    if (event !== 'crdt.merge') return
    for (const other of this.#sockets) if (other !== socket) this.#send(other, [null, null, topic, 'state_updated', response])
  }

  #merge(counts: Record<string, number>): void {
    for (const [actor, count] of Object.entries(counts)) this.counts.set(actor, Math.max(count, this.counts.get(actor) ?? 0))
  }

  #send(socket: FakeSocket, message: Message): void {
    const text = this.mangle(JSON.stringify(message))
    if (text !== undefined) setTimeout(() => socket.onmessage?.({ data: text } as MessageEvent), 0)
  }
}

export class FakeSocket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  readonly url: string
  readonly #server: FakeServer

  constructor(server: FakeServer, url: string) {
    this.#server = server
    this.url = url
  }

  send(text: string): void {
    setTimeout(() => this.#server.receive(this, text), 0)
  }

  close(): void {
    this.#server.drop(this)
  }
}
