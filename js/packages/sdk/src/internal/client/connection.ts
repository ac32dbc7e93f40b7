// The way to the server: a WebSocket, or long-poll where none comes about.
//
//   WebSocket ──came to nothing──> long-poll ──was not opened──> WebSocket          the next time that the core wants a connection
//                                  open ──a WebSocket beside it is answered──> closed: the next one is a WebSocket
//
// What came to nothing could not be made, was not open in time, or was never heard of: there are proxies that refuse an upgrade, that never
// answer it, and that pass it and nothing more. Where WebSockets were good for something before, it is rather the server that is gone,
// so it takes several of them.
//
// What was open last is where the next connection begins, for as long as the hub lives. That may be long-poll because a server was away
// for a moment: so a WebSocket is tried beside it, soon at first and then ever more seldom, without anybody noticing.
import type { Bytes, Transport } from './protocol.ts'

/** The part of a WebSocket that is used, so that a test can be one. */
export interface SocketLike {
  binaryType: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: CloseEvent) => void) | null
  onerror: ((event: never) => void) | null
  /** It carries texts alone: bytes of the server's come as {"b64": ".."}. */
  readonly isText?: boolean
  /** When it is closed: how long the server wants to be left alone. */
  readonly retryAfterMs?: number
  send(data: string | Bytes): void
  close(): void
}

/** Make one each, with a token or an empty one. */
export interface Ways {
  readonly webSocket: (token: string) => SocketLike
  /** Loaded by who needs it. `undefined`: there are WebSockets alone. */
  readonly longPoll: ((token: string) => Promise<SocketLike>) | undefined
}

export interface ConnectionEvents {
  readonly onOpened: (isText: boolean) => void
  readonly onReceived: (data: string | ArrayBuffer) => void
  /** 4401: the token was none that the server takes. */
  readonly onClosed: (code: number, retryAfterMs: number) => void
  /** There is no WebSocket, or none to such an address, and no other way: once, though it is tried again and again. */
  readonly onUnable: (detail: string) => void
}

/** A WebSocket is open by then, or comes to nothing. Less than the core gives an opening. */
const OPEN_MS = 4_000
/** More than the core waits for a word: an open one that was given up behind that was never heard of. */
const SILENT_MS = 35_000
/** So many WebSockets in a row come to nothing before long-poll, where others did not. */
const FAILURES_MAX = 3
const LOOK_FIRST_MS = 30_000
const LOOK_MAX_MS = 30 * 60_000
const HEARTBEAT = '[null,"1","phoenix","heartbeat",{}]'
const CLOSED_TOKEN = 4401
const CLOSED_ABNORMALLY = 1006
/** So many WebSockets in a row that were not opened with a token, and it counts as a bad one: browsers do not say why. */
const SHUT_MAX = 2

export class Connection {
  readonly #ways: Ways
  readonly #events: ConnectionEvents
  #socket: SocketLike | undefined
  #beside: SocketLike | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #isPoll = false
  #isOpen = false
  #isHeard = false
  #begunAt = 0
  /** Counts them, those that were given up, too. */
  #attempt = 0
  #wantsPoll = false
  #hasWorked = false
  #failures = 0
  #shut = 0
  #unable = ''
  /** For the WebSockets beside. */
  token = ''

  constructor(ways: Ways, events: ConnectionEvents) {
    this.#ways = ways
    this.#events = events
  }

  get transport(): Transport | undefined {
    if (!this.#isOpen) return undefined
    return this.#isPoll ? 'longpoll' : 'websocket'
  }

  open(token: string): void {
    const { webSocket, longPoll } = this.#ways
    this.drop()
    this.token = token
    this.#begunAt = performance.now()
    this.#isHeard = false
    this.#isPoll = this.#wantsPoll && longPoll !== undefined
    if (this.#isPoll && longPoll !== undefined) {
      const attempt = this.#attempt
      const isWanted = (): boolean => attempt === this.#attempt
      longPoll(token).then((socket) => (isWanted() ? this.#use(socket) : socket.close()), () => isWanted() && this.#end(0, 0))
      return
    }
    try {
      this.#use(webSocket(token))
    } catch (cause) {
      if (longPoll === undefined) this.#tellUnable(String(cause))
      return queueMicrotask(() => this.#end(0, 0))
    }
    if (longPoll !== undefined) this.#timer = setTimeout(() => this.#end(0, 0), OPEN_MS)
  }

  #use(socket: SocketLike): void {
    const { onOpened, onReceived } = this.#events
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      clearTimeout(this.#timer)
      this.#isOpen = true
      this.#shut = 0
      if (this.#isPoll) this.#look(LOOK_FIRST_MS)
      onOpened(socket.isText === true)
    }
    socket.onmessage = ({ data }) => {
      this.#isHeard = true
      onReceived(data as string | ArrayBuffer)
    }
    const end = (code: number): void => {
      if (this.#socket === socket) this.#end(code, socket.retryAfterMs ?? 0)
    }
    socket.onclose = ({ code }) => end(code ?? 0)
    // Node's WebSocket now and then tells of an error and of no close behind it.
    socket.onerror = () => queueMicrotask(() => setTimeout(() => end(0)))
  }

  #tellUnable(detail: string): void {
    if (detail !== this.#unable) this.#events.onUnable(detail)
    this.#unable = detail
  }

  send(data: string | Bytes): void {
    try {
      this.#socket?.send(data)
    } catch {
      this.drop()
      queueMicrotask(() => this.#events.onClosed(0, 0))
    }
  }

  /** It is over, and nobody hears of it. */
  drop(): void {
    this.#attempt++
    const socket = this.#socket
    if (socket === undefined) return
    if (this.#isHeard || performance.now() - this.#begunAt > (this.#isOpen ? SILENT_MS : OPEN_MS)) this.#judge()
    this.#leave()
    socket.close()
  }

  #end(code: number, retryAfterMs: number): void {
    // A server that says why it closes was reached.
    if (this.#isHeard || code === 0 || code === CLOSED_ABNORMALLY) this.#judge()
    const isShut = !this.#isOpen && !this.#isPoll && this.token !== '' && ++this.#shut >= SHUT_MAX
    if (isShut) this.#shut = 0
    const socket = this.#socket
    this.#leave()
    socket?.close()
    this.#events.onClosed(isShut ? CLOSED_TOKEN : code, retryAfterMs)
  }

  #leave(): void {
    const socket = this.#socket
    clearTimeout(this.#timer)
    this.#closeBeside()
    this.#socket = undefined
    this.#isOpen = false
    if (socket === undefined) return
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.onerror = () => {}
  }

  /** What the next one is to be. */
  #judge(): void {
    if (this.#isPoll) {
      if (!this.#isOpen) this.#prefer()
    } else if (this.#isHeard) {
      this.#prefer()
      this.#hasWorked = true
    } else if (++this.#failures >= (this.#hasWorked ? FAILURES_MAX : 1)) this.#wantsPoll = true
  }

  #prefer(): void {
    this.#wantsPoll = false
    this.#failures = 0
  }

  /** Whether there are WebSockets by now. */
  #look(wait: number): void {
    this.#timer = setTimeout(() => {
      this.#closeBeside()
      this.#look(Math.min(2 * wait, LOOK_MAX_MS))
      try {
        const beside = (this.#beside = this.#ways.webSocket(this.token))
        beside.onopen = () => beside.send(HEARTBEAT)
        beside.onmessage = () => {
          this.#prefer()
          this.#hasWorked = true
          this.drop()
          this.#events.onClosed(0, 0)
        }
        beside.onerror = () => {}
      } catch {
        // Not yet.
      }
    }, wait)
  }

  #closeBeside(): void {
    const beside = this.#beside
    this.#beside = undefined
    if (beside === undefined) return
    beside.onopen = beside.onmessage = null
    beside.close()
  }
}
