// Where replicas outlive their page.
//
// A replica is an actor id and the state that was saved under it. Two engines must never use one actor
// at the same time, nor an actor whose saved state is older than what it has told the server: both
// would give one count two histories, and one of them would vanish. Hence a replica is held by one
// engine at a time, and an engine sends nothing that is not saved (replica.ts).

/** What is kept of a replica. `applied` counts the increments of page `session` that are in `state`. */
export interface ReplicaRecord {
  readonly state: Uint8Array<ArrayBuffer>
  readonly session: string
  readonly applied: number
  /** Whether the server lacks something of it. */
  readonly pending: boolean
}

/** A replica that is ours until we release it. */
export interface ReplicaHold {
  readonly actor: string
  readonly record: ReplicaRecord | undefined
  /** Resolves when the record would outlive the machine's end. Calls do not overlap. */
  save(record: ReplicaRecord): Promise<void>
  /** Forgets the replica: its actor is never used again. */
  remove(): Promise<void>
  /** Keeps a record that cannot be read where nobody takes it any more. */
  setAside(): Promise<void>
  release(): void
}

export interface ReplicaStorage {
  /** A replica of this scope that nobody holds, or a new one. With `resume` that very one, as soon as
   * its holder is gone. */
  acquire(scope: string, resume?: string): Promise<ReplicaHold>
  /** A replica that nobody holds and that has something for the server, if there is one. */
  acquireStray(scope: string): Promise<ReplicaHold | undefined>
}

/** 128 random bits: two replicas never meet with the same. */
export function newActor(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Replicas that live as long as this object. */
export function memoryStorage(): ReplicaStorage {
  const records = new Map<string, ReplicaRecord>()
  const held = new Set<string>()
  const hold = (scope: string, actor: string): ReplicaHold => {
    const key = `${scope} ${actor}`
    held.add(key)
    return {
      actor,
      record: records.get(key),
      save: async (record) => void records.set(key, record),
      remove: async () => void records.delete(key),
      setAside: async () => void records.delete(key),
      release: () => void held.delete(key),
    }
  }
  const free = (scope: string): string[] => {
    const keys = [...records.keys()].filter((key) => key.startsWith(`${scope} `) && !held.has(key))
    return keys.sort((a, b) => Number(records.get(b)?.pending) - Number(records.get(a)?.pending))
  }
  const actorOf = (key: string): string => key.slice(key.lastIndexOf(' ') + 1)
  return {
    acquire: async (scope, resume) => {
      const key = free(scope)[0]
      return hold(scope, resume ?? (key === undefined ? newActor() : actorOf(key)))
    },
    acquireStray: async (scope) => {
      const key = free(scope).find((candidate) => records.get(candidate)?.pending)
      return key === undefined ? undefined : hold(scope, actorOf(key))
    },
  }
}
