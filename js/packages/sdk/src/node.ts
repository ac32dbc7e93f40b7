// @laniakea/sdk in Node: the same, with the core read from the package and the engine in this thread.
import { readFile } from 'node:fs/promises'
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

/** A counter, ready with what this process knows of it; the server may come later. Rejects with
 * LK_ERR_INVALID for an address or topic that is none, and with what the storage says. */
export function createCounter(options: CounterOptions): Promise<Counter> {
  return createCounterWith({ loadCore: loadOwnCore, createWorker: undefined }, options)
}

let ownCore: Promise<Core> | undefined

function loadOwnCore(): Promise<Core> {
  ownCore ??= readFile(new URL('./laniakea.wasm', import.meta.url)).then((file) => loadCore({ bytes: new Uint8Array(file) }))
  ownCore.catch(() => (ownCore = undefined))
  return ownCore
}
