// A Y.Doc over a client of @laniakea/sdk: the client's hub keeps the document on this device, shares it among tabs, and speaks to the
// server for all of them.
//
// The document is one replica more of the topic, beside that of the hub: what either side lacks is told when they meet
// (the SDK's topic.ts), and each change after that.
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import type { Refusal, Status } from './channel.ts'
import { Emitter } from './emitter.ts'
import { PresenceLink } from './presence.ts'

type Bytes = Uint8Array<ArrayBuffer>

/** A `Client` of @laniakea/sdk, as far as it is used. */
export interface ClientLike {
  readonly status: { readonly state: string }
  onStatus(listener: (status: { readonly state: string }) => void): () => void
  replica(topic: string, port: ReplicaPortLike, options?: { readonly keep?: boolean }): Promise<ReplicaTopicLike>
}

interface ReplicaPortLike {
  version(): Bytes
  since(version: Bytes): Bytes
  merge(bytes: Bytes): void
  reset(): void
}

interface TopicStatusLike {
  readonly state: string
  readonly reason: string
  readonly pending: number
  readonly unsaved: number
  readonly readOnly: boolean
}

interface ReplicaTopicLike {
  readonly status: TopicStatusLike
  onStatus(listener: (status: TopicStatusLike) => void): () => void
  changed(bytes: Bytes): void
  push(event: string, payload: any): Promise<{ readonly status: string; readonly response: any }>
  onMessage(listener: (event: string, payload: any) => void): () => void
  sendAwareness(update: Bytes): void
  onAwareness(listener: (update: Bytes) => void): () => void
  saved(): Promise<void>
  close(): Promise<void>
}

export interface YjsProviderOptions {
  /** Where none is given the provider makes one, and destroys it with itself. null: nothing is shown, and nobody seen. */
  readonly awareness?: Awareness | null | undefined
  /** False: the device keeps nothing of it. */
  readonly keep?: boolean | undefined
}

export type YjsProviderEvents = {
  status: (event: { status: Status }) => void
  /** We have all that the server had when we came; false when the connection is lost. */
  sync: (synced: boolean) => void
  synced: (synced: boolean) => void
  /** Whether there are changes, of any tab, of which the server has not said that it keeps them. */
  pending: (pending: boolean) => void
  /** The connection is lost. It is made again by the client. */
  'connection-close': (event: null, provider: YjsProvider) => void
  /** What is pending will not be taken: `read_only`, `diverged`, or the name of an error. The content stays here. */
  refused: (refusal: Refusal, provider: YjsProvider) => void
  /** A version of the document was made, deleted or restored, by somebody or by itself. */
  versions_changed: (change: { readonly id: number; readonly change: 'made' | 'deleted' | 'restored' }, provider: YjsProvider) => void
}

const NOTHING: Bytes = new Uint8Array([0, 0])

export class YjsProvider extends Emitter<YjsProviderEvents> implements Disposable {
  readonly doc: Y.Doc
  readonly topic: string
  readonly awareness: Awareness | null
  /** The document has what this device kept of it. Rejects where the topic cannot be opened. */
  readonly whenLoaded: Promise<void>

  readonly #ownsAwareness: boolean
  readonly #presence: PresenceLink | undefined
  #opened: ReplicaTopicLike | undefined
  #early: Bytes[] = []
  #isDestroyed = false
  #isReset = false
  #visit = 0
  #status: Status = 'connecting'
  #synced = false
  #pending = false
  #reason = ''

  constructor(doc: Y.Doc, topic: string, client: ClientLike, { awareness, keep }: YjsProviderOptions = {}) {
    super()
    this.doc = doc
    this.topic = topic
    this.#ownsAwareness = awareness === undefined
    this.awareness = awareness === undefined ? new Awareness(doc) : awareness
    if (this.awareness) this.#presence = new PresenceLink(this.awareness, this, (update) => this.#show(update))
    doc.on('update', this.#onUpdate)
    doc.on('destroy', this.#onDestroy)
    const port = {
      version: () => Y.encodeStateVector(doc) as Bytes,
      since: (version: Bytes) => Y.encodeStateAsUpdate(doc, version.length > 0 ? version : undefined) as Bytes,
      merge: (bytes: Bytes) => {
        if (!this.#isDestroyed) Y.applyUpdate(doc, bytes, this)
      },
      // A Y.Doc cannot become empty: who asked for that makes another one.
      reset: () => void (this.#isReset = true),
    }
    this.whenLoaded = client.replica(topic, port, keep === undefined ? {} : { keep }).then((opened) => this.#open(opened))
    this.whenLoaded.catch(() => {})
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

  get readOnly(): boolean {
    return this.#opened?.status.readOnly ?? false
  }

  /** Resolves when what was written until now would outlive the page. */
  async saved(): Promise<void> {
    await this.whenLoaded
    await this.#opened?.saved()
  }

  /** Asks the server for something else about the document, such as its `versions`. Rejects with an error that has the
   * fields of a Refusal. */
  async ask<T>(event: string, payload: object = {}): Promise<T> {
    const { status, response } = (await this.#opened?.push(event, payload)) ?? { status: 'error', response: { reason: 'disconnected' } }
    if (status === 'ok') return response as T
    throw Object.assign(new Error(response?.message ?? response?.reason ?? status), response)
  }

  /** Lets go of the document, which stays. What is pending is sent all the same. */
  override destroy(): void {
    if (this.#isDestroyed) return
    this.#presence?.destroy()
    if (this.#opened !== undefined && this.#presence !== undefined) this.#opened.sendAwareness(this.#presence.farewell as Bytes)
    this.#isDestroyed = true
    this.doc.off('update', this.#onUpdate)
    this.doc.off('destroy', this.#onDestroy)
    if (this.#ownsAwareness) this.awareness?.destroy()
    void this.#opened?.close()
    super.destroy()
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  #open(opened: ReplicaTopicLike): void {
    this.#opened = opened
    if (this.#isDestroyed) return void opened.close()
    for (const bytes of this.#early.splice(0)) opened.changed(bytes)
    opened.onStatus((status) => this.#onStatus(opened, status))
    opened.onAwareness((update) => this.#presence?.take(update))
    opened.onMessage((event, payload) => {
      if (event === 'versions_changed') this.emit('versions_changed', [payload, this])
    })
    this.#onStatus(opened, opened.status)
  }

  // ---- how it is ----

  #onStatus(opened: ReplicaTopicLike, { state, reason, pending, unsaved }: TopicStatusLike): void {
    if (this.#isDestroyed) return
    const isIn = state === 'joined' || (state === 'refused' && this.#status === 'connected')
    // Tabs of this device are there whether or not there is a server.
    if (state === 'opening' || state === 'failed') this.#leave()
    else if (this.#visit === 0) {
      this.#visit = 1
      this.#presence?.open()
    }
    this.#setStatus(isIn ? 'connected' : state === 'refused' || state === 'failed' ? 'disconnected' : 'connecting', opened)
    this.#setPending(pending + unsaved > 0)
    const why = state === 'refused' || state === 'failed' ? reason : ''
    if (why !== '' && why !== this.#reason) this.emit('refused', [{ reason: why }, this])
    this.#reason = why
  }

  #leave(): void {
    if (this.#visit === 0) return
    this.#visit = 0
    this.#presence?.close()
  }

  #setStatus(status: Status, opened: ReplicaTopicLike): void {
    if (status === this.#status) return
    const was = this.#status
    this.#status = status
    this.emit('status', [{ status }])
    if (status === 'connected') void this.#askWhetherSynced(opened)
    else {
      this.#setSynced(false)
      if (was === 'connected') this.emit('connection-close', [null, this])
    }
  }

  /** What is answered comes behind all that the server had to tell us when we joined, also where it is a refusal. */
  async #askWhetherSynced(opened: ReplicaTopicLike): Promise<void> {
    const { response } = await opened.push('client_update', NOTHING)
    if (this.#isDestroyed || this.#status !== 'connected' || response?.reason === 'offline') return
    this.#setSynced(true)
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

  // ---- what is written and shown here ----

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin === this || this.#isReset) return
    if (this.#opened === undefined) this.#early.push(update as Bytes)
    else this.#opened.changed(update as Bytes)
    this.#setPending(true)
  }

  #show(update: Uint8Array): void {
    this.#opened?.sendAwareness(update as Bytes)
    queueMicrotask(() => this.#presence?.settled())
  }

  readonly #onDestroy = (): void => this.destroy()
}
