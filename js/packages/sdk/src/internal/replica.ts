// One replica at work: the machine in WebAssembly, its connection, its saved state, and its supervisor.
//
//                    increments, messages, time
//   page, socket ──────────────────────────────> machine ──> open, send, close, changed
//                                                               │
//                 storage <── state, when it changed ───────────┤
//                 socket  <── what the saved state covers ──────┘
//
// Always:
//   - Nothing is sent that is not saved. After each change the state is copied and gets a version; a
//     message carries the version at its time and waits until that is saved. Otherwise a replica
//     could come back with an older count than the server has of it, and count on from there.
//   - One save is under way at a time; changes meanwhile go into the next.
//   - A trap loses nothing that was counted before it: the instance is dropped and a new one made from the
//     latest copy. What trapped is tried once more if it came from the user (the trap may have been due to
//     what came before), and never if it came from the network.
//
// A server whose messages make the machine trap is given up for a while after a few times: the
// user goes on counting offline. Traps beyond that end the engine.
import { LaniakeaError } from './errors.ts'
import { Machine, type Core } from './core.ts'
import { Trap } from './instance.ts'
import type { ReplicaHold } from './storage.ts'
import type { Status } from './protocol.ts'

/** The part of a WebSocket that is used, so that a test can be one. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null
  onmessage: ((event: MessageEvent) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(text: string): void
  close(): void
}

export interface ReplicaOptions {
  readonly core: Core
  readonly topic: string
  readonly hold: ReplicaHold
  readonly session: string
  readonly connect: () => WebSocketLike
  readonly onChange: () => void
  readonly onProblem: (error: LaniakeaError, fatal: boolean) => void
}

const RESTART_PERIOD_MS = 10_000
const RESTARTS_MAX = 5
const QUARANTINE_MS = 30_000
const SAVE_RETRY_MS = 1_000

const now = (): number => Math.floor(performance.now())

export class Replica {
  readonly #options: ReplicaOptions
  #machine: Machine
  #state: Uint8Array<ArrayBuffer>
  #version = 0
  #versionSaved = 0
  #saving: Promise<void> | undefined
  #ending: Promise<void> | undefined
  #socket: WebSocketLike | undefined
  #waiting: { readonly version: number; readonly text: string }[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #restarts: number[] = []
  #quietUntil = 0
  #closed = false
  #seen = ''

  value = 0n
  pending = 0n
  status: Status = 'offline'
  applied: number
  durable: number

  /** Throws a LaniakeaError or a Trap where the core cannot make anything of the saved state. */
  constructor(options: ReplicaOptions) {
    this.#options = options
    const { record } = options.hold
    this.#state = record?.state ?? new Uint8Array()
    this.applied = record?.session === options.session ? record.applied : 0
    this.durable = this.applied
    this.#machine = this.#create()
    this.#drain()
  }

  get actor(): string {
    return this.#options.hold.actor
  }

  /** Throws what the core says to the amount; the value has changed otherwise. */
  increment(seq: number, amount: bigint): void {
    if (seq <= this.applied) return
    const { applied } = this
    const step = (machine: Machine): void => machine.increment(amount, now())
    this.applied = seq // what is saved from here on says so
    try {
      if (!this.#step(step) && !this.#step(step)) throw new LaniakeaError('LK_ERR_TRAP')
    } catch (cause) {
      this.applied = applied
      throw cause
    }
  }

  wake(): void {
    this.#step((machine) => machine.wake(now()))
  }

  /** Resolves when everything is saved; the replica then belongs to nobody. */
  close(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  /** Once: what was released may be held by another by now. */
  async #end(): Promise<void> {
    this.#stop()
    await this.#saving
    this.#options.hold.release()
  }

  /** For a replica that the server has all of. */
  async remove(): Promise<void> {
    this.#stop()
    await this.#saving
    await this.#options.hold.remove()
    this.#options.hold.release()
  }

  // ---- the machine and its supervisor ----

  #create(): Machine {
    const entropy = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n
    const { core, topic, hold } = this.#options
    return new Machine(core, { topic, actor: hold.actor, restored: this.#state, entropy, now: now() })
  }

  /** False where the machine trapped and what the step did is lost: the machine is then a new one. */
  #step(step: (machine: Machine) => void): boolean {
    if (this.#closed) return true
    const before = this.#version
    try {
      step(this.#machine)
      this.#drain()
      return true
    } catch (cause) {
      if (!(cause instanceof Trap)) throw cause
      const kept = this.#version !== before // the latest copy was made between the step and the trap
      this.#restart(cause)
      return kept
    }
  }

  #restart(trap: Trap): void {
    const at = now()
    this.#dropSocket()
    this.#restarts = [...this.#restarts.filter((earlier) => earlier > at - RESTART_PERIOD_MS), at]
    const count = this.#restarts.length
    if (count > RESTARTS_MAX) this.#quietUntil = at + QUARANTINE_MS
    const fatal = count > 2 * RESTARTS_MAX
    this.#options.onProblem(new LaniakeaError('LK_ERR_TRAP', trap.message), fatal)
    if (fatal) return void this.close() // who comes next may count on from here
    try {
      this.#machine = this.#create()
      this.#drain()
    } catch (cause) {
      if (cause instanceof Trap) return this.#restart(cause)
      throw cause
    }
  }

  #stop(): void {
    this.#closed = true
    this.#dropSocket()
    clearTimeout(this.#timer)
  }

  /** Does what the machine wants, and looks at what has become of it. */
  #drain(): void {
    let changed = false
    const texts: string[] = []
    for (let event = this.#machine.poll(); event !== undefined; event = this.#machine.poll()) {
      if (event.kind === 'send') texts.push(event.text)
      else if (event.kind === 'changed') changed = true
      else {
        if (event.kind === 'open') this.#openSocket()
        else this.#dropSocket()
        texts.length = 0 // what was to be sent before belongs to another connection
      }
    }
    if (changed) this.#touch()
    for (const text of texts) this.#waiting.push({ version: this.#version, text })
    this.value = this.#machine.value()
    this.pending = this.#machine.pending()
    this.status = this.#machine.status()
    this.#flush()
    this.#arm()
    this.#report()
  }

  #report(): void {
    const seen = `${this.value} ${this.pending} ${this.status} ${this.applied} ${this.durable}`
    if (seen === this.#seen) return
    this.#seen = seen
    this.#options.onChange()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const at = this.#machine.deadline()
    if (this.#closed || at === Infinity) return
    // A timer may be early by a rounding; then it is armed again.
    this.#timer = setTimeout(() => this.#step((machine) => machine.tick(now())), Math.max(0, Math.min(at - now(), 0x7fffffff)))
  }

  // ---- saving ----

  /** The state is another than it was: it gets a version, and is saved. */
  #touch(): void {
    const state = this.#machine.save()
    this.#state = state
    this.#version++
    this.#saving ??= this.#saveAll()
  }

  async #saveAll(): Promise<void> {
    try {
      while (this.#versionSaved < this.#version) {
        // Changes of the same turn go into one record.
        await Promise.resolve()
        if (!(await this.#saveOne())) return
      }
    } finally {
      // In the turn of the last look: a change a moment later must find that nobody saves any more.
      this.#saving = undefined
    }
  }

  /** False where the state could not be saved and nobody waits for another try. */
  async #saveOne(): Promise<boolean> {
    const { applied } = this
    const version = this.#version
    const record = { state: this.#state, session: this.#options.session, applied, pending: this.pending > 0n }
    try {
      await this.#options.hold.save(record)
    } catch (cause) {
      const error = cause instanceof LaniakeaError ? cause : new LaniakeaError('LK_ERR_IO', String(cause))
      this.#options.onProblem(error, false)
      if (this.#closed) return false
      await new Promise((resolve) => setTimeout(resolve, SAVE_RETRY_MS))
      return true
    }
    this.#versionSaved = version
    this.durable = applied
    this.#flush()
    this.#report()
    return true
  }

  // ---- the connection ----

  #openSocket(): void {
    this.#dropSocket()
    if (now() < this.#quietUntil) return this.#later((machine) => machine.closed(now()))
    let socket: WebSocketLike
    try {
      socket = this.#options.connect()
    } catch {
      return this.#later((machine) => machine.closed(now()))
    }
    this.#socket = socket
    const ours = (step: (machine: Machine) => void): void => {
      if (this.#socket === socket) this.#step(step)
    }
    socket.onopen = () => ours((machine) => machine.opened(now()))
    socket.onmessage = (event) => ours((machine) => this.#receive(machine, event.data))
    // Node's WebSocket now and then tells of an error and of no close behind it.
    socket.onclose = socket.onerror = () => {
      if (this.#socket !== socket) return
      this.#dropSocket()
      this.#step((machine) => machine.closed(now()))
    }
  }

  /** Not from inside of drain(), which is in the middle of the machine's events. */
  #later(step: (machine: Machine) => void): void {
    queueMicrotask(() => this.#step(step))
  }

  #receive(machine: Machine, data: unknown): void {
    if (typeof data !== 'string') return // binary messages are for other kinds of topics
    try {
      machine.receive(data, now())
    } catch (cause) {
      if (!(cause instanceof LaniakeaError)) throw cause
      this.#options.onProblem(cause, false)
    }
  }

  #flush(): void {
    while (this.#socket !== undefined && this.#waiting[0] !== undefined && this.#waiting[0].version <= this.#versionSaved) {
      this.#socket.send(this.#waiting[0].text)
      this.#waiting.shift()
    }
  }

  #dropSocket(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#waiting = []
    if (socket === undefined) return
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null
    socket.close()
  }
}
