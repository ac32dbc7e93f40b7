// Versions of the document: how it looked at times, as the server keeps them. docs/reference/channels.md says what each answer means.
import type { PhoenixProvider } from '@laniakea/yjs'

export interface Version {
  readonly id: number
  /** Milliseconds since 1970, where it is known. */
  readonly at?: number
  readonly name?: string
  /** The subject who saved it, to a server that asks who somebody is. */
  readonly by?: string
  readonly automatic: boolean
}

/** One step through the list or the text of a node. What is no text is described, or is an array of values. */
export interface Step {
  readonly retain?: number
  /** Of what is retained: the formats that changed. */
  readonly formats?: object
  readonly insert?: unknown
  readonly delete?: unknown
  /** Who wrote that, also where it was deleted. */
  readonly client?: number
}

export interface NodeChange {
  readonly path: readonly number[]
  readonly state?: 'added' | 'deleted'
  readonly delta?: readonly Step[]
  /** Attributes. */
  readonly entries?: object
}

export interface Writer {
  readonly client: number
  readonly user?: string
  readonly added: number
  /** Of what this client wrote, whoever deleted it. */
  readonly deleted: number
}

export interface Changes {
  readonly clients: readonly Writer[]
  readonly roots: { readonly [name: string]: readonly NodeChange[] }
}

export interface Versions {
  /** All of them, the oldest first. */
  list(): Promise<readonly Version[]>
  /** An update that makes an empty document what it was. */
  read(id: number): Promise<Uint8Array>
  /** From the beginning where `from` is left out, until now where `to` is. */
  compare(from: number | undefined, to?: number): Promise<Changes>
  save(name: string): Promise<Version>
  /** `before` is the version of what is left behind, if none showed it. */
  restore(id: number): Promise<Version & { readonly before?: number }>
  onChange(listener: () => void): () => void
}

const PAGE = 1000

export function versionsOf(provider: PhoenixProvider): Versions {
  return {
    async list() {
      const all: Version[] = []
      for (let more = true; more;) {
        const before = all.at(-1)?.id
        const page = await provider.ask<{ versions: Version[]; more: boolean }>('versions', { limit: PAGE, ...(before === undefined ? {} : { before }) })
        all.push(...page.versions)
        more = page.more && page.versions.length > 0
      }
      return all.reverse()
    },
    read: (id) => provider.ask('version_read', { id, as: 'update' }),
    compare: (from, to) => provider.ask('version_compare', { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }),
    save: (name) => provider.ask('version_save', name === '' ? {} : { name }),
    restore: (id) => provider.ask('version_restore', { id }),
    onChange(listener) {
      provider.on('versions_changed', listener)
      return () => provider.off('versions_changed', listener)
    },
  }
}
