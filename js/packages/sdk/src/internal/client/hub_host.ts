// A hub where it runs: in a worker, or in the page's own thread. It serves the page that started it, and the other tabs of this
// origin by a BroadcastChannel.
import { LaniakeaError } from '../errors.ts'
import type { SocketLike, Ways } from './connection.ts'
import { fileError, indexedDbName, type DeviceFiles } from './files.ts'
import { opfsFiles } from './files_opfs.ts'
import { Hub } from './hub.ts'
import { PROTOCOL, channelName, isEnvelope, pageLock, type Capabilities, type Envelope, type HubStart, type ToHub, type ToPage } from './protocol.ts'

/** What belongs to the platform. */
export interface HubPlatform {
  readonly openFiles: (start: HubStart) => Promise<DeviceFiles | undefined>
  readonly webSocket: (url: string, protocols: string[]) => SocketLike
  /** Other tabs may come. */
  readonly isShared: boolean
  /** Without files there is no hub: a browser may not have any, a folder that was named is to be there. */
  readonly needsFiles?: boolean
}

/** The session of the page that started it. */
const OWN = 'own'

export class HubHost {
  readonly #platform: HubPlatform
  readonly #post: (message: ToPage) => void
  #hub: Hub | undefined
  #tabs: BroadcastChannel | undefined
  #early: ToHub[] = []
  #isEnded = false

  constructor(platform: HubPlatform, post: (message: ToPage) => void) {
    this.#platform = platform
    this.#post = post
  }

  async start(start: HubStart, capabilities: Capabilities): Promise<void> {
    const { core, loaded, url, longPoll, usesToken, pendingCount, pendingBytes, scope, isAlone } = start
    let files: DeviceFiles | undefined
    let filesProblem: LaniakeaError | undefined
    try {
      files = await this.#platform.openFiles(start)
    } catch (cause) {
      filesProblem = fileError(cause)
      if (this.#platform.needsFiles) throw filesProblem
    }
    if (this.#isEnded) return void files?.close()
    const ways: Ways = {
      webSocket: (token) => this.#platform.webSocket(url, token === '' ? [] : ['phoenix', bearer(token)]),
      longPoll: longPoll ? async (token) => new (await import('./longpoll.ts')).LongPoll(url, token) : undefined,
    }
    const onEnd = (error: LaniakeaError): void => this.#post({ t: 'problem', code: error.code, detail: error.message, isFatal: true })
    const hub = new Hub({ core, loaded, ways, files, filesProblem, usesToken, pendingCount, pendingBytes, onEnd, whenGone: whenGone() })
    this.#hub = hub
    for (const message of this.#early.splice(0)) this.receive(message)
    if (this.#platform.isShared && !isAlone) this.#serve(hub, scope)
    await hub.start(capabilities)
  }

  receive(message: ToHub): void {
    if (this.#hub === undefined) this.#early.push(message)
    else if (message.t === 'part') this.#hub.give(message.part, message.module)
    else this.#hub.receive(OWN, message, this.#post)
  }

  wake(): void {
    this.#hub?.wake()
  }

  async end(): Promise<void> {
    this.#isEnded = true
    this.#tabs?.close()
    await this.#hub?.end()
  }

  #serve(hub: Hub, scope: string): void {
    const tabs = new BroadcastChannel(channelName(scope))
    this.#tabs = tabs
    tabs.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!isEnvelope(data) || typeof data.from !== 'string') return
      const { v, from, m } = data
      const post = (message: ToPage | { readonly t: 'who' }): void => tabs.postMessage({ v: PROTOCOL, to: from, m: message } satisfies Envelope)
      // What it wants is not to be understood, and it should know.
      if (v !== PROTOCOL) return post({ t: 'who' })
      try {
        hub.receive(from, m as Exclude<ToHub, { t: 'part' }>, post)
      } catch (cause) {
        // Anybody of this origin may write into the channel: what makes no sense is no reason to end.
        this.#post({ t: 'problem', code: 'LK_ERR_INVALID', detail: `a message of another tab: ${String(cause)}`, isFatal: false })
      }
    }
    tabs.postMessage({ v: PROTOCOL, m: { t: 'who' } } satisfies Envelope)
  }
}

export function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

/** As phoenix.js does: what cannot be a header of a browser's is a name of a protocol. */
function bearer(token: string): string {
  return `base64url.bearer.phx.${base64(new TextEncoder().encode(token)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')}`
}

function whenGone(): ((session: string) => Promise<void>) | undefined {
  const { locks } = globalThis.navigator ?? {}
  if (locks === undefined) return undefined
  return (session) => (session === OWN ? new Promise(() => {}) : locks.request(pageLock(session), { mode: 'shared' }, () => {}).then(() => {}))
}

/** Something of that scope was kept there before; of any scope, for an empty one. */
async function hasIndexedDb(scope: string): Promise<boolean> {
  try {
    return (await indexedDB.databases()).some(({ name }) => (scope === '' ? name?.startsWith(indexedDbName('')) : name === indexedDbName(scope)))
  } catch {
    return false
  }
}

async function indexedDbFiles(scope: string, isAlone: boolean): Promise<DeviceFiles> {
  return (await import('./files_indexeddb.ts')).indexedDbFiles(scope, isAlone)
}

/** A worker at rest loads it as soon as it lives, where it will be needed: later, there may be nobody to load it from. */
async function preload(): Promise<void> {
  const hasOpfs = typeof globalThis.navigator?.storage?.getDirectory === 'function'
  if (!hasOpfs || (await hasIndexedDb(''))) await import('./files_indexeddb.ts')
}

/** What a browser has, the best first; `undefined` for nothing that lasts. Throws where it was asked for by name.
 *
 * What was kept in one place is not looked for in the other. So what is in IndexedDB stays there, and where the better place is only taken
 * for the moment, nothing is kept: it would not be found again. */
export async function browserFiles({ storage, scope, isAlone }: HubStart): Promise<DeviceFiles | undefined> {
  if (storage === 'memory') return undefined
  if (storage === 'indexeddb' || (storage === 'auto' && (await hasIndexedDb(scope)))) return indexedDbFiles(scope, isAlone)
  try {
    return await opfsFiles(scope)
  } catch (cause) {
    if (storage === 'opfs' || (cause as { name?: unknown } | null)?.name === 'NoModificationAllowedError') throw cause
    return indexedDbFiles(scope, isAlone)
  }
}

const always: Promise<void> = new Promise(() => {})

/** The entry of a worker. */
export function runHub(scope: WorkerScope): void {
  const platform: HubPlatform = {
    openFiles: browserFiles,
    webSocket: (url, protocols) => new WebSocket(url, protocols) as unknown as SocketLike,
    isShared: typeof BroadcastChannel !== 'undefined' && globalThis.navigator?.locks !== undefined,
  }
  let host: HubHost | undefined
  preload().catch(() => {}) // whoever needs it then says what is wrong
  scope.addEventListener('message', ({ data }) => {
    if (data.t === 'start') {
      if (data.start.v !== PROTOCOL) return scope.postMessage({ t: 'problem', code: 'LK_ERR_VERSION', detail: 'the page is of another version', isFatal: true })
      // Without it nobody is told that the worker has ended.
      globalThis.navigator?.locks?.request(data.start.lock, () => {
        scope.postMessage({ t: 'locked' })
        return always
      }).catch(() => {})
      host = new HubHost(platform, (message) => scope.postMessage(message))
      host.start(data.start, data.capabilities).catch((cause: unknown) => {
        const error = cause instanceof LaniakeaError ? cause : new LaniakeaError('LK_ERR_STATE', String(cause))
        scope.postMessage({ t: 'problem', code: error.code, detail: error.message, isFatal: true })
      })
    } else if (data.t === 'end') void host?.end().finally(() => scope.postMessage({ t: 'ended' }))
    else host?.receive(data.m)
  })
  scope.addEventListener('online', () => host?.wake())
}

export type ToWorker =
  | { readonly t: 'start'; readonly start: HubStart; readonly capabilities: Capabilities }
  | { readonly t: 'm'; readonly m: ToHub }
  | { readonly t: 'end' }

/** `locked`: the worker has the lock that ends with it. */
export type FromWorker = ToPage | { readonly t: 'ended' } | { readonly t: 'locked' }

/** The part of DedicatedWorkerGlobalScope that is used. */
export interface WorkerScope {
  postMessage(message: FromWorker): void
  addEventListener(type: 'message', listener: (event: { readonly data: ToWorker }) => void): void
  addEventListener(type: 'online', listener: () => void): void
}
