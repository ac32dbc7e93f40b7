// What pages and a hub say to each other.
//
//   page ──hello──> hub                    page <──hub── hub          who is there, and in which life of its
//        ──open {version}──>                    <──opened {bytes, version}──
//        ──change: what the hub lacks──>        <──saved──            it would outlive the page
//        ──change──>                            <──news──             what others changed
//
// Replicas merge: so whoever is in doubt says everything again. A hub that was replaced, by a later life of its own or in another tab,
// says hub with another epoch, and every page opens its topics anew.
//
// Messages are cloned between a page and its worker, and between tabs.
import type { Core, Part } from '../core.ts'
import type { ErrorCode } from '../errors.gen.ts'
import type { Json } from '../json.ts'

export type Bytes = Uint8Array<ArrayBuffer>

/** Of a topic: a number of crdtTypes, or one of these. */
export const KIND_DOC = 0
export const KIND_PLAIN = 255

export type Capabilities = { readonly [name: string]: Json }

export type ToHub =
  /** Of the hub's own page alone: it is there, and need not be loaded. */
  | { readonly t: 'part'; readonly part: Part; readonly module: WebAssembly.Module }
  | { readonly t: 'hello'; readonly capabilities: Capabilities; readonly isOffline: boolean }
  /** `seat` names the page's replicas (seats.ts). */
  | { readonly t: 'open'; readonly id: number; readonly topic: string; readonly kind: number; readonly isKept: boolean; readonly seat: string | undefined; readonly version: Bytes }
  /** Everything up to the page's change `n`. `waits`: it was made under a name that goes on. */
  | { readonly t: 'change'; readonly id: number; readonly n: number; readonly parts: readonly Bytes[]; readonly waits: boolean }
  | { readonly t: 'close'; readonly id: number }
  | { readonly t: 'push'; readonly id: number; readonly ref: number; readonly event: string; readonly payload: string | Bytes }
  /** From now on presence is told; `key` shows `meta`, or nothing any more. */
  | { readonly t: 'presence'; readonly id: number; readonly key?: string; readonly meta?: Json }
  | { readonly t: 'awareness'; readonly id: number; readonly update: Bytes }
  | { readonly t: 'retry'; readonly id: number }
  | { readonly t: 'anew'; readonly id: number }
  | { readonly t: 'token'; readonly token: string | undefined; readonly life: number }
  | { readonly t: 'capabilities'; readonly capabilities: Capabilities }
  | { readonly t: 'wake' }
  /** The page wants no connection, or has nothing against one any more. */
  | { readonly t: 'offline'; readonly isOffline: boolean }
  | { readonly t: 'bye' }

export type ToPage =
  | HubNotice
  /** Those of the core that are in use, or are to be: a page that may have to lead should have them, too. */
  | { readonly t: 'parts'; readonly parts: readonly Part[] }
  /** `series`: what seats are called by in this topic, where it is kept. */
  | { readonly t: 'opened'; readonly id: number; readonly bytes: Bytes; readonly version: Bytes; readonly series: string | undefined }
  /** The diary takes nothing for now: changes are made under a name of the page's own from here on. */
  | { readonly t: 'unkept'; readonly id: number }
  /** The topic is not open. */
  | { readonly t: 'failed'; readonly id: number; readonly code: ErrorCode; readonly detail: string }
  /** Changes up to `n` would outlive the page: they are recorded, or the server has them. */
  | { readonly t: 'saved'; readonly id: number; readonly n: number }
  /** The hub has them, and does not keep the topic. */
  | { readonly t: 'taken'; readonly id: number; readonly n: number }
  | { readonly t: 'acked'; readonly id: number; readonly n: number }
  | { readonly t: 'news'; readonly id: number; readonly bytes: Bytes }
  | { readonly t: 'topic'; readonly id: number; readonly status: TopicReport }
  | { readonly t: 'status'; readonly status: HubReport }
  | { readonly t: 'reply'; readonly id: number; readonly ref: number; readonly status: string; readonly payload: Json | Bytes }
  | { readonly t: 'message'; readonly id: number; readonly event: string; readonly payload: Json | Bytes }
  | { readonly t: 'presence'; readonly id: number; readonly isDiff: boolean; readonly payload: Json }
  | { readonly t: 'awareness'; readonly id: number; readonly update: Bytes }
  /** The replica begins again with this. */
  | { readonly t: 'reset'; readonly id: number }
  | { readonly t: 'token' }
  | { readonly t: 'problem'; readonly code: ErrorCode; readonly detail: string; readonly isFatal: boolean }

export interface HubNotice {
  readonly t: 'hub'
  readonly epoch: string
  /** Names this device, as far as something is kept on it. */
  readonly device: string
  readonly storage: StorageKind
}

export type StorageKind = 'opfs' | 'indexeddb' | 'files' | 'memory'

export type Transport = 'websocket' | 'longpoll'

/** What the core says of the connection and the storage. */
export interface CoreReport {
  readonly state: 'offline' | 'connecting' | 'online'
  readonly storage: 'LK_OK' | ErrorCode
  readonly pending: number
  readonly pendingBytes: number
  readonly unsaved: number
  /** Milliseconds since 1970. */
  readonly acknowledgedAt: number | null
  readonly roundTrip: number | null
  readonly full: boolean
}

export interface HubReport extends CoreReport {
  readonly transport: Transport | undefined
}

/** What the core says of a topic. */
export interface TopicReport {
  readonly state: 'away' | 'joined' | 'refused'
  readonly reason: string
  readonly pending: number
  readonly level: 'durable' | 'memory' | ''
  readonly profile: string
  readonly readOnly: boolean
  readonly changes: number
  readonly recorded: number
  readonly acknowledged: number
  readonly kept: boolean
  /** The diary's name for what this device makes in the topic from its beginning on. */
  readonly series: string
}

/** What the owner of a worker tells it first. */
export interface HubStart {
  readonly t: 'start'
  /** PROTOCOL: a worker may have been loaded later than its page. */
  readonly v: number
  readonly core: Core
  /** The parts of it that the page has. */
  readonly loaded: Map<Part, WebAssembly.Module>
  readonly url: string
  /** Where there are no WebSockets. */
  readonly longPoll: boolean
  readonly scope: string
  readonly storage: 'auto' | 'opfs' | 'indexeddb' | 'memory'
  readonly usesToken: boolean
  readonly pendingCount: number
  readonly pendingBytes: number
  /** No other tab has part in this hub, and none is kept from having one like it. */
  readonly isAlone: boolean
  /** Held by the worker as long as it lives. */
  readonly lock: string
}

/** Counts the changes of what is said in this file. Tabs of two versions of a page may be open at a time, and know each other by `v`: that, the
 * rest of an envelope, and the names of the channel and the locks are for ever, everything else is read by the same version alone. */
export const PROTOCOL = 2

/** Between tabs: who it is from, or for. */
export interface Envelope {
  readonly v: number
  readonly from?: string
  readonly to?: string
  readonly m: ToHub | ToPage | { readonly t: 'who' }
}

/** Whoever is of this origin may say anything in the channel. */
export function isEnvelope(data: unknown): data is Envelope {
  const { m } = (data ?? {}) as { readonly m?: unknown }
  return typeof m === 'object' && m !== null && typeof (m as { readonly t?: unknown }).t === 'string'
}

/** The lock that a page holds as long as it lives. */
export const pageLock = (session: string): string => `laniakea page ${session}`

/** The lock of who writes what is kept. */
export const hubLock = (scope: string): string => `laniakea hub ${scope}`

export const channelName = (scope: string): string => `laniakea ${scope}`
