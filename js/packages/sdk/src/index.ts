// @laniakea/sdk in browsers.
import { createCounterWith, type CounterOptions } from './internal/create.ts'
import { loadCore, type Core } from './internal/core.ts'
import type { Counter } from './internal/counter.ts'

export { loadCore, type Core, type CoreSource } from './internal/core.ts'
export { LaniakeaError } from './internal/errors.ts'
export type { ErrorCode } from './internal/errors.gen.ts'
export { memoryStorage, type ReplicaHold, type ReplicaRecord, type ReplicaStorage } from './internal/storage.ts'
export type { Counter, CounterState } from './internal/counter.ts'
export type { CounterOptions } from './internal/create.ts'
export type { Status } from './internal/protocol.ts'
export type { WebSocketLike } from './internal/replica.ts'

/** A counter, ready with what this browser knows of it; the server may come later. Rejects with
 * LK_ERR_INVALID for an address or topic that is none, and with what loadCore() or the storage say. */
export function createCounter(options: CounterOptions): Promise<Counter> {
  return createCounterWith({ loadCore: loadOwnCore, createWorker }, options)
}

let ownCore: Promise<Core> | undefined

function loadOwnCore(): Promise<Core> {
  ownCore ??= loadCore({ url: new URL('./laniakea.wasm', import.meta.url) })
  ownCore.catch(() => (ownCore = undefined)) // the next one may have more luck
  return ownCore
}

function createWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'laniakea' })
}
