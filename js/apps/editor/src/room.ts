// The document on the page, and how it stands with the server: a PhoenixProvider, as one state that changes.
//
// What is kept in this browser outlives the tab and the way to the server. A document that the server has in memory alone
// is not kept here either: who writes where all is erased does not expect to find it in a browser.
import { PhoenixProvider, indexeddb, type Access, type Persistence, type Refusal } from '@laniakea/yjs'
import * as Y from 'yjs'
import { Awareness } from 'y-protocols/awareness'
import { makeSocket, watchRefusals } from './socket.ts'
import { versionsOf, type Versions } from './versions.ts'

export interface Problem {
  /** refused: the server cannot follow this replica. diverged: another document has this name now. denied: no entry. */
  readonly kind: 'refused' | 'diverged' | 'denied'
  readonly reason: string
}

export interface RoomState {
  readonly link: 'connecting' | 'online' | 'offline'
  /** The document was here once: it can be shown and edited, also offline. */
  readonly isLoaded: boolean
  readonly access: Access
  readonly durability: 'durable' | 'memory'
  /** When that is memory: how long nobody must have been here until it is erased. */
  readonly idleMs?: number | undefined
  /** Something was written that the server does not have yet. */
  readonly isWaiting: boolean
  readonly problem?: Problem | undefined
}

export interface Room {
  readonly doc: Y.Doc
  readonly awareness: Awareness
  readonly versions: Versions
  /** The same object until something changes. */
  state(): RoomState
  subscribe(listener: () => void): () => void
  /** Forgets what this browser has of the document, for ever. */
  forget(): Promise<void>
}

/** As `place`, until it is forbidden. */
function forbiddable(place: Persistence): Persistence & { forbid(): void } {
  let isForbidden = false
  const unless = async (run: () => Promise<void>): Promise<void> => {
    if (!isForbidden) await run()
  }
  return {
    ...place,
    append: (update) => unless(() => place.append(update)),
    setGeneration: (generation) => unless(() => place.setGeneration(generation)),
    forbid: () => { isForbidden = true },
  }
}

const NOT_LET_IN = 'it answers, but takes no connection from here. It may want a token: ask who gave you the link for one'
const textOf = ({ reason, message }: Refusal): string => message ?? reason
/** The document of the topic doc:NAME. `token` says who we are, to a server that asks. */
export function openRoom(name: string, token?: string): Room {
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  const kept = forbiddable(indexeddb(`doc:${name}`))
  const socket = makeSocket(token)
  const provider = new PhoenixProvider({ socket, topic: `doc:${name}`, doc, awareness, persistence: kept })
  const listeners = new Set<() => void>()
  let state: RoomState = { link: 'connecting', isLoaded: false, access: 'write', durability: 'durable', isWaiting: false }

  const set = (change: Partial<RoomState>): void => {
    state = { ...state, ...change }
    for (const listener of listeners) listener()
  }
  const setLink = (): void => {
    if (provider.status === 'connected') set({ link: 'online', ...(state.problem?.kind === 'denied' ? { problem: undefined } : {}) })
    else if (state.link === 'online' || provider.status === 'disconnected') set({ link: 'offline' })
  }
  const setJoined = (): void => {
    const durability = provider.durability ?? 'durable'
    set({ isLoaded: true, access: provider.access ?? 'write', durability, idleMs: provider.idleMs })
    if (durability === 'durable') return
    kept.forbid()
    void kept.clear().catch(() => {})
  }
  const setProblem = (kind: Problem['kind']) => (refusal: Refusal): void => set({ problem: { kind, reason: textOf(refusal) } })

  provider.on('status', setLink)
  provider.on('sync', (isSynced) => { if (isSynced) setJoined() })
  provider.on('pending', (isWaiting) => set({ isWaiting }))
  provider.on('diverged', setProblem('diverged'))
  provider.on('replica_refused', setProblem('refused'))
  provider.on('refused', (refusal) => { if (provider.status !== 'connected') setProblem('denied')(refusal) })
  watchRefusals(socket, provider, () => set({ problem: state.problem ?? { kind: 'denied', reason: NOT_LET_IN } }))
  // phoenix.js waits before it looks again; the browser knows at once.
  addEventListener('offline', () => set({ link: 'offline' }))
  addEventListener('online', setLink)
  void provider.whenLoaded.then(() => { if (doc.store.clients.size > 0) set({ isLoaded: true }) })
  socket.connect()
  return {
    doc,
    awareness,
    versions: versionsOf(provider),
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async forget() {
      kept.forbid()
      await provider.destroy()
      await indexeddb(`doc:${name}`).clear()
    },
  }
}
