// A document in IndexedDB: its updates as they came, folded into one when there are many.
//
//   database "laniakea-yjs <name>"    store "updates"  1, 2, 3, ... -> bytes
//                                     store "meta"     "generation" -> text
//
// Folding happens within one transaction, over what stands in the store rather than what this page knows. So tabs that keep the
// same document under the same name take nothing from each other, and a page that dies leaves either form.
//
// Durability is left relaxed: what a power cut takes of the last moments is taken whole, and a Yjs document that is opened
// again writes under a new client id.
import * as Y from 'yjs'
import type { Persistence } from './persistence.ts'

const UPDATES = 'updates'
const META = 'meta'
const GENERATION = 'generation'
const FOLD_AT = 200 // updates

/** Keeps a document in this browser under `name`. */
export function indexeddb(name: string): Persistence {
  let opened: Promise<IDBDatabase> | undefined
  let count = 0

  const database = (): Promise<IDBDatabase> => {
    const reopen = (): void => void (opened = undefined)
    opened ??= openDatabase(`laniakea-yjs ${name}`, reopen)
    opened.catch(reopen) // the next one may have more luck
    return opened
  }
  const change = async (stores: string | string[], run: (transaction: IDBTransaction) => void): Promise<void> => {
    const transaction = (await database()).transaction(stores, 'readwrite')
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
      run(transaction)
    })
  }
  const fold = (): Promise<void> =>
    change(UPDATES, (transaction) => {
      const store = transaction.objectStore(UPDATES)
      const all: IDBRequest<Uint8Array[]> = store.getAll()
      all.onsuccess = () => {
        const folded = foldUpdates(all.result)
        store.clear()
        store.add(folded)
        count = 1
      }
    })

  return {
    async load() {
      const transaction = (await database()).transaction([UPDATES, META], 'readonly')
      const [updates, generation] = await Promise.all([
        resultOf<Uint8Array[]>(transaction.objectStore(UPDATES).getAll()),
        resultOf<string | undefined>(transaction.objectStore(META).get(GENERATION)),
      ])
      count = updates.length
      return { updates, generation }
    },
    async append(update) {
      await change(UPDATES, (transaction) => transaction.objectStore(UPDATES).add(update))
      if (++count >= FOLD_AT) await fold()
    },
    setGeneration: (generation) => change(META, (transaction) => transaction.objectStore(META).put(generation, GENERATION)),
    async clear() {
      await change([UPDATES, META], (transaction) => {
        transaction.objectStore(UPDATES).clear()
        transaction.objectStore(META).clear()
      })
      count = 0
    },
    async close() {
      const closing = opened
      opened = undefined
      ;(await closing?.catch(() => undefined))?.close()
    },
  }
}

/** Of what was deleted only that it was remains, as in any document. */
function foldUpdates(updates: readonly Uint8Array[]): Uint8Array {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, Y.mergeUpdates([...updates]))
  const folded = Y.encodeStateAsUpdate(doc)
  doc.destroy()
  return folded
}

async function openDatabase(name: string, onClosed: () => void): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore(UPDATES, { autoIncrement: true })
    request.result.createObjectStore(META)
  }
  const database = await resultOf(request)
  // A newer version of this package in another tab wants to change the database, or somebody to delete it: let them.
  database.onversionchange = () => {
    database.close()
    onClosed()
  }
  database.onclose = onClosed
  return database
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
