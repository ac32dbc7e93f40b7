// A Y.Doc over a channel of Laniakea, through a Socket of the npm package `phoenix` as it is.
//
//   join {state_vector, generation, encoding} ──> reply {history, state_vector, ...} ──> what the server lacks ──> ok: synced
//                                                                                          then each change      ──> ok
//
// What is under way is one message: changes made meanwhile are merged and go with the next. Nothing else is kept for
// sending. When the connection was lost, the next join's state vectors say what is missing on either side, whatever became of
// the last message; what arrives twice changes nothing.
//
// "ok" means that the change is kept (in memory, or on disk: `durability`), so `pending` is about more than the network.
// The first "ok" also comes behind all of the history, which may follow the reply to the join as binary frames: so
// that is when we are synced.
//
// A document that was erased and began again has another generation. To merge our content into it would give text that
// nobody wrote, and the server refuses it: we stop, and keep what we have.
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import { isDressed, toBase64, undress } from './bytes.ts'
import { readsFrames, type Access, type ChannelLike, type JoinReply, type Refusal, type SocketLike, type Status } from './channel.ts'
import { Emitter, guarded } from './emitter.ts'
import { Keeper, type Persistence } from './persistence.ts'
import { PresenceLink } from './presence.ts'

export interface PhoenixProviderOptions {
  /** A Socket of the npm package `phoenix`. Who made it connects and disconnects it; others may share it. */
  readonly socket: SocketLike
  /** `doc:<name>`, or another name that leads there. */
  readonly topic: string
  readonly doc: Y.Doc
  /** Where none is given the provider makes one, and destroys it with itself. null: nothing is shown, and nobody seen. */
  readonly awareness?: Awareness | null | undefined
  /** More params for the join, such as a token for this topic. A function is asked at every join. */
  readonly params?: object | (() => object) | undefined
  /** Where the document is kept: indexeddb(name). It is loaded before the first join. */
  readonly persistence?: Persistence | undefined
  /** false: connect() is called later. */
  readonly connect?: boolean | undefined
  /** Base64 in JSON, for proxies and servers that cannot have binary frames. Chosen by the transport where it is left out. */
  readonly encoding?: 'base64' | 'binary' | undefined
}

export type PhoenixProviderEvents = {
  status: (event: { status: Status }) => void
  /** We have all that the server had when we came; false when the connection is lost. */
  sync: (synced: boolean) => void
  synced: (synced: boolean) => void
  /** Whether there are changes of which the server has not said that it keeps them. */
  pending: (pending: boolean) => void
  /** The socket was closed, with its event, or the channel ended, with null. Phoenix connects again by itself. */
  'connection-close': (event: CloseEvent | null, provider: PhoenixProvider) => void
  'connection-error': (error: unknown, provider: PhoenixProvider) => void
  /** A change was made here by who may only read: it is in this document and in no other. */
  read_only: (refusal: Refusal, provider: PhoenixProvider) => void
  /** A change is more than the server takes: from it on, changes stay here until the next connection. */
  replica_refused: (refusal: Refusal, provider: PhoenixProvider) => void
  /** The document on the server is another one by now. The provider has disconnected; the content stays here. */
  diverged: (refusal: Refusal, provider: PhoenixProvider) => void
  /** The join was refused, or a change for a reason that may pass. Both are tried again. */
  refused: (refusal: Refusal, provider: PhoenixProvider) => void
  'persistence-error': (error: unknown, provider: PhoenixProvider) => void
  /** A version of the document was made, deleted or restored, by somebody or by itself. */
  versions_changed: (change: { readonly id: number; readonly change: 'made' | 'deleted' | 'restored' }, provider: PhoenixProvider) => void
}

const RETRY_MS_MAX = 30_000
const CLOSED_TOO_BIG = 1009
const BIG_BYTES = 1 << 16 // smaller messages are somebody else's

/** What belongs to one join: an answer to one before it concerns nobody. */
interface Session {
  readonly channel: ChannelLike
  /** What is under way; undefined when nothing is. */
  sent: Uint8Array | undefined
  waiting: Uint8Array[]
  /** A change was refused: what follows it would not fit. */
  isRefused: boolean
  retries: number
}

export class PhoenixProvider extends Emitter<PhoenixProviderEvents> implements Disposable {
  readonly doc: Y.Doc
  readonly topic: string
  readonly socket: SocketLike
  readonly awareness: Awareness | null
  /** The document is as it was when it was last kept. Never rejects. */
  readonly whenLoaded: Promise<void>

  readonly #options: PhoenixProviderOptions
  readonly #ownsAwareness: boolean
  readonly #presence: PresenceLink | undefined
  readonly #keeper: Keeper | undefined
  #channel: ChannelLike | undefined
  #session: Session | undefined
  #socketRefs: (string | number)[] = []
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #shouldConnect = false
  #isDestroyed = false
  #isTooBig = false
  #bytesUnderWay = 0
  #status: Status = 'disconnected'
  #synced = false
  #pending = false
  #generation: string | undefined
  #reply: JoinReply | undefined

  constructor(options: PhoenixProviderOptions) {
    super()
    const { doc, topic, socket, awareness, persistence, connect = true } = options
    this.#options = options
    this.doc = doc
    this.topic = topic
    this.socket = socket
    this.#ownsAwareness = awareness === undefined
    this.awareness = awareness === undefined ? new Awareness(doc) : awareness
    if (this.awareness) this.#presence = new PresenceLink(this.awareness, this, (update) => this.#show(update))
    if (persistence) this.#keeper = new Keeper(doc, persistence, (error) => this.emit('persistence-error', [error, this]))
    this.whenLoaded = this.#keeper?.whenLoaded ?? Promise.resolve()
    doc.on('update', this.#onUpdate)
    doc.on('destroy', this.#onDestroy)
    if (connect) this.connect()
  }

  get status(): Status {
    return this.#status
  }

  get synced(): boolean {
    return this.#synced
  }

  get pending(): boolean {
    return this.#pending
  }

  /** What the server said at the last join: undefined before the first. */
  get access(): Access | undefined {
    return this.#reply?.access
  }

  get durability(): 'durable' | 'memory' | undefined {
    return this.#reply?.durability
  }

  /** How long after its last member has left a document that is in memory alone is erased. Undefined of one that is not. */
  get idleMs(): number | undefined {
    return this.#reply?.idle_ms
  }

  get generation(): string | undefined {
    return this.#generation
  }

  connect(): void {
    if (this.#shouldConnect || this.#isDestroyed) return
    this.#shouldConnect = true
    this.#isTooBig = false
    if (this.#keeper === undefined) this.#open()
    else void this.whenLoaded.then(() => this.#shouldConnect && this.#channel === undefined && this.#open())
  }

  disconnect(): void {
    if (!this.#shouldConnect) return
    this.#shouldConnect = false
    const channel = this.#channel
    this.socket.off(this.#socketRefs)
    this.#socketRefs = []
    this.#channel = undefined
    this.#end()
    if (channel === undefined) return
    channel.leave() // with it goes what we showed
    this.emit('connection-close', [null, this])
  }

  /**
   * Asks the server for something else about the document, such as its `versions`. Bytes come as a Uint8Array, all else as the
   * server says it. Rejects with an error that has the fields of a Refusal: `disconnected` and `timeout` are reasons, too.
   */
  ask<T>(event: string, payload: object = {}): Promise<T> {
    const channel = this.#session?.channel
    return new Promise((resolve, reject) => {
      const refuse = (refusal: Refusal): void => reject(Object.assign(new Error(refusal.message ?? refusal.reason), refusal))
      if (channel === undefined) return refuse({ reason: 'disconnected' })
      channel.push(event, payload)
        .receive('ok', (reply: unknown) => resolve((isDressed(reply) ? undress(reply) : reply) as T))
        .receive('error', refuse)
        .receive('timeout', () => refuse({ reason: 'timeout' }))
    })
  }

  /** Ends the connection and lets go of the document, which stays. What is being written to its place is still written: the
   * promise waits for that. */
  override destroy(): Promise<void> {
    if (this.#isDestroyed) return Promise.resolve()
    this.disconnect()
    this.#isDestroyed = true
    this.doc.off('update', this.#onUpdate)
    this.doc.off('destroy', this.#onDestroy)
    this.#presence?.destroy()
    if (this.#ownsAwareness) this.awareness?.destroy()
    super.destroy()
    return this.#keeper?.close() ?? Promise.resolve()
  }

  [Symbol.dispose](): void {
    void this.destroy()
  }

  // ---- the connection ----

  #open(): void {
    const channel = this.socket.channel(this.topic, () => this.#joinParams())
    this.#channel = channel
    const whileOurs = <T>(run: (payload: T) => void) => (payload: T): void => {
      if (this.#channel === channel) run(payload)
    }
    channel.on('server_update', whileOurs((payload) => this.#take(payload)))
    channel.on('awareness', whileOurs((payload) => this.#onAwareness(payload)))
    channel.on('versions_changed', whileOurs((change) => this.emit('versions_changed', [change, this])))
    channel.onError(whileOurs((reason) => this.#onChannelError(reason)))
    channel.onClose(whileOurs(() => this.disconnect())) // not by us, then: by the server, for good
    this.#socketRefs = [
      this.socket.onClose((event) => this.#onSocketClose(event)),
      this.socket.onError((error) => this.emit('connection-error', [error, this])),
    ]
    this.#setStatus('connecting')
    channel.join()
      .receive('ok', whileOurs((reply: JoinReply) => this.#onJoined(channel, reply)))
      .receive('error', whileOurs((refusal: Refusal) => this.#onJoinRefused(refusal)))
  }

  #joinParams(): object {
    const { params, encoding } = this.#options
    this.#drop()
    this.#setStatus('connecting')
    const vector = Y.encodeStateVector(this.doc)
    const generation = this.#generation ?? this.#keeper?.generation
    return {
      ...(typeof params === 'function' ? params() : params),
      encoding: encoding ?? (readsFrames(this.socket) ? 'binary' : 'base64'),
      state_vector: { b64: toBase64(vector) },
      // An empty document fits any generation.
      ...(generation !== undefined && vector.length > 1 ? { generation } : {}),
    }
  }

  #onJoined(channel: ChannelLike, reply: JoinReply): void {
    const session: Session = { channel, sent: undefined, waiting: [], isRefused: this.#isTooBig, retries: 0 }
    this.#session = session
    this.#reply = reply
    if (reply.generation !== undefined) {
      this.#generation = reply.generation
      this.#keeper?.setGeneration(reply.generation)
    }
    for (const update of reply.history) this.#take(update)
    this.#setStatus('connected')
    if (this.#session !== session) return // a listener has had enough
    this.#send(session, session.isRefused ? EMPTY : Y.encodeStateAsUpdate(this.doc, undress(reply.state_vector)))
    this.#presence?.open()
  }

  #onJoinRefused(refusal: Refusal): void {
    this.#end()
    if (refusal.reason === 'diverged') {
      this.disconnect()
      this.emit('diverged', [refusal, this])
    } else {
      this.emit('refused', [refusal, this])
    }
  }

  /** The channel has gone, with the connection or without it. Phoenix joins again. */
  #onChannelError(reason: { source?: string } | undefined): void {
    this.#end()
    if (reason?.source !== 'transport') this.emit('connection-close', [null, this])
  }

  #onSocketClose(event: CloseEvent): void {
    this.#end()
    this.emit('connection-close', [event, this])
    // The server would close the next connection for the same message.
    if (event?.code !== CLOSED_TOO_BIG || this.#bytesUnderWay < BIG_BYTES) return
    this.#isTooBig = true
    this.emit('replica_refused', [{ reason: 'replica_refused', error: 'LK_ERR_TOO_BIG' }, this])
  }

  #end(): void {
    this.#drop()
    this.#setStatus('disconnected')
  }

  /** Nothing is under way any more; the next join finds out what arrived. */
  #drop(): void {
    clearTimeout(this.#retryTimer)
    this.#session = undefined
    this.#presence?.close()
    this.#setSynced(false)
  }

  // ---- updates ----

  #take(payload: unknown): void {
    guarded(() => {
      const update = undress(payload)
      if (update) Y.applyUpdate(this.doc, update, this)
    })
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin === this) return
    this.#setPending(true)
    const session = this.#session
    if (session === undefined || session.isRefused) return
    if (session.sent === undefined) this.#send(session, update)
    else session.waiting.push(update)
  }

  #send(session: Session, update: Uint8Array): void {
    session.sent = update
    this.#bytesUnderWay = update.length
    const whileOurs = <T>(run: (payload: T) => void) => (payload: T): void => {
      if (this.#session === session) run(payload)
    }
    session.channel.push('client_update', this.#dress(update))
      .receive('ok', whileOurs(() => this.#onKept(session)))
      .receive('error', whileOurs((refusal: Refusal) => this.#onUpdateRefused(session, update, refusal)))
      // Nobody knows whether it arrived. If it did, to have it twice does no harm.
      .receive('timeout', whileOurs(() => this.#send(session, update)))
  }

  #onKept(session: Session): void {
    session.retries = 0
    this.#next(session)
    this.#setSynced(true)
    if (session.sent === undefined && !session.isRefused) this.#setPending(false)
  }

  #next(session: Session): void {
    const { waiting } = session
    session.sent = undefined
    session.waiting = []
    this.#bytesUnderWay = 0
    if (waiting.length > 0) this.#send(session, waiting.length === 1 ? waiting[0]! : Y.mergeUpdates(waiting))
  }

  #onUpdateRefused(session: Session, update: Uint8Array, refusal: Refusal): void {
    const { reason } = refusal
    if (reason === 'read_only' || reason === 'replica_refused' || isTooBig(refusal)) {
      session.isRefused = true
      session.sent = undefined
      session.waiting = []
      this.#setPending(true)
      this.#setSynced(true)
      this.emit(reason === 'read_only' ? 'read_only' : 'replica_refused', [refusal, this])
      return
    }
    const wait = Math.min(1000 * 2 ** session.retries++, RETRY_MS_MAX)
    this.#retryTimer = setTimeout(() => this.#send(session, update), wait)
    this.emit('refused', [refusal, this])
  }

  // ---- awareness ----

  /** News of nobody are a question: a server that has lost what was shown asks who is there. */
  #onAwareness(payload: unknown): void {
    guarded(() => {
      const update = undress(payload)
      if (update?.length === 1 && update[0] === 0) this.#presence?.open()
      else if (update) this.#presence?.take(update)
    })
  }

  #show(update: Uint8Array): void {
    const settled = (): void => this.#presence?.settled()
    this.#session?.channel.push('awareness', this.#dress(update)).receive('ok', settled).receive('error', settled).receive('timeout', settled)
  }

  /** As the transport of this moment can have it. A frame takes a buffer of its own. */
  #dress(bytes: Uint8Array): object {
    const isBinary = this.#options.encoding !== 'base64' && readsFrames(this.socket)
    return isBinary ? bytes.slice().buffer : { b64: toBase64(bytes) }
  }

  // ---- what others are told ----

  #setStatus(status: Status): void {
    if (status === this.#status) return
    this.#status = status
    this.emit('status', [{ status }])
  }

  #setSynced(synced: boolean): void {
    if (synced === this.#synced) return
    this.#synced = synced
    this.emit('synced', [synced])
    this.emit('sync', [synced])
  }

  #setPending(pending: boolean): void {
    if (pending === this.#pending) return
    this.#pending = pending
    this.emit('pending', [pending])
  }

  readonly #onDestroy = (): void => void this.destroy()
}

const EMPTY = new Uint8Array([0, 0])
const isTooBig = ({ reason, error }: Refusal): boolean => [reason, error].includes('LK_ERR_TOO_BIG')
