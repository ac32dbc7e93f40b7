// A topic in a page: a replica of its own, and what the hub does not have of it yet.
//
//            changed()                          saved
//   replica ────────────> #queue ──change──> hub ─────> #unsaved shrinks, promises resolve
//      ^                                      │
//      └──────────── merge <── opened, news ──┘
//
// A hub that is new to us is told our version, says what it has beyond that and its own version, and is told what it lacks. So
// nothing is kept for sending but the replica itself, and what one hub was told need not be known to the next.
import { LaniakeaError } from '../errors.ts'
import type { ErrorCode } from '../errors.gen.ts'
import type { Json } from '../json.ts'
import { PresenceTable, type PresenceState } from './presence.ts'
import { KIND_DOC, type Bytes, type ToHub, type ToPage, type TopicReport } from './protocol.ts'

/** A replica, whatever holds it: an object, a document, somebody else's Y.Doc. */
export interface ReplicaPort {
  version(): Bytes
  /** What this replica has beyond that version. */
  since(version: Bytes): Bytes
  /** Takes in what others changed. */
  merge(bytes: Bytes): void
  /** Becomes empty; what is pending is lost. */
  reset(): void
}

/** The bytes of an update that says nothing. */
const EMPTY_UPDATE = 2

export type TopicState = 'opening' | 'away' | 'joined' | 'refused' | 'failed' | 'closed'

/** How a topic is. */
export interface TopicStatus {
  readonly state: TopicState
  /** Of refused and failed, and sometimes of away: a word such as "read_only", "diverged", or the code of an error. */
  readonly reason: string
  /** Changes made on this device that the server has not acknowledged. */
  readonly pending: number
  /** Changes made in this page that would not outlive it yet. */
  readonly unsaved: number
  /** What an acknowledgment means: the server keeps it on disk, or as long as it runs. */
  readonly level: 'durable' | 'memory' | ''
  /** How the server serves this device. */
  readonly profile: string
  readonly readOnly: boolean
}

export interface PageTopicOptions {
  readonly id: number
  readonly name: string
  readonly kind: number
  readonly isKept: boolean
  readonly replica: ReplicaPort | undefined
  /** Whose changes these are; `undefined` where names do not matter. */
  readonly seat: string | undefined
  /** Gives the replica the name that changes are made under from now on; true: it goes on when this page is gone. */
  readonly rename: (series: string | undefined) => boolean
  readonly post: (message: ToHub) => void
  readonly onProblem: (error: LaniakeaError) => void
  readonly onClosed: () => void
}

interface Waiter {
  readonly n: number
  readonly resolve: () => void
  readonly reject: (error: LaniakeaError) => void
}

interface PendingPush {
  readonly resolve: (answer: Answer) => void
}

/** What the server said to a message. */
export interface Answer {
  readonly status: string
  readonly response: Json | Bytes
}

export type PresenceShown = { readonly [name: string]: Json }

export class PageTopic {
  readonly name: string
  readonly #options: PageTopicOptions
  readonly #statusListeners = new Set<(status: TopicStatus) => void>()
  readonly #presenceListeners = new Set<(state: PresenceState) => void>()
  readonly #messageListeners = new Set<(event: string, payload: Json | Bytes) => void>()
  readonly #awarenessListeners = new Set<(update: Bytes) => void>()
  readonly #presence = new PresenceTable()
  readonly #shows = new Map<string, PresenceShown>()
  readonly #pushes = new Map<number, PendingPush>()
  #hearsPresence = false
  #pushLast = 0
  #isLive = false
  #isBlank = false
  #isClosed = false
  /** Closed, and the hub does not have all that was changed. */
  #isLeaving = false
  #wasOpened = false
  /** What is made now has a name that goes on. */
  #waits = false
  /** Something that was made has. */
  #hasWaited = false
  #queue: Bytes[] = []
  #flushIsDue = false
  #made = 0
  #saved = 0
  /** The hub has everything up to here, recorded or not. */
  #taken = 0
  #acked = 0
  #waiters: Waiter[] = []
  #ackWaiters: Waiter[] = []
  #handWaiters: Waiter[] = []
  #report: TopicReport | undefined
  #failure: { readonly code: ErrorCode; readonly detail: string } | undefined
  #status: TopicStatus
  #settle: { readonly resolve: () => void; readonly reject: (error: LaniakeaError) => void } | undefined
  readonly ready: Promise<void>
  /** Nothing of it is left in this page. */
  readonly gone: Promise<void>
  #go: () => void = () => {}

  constructor(options: PageTopicOptions) {
    this.#options = options
    this.name = options.name
    this.#status = this.#makeStatus()
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    this.ready.catch(() => {})
    this.gone = new Promise((resolve) => (this.#go = resolve))
  }

  get id(): number {
    return this.#options.id
  }

  get status(): TopicStatus {
    return this.#status
  }

  get presence(): PresenceState {
    return this.#presence.state
  }

  get unsaved(): number {
    return this.#made - this.#saved
  }

  // ---- with the hub ----

  /** A hub is there that knows nothing of us. */
  open(): void {
    if (this.#isClosed && !this.#isLeaving) return
    const { id, name, kind, isKept, replica, seat, post } = this.#options
    this.#isLive = false
    this.#failPushes()
    post({ t: 'open', id, topic: name, kind, isKept, seat, version: replica?.version() ?? new Uint8Array() })
  }

  lose(): void {
    this.#isLive = false
    this.#failPushes()
    this.#report = undefined
    this.#update()
  }

  receive(message: Extract<ToPage, { readonly id: number }>): void {
    switch (message.t) {
      case 'opened': return this.#onOpened(message.bytes, message.version, message.series)
      case 'unkept': return this.#useOwnName()
      case 'failed': return this.#fail(message.code, message.detail)
      case 'saved': return this.#settleTo(message.n, undefined)
      case 'taken': return this.#take(message.n)
      case 'acked': return this.#settleTo(undefined, message.n)
      case 'news': return this.#merge(message.bytes)
      case 'topic': return this.#hear(message.status)
      case 'reply': return this.#answer(message.ref, { status: message.status, response: message.payload })
      case 'message': return tell(this.#messageListeners, message.event, message.payload)
      case 'presence': return this.#takePresence(message.isDiff, message.payload)
      case 'awareness': return tell(this.#awarenessListeners, message.update)
      case 'reset': return this.#reset()
    }
  }

  /** The replica is another one, which knows nothing: the hub has what we said, and the queue what we did not. */
  revive(): void {
    for (const bytes of this.#queue) this.#merge(bytes)
    this.#isBlank = true
    this.open()
    this.#update()
  }

  /** It does not know what it made before: no change must be made now. */
  get isBlank(): boolean {
    return this.#isBlank
  }

  #onOpened(bytes: Bytes, version: Bytes, series: string | undefined): void {
    const { id, kind, post, replica, rename } = this.#options
    this.#isLive = true
    this.#isBlank = false
    this.#failure = undefined
    if (replica !== undefined) {
      if (bytes.length > 0) this.#merge(bytes)
      this.#waits = rename(series)
      this.#hasWaited ||= this.#waits
      // Of the queue as well, whose changes are in the replica.
      this.#queue = []
      const lacked = replica.since(version)
      // Somebody else's document may come with content, which is to be saved as what is changed later is.
      if (!this.#wasOpened && kind === KIND_DOC && lacked.length > EMPTY_UPDATE) this.#made++
      this.#wasOpened = true
      // What was made under a name that goes on waits, also where another one is used from now on.
      this.#say([lacked], this.#hasWaited)
    }
    if (this.#hearsPresence) {
      post({ t: 'presence', id })
      for (const [key, meta] of this.#shows) post({ t: 'presence', id, key, meta: meta as Json })
    }
    this.#settle?.resolve()
    this.#settle = undefined
    this.#update()
  }

  /** Until the topic is opened again, also if the diary is well again soon. What was made before waits for that. */
  #useOwnName(): void {
    if (!this.#isLive || this.#isBlank) return
    this.#flush()
    this.#waits = this.#options.rename(undefined)
  }

  #merge(bytes: Bytes): void {
    try {
      this.#options.replica?.merge(bytes)
    } catch (cause) {
      if (cause instanceof LaniakeaError) return this.#options.onProblem(cause)
      // Of who listens to the replica, which has taken it in: nothing here suffers from it.
      setTimeout(() => {
        throw cause
      })
    }
  }

  #fail(code: ErrorCode, detail: string): void {
    this.#isLive = false
    this.#failure = { code, detail }
    this.#settle?.reject(new LaniakeaError(code, detail))
    this.#settle = undefined
    this.#update()
  }

  #hear(report: TopicReport): void {
    this.#report = report
    this.#update()
  }

  #reset(): void {
    this.#queue = []
    this.#waits = this.#hasWaited = false
    this.#rejectAll(new LaniakeaError('LK_ERR_STATE', `${this.name} was begun anew`))
    this.#settleTo(this.#made, this.#made)
    if (this.#isClosed) return
    this.#options.replica?.reset()
    this.open()
  }

  // ---- changes ----

  /** The replica was changed here: `bytes` tell how. */
  changed(bytes: Bytes): void {
    this.#made++
    this.#queue.push(bytes)
    if (!this.#flushIsDue) {
      this.#flushIsDue = true
      queueMicrotask(() => this.#flush())
    }
  }

  #flush(): void {
    this.#flushIsDue = false
    if (this.#isLive && this.#queue.length > 0) this.#say(this.#queue.splice(0), this.#waits)
    this.#update()
  }

  #say(parts: readonly Bytes[], waits: boolean): void {
    const { id, post } = this.#options
    post({ t: 'change', id, n: this.#made, parts, waits })
  }

  /** Resolves when what was changed until now would outlive the page: this device has recorded it, or the server has it. */
  saved(): Promise<void> {
    return this.#when(this.#waiters, this.#saved)
  }

  /** Resolves when the hub has what was changed until now, and has recorded it where it records anything. */
  handedOver(): Promise<void> {
    return this.#when(this.#handWaiters, this.#taken)
  }

  /** Resolves when the server has acknowledged what was changed here until now. */
  acknowledged(): Promise<void> {
    return this.#when(this.#ackWaiters, this.#acked)
  }

  #when(waiters: Waiter[], reached: number): Promise<void> {
    const n = this.#made
    if (reached >= n) return Promise.resolve()
    if (this.#isClosed && !this.#isLeaving) return Promise.reject(new LaniakeaError('LK_ERR_STATE', `${this.name} was closed`))
    return new Promise((resolve, reject) => waiters.push({ n, resolve, reject }))
  }

  #settleTo(saved: number | undefined, acked: number | undefined): void {
    this.#saved = Math.max(this.#saved, saved ?? 0)
    this.#acked = Math.max(this.#acked, acked ?? 0)
    resolveTo(this.#waiters, this.#saved)
    resolveTo(this.#ackWaiters, this.#acked)
    this.#take(this.#saved)
  }

  #take(taken: number): void {
    this.#taken = Math.max(this.#taken, taken)
    resolveTo(this.#handWaiters, this.#taken)
    if (this.#isLeaving && this.#taken >= this.#made) this.#end()
    this.#update()
  }

  // ---- messages ----

  /** What the server answers; the status "error" with the reason "offline" where it cannot be reached now. */
  push(event: string, payload: Json | Bytes): Promise<Answer> {
    const { id, post } = this.#options
    if (!this.#isLive) return Promise.resolve({ status: 'error', response: { reason: 'offline' } })
    const ref = ++this.#pushLast
    const bytes = payload instanceof Uint8Array ? payload : JSON.stringify(payload)
    return new Promise((resolve) => {
      this.#pushes.set(ref, { resolve })
      post({ t: 'push', id, ref, event, payload: bytes })
    })
  }

  #answer(ref: number, answer: Answer): void {
    const push = this.#pushes.get(ref)
    this.#pushes.delete(ref)
    push?.resolve(answer)
  }

  #failPushes(): void {
    for (const { resolve } of this.#pushes.values()) resolve({ status: 'error', response: { reason: 'offline' } })
    this.#pushes.clear()
  }

  onMessage(listener: (event: string, payload: Json | Bytes) => void): () => void {
    return subscribe(this.#messageListeners, listener)
  }

  // ---- who is here ----

  /** Shows `meta` under `key`, or nothing any more. */
  show(key: string, meta: PresenceShown | undefined): void {
    this.#hearPresence()
    if (meta === undefined) this.#shows.delete(key)
    else this.#shows.set(key, meta)
    const { id, post } = this.#options
    if (this.#isLive) post(meta === undefined ? { t: 'presence', id, key } : { t: 'presence', id, key, meta: meta as Json })
  }

  onPresence(listener: (state: PresenceState) => void): () => void {
    this.#hearPresence()
    return subscribe(this.#presenceListeners, listener)
  }

  #hearPresence(): void {
    if (this.#hearsPresence) return
    this.#hearsPresence = true
    if (this.#isLive) this.#options.post({ t: 'presence', id: this.id })
  }

  #takePresence(isDiff: boolean, payload: Json): void {
    if (isDiff) this.#presence.apply(payload)
    else this.#presence.replace(payload)
    tell(this.#presenceListeners, this.#presence.state)
  }

  /** An update of y-protocols' awareness, for all others. Said again by its owner when the topic is opened again. */
  sendAwareness(update: Bytes): void {
    if (this.#isLive) this.#options.post({ t: 'awareness', id: this.id, update })
  }

  onAwareness(listener: (update: Bytes) => void): () => void {
    return subscribe(this.#awarenessListeners, listener)
  }

  // ---- how it is ----

  get isLive(): boolean {
    return this.#isLive
  }

  onStatus(listener: (status: TopicStatus) => void): () => void {
    return subscribe(this.#statusListeners, listener)
  }

  retry(): void {
    if (this.#failure !== undefined) this.open()
    else this.#options.post({ t: 'retry', id: this.id })
  }

  startAnew(): void {
    this.#options.post({ t: 'anew', id: this.id })
  }

  /** What is pending is sent all the same, by the hub: where there is none now, the replica waits for the next one. `isLast`: there will
   * be none. */
  close(isLast = false): void {
    if (this.#isClosed) {
      if (this.#isLeaving && isLast) this.#end()
      return
    }
    this.#flush()
    const gone = new LaniakeaError('LK_ERR_STATE', `${this.name} was closed`)
    this.#isLeaving = !isLast && !this.#isLive && this.#failure === undefined && this.#options.replica !== undefined && this.unsaved > 0
    this.#isClosed = true
    this.#failPushes()
    this.#settle?.reject(gone)
    this.#rejectAll(gone)
    if (!this.#isLeaving) this.#end()
    this.#update()
  }

  #end(): void {
    this.#isLeaving = false
    this.#isLive = false
    this.#rejectAll(new LaniakeaError('LK_ERR_STATE', `${this.name} was closed`))
    this.#options.post({ t: 'close', id: this.id })
    this.#options.onClosed()
    this.#go()
  }

  #rejectAll(error: LaniakeaError): void {
    for (const { reject } of [this.#waiters, this.#ackWaiters, this.#handWaiters].flatMap((waiters) => waiters.splice(0))) reject(error)
  }

  #makeStatus(): TopicStatus {
    const report = this.#report
    const state = this.#isClosed ? 'closed' : this.#failure ? 'failed' : !this.#isLive ? 'opening' : (report?.state ?? 'away')
    return {
      state,
      reason: this.#failure?.code ?? report?.reason ?? '',
      pending: report?.pending ?? 0,
      unsaved: this.unsaved,
      level: report?.level ?? '',
      profile: report?.profile ?? '',
      readOnly: report?.readOnly ?? false,
    }
  }

  #update(): void {
    const next = this.#makeStatus()
    const isSame = Object.entries(next).every(([name, value]) => this.#status[name as keyof TopicStatus] === value)
    if (isSame) return
    this.#status = next
    tell(this.#statusListeners, next)
  }
}

function resolveTo(waiters: Waiter[], reached: number): void {
  while (waiters[0] !== undefined && waiters[0].n <= reached) waiters.shift()?.resolve()
}

export function subscribe<T extends (...given: never[]) => void>(listeners: Set<T>, listener: T): () => void {
  // One function may subscribe twice, and each subscription ends by itself.
  const own = ((...given: never[]) => listener(...given)) as T
  listeners.add(own)
  return () => void listeners.delete(own)
}

/** One that throws is reported as an event's would be: the others do not suffer from it. */
export function tell<A extends unknown[]>(listeners: ReadonlySet<(...given: A) => void>, ...given: A): void {
  for (const listener of [...listeners]) {
    if (!listeners.has(listener)) continue // another one ended its subscription
    try {
      listener(...given)
    } catch (cause) {
      setTimeout(() => {
        throw cause
      })
    }
  }
}
