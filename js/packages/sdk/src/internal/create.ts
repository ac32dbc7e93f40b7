// Putting a counter together from options, for the entries of src/.
import { loadCore, type Core } from './core.ts'
import { EngineCounter, type Counter } from './counter.ts'
import { Engine } from './engine.ts'
import { LaniakeaError } from './errors.ts'
import { indexedDbStorage } from './indexeddb.ts'
import { memoryStorage, type ReplicaStorage } from './storage.ts'
import type { EngineFactory, FromEngine, Start } from './protocol.ts'
import type { WebSocketLike } from './replica.ts'

export interface CounterOptions {
  /** Where the server's socket is, as Phoenix's clients are told: "/socket", "https://host/socket". */
  readonly url: string | URL
  /** "crdt:" and a name. */
  readonly topic: string
  /** A core that was loaded before; else the package's own is. */
  readonly core?: Core
  /** Where changes wait for a server, and what is known survives the page: "indexeddb" (the default
   * where there is one), "memory", or an object of yours, which needs `worker: false`. */
  readonly storage?: 'indexeddb' | 'memory' | ReplicaStorage
  /** The engine's worker: one that runs the entry "./worker"; `false` for this thread (the default
   * outside of browsers). A function, because a worker that broke down is replaced. */
  readonly worker?: false | (() => Worker)
  /** Another WebSocket than the platform's; needs `worker: false`. */
  readonly webSocket?: (url: string) => WebSocketLike
  /** Hears of what went wrong and was mended, or could not be. The default is silence. */
  readonly onError?: (error: LaniakeaError) => void
}

/** What differs between browsers and Node. */
export interface Defaults {
  readonly loadCore: () => Promise<Core>
  readonly createWorker: (() => Worker) | undefined
}

export async function createCounterWith(defaults: Defaults, options: CounterOptions): Promise<Counter> {
  const url = socketUrl(options.url)
  const { module } = options.core ?? (await defaults.loadCore())
  const storage = options.storage ?? (globalThis.indexedDB === undefined ? 'memory' : 'indexeddb')
  const start = { module, url, topic: options.topic, storage: typeof storage === 'string' ? storage : 'memory' } as const
  const counter = new EngineCounter({ start, createEngine: engineFactory(defaults, options), onError: options.onError ?? (() => {}) })
  await counter.ready()
  return counter
}

/** As Phoenix's clients do: "/websocket" behind the path, and the version of the protocol. */
function socketUrl(given: string | URL): string {
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

function engineFactory(defaults: Defaults, options: CounterOptions): EngineFactory {
  const createWorker = options.worker ?? defaults.createWorker
  const needsThisThread = options.webSocket !== undefined || typeof options.storage === 'object'
  if (!createWorker) return inThisThread(options)
  if (needsThisThread) throw new LaniakeaError('LK_ERR_INVALID', 'functions cannot be given to a worker; set worker: false')
  return inWorker(createWorker)
}

function inWorker(createWorker: () => Worker): EngineFactory {
  return (onMessage, onCrash) => {
    const worker = createWorker()
    worker.onmessage = (event: MessageEvent<FromEngine>) => onMessage(event.data)
    worker.onmessageerror = () => onCrash('a message of the worker could not be read')
    worker.onerror = (event) => {
      event.preventDefault()
      onCrash(event.message || 'the worker could not be loaded')
    }
    return { post: (message) => worker.postMessage(message), terminate: () => worker.terminate() }
  }
}

/** The same engine without a thread of its own; messages still arrive in a later turn. */
function inThisThread(options: CounterOptions): EngineFactory {
  const own = typeof options.storage === 'object' ? options.storage : undefined
  const memory = memoryStorage()
  return (onMessage) => {
    let terminated = false
    const engine = new Engine({
      emit: (message) => queueMicrotask(() => terminated || onMessage(message)),
      storage: (start) => own ?? storageOf(start, memory),
      webSocket: options.webSocket ?? ((url) => new WebSocket(url)),
    })
    return {
      post: (message) => queueMicrotask(() => terminated || engine.handle(message)),
      terminate: () => void (terminated = true),
    }
  }
}

function storageOf(start: Start, memory: ReplicaStorage): ReplicaStorage {
  return start.storage === 'indexeddb' ? indexedDbStorage() : memory
}

/** What runs in a worker: the engine, with the worker's own messages as its link. */
export function runEngine(scope: WorkerScope): void {
  const engine: Engine = new Engine({
    emit: (message) => scope.postMessage(message),
    storage: (start) => storageOf(start, memoryStorage()),
    webSocket: (url) => new WebSocket(url),
  })
  scope.addEventListener('message', (event) => engine.handle((event as MessageEvent).data))
  scope.addEventListener('online', () => engine.handle({ kind: 'wake' }))
}

/** The part of DedicatedWorkerGlobalScope that is used. */
export interface WorkerScope {
  postMessage(message: FromEngine): void
  addEventListener(type: string, listener: (event: Event) => void): void
}

export { loadCore }
