// What runs in the worker: the page's replica, and now and then one that a closed page left behind.
//
// A page that closes while it is offline leaves its changes in its replica. The next page takes that
// replica as its own; but where two pages closed and one opens, the second replica would wait for
// ever. So an engine that comes online looks for strays, lets each one talk to the server until nothing
// is pending, and removes it.
import { LaniakeaError } from './errors.ts'
import { Trap } from './instance.ts'
import { Replica, type WebSocketLike } from './replica.ts'
import type { FromEngine, Start, ToEngine } from './protocol.ts'
import type { ReplicaHold, ReplicaStorage } from './storage.ts'

export interface EngineHost {
  readonly emit: (message: FromEngine) => void
  readonly storage: (start: Start) => ReplicaStorage
  readonly webSocket: (url: string) => WebSocketLike
}

export class Engine {
  readonly #host: EngineHost
  #early: ToEngine[] | undefined = []
  #replica: Replica | undefined
  #stray: Promise<void> | undefined
  #strayReplica: Replica | undefined
  #strays = true // there may be some
  #online = false
  #closed = false

  constructor(host: EngineHost) {
    this.#host = host
  }

  handle(message: ToEngine): void {
    if (message.kind === 'start') void this.#start(message).catch((cause: unknown) => this.#fail(cause))
    else if (this.#early) this.#early.push(message)
    else this.#handleStarted(message)
  }

  async #start(start: Start): Promise<void> {
    const storage = this.#host.storage(start)
    const scope = `${start.url} ${start.topic}`
    const onChange = (): void => {
      this.#tell()
      const online = this.#replica?.status === 'online'
      if (online && !this.#online) this.#strays = true
      this.#online = online
      if (online) this.#collect(storage, scope, start)
    }
    this.#replica = await this.#openReplica(start, await storage.acquire(scope, start.resume), storage, onChange)
    this.#tell()
    const early = this.#early ?? []
    this.#early = undefined
    for (const message of early) this.#handleStarted(message)
  }

  /** A saved state that cannot be read is set aside, and the page gets another replica. */
  async #openReplica(start: Start, hold: ReplicaHold, storage: ReplicaStorage, onChange: () => void): Promise<Replica> {
    const onProblem = (error: LaniakeaError, fatal: boolean): void => this.#problem(error, fatal)
    try {
      return this.#createReplica(start, hold, onChange, onProblem)
    } catch (cause) {
      if (hold.record === undefined) {
        hold.release()
        throw cause
      }
      this.#problem(errorOf(cause), false)
      await hold.setAside()
      hold.release()
      return this.#openReplica(start, await storage.acquire(`${start.url} ${start.topic}`), storage, onChange)
    }
  }

  #createReplica(start: Start, hold: ReplicaHold, onChange: () => void, onProblem: (error: LaniakeaError, fatal: boolean) => void): Replica {
    const { topic, session } = start
    return new Replica({ core: start, topic, hold, session, connect: () => this.#host.webSocket(start.url), onChange, onProblem })
  }

  #handleStarted(message: ToEngine): void {
    switch (message.kind) {
      case 'increment': return this.#increment(message.seq, message.amount)
      case 'wake': return this.#replica?.wake()
      case 'close': return void this.#close()
      case 'start': return
    }
  }

  #increment(seq: number, amount: bigint): void {
    try {
      this.#replica?.increment(seq, amount)
      this.#tell()
    } catch (cause) {
      if (!(cause instanceof LaniakeaError)) throw cause
      this.#host.emit({ kind: 'refused', seq, code: cause.code })
    }
  }

  async #close(): Promise<void> {
    this.#closed = true
    await this.#strayReplica?.close()
    await this.#replica?.close()
    this.#host.emit({ kind: 'closed' })
  }

  /** One stray at a time, until there is none. */
  #collect(storage: ReplicaStorage, scope: string, start: Start): void {
    if (!this.#strays || this.#stray !== undefined || this.#closed) return
    const collecting = this.#collectOne(storage, scope, start).catch((cause: unknown) => {
      this.#strays = false
      this.#problem(errorOf(cause), false)
    })
    this.#stray = collecting.finally(() => (this.#stray = undefined))
  }

  async #collectOne(storage: ReplicaStorage, scope: string, start: Start): Promise<void> {
    const hold = await storage.acquireStray(scope)
    this.#strays = hold !== undefined
    if (hold === undefined) return
    if (this.#closed) return hold.release()
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.#strayReplica?.pending === 0n) resolve()
      }
      this.#strayReplica = this.#createReplica(start, hold, check, (error) => this.#problem(error, false))
      check()
    })
    const done = this.#strayReplica
    this.#strayReplica = undefined
    await done?.remove()
  }

  #tell(): void {
    const replica = this.#replica
    if (replica === undefined) return
    const { actor, value, pending, status, applied, durable } = replica
    this.#host.emit({ kind: 'state', actor, value, pending, status, applied, durable })
  }

  #problem(error: LaniakeaError, fatal: boolean): void {
    this.#host.emit({ kind: 'problem', code: error.code, detail: error.message, fatal })
  }

  #fail(cause: unknown): void {
    this.#problem(errorOf(cause), true)
  }
}

function errorOf(cause: unknown): LaniakeaError {
  if (cause instanceof LaniakeaError) return cause
  return cause instanceof Trap ? new LaniakeaError('LK_ERR_TRAP', cause.message) : new LaniakeaError('LK_ERR_STATE', String(cause))
}
