// What the page and the engine say to each other. Both ends may be in one thread.
import type { ErrorCode } from './errors.gen.ts'

/** Is there a server? Offline is not an error: changes are kept and sent later. */
export type Status = 'offline' | 'connecting' | 'online'

export interface Start {
  readonly kind: 'start'
  readonly module: WebAssembly.Module
  readonly url: string
  readonly topic: string
  readonly storage: 'indexeddb' | 'memory'
  /** Names the page: its increments are counted from 1 on, and are applied once each. */
  readonly session: string
  /** The replica that an engine of this page held before it was lost. */
  readonly resume: string | undefined
}

export type ToEngine =
  | Start
  | { readonly kind: 'increment'; readonly seq: number; readonly amount: bigint }
  | { readonly kind: 'wake' }
  | { readonly kind: 'close' }

export interface StateMessage {
  readonly kind: 'state'
  readonly actor: string
  readonly value: bigint
  readonly pending: bigint
  readonly status: Status
  /** Increments up to this one are in `value`... */
  readonly applied: number
  /** ...and up to this one they outlive the page. */
  readonly durable: number
}

export type FromEngine =
  | StateMessage
  | { readonly kind: 'refused'; readonly seq: number; readonly code: ErrorCode }
  /** `fatal`: this engine does nothing any more. */
  | { readonly kind: 'problem'; readonly code: ErrorCode; readonly detail: string; readonly fatal: boolean }
  | { readonly kind: 'closed' }

/** What a page holds on to: an engine in a worker, or in its own thread. */
export interface EngineLink {
  post(message: ToEngine): void
  terminate(): void
}

/** Makes one; `onCrash` tells that it is gone without having said so. */
export type EngineFactory = (
  onMessage: (message: FromEngine) => void,
  onCrash: (detail: string) => void,
) => EngineLink
