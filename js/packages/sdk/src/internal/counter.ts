// The page's side of a counter: what the engine said last, and the increments that it has not seen yet.
//
// The value changes in the call that changes it, although the engine lives in another thread: increments
// that are on their way to it are added on top of what it said. Each carries a number, and the
// engine says up to which number it has applied them, so one is never in the sum twice, also when an
// engine had to be replaced and gets those again whose fate is unknown.
import { LaniakeaError } from './errors.ts'
import type { EngineFactory, EngineLink, FromEngine, Start, StateMessage, Status } from './protocol.ts'

/** What can be seen of a counter at one moment. */
export interface CounterState {
  /** The sum of everything that is known here. */
  readonly value: bigint
  /** How much was counted here that the server does not have yet. */
  readonly pending: bigint
  readonly status: Status
}

/** A counter that any number of replicas increment at once, with or without a server. */
export interface Counter extends CounterState, AsyncDisposable {
  readonly topic: string
  /** The three of above as one value, the same one until something changes. */
  readonly state: CounterState

  /** Counts. The value has changed when the call returns, whether or not there is a server. The
   * promise resolves when the change would outlive the page (how long it takes to reach the server is
   * `pending`'s business). It rejects with LK_ERR_RANGE for anything but a positive integer,
   * LK_ERR_OVERFLOW beyond 64 bits, LK_ERR_CLOSED: nothing is counted then. */
  increment(amount?: number | bigint): Promise<void>

  /** Calls `listener` after every change, until the function that it returns is called. */
  subscribe(listener: (state: CounterState) => void): () => void

  /** Saves what is not saved and gives everything back. Also by `await using`. */
  close(): Promise<void>
}

interface Unsettled {
  readonly seq: number
  readonly amount: bigint
  readonly settle: (error?: LaniakeaError) => void
}

const RESTART_PERIOD_MS = 10_000
const RESTARTS_MAX = 3

export interface CounterParts {
  readonly start: Omit<Start, 'kind' | 'session' | 'resume'>
  readonly createEngine: EngineFactory
  readonly onError: (error: LaniakeaError) => void
}

export class EngineCounter implements Counter {
  readonly #parts: CounterParts
  readonly #session: string = crypto.randomUUID?.() ?? String(Math.random())
  readonly #listeners = new Set<(state: CounterState) => void>()
  readonly #ready: Promise<void>
  #settleReady: ((error?: LaniakeaError) => void) | undefined
  #engine: EngineLink
  #said: StateMessage | undefined
  #unsettled: Unsettled[] = []
  #seq = 0
  #restarts: number[] = []
  #closing: Promise<void> | undefined
  #onClosed: (() => void) | undefined
  #failure: LaniakeaError | undefined
  #state: CounterState = { value: 0n, pending: 0n, status: 'offline' }

  constructor(parts: CounterParts) {
    this.#parts = parts
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => (error ? reject(error) : resolve())
    })
    this.#engine = this.#startEngine()
  }

  /** Resolves when the replica is there. */
  ready(): Promise<void> {
    return this.#ready
  }

  get topic(): string {
    return this.#parts.start.topic
  }
  get state(): CounterState {
    return this.#state
  }
  get value(): bigint {
    return this.#state.value
  }
  get pending(): bigint {
    return this.#state.pending
  }
  get status(): Status {
    return this.#state.status
  }

  async increment(amount: number | bigint = 1n): Promise<void> {
    if (this.#failure) throw this.#failure
    if (this.#closing) throw new LaniakeaError('LK_ERR_CLOSED')
    const exact = exactAmount(amount)
    const seq = ++this.#seq
    const settled = new Promise<void>((resolve, reject) => {
      this.#unsettled.push({ seq, amount: exact, settle: (error) => (error ? reject(error) : resolve()) })
    })
    this.#engine.post({ kind: 'increment', seq, amount: exact })
    this.#update()
    return settled
  }

  subscribe(listener: (state: CounterState) => void): () => void {
    // One function may subscribe twice, and each subscription ends by itself.
    const own = (state: CounterState): void => listener(state)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  /** Try to connect now. */
  wake(): void {
    if (!this.#closing) this.#engine.post({ kind: 'wake' })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#onClosed = resolve))
    if (!this.#failure) {
      this.#engine.post({ kind: 'close' })
      await closed
    }
    this.#engine.terminate()
    this.#state = { ...this.#state, status: 'offline' }
    this.#rejectAll(new LaniakeaError('LK_ERR_CLOSED'))
    this.#notify()
    this.#listeners.clear()
  }

  // ---- the engine ----

  #startEngine(): EngineLink {
    const engine: EngineLink = this.#parts.createEngine(
      (message) => void (engine === this.#engine && this.#receive(message)),
      (detail) => void (engine === this.#engine && this.#replaceEngine(detail)),
    )
    engine.post({ ...this.#parts.start, kind: 'start', session: this.#session, resume: this.#said?.actor })
    for (const { seq, amount } of this.#unsettled) engine.post({ kind: 'increment', seq, amount })
    return engine
  }

  #replaceEngine(detail: string): void {
    if (this.#closing) return this.#onClosed?.()
    this.#engine.terminate()
    const at = performance.now()
    this.#restarts = [...this.#restarts.filter((earlier) => earlier > at - RESTART_PERIOD_MS), at]
    const error = new LaniakeaError('LK_ERR_TRAP', detail)
    if (this.#restarts.length > RESTARTS_MAX) return this.#fail(error)
    this.#parts.onError(error)
    this.#engine = this.#startEngine()
  }

  #fail(error: LaniakeaError): void {
    this.#failure = error
    this.#engine.terminate()
    this.#settleReady?.(error)
    this.#rejectAll(error)
    this.#parts.onError(error)
    this.#onClosed?.()
    if (this.#said) this.#said = { ...this.#said, status: 'offline' }
    this.#update()
  }

  #rejectAll(error: LaniakeaError): void {
    for (const { settle } of this.#unsettled.splice(0)) settle(error)
  }

  #receive(message: FromEngine): void {
    switch (message.kind) {
      case 'state': return this.#hear(message)
      case 'refused': return this.#refuse(message.seq, new LaniakeaError(message.code))
      case 'problem': return this.#problem(new LaniakeaError(message.code, message.detail), message.fatal)
      case 'closed': return this.#onClosed?.()
    }
  }

  #hear(message: StateMessage): void {
    this.#said = message
    const durable = this.#unsettled.filter(({ seq }) => seq <= message.durable)
    this.#unsettled = this.#unsettled.filter(({ seq }) => seq > message.durable)
    this.#update()
    for (const { settle } of durable) settle()
    this.#settleReady?.()
  }

  #refuse(seq: number, error: LaniakeaError): void {
    const refused = this.#unsettled.filter((one) => one.seq === seq)
    this.#unsettled = this.#unsettled.filter((one) => one.seq !== seq)
    this.#update()
    for (const { settle } of refused) settle(error)
  }

  #problem(error: LaniakeaError, fatal: boolean): void {
    if (fatal) this.#fail(error)
    else this.#parts.onError(error)
  }

  // ---- what is seen ----

  #update(): void {
    const said = this.#said
    const onTheWay = this.#unsettled.filter(({ seq }) => seq > (said?.applied ?? 0))
    const more = onTheWay.reduce((sum, { amount }) => sum + amount, 0n)
    const next: CounterState = {
      value: (said?.value ?? 0n) + more,
      pending: (said?.pending ?? 0n) + more,
      status: said?.status ?? 'offline',
    }
    const { value, pending, status } = this.#state
    if (next.value === value && next.pending === pending && next.status === status) return
    this.#state = next
    this.#notify()
  }

  /** A listener that throws is reported as an event's would be: neither the others nor the promises of
   * increments suffer from it. */
  #notify(): void {
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue // another one ended its subscription
      try {
        listener(this.#state)
      } catch (cause) {
        setTimeout(() => {
          throw cause
        })
      }
    }
  }
}

function exactAmount(amount: number | bigint): bigint {
  const wrong = typeof amount === 'number' && !Number.isSafeInteger(amount)
  if (wrong || amount <= 0 || amount >= 2n ** 64n) {
    throw new LaniakeaError('LK_ERR_RANGE', `an increment is an integer above 0, not ${String(amount)}`)
  }
  return BigInt(amount)
}
