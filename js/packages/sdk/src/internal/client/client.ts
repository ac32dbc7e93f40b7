// A page's replicas, and the hub that keeps them and speaks to the server.
//
//   createClient() ──> hub (in a worker, of this tab or another one) ──> server
//     .crdt()  an object in this thread ──deltas──> hub
//     .doc()   a document in this thread ──updates──> hub
//
// What is changed is changed here and now, in the call. The rest of the way is the hub's: recorded on this device, told to other tabs,
// sent to the server, each as soon as it can be.
import type { Crdt } from '../crdt.ts'
import type { CrdtType } from '../crdt_types.gen.ts'
import type { Doc } from '../doc_types.ts'
import { LaniakeaError } from '../errors.ts'
import type { ErrorCode } from '../errors.gen.ts'
import type { Modules } from '../instance.ts'
import type { Json } from '../json.ts'
import type { ClientAwareness } from './client_awareness.ts'
import type { PageCrdts } from './client_crdt.ts'
import type { PageDocs } from './client_doc.ts'
import type { SocketLike } from './connection.ts'
import type { DeviceFiles } from './files.ts'
import { HubLink } from './hub_link.ts'
import type { HubPlatform } from './hub_host.ts'
import type { PresenceState } from './presence.ts'
import { onConnection, probe } from './probe.ts'
import { KIND_DOC, KIND_PLAIN, type Bytes, type HubReport, type StorageKind, type ToPage, type Transport } from './protocol.ts'
import { freshSeat, takeSeat, type Seat } from './seats.ts'
import { PageTopic, subscribe, tell, type Answer, type PresenceShown, type ReplicaPort, type TopicStatus } from './topic.ts'
import { hasExport, loadPart, loadScript, partExports, partNames, type Core, type Part } from '../core.ts'

export interface ClientOptions {
  /** Where the server's socket is, as Phoenix's clients are told: "/socket", "https://host/socket". */
  readonly url: string | URL
  /** Who we are. A function is asked for a new one before it ends, and when the server did not take the last one. */
  readonly token?: string | (() => string | Promise<string>)
  /** Where changes wait, and what is known survives the page. The default is the best that there is: OPFS, IndexedDB, and memory
   * where a browser keeps nothing; memory in Node. Node takes a folder: `{ folder: 'path' }`. */
  readonly storage?: 'opfs' | 'indexeddb' | 'memory' | { readonly folder: string }
  /** Tabs with the same server and the same name share one store and one connection: give each user a name. */
  readonly name?: string
  /** The worker: one that runs the entry "./worker"; `false` for this thread (the default outside of browsers). A function,
   * because a worker that broke down is replaced. */
  readonly worker?: false | (() => Worker)
  /** False: no connection before connect(). */
  readonly connect?: boolean
  /** A core that loadCore() made of laniakea-client.wasm; else the package's own is loaded. */
  readonly core?: Core
  /** Another WebSocket than the platform's; needs `worker: false`. */
  readonly webSocket?: (url: string, protocols: string[]) => SocketLike
  /** False: WebSockets alone. Else requests are used where none comes about, and a WebSocket is tried again now and then. */
  readonly longPoll?: boolean
  /** What may wait for the server at most; beyond it, changes of objects throw LK_ERR_BACKLOG. 65,536 changes, 16 MiB. */
  readonly pending?: { readonly count?: number; readonly bytes?: number }
  /** Hears of what went wrong and was mended, or could not be. The default is silence. */
  readonly onError?: (error: LaniakeaError) => void
}

/** How a device is doing. */
export interface ClientStatus {
  readonly state: 'starting' | 'offline' | 'connecting' | 'online'
  /** While online: how. */
  readonly transport: Transport | undefined
  /** Where things are kept; "memory": nothing survives the tabs. */
  readonly storage: StorageKind | undefined
  /** LK_OK: all that is to be kept is kept, or will be in a moment. LK_ERR_NO_SPACE and others: new changes live in memory meanwhile.
   * LK_ERR_VERSION: likewise, since a tab of another version has what is kept here, until it is closed. */
  readonly storageState: 'LK_OK' | ErrorCode
  /** Changes of all tabs that the server has not acknowledged. */
  readonly pending: number
  /** Of these, those that would not outlive the tabs yet. */
  readonly unsaved: number
  /** As much is pending as may be. */
  readonly isFull: boolean
  readonly acknowledgedAt: Date | undefined
  /** Milliseconds. */
  readonly roundTrip: number | undefined
  /** This tab has the connection; others go through it. */
  readonly isLeading: boolean
}

/** What all topics have in common. Ends by close(), or `await using`. */
export interface Topic extends AsyncDisposable {
  readonly name: string
  readonly status: TopicStatus
  onStatus(listener: (status: TopicStatus) => void): () => void
  /** Who is here: what each shows of themselves, by key. Asking makes the server tell. */
  readonly presence: Presence
  /** Sends a message of the application's; the server's answer, or the status "error" with the reason "offline". */
  push(event: string, payload: Json | Bytes): Promise<Answer>
  /** Messages of others that are about nothing else here. */
  onMessage(listener: (event: string, payload: Json | Bytes) => void): () => void
  /** Resolves when what was changed until now would outlive the page: when this device has recorded it, or, where it does not keep the topic, or
   * cannot now, when the server has it. */
  saved(): Promise<void>
  /** Resolves when the server has acknowledged what was changed here until now. */
  acknowledged(): Promise<void>
  /** After "refused": tries again. */
  retry(): void
  /** After "refused": drops what is here and what is pending, and takes what the server has. */
  startAnew(): void
  /** Leaves. What is pending is sent all the same. Each opening is closed once. */
  close(): Promise<void>
}

export interface Presence {
  readonly state: PresenceState
  subscribe(listener: (state: PresenceState) => void): () => void
  /** Shows `meta` under `key` to everybody in the topic, until the page is gone. */
  show(key: string, meta: PresenceShown): void
  hide(key: string): void
}

/** An object of the catalogue that is shared by its topic's name. */
export interface CrdtTopic<K extends CrdtType> extends Topic {
  readonly object: Crdt<K>
}

export interface DocTopic extends Topic {
  /** Another one after startAnew(), and where the one that there was broke down: onReplaced() tells. */
  readonly doc: Doc
  onReplaced(listener: (doc: Doc) => void): () => void
  /** What everybody shows of themselves while they edit: y-protocols' awareness. */
  readonly awareness: ClientAwareness
}

/** A topic with somebody else's replica, such as a Y.Doc. */
export interface ReplicaTopic extends Topic {
  /** To be called with each change that is made here. */
  changed(bytes: Bytes): void
  sendAwareness(update: Bytes): void
  onAwareness(listener: (update: Bytes) => void): () => void
}

export interface OpenOptions {
  /** False: for as long as a tab has it open. */
  readonly keep?: boolean
}

export interface Client extends AsyncDisposable {
  readonly status: ClientStatus
  onStatus(listener: (status: ClientStatus) => void): () => void
  /** Opens the object `topic` ("crdt:likes"), with what this device knows of it; the server may come later. Rejects with LK_ERR_TYPE
   * where the device has that topic as something else, LK_ERR_INVALID for a name that is none. */
  crdt<K extends CrdtType>(topic: string, type: K, options?: OpenOptions): Promise<CrdtTopic<K>>
  /** Opens the document `topic` ("doc:notes"), likewise. */
  doc(topic: string, options?: OpenOptions): Promise<DocTopic>
  /** Joins a topic without a replica, such as "relay:lobby", for its messages and its presence. */
  channel(topic: string): Promise<Topic>
  /** Opens a document for a replica that somebody else has. */
  replica(topic: string, port: ReplicaPort, options?: OpenOptions): Promise<ReplicaTopic>
  /** The network came back, or the user wants it now: tries to connect at once. */
  wake(): void
  /** Gives up the connection, and opens none before connect(): what is changed waits on this device. The tabs of a device share its
   * connection: there is none as long as one of them wants none. */
  disconnect(): void
  connect(): void
  /** Resolves when everything that was changed is recorded, as far as anything is, or some time has passed, of which `onError` hears; topics are
   * closed then. Also by `await using`. */
  close(): Promise<void>
}

/** What differs between platforms. */
export interface ClientDefaults {
  readonly loadCore: () => Promise<Core>
  readonly createWorker: (() => Worker) | undefined
  /** Other pages of this device may have the same store. */
  readonly hasTabs: boolean
  readonly openFiles: (storage: ClientOptions['storage'], start: Parameters<HubPlatform['openFiles']>[0]) => Promise<DeviceFiles | undefined>
}

const SAVED_MS = 2_000
/** Who is asked for a token has answered by then. */
const TOKEN_MS = 30_000

export async function createClientWith(defaults: ClientDefaults, options: ClientOptions): Promise<Client> {
  const url = socketUrl(options.url)
  const core = options.core ?? (await defaults.loadCore())
  const client = new PageClient(defaults, options, url, core)
  try {
    await client.start()
  } catch (cause) {
    await client.close()
    throw cause
  }
  return client
}

class PageClient implements Client {
  readonly #options: ClientOptions
  readonly #link: HubLink
  readonly #core: Core
  readonly #byId = new Map<number, PageTopic>()
  readonly #listeners = new Set<(status: ClientStatus) => void>()
  readonly #openings = new Map<string, Promise<Shared>>()
  #topicLast = 0
  #crdts: Promise<PageCrdts> | undefined
  #docs: Promise<PageDocs> | undefined
  #seat: Promise<Seat> | undefined
  #seatTaken: Seat | undefined
  #report: HubReport | undefined
  #storage: StorageKind | undefined
  #failure: LaniakeaError | undefined
  #isHere = false
  #isOffline: boolean
  #isClosed = false
  /** A topic was closed with changes that the hub alone has. */
  #hasLeft = false
  #status: ClientStatus
  #statusIsDue = false
  #settle: { readonly resolve: () => void; readonly reject: (error: LaniakeaError) => void } | undefined
  readonly #begun: Promise<void>
  readonly #stops: (() => void)[] = []

  constructor(defaults: ClientDefaults, options: ClientOptions, url: string, core: Core) {
    const { storage, pending, token, name = 'default' } = options
    this.#options = options
    this.#core = core
    this.#isOffline = options.connect === false
    const isOwnThread = options.worker === false || options.webSocket !== undefined || typeof storage === 'object'
    if (options.worker && isOwnThread) throw new LaniakeaError('LK_ERR_INVALID', 'functions and folders cannot be given to a worker; set worker: false')
    const createWorker = isOwnThread ? undefined : options.worker || defaults.createWorker
    const isBrowser = defaults.hasTabs && typeof BroadcastChannel !== 'undefined' && globalThis.navigator?.locks !== undefined
    this.#link = new HubLink({
      start: {
        t: 'start', core, loaded: new Map(), url, longPoll: options.longPoll !== false, scope: `${url} ${name}`, storage: typeof storage === 'string' ? storage : 'auto', usesToken: token !== undefined,
        pendingCount: pending?.count ?? 0, pendingBytes: pending?.bytes ?? 0,
      },
      session: crypto.randomUUID?.() ?? Math.random().toString(36).slice(2),
      capabilities: probe,
      isOffline: () => this.#isOffline,
      createWorker,
      platform: {
        openFiles: (start) => defaults.openFiles(storage, start),
        webSocket: options.webSocket ?? ((url, protocols) => new WebSocket(url, protocols) as unknown as SocketLike),
        isShared: isBrowser && options.webSocket === undefined,
        needsFiles: typeof storage === 'object',
      },
      onMessage: (message) => this.#receive(message),
      onLost: () => this.#lose(),
      mustStay: () => this.#hasLeft && (this.#report?.pending ?? 0) > 0,
      onProblem: (error, isFatal) => this.#onProblem(error, isFatal),
    })
    this.#status = this.#makeStatus()
    this.#begun = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    this.#begun.catch(() => {})
  }

  /** Resolves when a hub is there. */
  start(): Promise<void> {
    this.#link.start()
    this.#stops.push(onConnection(() => this.#link.post({ t: 'capabilities', capabilities: probe() })))
    const wake = (): void => this.wake()
    globalThis.addEventListener?.('online', wake)
    this.#stops.push(() => globalThis.removeEventListener?.('online', wake))
    return this.#begun
  }

  get status(): ClientStatus {
    return this.#status
  }

  onStatus(listener: (status: ClientStatus) => void): () => void {
    return subscribe(this.#listeners, listener)
  }

  // ---- topics ----

  async crdt<K extends CrdtType>(topic: string, type: K, options: OpenOptions = {}): Promise<CrdtTopic<K>> {
    this.#fetchParts(['objects']) // while its script is on its way
    const { kindOf, PageCrdts } = await loadScript(() => import('./client_crdt.ts'))
    const kind = kindOf(type)
    this.#crdts ??= this.#load('objects', (modules, onRebuilt) => PageCrdts.load(modules, onRebuilt))
    this.#crdts.catch(() => (this.#crdts = undefined))
    const crdts = await this.#crdts
    return crdts.makeHandle(await this.#open(topic, kind, options, (shared) => crdts.makeReplica(type, shared, (page) => this.#mayChange(page))))
  }

  async doc(topic: string, options: OpenOptions = {}): Promise<DocTopic> {
    this.#fetchParts(['documents'])
    const { PageDocs } = await loadScript(() => import('./client_doc.ts'))
    this.#docs ??= this.#load('documents', (modules, onRebuilt) => PageDocs.load(modules, onRebuilt))
    this.#docs.catch(() => (this.#docs = undefined))
    const docs = await this.#docs
    return docs.makeHandle(await this.#open(topic, KIND_DOC, options, (shared) => docs.makeReplica(shared)))
  }

  async channel(topic: string): Promise<Topic> {
    return new TopicHandle(await this.#open(topic, KIND_PLAIN, { keep: false }, () => undefined))
  }

  async replica(topic: string, port: ReplicaPort, options: OpenOptions = {}): Promise<ReplicaTopic> {
    // Each replica is one of its own, as each tab's is.
    return new ReplicaHandle(await this.#make(topic, KIND_DOC, options, () => ({ face: port, port, close: () => {} })))
  }

  #open(name: string, kind: number, options: OpenOptions, replica: (shared: Shared) => SharedReplica | undefined): Promise<Shared> {
    const opening = this.#openings.get(name) ?? this.#make(name, kind, options, replica)
    this.#openings.set(name, opening)
    const forget = (): void => {
      if (this.#openings.get(name) === opening) this.#openings.delete(name)
    }
    opening.catch(forget)
    return opening.then((shared) => {
      // Its last holder let go of it meanwhile.
      if (shared.page.status.state === 'closed') {
        forget()
        return this.#open(name, kind, options, replica)
      }
      if (shared.kind !== kind) throw new LaniakeaError('LK_ERR_TYPE', `${name} is open as another type`)
      shared.holders++
      return shared
    })
  }

  async #make(name: string, kind: number, { keep = true }: OpenOptions, replica: (shared: Shared) => SharedReplica | undefined): Promise<Shared> {
    this.#check()
    await this.#begun
    // What was closed while there was no hub: the next one has to know it before there is another replica of that seat.
    for (const page of this.#byId.values()) if (page.name === name && page.status.state === 'closed') await page.gone
    this.#check()
    const isKept = keep && kind !== KIND_PLAIN
    const seat = isKept ? await this.#seatOf() : freshSeat()
    const isObject = kind !== KIND_DOC && kind !== KIND_PLAIN
    const id = ++this.#topicLast
    const shared: Shared = {
      kind, holders: 0, replica: undefined, page: undefined as unknown as PageTopic, own: freshSeat().name,
      close: () => this.#drop(name, shared),
    }
    shared.replica = replica(shared)
    shared.page = new PageTopic({
      id, name, kind, isKept, replica: shared.replica?.port,
      seat: isObject && seat.isKept ? seat.name : undefined,
      rename: (series) => {
        if (!isObject) return false
        const goesOn = seat.isKept && series !== undefined
        shared.replica?.rename?.(goesOn ? `${series}.${seat.place}` : shared.own)
        return goesOn
      },
      post: (message) => this.#link.post(message),
      onProblem: (error) => this.#onProblem(error, false),
      onClosed: () => {
        this.#hasLeft ||= shared.page.unsaved > 0
        this.#byId.delete(id)
        shared.replica?.close()
      },
    })
    this.#byId.set(id, shared.page)
    if (this.#isHere) shared.page.open()
    try {
      await shared.page.ready
    } catch (cause) {
      this.#drop(name, shared)
      throw cause
    }
    return shared
  }

  #drop(name: string, shared: Shared): void {
    this.#openings.delete(name)
    shared.page.close()
  }

  // ---- replicas that break down ----
  //
  // A trap in this thread costs what the call that trapped was about to do. All that was changed before is with the hub, or queued
  // for it: another instance takes it from there.

  /** The replicas of one kind. */
  async #load<T>(what: Part, load: (modules: Modules, onRebuilt: () => void) => Promise<T>): Promise<T> {
    const { module, parts } = this.#core
    if (parts === undefined && !hasExport(module, partExports[what])) throw new LaniakeaError('LK_ERR_UNSUPPORTED', `this core has no ${what}`)
    const modules: Modules = parts === undefined ? [module] : [module, await this.#loadPart(what)]
    return load(modules, () => this.#onProblem(new LaniakeaError('LK_ERR_TRAP', `${what} were rebuilt`), false))
  }

  /** For this page, and for a hub of this tab, which may be there when there is nobody to load anything from. */
  async #loadPart(what: Part): Promise<WebAssembly.Module> {
    const module = await loadPart(this.#core, what)
    this.#link.give(what, module)
    return module
  }

  /** Where names go on; else each object gets one of its own. */
  #seatOf(): Promise<Seat> {
    return this.#seat ?? Promise.resolve(freshSeat())
  }

  #mayChange(page: PageTopic | undefined): void {
    if (page?.status.state === 'closed') throw new LaniakeaError('LK_ERR_STATE', 'the object was closed')
    if (page?.isBlank) throw new LaniakeaError('LK_ERR_STATE', 'the object broke down, and is being rebuilt')
    if (this.#status.isFull) throw new LaniakeaError('LK_ERR_BACKLOG')
  }

  // ---- the hub ----

  #receive(message: ToPage): void {
    if (this.#isClosed && message.t !== 'saved' && message.t !== 'status') return
    switch (message.t) {
      case 'hub': return this.#meet(message.device, message.storage)
      case 'status':
        this.#report = message.status
        return this.#update()
      case 'parts': return this.#fetchParts(message.parts)
      case 'token': return void this.#giveToken()
      case 'problem': return this.#onProblem(new LaniakeaError(message.code, message.detail), false)
      default: this.#byId.get(message.id)?.receive(message)
    }
  }

  #fetchParts(names: readonly Part[]): void {
    if (this.#core.parts === undefined || !Array.isArray(names)) return
    for (const name of partNames) if (names.includes(name)) this.#loadPart(name).catch(() => {}) // it is asked for again when it is needed
  }

  /** A hub is there, or another one, or the same in another life. */
  #meet(device: string, storage: StorageKind): void {
    this.#storage = storage
    this.#isHere = true
    if (this.#seat === undefined && storage !== 'memory') this.#seat = takeSeat(device, this.#link.left)
    const open = (): void => {
      this.#settle?.resolve()
      this.#settle = undefined
      for (const topic of this.#byId.values()) topic.open()
      this.#update()
    }
    if (this.#seatTaken !== undefined || this.#seat === undefined) return open()
    void this.#seat.then((seat) => {
      this.#seatTaken = seat
      open()
    })
  }

  #lose(): void {
    this.#isHere = false
    this.#report = undefined
    for (const topic of this.#byId.values()) topic.lose()
    this.#update()
  }

  #onProblem(error: LaniakeaError, isFatal: boolean): void {
    if (isFatal && this.#settle !== undefined) {
      this.#failure = error
      this.#settle.reject(error)
      this.#settle = undefined
    }
    tell(new Set([this.#options.onError ?? (() => {})]), error)
  }

  async #giveToken(): Promise<void> {
    const { token } = this.#options
    let given: string | undefined
    try {
      given = typeof token === 'function' ? await inTime(token()) : token
      if (typeof given !== 'string') throw new TypeError(`a token is a text, not ${String(given)}`)
    } catch (cause) {
      given = undefined
      this.#onProblem(new LaniakeaError('LK_ERR_TOKEN_MISSING', String(cause)), false)
    }
    this.#link.post({ t: 'token', token: given, life: given === undefined ? 0 : lifeOf(given) })
  }

  wake(): void {
    this.#link.post({ t: 'wake' })
  }

  disconnect(): void {
    this.#setOffline(true)
  }

  connect(): void {
    this.#setOffline(false)
  }

  #setOffline(isOffline: boolean): void {
    this.#isOffline = isOffline
    this.#link.post({ t: 'offline', isOffline })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    const handed = Promise.all([...this.#byId.values()].map((topic) => topic.handedOver().catch(() => {})))
    let timer: ReturnType<typeof setTimeout> | undefined
    const isLate = await Promise.race([handed.then(() => false), new Promise<boolean>((resolve) => (timer = setTimeout(resolve, SAVED_MS, true)))])
    clearTimeout(timer) // a program ends now
    if (isLate) this.#onProblem(new LaniakeaError('LK_ERR_TIMEOUT', 'the client was closed before everything was recorded'), false)
    this.#isClosed = true
    for (const stop of this.#stops) stop()
    // Those that are being opened reject: what their hub says is not heard any more.
    for (const topic of [...this.#byId.values()]) topic.close(true)
    await Promise.allSettled(this.#openings.values())
    this.#openings.clear()
    await this.#link.end()
    // They may be on their way over a network, and may not arrive.
    for (const replicas of [this.#crdts, this.#docs]) replicas?.then((there) => there.close(), () => {})
    this.#lose()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #check(): void {
    if (this.#isClosed) throw new LaniakeaError('LK_ERR_STATE', 'the client was closed')
    if (this.#failure !== undefined) throw this.#failure
  }

  // ---- how it is ----

  #makeStatus(): ClientStatus {
    const report = this.#report
    return {
      state: report === undefined ? 'starting' : report.state,
      transport: report?.transport,
      storage: this.#storage,
      storageState: this.#link.isPassing ? 'LK_ERR_VERSION' : (report?.storage ?? 'LK_OK'),
      pending: report?.pending ?? this.#status?.pending ?? 0,
      unsaved: report?.unsaved ?? 0,
      isFull: report?.full ?? false,
      acknowledgedAt: report?.acknowledgedAt == null ? this.#status?.acknowledgedAt : new Date(report.acknowledgedAt),
      roundTrip: report?.roundTrip ?? undefined,
      isLeading: this.#link.isLeading,
    }
  }

  /** Once for all that a turn brought. */
  #update(): void {
    if (this.#statusIsDue) return
    this.#statusIsDue = true
    queueMicrotask(() => {
      this.#statusIsDue = false
      const next = this.#makeStatus()
      const isSame = Object.entries(next).every(([name, value]) => String(this.#status[name as keyof ClientStatus]) === String(value))
      if (isSame) return
      this.#status = next
      tell(this.#listeners, next)
    })
  }
}

// ---- replicas ----

export interface SharedReplica {
  readonly face: unknown
  readonly port: ReplicaPort
  readonly close: () => void
  /** It makes changes under that name from now on. */
  readonly rename?: (actor: string) => void
}

/** A topic that may have been opened several times. */
export interface Shared {
  readonly kind: number
  holders: number
  replica: SharedReplica | undefined
  page: PageTopic
  /** The name of a replica that nobody uses again. */
  own: string
  readonly close: () => void
}

// ---- handles ----

export class TopicHandle implements Topic {
  protected readonly shared: Shared
  #isClosed = false
  readonly presence: Presence

  constructor(shared: Shared) {
    this.shared = shared
    const { page } = shared
    this.presence = {
      get state() {
        return page.presence
      },
      subscribe: (listener) => page.onPresence(listener),
      show: (key, meta) => page.show(key, meta),
      hide: (key) => page.show(key, undefined),
    }
  }

  get name(): string {
    return this.shared.page.name
  }

  get status(): TopicStatus {
    return this.shared.page.status
  }

  onStatus(listener: (status: TopicStatus) => void): () => void {
    return this.shared.page.onStatus(listener)
  }

  push(event: string, payload: Json | Bytes): Promise<Answer> {
    return this.shared.page.push(event, payload)
  }

  onMessage(listener: (event: string, payload: Json | Bytes) => void): () => void {
    return this.shared.page.onMessage(listener)
  }

  saved(): Promise<void> {
    return this.shared.page.saved()
  }

  acknowledged(): Promise<void> {
    return this.shared.page.acknowledged()
  }

  retry(): void {
    this.shared.page.retry()
  }

  startAnew(): void {
    this.shared.page.startAnew()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (--this.shared.holders <= 0) this.shared.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class ReplicaHandle extends TopicHandle implements ReplicaTopic {
  constructor(shared: Shared) {
    super(shared)
    shared.holders++
  }

  changed(bytes: Bytes): void {
    this.shared.page.changed(bytes)
  }

  sendAwareness(update: Bytes): void {
    this.shared.page.sendAwareness(update)
  }

  onAwareness(listener: (update: Bytes) => void): () => void {
    return this.shared.page.onAwareness(listener)
  }
}

// ---- addresses and tokens ----

/** As Phoenix's clients do: "/websocket" behind the path, and the version of the protocol. */
export function socketUrl(given: string | URL): string {
  let url: URL
  try {
    url = new URL(given, globalThis.location?.href)
  } catch {
    throw new LaniakeaError('LK_ERR_INVALID', `no address: ${String(given)}`)
  }
  url.protocol = url.protocol.replace(/^http/, 'ws')
  if (!/^wss?:$/.test(url.protocol)) throw new LaniakeaError('LK_ERR_INVALID', `not an address of a socket: ${url.href}`)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/websocket`
  url.searchParams.set('vsn', '2.0.0')
  url.hash = ''
  return url.href
}

async function inTime(token: string | Promise<string>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no token came in time')), TOKEN_MS)
  })
  try {
    return await Promise.race([token, late])
  } finally {
    clearTimeout(timer)
  }
}

/** How long a JWT holds, in milliseconds; 0: not known. */
function lifeOf(token: string): number {
  try {
    const payload = token.split('.')[1] ?? ''
    const { exp } = JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { exp?: unknown }
    return typeof exp === 'number' ? Math.max(1, exp * 1000 - Date.now()) : 0
  } catch {
    return 0
  }
}
