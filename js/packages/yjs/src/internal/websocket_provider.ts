// y-websocket's provider by its constructor, properties and events, over its own protocol.
//
// It speaks y-protocols to /y/<name> rather than channels. So it needs nothing but Yjs, and an application moves in two
// steps, in any order: this import works with a y-websocket server, and the address of Laniakea with y-websocket. The price is that
// this protocol has no replies: nobody learns when a change is kept, or that a document was erased and began again.
// PhoenixProvider has both.
//
//   connected: step 1 (our state vector) ──>   <── step 2 (what we lack): synced
//              step 2 (what it lacks)    ──>   <── step 1
//              update                    ──>   <── update
//
// What it adds: `persistence`, `read_only` and `replica_refused`. What it leaves out: `messageHandlers`, which take lib0's
// encoders.
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import { message, readerOf, type Reader } from './bytes.ts'
import type { Refusal, Status } from './channel.ts'
import { Emitter, guarded } from './emitter.ts'
import { Keeper, type Persistence } from './persistence.ts'
import { PresenceLink } from './presence.ts'
import { Tabs } from './tabs.ts'

export interface WebsocketProviderOptions {
  readonly connect?: boolean | undefined
  readonly awareness?: Awareness | undefined
  /** For the query of the address; may be changed, and counts from the next connection. */
  readonly params?: Record<string, string> | undefined
  readonly protocols?: string[] | undefined
  readonly WebSocketPolyfill?: unknown
  readonly resyncInterval?: number | undefined
  readonly maxBackoffTime?: number | undefined
  readonly disableBc?: boolean | undefined
  readonly shouldReconnect?: ((event: CloseEvent, provider: WebsocketProvider) => boolean) | undefined
  /** Where the document is kept: indexeddb(name). It is loaded before the first connection. */
  readonly persistence?: Persistence | undefined
}

export type WebsocketProviderEvents = {
  status: (event: { status: Status }) => void
  sync: (synced: boolean) => void
  synced: (synced: boolean) => void
  'connection-close': (event: CloseEvent | null, provider: WebsocketProvider) => void
  'connection-error': (event: unknown, provider: WebsocketProvider) => void
  /** The server does not want us back: connect() tries again. */
  closed: (event: { code: number; reason: string }, provider: WebsocketProvider) => void
  /** The server does not take what this client writes. */
  read_only: (refusal: Refusal, provider: WebsocketProvider) => void
  replica_refused: (refusal: Refusal, provider: WebsocketProvider) => void
  'persistence-error': (error: unknown, provider: WebsocketProvider) => void
}

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

const SILENCE_MS_MAX = 30_000
const REFUSED = 4422

export class WebsocketProvider extends Emitter<WebsocketProviderEvents> implements Disposable {
  readonly serverUrl: string
  readonly roomname: string
  readonly bcChannel: string
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly disableBc: boolean
  /** The document is as it was when it was last kept. Never rejects. */
  readonly whenLoaded: Promise<void>
  params: Record<string, string>
  protocols: string[]
  maxBackoffTime: number
  shouldReconnect: (event: CloseEvent, provider: WebsocketProvider) => boolean
  ws: WebSocket | null = null
  wsconnected = false
  wsconnecting = false
  wsLastMessageReceived = 0
  wsUnsuccessfulReconnects = 0
  shouldConnect: boolean

  readonly #WebSocket: typeof WebSocket
  readonly #presence: PresenceLink
  readonly #tabs = new Tabs()
  readonly #keeper: Keeper | undefined
  readonly #timers: ReturnType<typeof setInterval>[]
  #reconnectTimer: ReturnType<typeof setTimeout> | undefined
  #synced = false
  #isDestroyed = false

  constructor(serverUrl: string, roomname: string, doc: Y.Doc, options: WebsocketProviderOptions = {}) {
    super()
    const { connect = true, awareness = new Awareness(doc), params = {}, protocols = [], resyncInterval = -1, persistence } = options
    this.serverUrl = serverUrl.replace(/\/+$/, '')
    this.roomname = roomname
    this.bcChannel = `${this.serverUrl}/${roomname}`
    this.doc = doc
    this.awareness = awareness
    this.params = params
    this.protocols = protocols
    this.maxBackoffTime = options.maxBackoffTime ?? 2500
    this.disableBc = options.disableBc ?? false
    this.shouldReconnect = options.shouldReconnect ?? (({ code }) => !(code >= 4400 && code < 4500))
    this.shouldConnect = connect
    this.#WebSocket = (options.WebSocketPolyfill as typeof WebSocket | undefined) ?? WebSocket
    if (persistence) this.#keeper = new Keeper(doc, persistence, (error) => this.emit('persistence-error', [error, this]))
    this.whenLoaded = this.#keeper?.whenLoaded ?? Promise.resolve()
    this.#presence = new PresenceLink(awareness, this, (update) => {
      this.#broadcast(message([AWARENESS], update))
      queueMicrotask(() => this.#presence.settled())
    })
    doc.on('update', this.#onUpdate)
    doc.on('destroy', this.#onDestroy)
    this.#timers = [setInterval(() => this.#watch(), SILENCE_MS_MAX / 10)]
    if (resyncInterval > 0) this.#timers.push(setInterval(() => this.#send(this.#step1()), resyncInterval))
    if (connect) this.connect()
  }

  get url(): string {
    const query = new URLSearchParams(this.params).toString()
    return `${this.serverUrl}/${this.roomname}${query === '' ? '' : `?${query}`}`
  }

  get bcconnected(): boolean {
    return this.#tabs.isOpen
  }

  get synced(): boolean {
    return this.#synced
  }

  set synced(synced: boolean) {
    if (synced === this.#synced) return
    this.#synced = synced
    if (synced) this.wsUnsuccessfulReconnects = 0
    this.emit('synced', [synced])
    this.emit('sync', [synced])
  }

  connect(): void {
    if (this.#isDestroyed) return
    this.shouldConnect = true
    const begin = (): void => {
      if (!this.shouldConnect || this.ws !== null) return
      this.#open()
      this.connectBc()
    }
    if (this.#keeper === undefined) begin()
    else void this.whenLoaded.then(begin)
  }

  disconnect(): void {
    this.shouldConnect = false
    clearTimeout(this.#reconnectTimer)
    this.#broadcast(message([AWARENESS], this.#presence.farewell))
    this.#tabs.close()
    this.#presence.close()
    if (this.ws !== null) this.#close(this.ws, null)
  }

  connectBc(): void {
    if (this.disableBc || this.bcconnected) return
    this.#tabs.open(this.bcChannel, (bytes) => this.#hear(bytes, false))
    this.#tabs.say(this.#step1())
    this.#tabs.say(message([SYNC, STEP_2], Y.encodeStateAsUpdate(this.doc)))
    this.#tabs.say(message([QUERY_AWARENESS]))
    this.#presence.open()
  }

  disconnectBc(): void {
    this.#tabs.say(message([AWARENESS], this.#presence.farewell))
    this.#tabs.close()
  }

  /** Ends the connection and lets go of the document, which stays. What is being written to its place is still written: the
   * promise waits for that. */
  override destroy(): Promise<void> {
    if (this.#isDestroyed) return Promise.resolve()
    this.disconnect()
    this.#isDestroyed = true
    for (const timer of this.#timers) clearInterval(timer)
    this.doc.off('update', this.#onUpdate)
    this.doc.off('destroy', this.#onDestroy)
    this.#presence.destroy()
    super.destroy()
    return this.#keeper?.close() ?? Promise.resolve()
  }

  [Symbol.dispose](): void {
    void this.destroy()
  }

  // ---- the connection ----

  #open(): void {
    const ws = new this.#WebSocket(this.url, this.protocols)
    ws.binaryType = 'arraybuffer'
    this.ws = ws
    this.wsconnecting = true
    this.wsconnected = false
    this.synced = false
    ws.onopen = () => this.#onOpen()
    ws.onmessage = ({ data }) => {
      this.wsLastMessageReceived = Date.now()
      const answer = this.#hear(new Uint8Array(data), true)
      if (answer && ws === this.ws) ws.send(answer as Uint8Array<ArrayBuffer>)
    }
    ws.onerror = (event) => this.emit('connection-error', [event, this])
    ws.onclose = (event) => this.#close(ws, event)
    this.emit('status', [{ status: 'connecting' }])
  }

  #onOpen(): void {
    this.wsLastMessageReceived = Date.now()
    this.wsconnecting = false
    this.wsconnected = true
    this.emit('status', [{ status: 'connected' }])
    this.#send(this.#step1())
    this.#presence.open()
  }

  /** `event` is null where it was we who closed. Handlers go first: what a socket still has to say is of no concern. */
  #close(ws: WebSocket, event: CloseEvent | null): void {
    if (ws !== this.ws) return
    this.emit('connection-close', [event, this])
    this.ws = null
    ws.onopen = ws.onmessage = ws.onclose = null
    ws.onerror = () => {} // of closing one that is still connecting
    ws.close()
    this.wsconnecting = false
    if (this.wsconnected) {
      this.wsconnected = false
      this.synced = false
      this.#presence.close()
      // Other tabs may still be there.
      if (this.bcconnected) {
        this.#presence.open()
        this.#tabs.say(message([QUERY_AWARENESS]))
      }
      this.emit('status', [{ status: 'disconnected' }])
    }
    this.wsUnsuccessfulReconnects++
    const isFinal = event !== null && !this.shouldReconnect(event, this)
    if (isFinal) this.shouldConnect = false
    else this.#reconnectLater()
    if (event?.code === REFUSED) this.emit('replica_refused', [{ reason: 'replica_refused', message: event.reason }, this])
    if (isFinal) this.emit('closed', [{ code: event.code, reason: event.reason }, this])
  }

  #reconnectLater(): void {
    clearTimeout(this.#reconnectTimer)
    const wait = Math.min(2 ** this.wsUnsuccessfulReconnects * 100, this.maxBackoffTime)
    this.#reconnectTimer = setTimeout(() => this.shouldConnect && this.ws === null && this.#open(), wait)
  }

  /** A server that says nothing for so long is gone, whatever the socket says. */
  #watch(): void {
    if (this.wsconnected && this.ws && Date.now() - this.wsLastMessageReceived > SILENCE_MS_MAX) this.#close(this.ws, null)
  }

  // ---- messages ----

  #step1(): Uint8Array {
    return message([SYNC, STEP_1], Y.encodeStateVector(this.doc))
  }

  #send(bytes: Uint8Array): void {
    if (this.wsconnected) this.ws?.send(bytes as Uint8Array<ArrayBuffer>)
  }

  #broadcast(bytes: Uint8Array): void {
    this.#send(bytes)
    this.#tabs.say(bytes)
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin !== this) this.#broadcast(message([SYNC, UPDATE], update))
  }

  /** Takes a message in and returns the answer to it, if it wants one. Several may stand one behind the other. */
  #hear(bytes: Uint8Array, isServer: boolean): Uint8Array | undefined {
    let answer: Uint8Array | undefined
    guarded(() => {
      for (const reader = readerOf(bytes); reader.hasMore; ) answer = this.#take(reader, isServer) ?? answer
    })
    return answer
  }

  #take(reader: Reader, isServer: boolean): Uint8Array | undefined {
    switch (reader.number()) {
      case SYNC:
        return this.#takeSync(reader, isServer)
      case AWARENESS:
        this.#presence.take(reader.bytes())
        return undefined
      case AUTH:
        this.#takeDenial(reader)
        return undefined
      case QUERY_AWARENESS:
        return message([AWARENESS], this.#presence.everybody)
      default:
        throw new RangeError('a message of an unknown kind')
    }
  }

  #takeSync(reader: Reader, isServer: boolean): Uint8Array | undefined {
    const kind = reader.number()
    const body = reader.bytes()
    if (kind === STEP_1) return message([SYNC, STEP_2], Y.encodeStateAsUpdate(this.doc, body))
    guarded(() => Y.applyUpdate(this.doc, body, this))
    if (kind === STEP_2 && isServer) this.synced = true
    return undefined
  }

  #takeDenial(reader: Reader): void {
    reader.number() // "permission denied", the only kind that there is
    const reason = new TextDecoder().decode(reader.bytes())
    this.emit(reason === 'replica_refused' ? reason : 'read_only', [{ reason }, this])
  }

  readonly #onDestroy = (): void => void this.destroy()
}
