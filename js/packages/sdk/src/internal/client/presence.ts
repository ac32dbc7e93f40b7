// Who is there, as Phoenix's presence_state and presence_diff tell it: lists of metas by key.
import type { Json } from '../json.ts'

/** What somebody shows, with the server's phx_ref. */
export type PresenceMeta = { readonly phx_ref: string; readonly [name: string]: Json }

export type PresenceState = { readonly [key: string]: { readonly metas: readonly PresenceMeta[] } }

interface PresenceDiff {
  readonly joins: PresenceState
  readonly leaves: PresenceState
}

const metasOf = (state: PresenceState, key: string): readonly PresenceMeta[] => (Object.hasOwn(state, key) ? (state[key]?.metas ?? []) : [])

export class PresenceTable {
  readonly #metas = new Map<string, readonly PresenceMeta[]>()

  /** All of it. */
  replace(payload: Json): void {
    const state = payload as PresenceState
    this.#metas.clear()
    for (const key of Object.keys(state)) this.#metas.set(key, metasOf(state, key))
  }

  /** What leaves goes, what joins comes. A meta that was replaced leaves by its old reference. */
  apply(payload: Json): void {
    const { joins, leaves } = payload as unknown as PresenceDiff
    for (const key of Object.keys(leaves)) {
      const gone = new Set(metasOf(leaves, key).map(({ phx_ref }) => phx_ref))
      this.#set(key, (this.#metas.get(key) ?? []).filter(({ phx_ref }) => !gone.has(phx_ref)))
    }
    for (const key of Object.keys(joins)) {
      const came = metasOf(joins, key)
      const refs = new Set(came.map(({ phx_ref }) => phx_ref))
      this.#set(key, [...(this.#metas.get(key) ?? []).filter(({ phx_ref }) => !refs.has(phx_ref)), ...came])
    }
  }

  get state(): PresenceState {
    return Object.fromEntries([...this.#metas].map(([key, metas]) => [key, { metas }]))
  }

  #set(key: string, metas: readonly PresenceMeta[]): void {
    if (metas.length > 0) this.#metas.set(key, metas)
    else this.#metas.delete(key)
  }
}
