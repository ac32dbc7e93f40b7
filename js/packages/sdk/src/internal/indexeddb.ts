// Replicas in IndexedDB, each held by a Web Lock of its name: the browser gives the lock back when a
// worker ends, however it ends, and a duplicated tab finds it taken.
//
// Transactions ask for strict durability. A relaxed one may be undone by a power cut, and then the
// actor would come back with an older state than it has told the server (storage.ts).
import { LaniakeaError } from './errors.ts'
import { newActor, type ReplicaHold, type ReplicaRecord, type ReplicaStorage } from './storage.ts'

const DATABASE = 'laniakea'
const STORE = 'replicas'

interface Row extends ReplicaRecord {
  readonly scope: string
  readonly actor: string
}

export function indexedDbStorage(): ReplicaStorage {
  return {
    acquire: async (scope, resume) => {
      const database = await openDatabase()
      if (resume !== undefined) return take(database, scope, resume, await lock(scope, resume, true))
      // Those that have something for the server come first.
      const rows = (await rowsOf(database, scope)).sort((a, b) => Number(b.pending) - Number(a.pending))
      return (await takeFirst(database, scope, rows)) ?? takeNew(database, scope)
    },
    acquireStray: async (scope) => {
      const database = await openDatabase()
      const stray = await takeFirst(database, scope, (await rowsOf(database, scope)).filter((row) => row.pending))
      if (stray === undefined) database.close()
      return stray
    },
  }
}

async function takeFirst(database: IDBDatabase, scope: string, rows: readonly Row[]): Promise<ReplicaHold | undefined> {
  for (const { actor } of rows) {
    const release = await lock(scope, actor, false)
    if (release) return take(database, scope, actor, release)
  }
  return undefined
}

async function takeNew(database: IDBDatabase, scope: string): Promise<ReplicaHold> {
  const actor = newActor()
  return take(database, scope, actor, await lock(scope, actor, true))
}

/** Only what is read under the lock is true: another engine may have saved just before it let go. */
async function take(database: IDBDatabase, scope: string, actor: string, release: (() => void) | undefined): Promise<ReplicaHold> {
  const store = (mode: IDBTransactionMode) => database.transaction(STORE, mode, { durability: 'strict' })
  const reading = store('readonly')
  const row = await resultOf<Row | undefined>(reading.objectStore(STORE).get([scope, actor]))
  return {
    actor,
    record: row,
    save: (record) => committed(store('readwrite'), (rows) => rows.put({ ...record, scope, actor } satisfies Row)),
    remove: () => committed(store('readwrite'), (rows) => rows.delete([scope, actor])),
    setAside: () =>
      committed(store('readwrite'), (rows) => {
        if (row !== undefined) rows.put({ ...row, scope: `damaged ${scope}` } satisfies Row)
        rows.delete([scope, actor])
      }),
    release: () => {
      database.close()
      release?.()
    },
  }
}

/** Resolves with what ends the lock; with undefined where somebody else has it and we do not wait. */
function lock(scope: string, actor: string, wait: boolean): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const granted = (held: Lock | null): Promise<void> | undefined => {
      if (held === null) {
        resolve(undefined)
        return undefined
      }
      return new Promise((release) => resolve(() => release()))
    }
    navigator.locks.request(`laniakea ${scope} ${actor}`, { ifAvailable: !wait }, granted).catch(reject)
  })
}

async function openDatabase(): Promise<IDBDatabase> {
  if (globalThis.indexedDB === undefined || globalThis.navigator?.locks === undefined) {
    throw new LaniakeaError('LK_ERR_UNSUPPORTED', 'IndexedDB and Web Locks exist on secure origins only')
  }
  const request = indexedDB.open(DATABASE, 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore(STORE, { keyPath: ['scope', 'actor'] })
  }
  const database = await resultOf(request)
  // A newer SDK in another tab wants to change the database: let it.
  database.onversionchange = () => database.close()
  return database
}

function rowsOf(database: IDBDatabase, scope: string): Promise<Row[]> {
  const range = IDBKeyRange.bound([scope], [scope, []])
  return resultOf(database.transaction(STORE, 'readonly').objectStore(STORE).getAll(range))
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(storageError(request.error))
  })
}

function committed(transaction: IDBTransaction, change: (rows: IDBObjectStore) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(storageError(transaction.error))
    change(transaction.objectStore(STORE))
    // Do not wait for more requests: there are none.
    transaction.commit()
  })
}

function storageError(cause: DOMException | null): LaniakeaError {
  return new LaniakeaError(cause?.name === 'QuotaExceededError' ? 'LK_ERR_NO_SPACE' : 'LK_ERR_IO', String(cause))
}
