// Who is here, and what each one shows of itself: y-protocols' awareness, its bytes and its rules.
//
//   update := clients (client clock state:varString)*       state: JSON; null of one who went away
//
// Each client has one state, with a clock that counts its changes, and the greater clock wins. It is neither kept nor
// merged, so that no engine is needed.
import { Writer } from './doc_any.ts'
import { LaniakeaError } from './errors.ts'
import { ForeignReader } from './foreign.ts'

/** One of whom nothing was heard for so long is taken to have gone; the own state is sent again before half of it is over. */
const TIMEOUT_MS = 30_000
const TICK_MS = 3_000
const LOCAL = 'local'
const DEPTH_MAX = 64

type Bytes = Uint8Array<ArrayBuffer>

/** What a client shows: anything that JSON can say. */
export interface AwarenessState {
  readonly [field: string]: unknown
}

/** Clients, by what became of them. */
export interface AwarenessChange {
  readonly added: readonly number[]
  readonly updated: readonly number[]
  readonly removed: readonly number[]
}

export interface AwarenessEvents {
  /** Something that is shown is another one now. */
  change: (change: AwarenessChange, origin: unknown) => void
  /** The same, and states that were sent again: send encode() of all of them. */
  update: (change: AwarenessChange, origin: unknown) => void
  destroy: (awareness: Awareness) => void
}

interface Meta {
  readonly clock: number
  /** By Date.now(). */
  readonly lastUpdated: number
}

interface Entry {
  readonly client: number
  readonly clock: number
  readonly state: AwarenessState | null
}

/** Its fields and events are those of y-protocols' class, so that what takes that one can mostly take this one, too. It ends by
 * destroy(), or `using`; not with its document. */
export class Awareness {
  readonly clientID: number
  /** What each client shows, in the order in which they came. */
  readonly states: Map<number, AwarenessState> = new Map()
  /** Also of those that went away. */
  readonly meta: Map<number, Meta> = new Map()
  readonly #listeners = new Map<keyof AwarenessEvents, Set<(...parts: any[]) => void>>()
  readonly #timer: ReturnType<typeof setInterval>

  /** For the replica whose `client` that is, such as a Doc. */
  constructor({ client }: { readonly client: number }) {
    this.clientID = client
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    if (typeof this.#timer === 'object') this.#timer.unref() // Node may end
    this.setLocalState({})
  }

  /** Says to the others that this client goes away, and ends. */
  destroy(): void {
    try {
      this.emit('destroy', [this])
      this.setLocalState(null)
    } finally { // a listener may throw, such as one that sends on a closed socket
      this.#listeners.clear()
      clearInterval(this.#timer)
    }
  }

  [Symbol.dispose](): void {
    this.destroy()
  }

  getStates(): ReadonlyMap<number, AwarenessState> {
    return this.states
  }

  getLocalState(): AwarenessState | null {
    return this.states.get(this.clientID) || null
  }

  /** `null` says that this client goes away. */
  setLocalState(state: AwarenessState | null): void {
    const { clientID } = this
    const before = this.states.get(clientID)
    const clock = this.meta.get(clientID)?.clock ?? -1
    if (state === null) this.states.delete(clientID)
    else this.states.set(clientID, state)
    this.#hear(clientID, clock + 1)
    const own = [clientID]
    if (state === null) this.#tell({ added: [], updated: [], removed: own }, LOCAL)
    else if (before === undefined) this.#tell({ added: own, updated: [], removed: [] }, LOCAL)
    else this.#tell({ added: [], updated: own, removed: [] }, LOCAL, isSame(before, state) ? [] : own)
  }

  /** One field of the own state; nothing where this client shows none. */
  setLocalStateField(field: string, value: unknown): void {
    const state = this.getLocalState()
    if (state !== null) this.setLocalState({ ...state, [field]: value })
  }

  /** An update: what these clients show, or all who show something. LK_ERR_NOT_FOUND for one of whom nothing is known. */
  encode(clients: readonly number[] = [...this.states.keys()]): Bytes {
    const writer = new Writer()
    writer.uint(clients.length)
    for (const client of clients) {
      const meta = this.meta.get(client)
      if (meta === undefined) throw new LaniakeaError('LK_ERR_NOT_FOUND', `client ${client}`)
      writer.uint(client)
      writer.uint(meta.clock)
      writer.string(JSON.stringify(this.states.get(client) || null))
    }
    return writer.bytes.slice(0, writer.length)
  }

  /** Takes in an update, as a whole or not at all: LK_ERR_TRUNCATED, LK_ERR_SYNTAX and others of decoding. Who says that this
   * client is gone is answered by a greater clock. */
  apply(update: Uint8Array, origin?: unknown): void {
    const added: number[] = []
    const updated: number[] = []
    const changed: number[] = []
    const removed: number[] = []
    for (const entry of readUpdate(update)) {
      const { client, state } = entry
      const known = this.meta.get(client)
      const before = this.states.get(client)
      if (!this.#take(entry, known?.clock ?? 0)) continue
      if (known === undefined && state !== null) added.push(client)
      else if (state !== null) updated.push(client)
      else if (known !== undefined) removed.push(client)
      if (known !== undefined && state !== null && !isSame(state, before)) changed.push(client)
    }
    this.#tell({ added, updated, removed }, origin, changed)
  }

  /** Takes clients to have gone: those of a connection that broke. */
  remove(clients: readonly number[], origin?: unknown): void {
    const removed = clients.filter((client) => {
      if (!this.states.delete(client)) return false
      if (client === this.clientID) this.#hear(client, (this.meta.get(client)?.clock ?? 0) + 1)
      return true
    })
    this.#tell({ added: [], updated: [], removed }, origin)
  }

  on<E extends keyof AwarenessEvents>(event: E, listener: AwarenessEvents[E]): void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners.add(listener))
  }

  off<E extends keyof AwarenessEvents>(event: E, listener: AwarenessEvents[E]): void {
    this.#listeners.get(event)?.delete(listener)
  }

  /** Calls those who listen: for y-protocols' own functions, which may be given this object. */
  emit<E extends keyof AwarenessEvents>(event: E, parts: Parameters<AwarenessEvents[E]>): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(...parts)
  }

  /** Whether it was news. */
  #take({ client, clock, state }: Entry, known: number): boolean {
    const isNewer = known < clock || (known === clock && state === null && this.states.has(client))
    if (!isNewer) return false
    const isOwnEnd = state === null && client === this.clientID && this.states.has(client)
    if (state !== null) this.states.set(client, state)
    else if (!isOwnEnd) this.states.delete(client)
    this.#hear(client, isOwnEnd ? clock + 1 : clock)
    return true
  }

  #hear(client: number, clock: number): void {
    this.meta.set(client, { clock, lastUpdated: Date.now() })
  }

  /** `changed` are those of the updated whose states are others now. */
  #tell(change: AwarenessChange, origin: unknown, changed: readonly number[] = change.updated): void {
    const { added, updated, removed } = change
    const isNews = added.length > 0 || removed.length > 0
    if (isNews || changed.length > 0) this.emit('change', [{ added, updated: changed, removed }, origin])
    if (isNews || updated.length > 0) this.emit('update', [change, origin])
  }

  #tick(): void {
    const now = Date.now()
    const silent = (client: number): number => now - (this.meta.get(client)?.lastUpdated ?? 0)
    const own = this.getLocalState()
    if (own !== null && silent(this.clientID) >= TIMEOUT_MS / 2) this.setLocalState(own)
    const gone = [...this.states.keys()].filter((client) => client !== this.clientID && silent(client) >= TIMEOUT_MS)
    if (gone.length > 0) this.remove(gone, 'timeout')
  }
}

function readUpdate(update: Uint8Array): Entry[] {
  const reader = new ForeignReader(update)
  const entries: Entry[] = []
  for (let count = reader.uint(); count > 0; count--) {
    entries.push({ client: reader.uint(), clock: reader.uint(), state: stateOf(reader.string()) })
  }
  reader.end()
  return entries
}

function stateOf(json: string): AwarenessState | null {
  let state: unknown
  try {
    state = JSON.parse(json)
  } catch (cause) {
    throw new LaniakeaError('LK_ERR_SYNTAX', String(cause))
  }
  if (isDeeper(state, DEPTH_MAX)) throw new LaniakeaError('LK_ERR_DEPTH')
  return state as AwarenessState | null
}

/** What nests deeper could be read, but nobody could write it again. */
function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return most === 0 || Object.values(value).some((part) => isDeeper(part, most - 1))
}

/** Of what JSON can say. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  const [left, right] = [a as AwarenessState, b as AwarenessState]
  return keys.length === Object.keys(b).length && keys.every((key) => isSame(left[key], right[key]))
}
