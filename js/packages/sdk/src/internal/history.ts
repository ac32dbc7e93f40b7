// Documents as they were, in a module of its own: programs that only edit do not load it.
import type { HistoryExports } from './bindings.gen.ts'
import type { Snapshot } from './doc_snapshot.ts'
import type { ChangeCounts, Changes, CompareOptions, DocHistory, UpdateFormat } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'
import { StatelessWork } from './stateless.ts'

type Bytes = Uint8Array<ArrayBuffer>

const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const NOTHING: Bytes = new Uint8Array()

class HistoryWork extends StatelessWork implements DocHistory {
  at(document: Uint8Array, snapshot: Snapshot, format: UpdateFormat = 1): Bytes {
    const then = snapshot.encode()
    const [seed = 0n, seed2 = 0n] = entropy()
    return this.bytes([document, then], (core: HistoryExports) => core.history_at(format, document.length, then.length, seed, seed2))
  }

  compare(before: Uint8Array, after: Uint8Array, { format = 1, userOf }: CompareOptions = {}): Changes {
    const json = this.bytes([before, after], (core: HistoryExports) => core.history_compare(format, before.length, after.length))
    return changesOf(json, userOf)
  }

  compareSnapshots(document: Uint8Array, before?: Snapshot, after?: Snapshot, { format = 1, userOf }: CompareOptions = {}): Changes {
    const was = before?.encode() ?? NOTHING
    const is = after?.encode() ?? NOTHING
    const [seed = 0n, seed2 = 0n] = entropy()
    const json = this.bytes([document, was, is], (core: HistoryExports) => {
      return core.history_compare_snapshots(format, document.length, was.length, is.length, seed, seed2)
    })
    return changesOf(json, userOf)
  }
}

const entropy = (): BigUint64Array => crypto.getRandomValues(new BigUint64Array(2))

/** With the users of clients, of whom the core knows nothing. */
function changesOf(json: Bytes, userOf: CompareOptions['userOf']): Changes {
  const changes = JSON.parse(decoder.decode(json)) as Omit<Changes, 'users'>
  const users = new Map<string, ChangeCounts & { readonly user: string }>()
  const clients = changes.clients.map((counts) => {
    const user = userOf?.(counts.client)
    if (user === undefined) return counts
    const { added = 0, deleted = 0, formats = 0 } = users.get(user) ?? {}
    users.set(user, { user, added: added + counts.added, deleted: deleted + counts.deleted, formats: formats + counts.formats })
    return { ...counts, user }
  })
  return { clients, users: [...users.values()].sort((a, b) => (a.user < b.user ? -1 : 1)), roots: changes.roots }
}

/** Throws LK_ERR_UNSUPPORTED where the module is not that of history. */
export function createHistoryWith(module: WebAssembly.Module): DocHistory {
  const isOurs = WebAssembly.Module.exports(module).some(({ name }) => name === 'history_at')
  if (!isOurs) throw new LaniakeaError('LK_ERR_UNSUPPORTED', 'this module knows no history')
  return new HistoryWork(module)
}
