// One lk_client at work: its connection, its files, its clock, and its supervisor.
//
//   hub ──merge, push──> core ──news, replies──> hub
//   connection ──────────> │ ──send──> connection
//   files <──io── core <──completions── files
//
// A trap is a mistake of ours. The instance is dropped, and another one reads the diary: what was recorded is there, and what was not
// comes again from the pages, whose replicas have it. A topic in whose calls instances trapped a few times is left out of
// the next one, so that the others go on. An instance that traps too often ends the device; who made it may make another one.
import { loadPart, type Core, type Part } from '../core.ts'
import { LaniakeaError } from '../errors.ts'
import { errorTable, type ErrorCode } from '../errors.gen.ts'
import { Trap } from '../instance.ts'
import type { Json } from '../json.ts'
import { Connection, type Ways } from './connection.ts'
import { HubCore, ioKind, now, type CoreIo, type CoreNews } from './core.ts'
import { fileError, type DeviceFile, type DeviceFiles } from './files.ts'
import type { Bytes, Capabilities, HubReport, TopicReport } from './protocol.ts'

export interface DeviceOptions {
  readonly core: Core
  /** The parts of it that are there; each life begins with them. */
  readonly loaded: Map<Part, WebAssembly.Module>
  readonly ways: Ways
  readonly files: DeviceFiles | undefined
  readonly usesToken: boolean
  readonly pendingCount: number
  readonly pendingBytes: number
  readonly events: DeviceEvents
}

export interface DeviceEvents {
  /** A core is there, for the first time or again: no topic is open in it. */
  readonly onReady: () => void
  /** It will be, when these are loaded. */
  readonly onMissing: (parts: readonly Part[]) => void
  readonly onToken: () => void
  readonly onStatus: () => void
  readonly onTopicStatus: (topic: number) => void
  readonly onNews: (topic: number, bytes: Bytes) => void
  readonly onReply: (topic: number, ref: number, status: string, payload: Json | Bytes) => void
  readonly onMessage: (topic: number, event: string, payload: Json | Bytes) => void
  readonly onProblem: (error: LaniakeaError, isFatal: boolean) => void
}

const RESTART_PERIOD_MS = 10_000
const RESTARTS_MAX = 5
/** So many traps in calls about one topic, and it is left out. */
const BLAMES_MAX = 3

export class Device {
  readonly #options: DeviceOptions
  #core: HubCore | undefined
  #capabilities: Capabilities
  #isReady = false
  #isOffline = false
  #isEnded = false
  #draining = false
  #life = 0
  #restarts: number[] = []
  readonly #blames = new Map<string, number>()
  readonly #connection: Connection
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #opened = new Map<number, DeviceFile>()
  readonly #failed = new Set<number>()
  #fileLast = 0
  #storing: Promise<void> = Promise.resolve()

  constructor(options: DeviceOptions, capabilities: Capabilities) {
    this.#options = options
    this.#capabilities = capabilities
    const report = (step: (core: HubCore) => void): void => this.#tell(() => this.step(undefined, step))
    this.#connection = new Connection(options.ways, {
      onOpened: (isText) => report((core) => core.opened(isText)),
      onReceived: (data) => report((core) => core.receive(data)),
      onClosed: (code, retryAfterMs) => report((core) => core.closed(code, retryAfterMs)),
      onUnable: (detail) => options.events.onProblem(new LaniakeaError('LK_ERR_UNSUPPORTED', detail), false),
    })
  }

  get isReady(): boolean {
    return this.#isReady
  }

  async start(): Promise<void> {
    const { core: { module }, loaded, files, usesToken, pendingCount, pendingBytes } = this.#options
    const life = ++this.#life
    const core = await HubCore.open(module, loaded, { hasStorage: files !== undefined, usesToken, pendingCount, pendingBytes, capabilities: this.#capabilities })
    await core.addAll(loaded) // those that were loaded meanwhile
    if (this.#isEnded || life !== this.#life) return
    this.#core = core
    this.#connect()
  }

  /** Topics of a kind may need a part of the core that is not there yet: resolves when it is. `undefined` where nothing is missing. Rejects
   * with what loadPart() says. */
  need(part: Part): Promise<void> | undefined {
    const core = this.#core
    if (this.#options.core.parts === undefined || core === undefined || core.has(part)) return undefined
    return this.#load(part).then((module) => core.add(part, module))
  }

  async #load(part: Part): Promise<WebAssembly.Module> {
    const { core, loaded } = this.#options
    const module = loaded.get(part) ?? (await loadPart(core, part))
    loaded.set(part, module)
    return module
  }

  /** Nothing is said or stored from now on. Resolves when the files are closed. */
  async end(): Promise<void> {
    this.#isEnded = true
    this.#isReady = false
    this.#core = undefined
    this.#connection.drop()
    clearTimeout(this.#timer)
    await this.#storing
    for (const file of this.#opened.values()) await file.close()
    this.#opened.clear()
    await this.#options.files?.close()
  }

  // ---- what the hub does ----

  /** Runs `body`, which is about `topic`, and carries out what follows. `undefined` where there is no core, or not any more. Throws
   * what the core says. */
  step<T>(topic: string | undefined, body: (core: HubCore) => T): T | undefined {
    const core = this.#core
    if (core === undefined) return undefined
    try {
      const result = body(core)
      this.#drain(core)
      return result
    } catch (cause) {
      if (!(cause instanceof Trap)) {
        this.#guard(() => this.#drain(core))
        throw cause
      }
      this.#restart(cause, topic)
      return undefined
    }
  }

  /** Throws what the core says, LK_ERR_TRAP for a topic that is left out. */
  open(kind: number, name: string, isKept: boolean): number | undefined {
    if ((this.#blames.get(name) ?? 0) >= BLAMES_MAX) throw new LaniakeaError('LK_ERR_TRAP', `${name}: the core broke down in it several times`)
    return this.step(name, (core) => core.open(kind, name, isKept))
  }

  status(): HubReport | undefined {
    const status = this.step(undefined, (core) => core.status())
    return status && { ...status, transport: this.#connection.transport }
  }

  topicStatus(topic: number): TopicReport | undefined {
    return this.step(undefined, (core) => core.topicStatus(topic))
  }

  setOffline(isOffline: boolean): void {
    if (isOffline === this.#isOffline) return
    this.#isOffline = isOffline
    this.#connect()
  }

  #connect(): void {
    this.step(undefined, (core) => (this.#isOffline ? core.disconnect() : core.connect()))
  }

  setToken(token: string | undefined, life: number): void {
    if (token !== undefined) this.#connection.token = token
    this.#tell(() => this.step(undefined, (core) => (token === undefined ? core.noToken() : core.setToken(token, life))))
  }

  setCapabilities(capabilities: Capabilities): void {
    this.#capabilities = capabilities
    this.#tell(() => this.step(undefined, (core) => core.setCapabilities(capabilities)))
  }

  /** Problems that nobody waits for. */
  #tell(body: () => void): void {
    try {
      body()
    } catch (cause) {
      if (!(cause instanceof LaniakeaError)) throw cause
      this.#options.events.onProblem(cause, false)
    }
  }

  // ---- what the core wants ----

  #guard(body: () => void): void {
    try {
      body()
    } catch (cause) {
      if (!(cause instanceof Trap)) throw cause
      this.#restart(cause, undefined)
    }
  }

  /** Until there is nothing more; what the hub does meanwhile is part of it. */
  #drain(core: HubCore): void {
    if (this.#draining || core !== this.#core) return
    this.#draining = true
    try {
      for (let event = core.poll(); event !== undefined; event = core === this.#core ? core.poll() : undefined) {
        switch (event.kind) {
          case 'token': this.#options.events.onToken(); break
          case 'connect': this.#connection.open(event.token); break
          case 'send': this.#connection.send(event.data); break
          case 'hang_up': this.#connection.drop(); break
          case 'ready': this.#ready(core); break
          case 'status': event.topic === 0 ? this.#options.events.onStatus() : this.#options.events.onTopicStatus(event.topic); break
          case 'changed': break // news tells how
        }
      }
      if (core !== this.#core) return
      for (let news = core.news(); news !== undefined; news = core === this.#core ? core.news() : undefined) this.#hear(news)
      if (core !== this.#core) return
      for (let io = core.io(); io !== undefined; io = core.io()) this.#store(core, io)
    } finally {
      this.#draining = false
    }
    this.#arm(core)
  }

  #ready(core: HubCore): void {
    const { events } = this.#options
    if (core.status().storage === 'LK_ERR_UNSUPPORTED') {
      // What is kept has topics that nobody spoke of yet.
      const missing = this.#options.core.parts === undefined ? [] : core.lacks()
      if (missing.length > 0) {
        events.onMissing(missing)
        return this.#again(async () => void (await Promise.all(missing.map((part) => this.#load(part)))))
      }
      // Without it, everything would work, and nothing would be kept.
      events.onProblem(new LaniakeaError('LK_ERR_UNSUPPORTED', 'what is kept under this name has topics that this core lacks'), true)
      return void this.end()
    }
    this.#isReady = true
    events.onReady()
  }

  #hear(news: CoreNews): void {
    const { events } = this.#options
    if (news.kind === 'news') events.onNews(news.topic, news.bytes)
    else if (news.kind === 'reply') events.onReply(news.topic, news.ref, news.word, news.payload)
    else events.onMessage(news.topic, news.word, news.payload)
  }

  #arm(core: HubCore): void {
    clearTimeout(this.#timer)
    if (core !== this.#core) return
    const at = core.deadline()
    if (at === Infinity) return
    this.#timer = setTimeout(() => this.step(undefined, (core) => core.tick()), Math.max(0, Math.min(Math.ceil(at - now()), 0x7fffffff)))
  }

  // ---- the storage ----

  /** One after the other: more than the core's rules ask for, which has one under way anyhow. */
  #store(core: HubCore, io: CoreIo): void {
    this.#storing = this.#storing.then(async () => {
      let result = 0
      let done = 0
      let size = 0
      let answer: Bytes | undefined
      if (core !== this.#core) return
      try {
        const outcome = await this.#perform(io)
        if (typeof outcome === 'number') {
          if (io.kind === ioKind.size) size = outcome
          else done = outcome
        } else {
          answer = outcome
          done = answer.length
        }
      } catch (cause) {
        result = errorNumber(fileError(cause).code)
        if (io.kind === ioKind.sync) result = errorNumber('LK_ERR_SYNC')
        if (result === errorNumber('LK_ERR_SYNC')) this.#failed.add(io.file)
      }
      if (core !== this.#core) return
      this.step(undefined, (core) => {
        if (answer !== undefined) core.memory(io.into, answer.length).set(answer)
        core.ioDone(io.number, result, done, size)
      })
    })
  }

  async #perform(io: CoreIo): Promise<number | Bytes> {
    const { files } = this.#options
    if (files === undefined) throw new LaniakeaError('LK_ERR_UNSUPPORTED')
    const name = (): string => new TextDecoder().decode(io.bytes)
    switch (io.kind) {
      case ioKind.open: {
        const file = await files.open(name(), io.create)
        if (file === undefined) throw new LaniakeaError('LK_ERR_NOT_FOUND')
        this.#opened.set(++this.#fileLast, file)
        return this.#fileLast
      }
      case ioKind.remove:
        if (!(await files.remove(name()))) throw new LaniakeaError('LK_ERR_NOT_FOUND')
        return 0
      case ioKind.list: return namesOf(await files.list(), name(), io.room)
      case ioKind.read: case ioKind.write: case ioKind.sync: case ioKind.truncate: case ioKind.size: case ioKind.close: return this.#onFile(io)
      default: throw new LaniakeaError('LK_ERR_UNSUPPORTED')
    }
  }

  async #onFile(io: CoreIo): Promise<number | Bytes> {
    const file = this.#opened.get(io.file)
    if (file === undefined) throw new LaniakeaError('LK_ERR_INVALID')
    if (io.kind === ioKind.close) {
      this.#opened.delete(io.file)
      this.#failed.delete(io.file)
      await file.close()
      return 0
    }
    if (this.#failed.has(io.file)) throw new LaniakeaError('LK_ERR_SYNC')
    switch (io.kind) {
      case ioKind.read: return file.read(io.at, io.room)
      case ioKind.write:
        await file.write(io.at, io.bytes)
        return io.bytes.length
      case ioKind.sync:
        await file.sync()
        return 0
      case ioKind.truncate:
        await file.truncate(io.at)
        return 0
      default: return file.size()
    }
  }

  // ---- the supervisor ----

  #restart(trap: Trap, topic: string | undefined): void {
    const { events } = this.#options
    const at = now()
    this.#leave()
    if (topic !== undefined) this.#blames.set(topic, (this.#blames.get(topic) ?? 0) + 1)
    this.#restarts = [...this.#restarts.filter((earlier) => earlier > at - RESTART_PERIOD_MS), at]
    const isFatal = this.#restarts.length > RESTARTS_MAX
    events.onProblem(new LaniakeaError('LK_ERR_TRAP', trap.message), isFatal)
    if (isFatal) return void this.end()
    this.#again(() => {})
  }

  /** The core is no more. */
  #leave(): void {
    this.#core = undefined
    this.#isReady = false
    this.#life++
    this.#connection.drop()
    clearTimeout(this.#timer)
  }

  /** Another core in its place, when `before` is done. */
  #again(before: () => void | Promise<void>): void {
    const { events } = this.#options
    this.#leave()
    // The files that the lost core had open are nobody's.
    this.#storing = this.#storing.then(async () => {
      for (const file of this.#opened.values()) await file.close()
      this.#opened.clear()
      this.#failed.clear()
    })
    // Who ends this device does not wait for what comes over a network.
    void this.#storing.then(async () => {
      try {
        if (!this.#isEnded) await before()
        if (!this.#isEnded) await this.start()
      } catch (cause) {
        if (!this.#isEnded) events.onProblem(cause instanceof LaniakeaError ? cause : new LaniakeaError('LK_ERR_STATE', String(cause)), true)
      }
    })
  }
}

const numbers = new Map<string, number>(Object.entries(errorTable).map(([number, { code }]) => [code, Number(number)]))

function errorNumber(code: ErrorCode): number {
  return numbers.get(code) ?? numbers.get('LK_ERR_IO') ?? 1
}

/** In ascending order, a newline behind each, as many as fit. */
function namesOf(names: readonly string[], behind: string, room: number): Bytes {
  const text = names.filter((name) => name > behind && /^[\w-][\w.-]*$/.test(name)).sort()
  let length = 0
  let count = 0
  while (count < text.length && length + (text[count] as string).length + 1 <= room) length += (text[count++] as string).length + 1
  return new TextEncoder().encode(text.slice(0, count).map((name) => `${name}\n`).join(''))
}

