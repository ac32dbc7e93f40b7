// A page's way to a hub: its own one, or that of the tab that leads.
//
//   waiting ──lock granted──> leading: a hub of our own, in a worker        ──ended──> again, a few times
//      │ <──it cannot be: another tab may───
//      └─ meanwhile: following, by BroadcastChannel, where another tab leads
//
// Tabs of one origin and one store ask for one lock, and who gets it leads until its page is gone. Whoever waits for the lock is
// next, at once, and has a worker ready for that.
//
// Where there are no locks, or they are refused, or there are no other tabs, each page is alone with a hub of its own.
//
// Where the tab that leads is of another version, as one that was left open while the application was replaced, each of us passes: with
// a hub of its own that keeps nothing, until a tab of this version leads. Nobody else's diary is touched, since that takes the lock.
import type { Part } from '../core.ts'
import { LaniakeaError } from '../errors.ts'
import type { FromWorker, HubHost, HubPlatform, ToWorker } from './hub_host.ts'
import { PROTOCOL, channelName, hubLock, isEnvelope, pageLock, type Capabilities, type Envelope, type HubStart, type ToHub, type ToPage } from './protocol.ts'

export interface HubLinkOptions {
  readonly start: Omit<HubStart, 'lock' | 'v' | 'isAlone'>
  readonly session: string
  readonly capabilities: () => Capabilities
  readonly isOffline: () => boolean
  /** `undefined`: the hub runs in this thread. */
  readonly createWorker: (() => Worker) | undefined
  readonly platform: HubPlatform
  readonly onMessage: (message: ToPage) => void
  /** The hub that there was is gone. */
  readonly onLost: () => void
  /** What a hub that keeps nothing has, and nobody else has any more, is not with the server yet. */
  readonly mustStay: () => boolean
  readonly onProblem: (error: LaniakeaError, isFatal: boolean) => void
}

interface Runner {
  post(message: ToHub): void
  /** What is recorded stays; resolves when another one may begin. */
  end(): Promise<void>
  /** At once, as a crash would. */
  kill(): void
}

const RESTART_PERIOD_MS = 10_000
const RESTARTS_MAX = 5
const REST_MS = 30_000
const END_MS = 2_000
/** A worker is at work by then, or never. */
const START_MS = 20_000

export class HubLink {
  readonly #options: HubLinkOptions
  #runner: Runner | undefined
  /** Loaded, and at rest: when this tab has to lead, there may be nobody to load it from. */
  #spare: Worker | undefined
  #tabs: BroadcastChannel | undefined
  /** There is a hub of our own. */
  #isLeading = false
  #isAlone = false
  #isPassing = false
  /** What is to be done when passing ends. */
  #next: (() => void) | undefined
  #isEnded = false
  #restarts: number[] = []
  #rest: ReturnType<typeof setTimeout> | undefined
  #leave: () => void = () => {}
  #resign: () => void = () => {}
  readonly #left: Promise<void>

  constructor(options: HubLinkOptions) {
    this.#options = options
    this.#left = new Promise((resolve) => (this.#leave = resolve))
  }

  /** Resolves when the page has gone. */
  get left(): Promise<void> {
    return this.#left
  }

  get isLeading(): boolean {
    return this.#isLeading && !this.#isPassing
  }

  /** A tab of another version leads. */
  get isPassing(): boolean {
    return this.#isPassing
  }

  start(): void {
    const { platform, session } = this.#options
    this.#isAlone = !platform.isShared
    if (this.#isAlone) return this.#lead()
    this.#prepare()
    const { locks } = navigator
    // Before anything is said: a hub takes us for gone when it gets this lock.
    locks.request(pageLock(session), () => {
      this.#follow()
      this.#candidate()
      return this.#left
    }).catch((cause: unknown) => this.#beAlone(cause))
  }

  /** Leads as soon as nobody else does, until the page is gone or has to resign. */
  #candidate(): void {
    navigator.locks.request(hubLock(this.#options.start.scope), () => {
      if (this.#isEnded) return undefined
      const resigned = new Promise<void>((resolve) => (this.#resign = resolve))
      this.#afterPassing(() => this.#lead())
      return Promise.race([this.#left, resigned])
    }).catch((cause: unknown) => this.#beAlone(cause))
  }

  post(message: ToHub): void {
    if (this.#isEnded) return
    if (this.#isLeading) this.#runner?.post(message)
    else this.#tabs?.postMessage({ v: PROTOCOL, from: this.#options.session, m: message } satisfies Envelope)
  }

  /** For the hub of this tab, also for one that is to come. */
  give(part: Part, module: WebAssembly.Module): void {
    const { loaded } = this.#options.start
    if (loaded.has(part)) return
    loaded.set(part, module)
    if (this.#isLeading) this.#runner?.post({ t: 'part', part, module })
  }

  async end(): Promise<void> {
    if (this.#isEnded) return
    this.post({ t: 'bye' })
    this.#isEnded = true
    clearTimeout(this.#rest)
    this.#spare?.terminate()
    await this.#runner?.end()
    this.#tabs?.close()
    this.#leave()
  }

  #prepare(): void {
    try {
      const spare = this.#options.createWorker?.()
      this.#spare = spare
      if (spare !== undefined) {
        spare.onerror = (event) => {
          event.preventDefault?.()
          spare.terminate()
          if (this.#spare === spare) this.#spare = undefined
        }
      }
    } catch {
      // It is made when it is needed, and said then what is wrong.
    }
  }

  #hello(): void {
    const { capabilities, isOffline } = this.#options
    this.post({ t: 'hello', capabilities: capabilities(), isOffline: isOffline() })
  }

  // ---- following ----

  #follow(): void {
    const { start, session, onMessage } = this.#options
    const tabs = new BroadcastChannel(channelName(start.scope))
    this.#tabs = tabs
    tabs.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.isLeading || this.#isEnded || !isEnvelope(data) || data.from !== undefined || (data.to ?? session) !== session) return
      if (data.v !== PROTOCOL) return this.#pass()
      if (data.m.t === 'who' || this.#isPassing) this.#afterPassing(() => this.#join())
      else onMessage(data.m as ToPage)
    }
    this.#hello()
  }

  /** Another tab has a hub for us. */
  #join(): void {
    this.#isLeading = false
    this.#options.onLost()
    this.#hello()
  }

  // ---- beside a tab of another version ----

  #pass(): void {
    if (this.#isPassing) return
    this.#isPassing = true
    this.#options.onProblem(new LaniakeaError('LK_ERR_VERSION', 'until a tab of another version is closed, this one keeps nothing'), false)
    this.#lead()
    // The one that there was is in use now.
    this.#prepare()
  }

  #afterPassing(next: () => void): void {
    this.#next = next
    this.#endPassing()
  }

  #endPassing(): void {
    const next = this.#next
    if (next === undefined || (this.#isPassing && this.#options.mustStay())) return
    this.#next = undefined
    if (this.#isPassing) {
      this.#isPassing = false
      clearTimeout(this.#rest)
      this.#runner?.kill()
      this.#runner = undefined
    }
    next()
  }

  // ---- leading ----

  #lead(): void {
    const { createWorker, onLost } = this.#options
    this.#isLeading = true
    onLost()
    try {
      this.#runner = createWorker ? this.#inWorker(createWorker) : this.#inThisThread()
    } catch (cause) {
      if (!this.#isAlone) return this.#again(String(cause))
      // Pages without an origin have no workers either.
      this.#runner = this.#inThisThread()
    }
    this.#hello()
  }

  /** Nobody can tell which tab leads. */
  #beAlone(cause: unknown): void {
    if (this.#isEnded || this.#isLeading) return
    this.#isAlone = true
    this.#options.onProblem(new LaniakeaError('LK_ERR_PERMISSION', `this tab is alone: ${String(cause)}`), false)
    this.#lead()
  }

  /** A supervisor: what broke down is begun again, but not for ever. */
  #again(detail: string): void {
    if (this.#isEnded) return
    const { onLost, onProblem } = this.#options
    this.#runner?.kill()
    this.#runner = undefined
    onLost()
    const at = performance.now()
    this.#restarts = [...this.#restarts.filter((earlier) => earlier > at - RESTART_PERIOD_MS), at]
    const isTooOften = this.#restarts.length > RESTARTS_MAX
    onProblem(new LaniakeaError('LK_ERR_TRAP', detail), isTooOften)
    if (!isTooOften) return this.#lead()
    this.#restarts = []
    this.#rest = setTimeout(() => this.#lead(), REST_MS)
  }

  #take(runner: Runner | undefined, message: ToPage): void {
    if (runner === undefined || runner !== this.#runner) return
    if (message.t === 'problem' && message.isFatal) {
      if (message.code === 'LK_ERR_TRAP' || message.code === 'LK_ERR_STATE') return this.#again(message.detail)
      return this.#giveUp(new LaniakeaError(message.code, message.detail))
    }
    this.#options.onMessage(message)
    this.#endPassing()
  }

  /** A hub of ours would not be better the next time: one of another tab's may. */
  #giveUp(error: LaniakeaError): void {
    this.#runner?.kill()
    this.#runner = undefined
    this.#options.onLost()
    if (!this.#isAlone) {
      this.#isLeading = false
      this.#resign()
      // Who passes is a candidate all the time.
      if (!this.#isPassing) this.#rest = setTimeout(() => this.#candidate(), REST_MS)
      this.#isPassing = false
    }
    this.#options.onProblem(error, true)
  }

  #startOf(lock: string): HubStart {
    const isAlone = this.#isAlone || this.#isPassing
    return { ...this.#options.start, ...(this.#isPassing ? { storage: 'memory' } : {}), v: PROTOCOL, isAlone, lock }
  }

  /** Its part is loaded by those who have no worker. */
  #inThisThread(): Runner {
    const { platform, capabilities } = this.#options
    const start = this.#startOf('')
    let isKilled = false
    let host: HubHost | undefined
    const early: ToHub[] = []
    const runner: Runner = {
      // Later, as a worker would; what a caller hands out is not touched while it runs.
      post: (message) => queueMicrotask(() => {
        if (isKilled) return
        if (host === undefined) early.push(message)
        else host.receive(message)
      }),
      end: async () => {
        await Promise.resolve()
        isKilled = true
        await host?.end()
      },
      kill: () => {
        isKilled = true
        void host?.end()
      },
    }
    const run = async (): Promise<void> => {
      const { HubHost } = await import('./hub_host.ts')
      if (isKilled) return
      host = new HubHost(platform, (message) => queueMicrotask(() => isKilled || this.#take(runner, message)))
      for (const message of early.splice(0)) host.receive(message)
      await host.start(start, capabilities())
    }
    run().catch((cause: unknown) => {
      if (isKilled) return
      if (cause instanceof LaniakeaError) this.#giveUp(cause)
      else this.#again(String(cause))
    })
    return runner
  }

  #inWorker(createWorker: () => Worker): Runner {
    const { session, capabilities } = this.#options
    const worker = this.#spare ?? createWorker()
    this.#spare = undefined
    const lock = `laniakea worker ${session} ${Math.random().toString(36).slice(2)}`
    let ended: (() => void) | undefined
    const post = (message: ToWorker): void => worker.postMessage(message)
    const runner: Runner = {
      post: (message) => post({ t: 'm', m: message }),
      end: async () => {
        clearTimeout(late)
        await new Promise<void>((resolve) => {
          ended = resolve
          setTimeout(resolve, END_MS)
          post({ t: 'end' })
        })
        worker.terminate()
      },
      kill: () => {
        clearTimeout(late)
        worker.terminate()
      },
    }
    const broken = (detail: string): void => {
      clearTimeout(late)
      if (runner === this.#runner) this.#again(detail)
    }
    const late = setTimeout(() => broken('the worker does not answer'), START_MS)
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.t === 'ended') return ended?.()
      // When we get that lock, the worker has ended without a word.
      if (data.t === 'locked') return this.#watch(lock, () => broken('the worker ended'))
      // It is at work, or it waits for parts of the core, and those for a network: another worker would not have them sooner.
      if (data.t === 'hub' || data.t === 'parts') clearTimeout(late)
      this.#take(runner, data)
    }
    worker.onmessageerror = () => broken('a message of the worker could not be read')
    worker.onerror = (event) => {
      event.preventDefault?.()
      broken(event.message || 'the worker could not be loaded')
    }
    post({ t: 'start', start: this.#startOf(lock), capabilities: capabilities() })
    return runner
  }

  #watch(lock: string, onEnd: () => void): void {
    globalThis.navigator?.locks?.request(lock, { mode: 'shared' }, () => onEnd()).catch(() => {})
  }
}
