// Serves the pages of a device: one connection, one diary, one replica of each topic that anybody has open.
//
// Always:
//   - A change of a page is taken from a page that is in the topic, and from no other: what a page that is gone had said may come
//     late, when another one has its seat (seats.ts).
//   - Other pages hear of a change when it cannot be forgotten, as the server does (decision 031); of one that need not
//     wait, at once, unless it stands behind one that does: it may speak of that.
//   - What a page is told comes in order.
import type { Core, Part } from '../core.ts'
import { LaniakeaError } from '../errors.ts'
import type { Json } from '../json.ts'
import { AwarenessTable } from './awareness_table.ts'
import type { Ways } from './connection.ts'
import { Device } from './device.ts'
import { deviceName, type DeviceFiles } from './files.ts'
import { PresenceTable } from './presence.ts'
import { KIND_DOC, KIND_PLAIN, type Bytes, type Capabilities, type ToHub, type ToPage, type TopicReport } from './protocol.ts'

/** What a page says once it is known. */
type Said = Exclude<ToHub, { t: 'hello' | 'part' }>

export interface HubOptions {
  readonly core: Core
  /** The parts of it that are there. */
  readonly loaded: Map<Part, WebAssembly.Module>
  readonly ways: Ways
  /** `undefined`: nothing is kept. */
  readonly files: DeviceFiles | undefined
  /** Why that is so, where it should be otherwise. */
  readonly filesProblem?: LaniakeaError | undefined
  readonly usesToken: boolean
  readonly pendingCount: number
  readonly pendingBytes: number
  /** It does nothing any more. */
  readonly onEnd: (error: LaniakeaError) => void
  /** Resolves when the page of that session is gone, however it went. */
  readonly whenGone?: ((session: string) => Promise<void>) | undefined
}

interface Session {
  readonly name: string
  readonly post: (message: ToPage) => void
  readonly members: Map<number, Member>
  wantsOffline: boolean
  /** By the page's numbers of topics: what it said behind an opening that waits for a part of the core. */
  readonly behind: Map<number, Said[]>
  /** It is gone, but for that; or it said hello again, and says that again, too. */
  end: 'gone' | 'anew' | undefined
}

/** A page in a topic. */
interface Member {
  readonly session: Session
  readonly id: number
  readonly topic: Topic
  readonly seat: string | undefined
  /** Changes of the page that are not recorded, or not acknowledged yet, and the numbers that the core gave them. */
  saving: { readonly n: number; readonly number: number }[]
  acking: { readonly n: number; readonly number: number }[]
  /** So many of its changes are not told to other pages yet. */
  waiting: number
  hearsPresence: boolean
  readonly shows: Map<string, Json>
}

/** One that a page waits for the answer to. */
interface Push {
  readonly member: Member
  readonly ref: number
}

interface Topic {
  readonly name: string
  readonly kind: number
  readonly handle: number
  isKept: boolean
  /** How often it is open in the core. */
  holds: number
  readonly members: Set<Member>
  /** For other pages, as soon as change `number` is recorded. */
  waiting: { readonly number: number; readonly from: Member; readonly parts: readonly Bytes[] }[]
  readonly pushes: Map<number, Push>
  status: TopicReport | undefined
  hearsPresence: boolean
  readonly presence: PresenceTable
  /** As the server was told, or is to be. */
  readonly shown: Map<string, string>
  readonly awareness: AwarenessTable<Session>
}

const AWARENESS = 'awareness'
const PRESENCE_STATE = 'presence_state'
const PRESENCE_DIFF = 'presence_diff'
/** A part that could not be loaded may be there then. */
const AGAIN_MS = 5_000
/** So much of what a page says may wait for parts: a page that is to say more has to be told so. */
const BEHIND_MAX = 4_096
const NOTHING: Bytes = new Uint8Array()

export class Hub {
  readonly #options: HubOptions
  readonly #sessions = new Map<string, Session>()
  readonly #topics = new Map<string, Topic>()
  readonly #byHandle = new Map<number, Topic>()
  #device: Device | undefined
  #deviceName = ''
  #epoch = ''
  #life = 0
  #status = ''
  #statusIsDue = false
  #wantsToken = false
  #isEnded = false

  constructor(options: HubOptions) {
    this.#options = options
  }

  async start(capabilities: Capabilities): Promise<void> {
    const { core, loaded, ways, files, usesToken, pendingCount, pendingBytes } = this.#options
    this.#deviceName = await deviceName(files)
    if (this.#isEnded) return
    const events = {
      onReady: () => this.#begin(),
      onMissing: (parts: readonly Part[]) => {
        for (const { post } of this.#sessions.values()) post({ t: 'parts', parts })
      },
      onToken: () => this.#askToken(),
      onStatus: () => this.#noteStatus(),
      onTopicStatus: (handle: number) => this.#onTopic(handle, (topic) => this.#noteTopic(topic)),
      onNews: (handle: number, bytes: Bytes) => this.#onTopic(handle, (topic) => this.#tellNews(topic, bytes)),
      onReply: (handle: number, ref: number, status: string, payload: Json | Bytes) => this.#onTopic(handle, (topic) => this.#answer(topic, ref, status, payload)),
      onMessage: (handle: number, event: string, payload: Json | Bytes) => this.#onTopic(handle, (topic) => this.#hear(topic, event, payload)),
      onProblem: (error: LaniakeaError, isFatal: boolean) => this.#onProblem(error, isFatal),
    }
    this.#device = new Device({ core, loaded, ways, files, usesToken, pendingCount, pendingBytes, events }, capabilities)
    this.#noteOffline()
    await this.#device.start()
  }

  async end(): Promise<void> {
    this.#isEnded = true
    for (const session of [...this.#sessions.values()]) this.#leave(session)
    await this.#device?.end()
  }

  /** It need not be loaded any more. */
  give(part: Part, module: WebAssembly.Module): void {
    this.#options.loaded.set(part, module)
  }

  wake(): void {
    this.#device?.step(undefined, (core) => core.wake())
  }

  /** Takes a message of a page; `post` is the way back, for a page that is not known yet. */
  receive(name: string, message: Exclude<ToHub, { t: 'part' }>, post: (message: ToPage) => void): void {
    if (this.#isEnded) return
    if (message.t === 'hello') return this.#greet(name, message, post)
    const session = this.#sessions.get(name)
    if (session !== undefined) this.#take(session, message)
  }

  #take(session: Session, message: Said): void {
    const behind = 'id' in message ? session.behind.get(message.id) : undefined
    if (behind !== undefined && 'id' in message) {
      if (this.#mayWait(session, message.id)) behind.push(message)
      return
    }
    if (message.t === 'open') {
      const loading = this.#need(message.kind)
      if (loading !== undefined) {
        loading.catch(() => {}) // where nobody waits for it
        if (this.#mayWait(session, message.id)) this.#wait(session, message, loading)
        return
      }
    }
    try {
      this.#handle(session, message)
    } catch (cause) {
      if (!(cause instanceof LaniakeaError)) throw cause
      session.post({ t: 'problem', code: cause.code, detail: cause.message, isFatal: false })
    }
  }

  #mayWait(session: Session, id: number): boolean {
    let count = 0
    for (const { length } of session.behind.values()) count += length
    if (count < BEHIND_MAX) return true
    // What it changed is with the page, which is not in the topic then.
    session.behind.delete(id)
    session.post({ t: 'failed', id, code: 'LK_ERR_BACKLOG', detail: 'too much waits for a part of the core' })
    return false
  }

  /** Resolves when topics of that kind can be opened; `undefined` where they can. */
  #need(kind: number): Promise<void> | undefined {
    return kind === KIND_PLAIN ? undefined : this.#device?.need(kind === KIND_DOC ? 'documents' : 'objects')
  }

  /** What a page says of a topic is heard in the order in which it says it; of others, meanwhile. */
  #wait(session: Session, message: Extract<ToHub, { t: 'open' }>, loading: Promise<void>, behind: Said[] = [message]): void {
    session.behind.set(message.id, behind)
    const isOver = (): boolean => this.#isEnded || session.end === 'anew' || session.behind.get(message.id) !== behind
    const go = (): void => {
      if (isOver()) return
      session.behind.delete(message.id)
      for (const next of behind) {
        try {
          this.#take(session, next)
        } catch (cause) {
          // Anybody of this origin may have said it under that name, and what stands behind it makes sense.
          session.post({ t: 'problem', code: 'LK_ERR_INVALID', detail: String(cause), isFatal: false })
        }
      }
      if (session.end === 'gone') this.#leave(session)
    }
    loading.then(() => {
      if (isOver()) return
      for (const other of this.#sessions.values()) this.#tellParts(other)
      go()
    }, (cause: unknown) => {
      if (isOver()) return
      const { code, message: detail } = cause instanceof LaniakeaError ? cause : new LaniakeaError('LK_ERR_NOT_FOUND', String(cause))
      // A page that wants it for the first time has it already, or was told so. Others were in the topic, and are when there is a network.
      if (code === 'LK_ERR_NOT_FOUND' && session.end === undefined) {
        setTimeout(() => {
          if (isOver()) return
          const again = this.#need(message.kind)
          if (again === undefined) go()
          else this.#wait(session, message, again, behind)
        }, AGAIN_MS)
        return
      }
      behind.length = 0
      go()
      session.post({ t: 'failed', id: message.id, code, detail })
    })
  }

  #handle(session: Session, message: Said): void {
    switch (message.t) {
      case 'bye': return this.#leave(session)
      case 'token': return this.#takeToken(message.token, message.life)
      case 'capabilities': return this.#device?.setCapabilities(message.capabilities)
      case 'wake': return this.wake()
      case 'offline':
        session.wantsOffline = message.isOffline
        return this.#noteOffline()
      case 'open': return this.#open(session, message)
    }
    const member = session.members.get(message.id)
    if (member === undefined) return
    const { topic } = member
    switch (message.t) {
      case 'change': return this.#change(member, message.n, message.parts, message.waits)
      case 'close': return this.#quit(member)
      case 'push': return this.#push(member, message.ref, message.event, message.payload)
      case 'presence': return this.#showPresence(member, message.key, message.meta)
      case 'awareness': return this.#showAwareness(member, message.update)
      case 'retry': return this.#device?.step(topic.name, (core) => core.retry(topic.handle))
      case 'anew': return this.#startAnew(topic)
    }
  }

  // ---- lives ----

  #greet(name: string, { capabilities, isOffline }: Extract<ToHub, { t: 'hello' }>, post: (message: ToPage) => void): void {
    const known = this.#sessions.get(name)
    if (known !== undefined) {
      known.end = 'anew'
      this.#leave(known)
    }
    const session: Session = { name, post, members: new Map(), wantsOffline: isOffline, behind: new Map(), end: undefined }
    this.#sessions.set(name, session)
    this.#noteOffline()
    if (this.#sessions.size === 1) this.#device?.setCapabilities(capabilities)
    void this.#options.whenGone?.(name).then(() => {
      if (this.#sessions.get(name) === session) this.#leave(session)
    })
    if (this.#device?.isReady) this.#introduce(session)
    if (this.#wantsToken) session.post({ t: 'token' })
  }

  #introduce(session: Session): void {
    const { files, filesProblem } = this.#options
    session.post({ t: 'hub', epoch: this.#epoch, device: this.#deviceName, storage: files?.kind ?? 'memory' })
    this.#tellParts(session)
    if (filesProblem) session.post({ t: 'problem', code: filesProblem.code, detail: filesProblem.message, isFatal: false })
    const status = this.#device?.status()
    if (status !== undefined) session.post({ t: 'status', status })
  }

  #tellParts({ post }: Session): void {
    const { loaded } = this.#options
    if (loaded.size > 0) post({ t: 'parts', parts: [...loaded.keys()] })
  }

  /** A core is there, and has nothing open: the pages say what they have. */
  #begin(): void {
    this.#epoch = `${this.#deviceName} ${Math.random().toString(36).slice(2)} ${++this.#life}`
    this.#topics.clear()
    this.#byHandle.clear()
    for (const session of this.#sessions.values()) {
      session.members.clear()
      this.#introduce(session)
    }
  }

  #leave(session: Session): void {
    session.end ??= 'gone'
    if (this.#sessions.get(session.name) === session) this.#sessions.delete(session.name)
    for (const member of [...session.members.values()]) this.#quit(member)
    this.#noteOffline()
    // Who was asked for a token may be the one that is gone.
    if (this.#wantsToken) this.#askToken()
  }

  /** There is a connection unless one of the pages wants none. */
  #noteOffline(): void {
    if (!this.#isEnded) this.#device?.setOffline([...this.#sessions.values()].some(({ wantsOffline }) => wantsOffline))
  }

  #onProblem(error: LaniakeaError, isFatal: boolean): void {
    for (const { post } of this.#sessions.values()) post({ t: 'problem', code: error.code, detail: error.message, isFatal: false })
    if (!isFatal) return
    this.#isEnded = true
    this.#options.onEnd(error)
  }

  // ---- tokens ----

  #askToken(): void {
    this.#wantsToken = true
    for (const { post } of this.#sessions.values()) return post({ t: 'token' })
  }

  #takeToken(token: string | undefined, life: number): void {
    this.#wantsToken = false
    this.#device?.setToken(token, life)
  }

  // ---- topics ----

  #open(session: Session, { id, topic: name, kind, isKept, seat, version }: Extract<ToHub, { t: 'open' }>): void {
    const device = this.#device
    if (device === undefined || !device.isReady) return // there will be another life
    const fail = (error: LaniakeaError): void => session.post({ t: 'failed', id, code: error.code, detail: error.message })
    try {
      const topic = this.#topics.get(name) ?? this.#openTopic(device, name, kind, isKept)
      if (topic === undefined) return
      if (topic.kind !== kind) return fail(new LaniakeaError('LK_ERR_TYPE', `${name} is open as another type`))
      if (isKept && !topic.isKept) this.#keep(device, topic)
      const member: Member = { session, id, topic, seat, saving: [], acking: [], waiting: 0, hearsPresence: false, shows: new Map() }
      // First of all, or the topic would end with those who go.
      topic.members.add(member)
      const old = session.members.get(id)
      if (old !== undefined) this.#quit(old)
      if (seat !== undefined) this.#unseat(member, seat)
      session.members.set(id, member)
      const bytes = kind === KIND_PLAIN ? NOTHING : device.step(name, (core) => core.since(topic.handle, version))
      const known = kind === KIND_PLAIN ? NOTHING : device.step(name, (core) => core.version(topic.handle))
      if (bytes === undefined || known === undefined) return
      const report = device.topicStatus(topic.handle)
      if (report === undefined) return
      session.post({ t: 'opened', id, bytes, version: known, series: report.kept ? report.series : undefined })
      this.#noteTopic(topic)
      if (topic.status !== undefined) session.post({ t: 'topic', id, status: topic.status })
      const everybody = topic.awareness.everybody()
      if (everybody !== undefined) session.post({ t: 'awareness', id, update: everybody })
    } catch (cause) {
      if (!(cause instanceof LaniakeaError)) throw cause
      const member = session.members.get(id)
      if (member !== undefined) this.#quit(member)
      fail(cause)
    }
  }

  #openTopic(device: Device, name: string, kind: number, isKept: boolean): Topic | undefined {
    const handle = device.open(kind, name, isKept)
    if (handle === undefined) return undefined
    const topic: Topic = {
      name, kind, handle, isKept, holds: 1, members: new Set(), waiting: [], pushes: new Map(), status: undefined, hearsPresence: false, presence: new PresenceTable(),
      shown: new Map(), awareness: new AwarenessTable(),
    }
    this.#topics.set(name, topic)
    this.#byHandle.set(handle, topic)
    return topic
  }

  /** Who came first did not want it kept, and who comes now does. */
  #keep(device: Device, topic: Topic): void {
    if (device.open(topic.kind, topic.name, true) === undefined) return
    topic.isKept = true
    topic.holds++
  }

  /** Who had that seat before is gone, whatever else we know of it. */
  #unseat(next: Member, seat: string): void {
    for (const member of [...next.topic.members]) if (member !== next && member.seat === seat) this.#quit(member)
  }

  #quit(member: Member): void {
    const { session, topic } = member
    session.members.delete(member.id)
    if (!topic.members.delete(member)) return
    for (const [ref, push] of topic.pushes) if (push.member === member) topic.pushes.delete(ref)
    this.#tidyPresence(topic)
    this.#tellAwareness(topic, topic.awareness.drop(session), undefined)
    if (topic.members.size > 0) return
    this.#topics.delete(topic.name)
    this.#byHandle.delete(topic.handle)
    for (; topic.holds > 0; topic.holds--) this.#device?.step(topic.name, (core) => core.close(topic.handle))
  }

  #startAnew(topic: Topic): void {
    // What is dropped counts as acknowledged in the core, and is not: nobody is to be told so.
    const waited = [...topic.members].map((member) => ({ member, saving: member.saving.splice(0), acking: member.acking.splice(0) }))
    try {
      this.#device?.step(topic.name, (core) => core.startAnew(topic.handle))
    } catch (cause) {
      for (const { member, saving, acking } of waited) Object.assign(member, { saving, acking })
      throw cause
    }
    topic.waiting = []
    // What they say from now on is of the replica that is gone, until they open the topic again.
    for (const { session, id } of topic.members) {
      session.members.delete(id)
      session.post({ t: 'reset', id })
    }
    topic.members.clear()
  }

  #onTopic(handle: number, body: (topic: Topic) => void): void {
    const topic = this.#byHandle.get(handle)
    if (topic !== undefined) body(topic)
  }

  // ---- changes ----

  #change(member: Member, n: number, parts: readonly Bytes[], waits: boolean): void {
    const { topic } = member
    let number = 0
    const merged = this.#device?.step(topic.name, (core) => {
      for (const part of parts) number = Math.max(number, core.merge(topic.handle, part, waits))
      return true
    })
    if (merged === undefined) return // the next life hears of it again
    // What is not new may still be on its way: from the diary, from a page that heard of it, from an earlier life of this page.
    const reached = number > 0 ? number : (this.#device?.topicStatus(topic.handle)?.changes ?? 0)
    add(member.saving, n, reached)
    add(member.acking, n, reached)
    if (number > 0 && topic.members.size > 1) {
      if (waits || member.waiting > 0) {
        topic.waiting.push({ number, from: member, parts })
        member.waiting++
      } else this.#tellOthers(member, parts)
    }
    this.#noteTopic(topic)
    if (topic.status?.kept === false) member.session.post({ t: 'taken', id: member.id, n })
  }

  #tellOthers(from: Member, parts: readonly Bytes[]): void {
    for (const member of from.topic.members) {
      if (member !== from) for (const bytes of parts) member.session.post({ t: 'news', id: member.id, bytes })
    }
  }

  #tellNews(topic: Topic, bytes: Bytes): void {
    const told = bytes.length > 0 ? bytes : this.#device?.step(topic.name, (core) => core.since(topic.handle, NOTHING))
    if (told === undefined) return
    for (const { session, id } of topic.members) session.post({ t: 'news', id, bytes: told })
  }

  /** What has become of changes, and what else is new. */
  #noteTopic(topic: Topic): void {
    const status = this.#device?.topicStatus(topic.handle)
    if (status === undefined) return
    const before = topic.status
    topic.status = status
    const { recorded, acknowledged } = status
    // Where nothing is recorded, or not now, the server is what a change outlives the page by.
    const safe = status.kept ? recorded : acknowledged
    while (topic.waiting[0] !== undefined && topic.waiting[0].number <= safe) {
      const { from, parts } = topic.waiting.shift() as (typeof topic.waiting)[number]
      from.waiting--
      this.#tellOthers(from, parts)
    }
    const isNew = before === undefined || Object.entries(status).some(([name, value]) => before[name as keyof TopicReport] !== value)
    const isLost = before?.kept === true && !status.kept
    for (const member of topic.members) {
      const { session, id } = member
      const waited = member.saving.at(-1)
      if (isLost) session.post({ t: 'unkept', id })
      if (isLost && waited !== undefined) session.post({ t: 'taken', id, n: waited.n })
      const saved = settle(member.saving, safe)
      if (saved !== undefined) session.post({ t: 'saved', id, n: saved })
      const acked = settle(member.acking, acknowledged)
      if (acked !== undefined) session.post({ t: 'acked', id, n: acked })
      if (isNew) session.post({ t: 'topic', id, status })
    }
    if (status.state !== before?.state) this.#noteState(topic, status.state === 'joined')
  }

  #noteState(topic: Topic, isJoined: boolean): void {
    if (isJoined) {
      for (const [key, meta] of topic.shown) this.#pushQuietly(topic, 'presence.track', `{"key":${JSON.stringify(key)},"meta":${meta}}`)
      this.#sayWhoIsHere(topic)
      return
    }
    for (const { member, ref } of topic.pushes.values()) {
      member.session.post({ t: 'reply', id: member.id, ref, status: 'error', payload: { reason: 'offline' } })
    }
    topic.pushes.clear()
    this.#tellAwareness(topic, topic.awareness.drop(undefined), undefined)
  }

  /** At the end of the turn: once for all that happened in it. */
  #noteStatus(): void {
    if (this.#statusIsDue) return
    this.#statusIsDue = true
    queueMicrotask(() => {
      this.#statusIsDue = false
      for (const topic of this.#topics.values()) {
        const isWaited = topic.waiting.length > 0 || [...topic.members].some(({ saving }) => saving.length > 0)
        if (isWaited) this.#noteTopic(topic)
      }
      const status = this.#device?.status()
      const text = JSON.stringify(status)
      if (status === undefined || text === this.#status) return
      this.#status = text
      for (const { post } of this.#sessions.values()) post({ t: 'status', status })
    })
  }

  // ---- messages ----

  #push(member: Member, ref: number, event: string, payload: string | Bytes): void {
    const { topic, session, id } = member
    const number = this.#device?.step(topic.name, (core) => core.push(topic.handle, event, payload))
    if (number === undefined) return session.post({ t: 'reply', id, ref, status: 'error', payload: { reason: 'offline' } })
    topic.pushes.set(number, { member, ref })
    // The server tells other connections, and of this one no page but us.
    if (topic.kind !== KIND_PLAIN || !topic.name.startsWith('relay:')) return
    const told = typeof payload === 'string' ? (JSON.parse(payload) as Json) : payload
    for (const other of topic.members) if (other !== member) other.session.post({ t: 'message', id: other.id, event, payload: told })
  }

  #pushQuietly(topic: Topic, event: string, payload: string | Bytes): void {
    this.#device?.step(topic.name, (core) => core.push(topic.handle, event, payload))
  }

  #answer(topic: Topic, number: number, status: string, payload: Json | Bytes): void {
    const push = topic.pushes.get(number)
    if (push === undefined) return
    topic.pushes.delete(number)
    push.member.session.post({ t: 'reply', id: push.member.id, ref: push.ref, status, payload })
  }

  #hear(topic: Topic, event: string, payload: Json | Bytes): void {
    if (event === AWARENESS && payload instanceof Uint8Array) {
      // News of nobody are a question: a server that has lost what was shown asks who is there.
      if (payload.length === 1 && payload[0] === 0) return this.#sayWhoIsHere(topic)
      try {
        topic.awareness.take(payload, undefined)
      } catch {
        return
      }
      return this.#tellAwareness(topic, payload, undefined, true)
    }
    const isDiff = event === PRESENCE_DIFF
    if (isDiff || event === PRESENCE_STATE) {
      if (isDiff) topic.presence.apply(payload as Json)
      else topic.presence.replace(payload as Json)
      for (const { session, id, hearsPresence } of topic.members) if (hearsPresence) session.post({ t: 'presence', id, isDiff, payload: payload as Json })
      return
    }
    for (const { session, id } of topic.members) session.post({ t: 'message', id, event, payload })
  }

  // ---- presence and awareness ----

  #showPresence(member: Member, key: string | undefined, meta: Json | undefined): void {
    const { topic, session, id } = member
    if (!member.hearsPresence) {
      member.hearsPresence = true
      if (topic.hearsPresence) session.post({ t: 'presence', id, isDiff: false, payload: topic.presence.state as unknown as Json })
      else {
        topic.hearsPresence = true
        this.#device?.step(topic.name, (core) => core.hearPresence(topic.handle))
      }
    }
    if (key === undefined) return
    if (meta === undefined) member.shows.delete(key)
    else member.shows.set(key, meta)
    this.#tidyPresence(topic)
  }

  /** Of several pages that show themselves under one key, the one that said so last is seen. */
  #tidyPresence(topic: Topic): void {
    const wanted = new Map<string, string>()
    for (const { shows } of topic.members) for (const [key, meta] of shows) wanted.set(key, JSON.stringify(meta))
    const isJoined = topic.status?.state === 'joined'
    for (const key of [...topic.shown.keys()]) {
      if (wanted.has(key)) continue
      topic.shown.delete(key)
      if (isJoined) this.#pushQuietly(topic, 'presence.untrack', JSON.stringify({ key }))
    }
    for (const [key, meta] of wanted) {
      const before = topic.shown.get(key)
      if (before === meta) continue
      topic.shown.set(key, meta)
      if (isJoined) this.#pushQuietly(topic, before === undefined ? 'presence.track' : 'presence.update', `{"key":${JSON.stringify(key)},"meta":${meta}}`)
    }
  }

  #sayWhoIsHere(topic: Topic): void {
    const own = topic.awareness.own()
    if (own !== undefined) this.#pushQuietly(topic, AWARENESS, own)
  }

  #showAwareness(member: Member, update: Bytes): void {
    const { topic, session } = member
    if (topic.kind !== KIND_DOC) return
    try {
      topic.awareness.take(update, session)
    } catch {
      throw new LaniakeaError('LK_ERR_INVALID', 'no update of awareness')
    }
    this.#tellAwareness(topic, update, member)
  }

  /** To all but `from`; to the server, too, unless it said so itself. */
  #tellAwareness(topic: Topic, update: Bytes | undefined, from: Member | undefined, isServer = false): void {
    if (update === undefined) return
    for (const member of topic.members) if (member !== from) member.session.post({ t: 'awareness', id: member.id, update })
    if (!isServer && topic.status?.state === 'joined') this.#pushQuietly(topic, AWARENESS, update)
  }
}

/** As many are told apart; those behind them are told of together. */
const CHANGES_MAX = 1024

function add(changes: { readonly n: number; readonly number: number }[], n: number, number: number): void {
  if (changes.length >= CHANGES_MAX) changes.pop()
  changes.push({ n, number })
}

/** Takes those up to `number` from `changes`; the last one's n. */
function settle(changes: { readonly n: number; readonly number: number }[], number: number): number | undefined {
  let n: number | undefined
  while (changes[0] !== undefined && changes[0].number <= number) n = changes.shift()?.n
  return n
}
