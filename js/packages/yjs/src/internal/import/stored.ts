// A document as some storage has it, and the one update that is made of it.
import * as Y from 'yjs'

/** What a storage says of a document: a whole one, or its updates in any order. */
export interface Stored {
  readonly name: string
  readonly updates: Iterable<StoredUpdate>
}

export interface StoredUpdate {
  /** For who looks for it. */
  readonly where: string
  /** Gives bytes, if all is well with it. */
  readonly read: () => unknown
}

/**
 * One update of the first format, or null where nothing can be read. `complain` hears of what is left out: what is no update, and
 * what builds on that. Nothing else is: neither what was deleted in the document nor who did it.
 */
export function readStored({ updates }: Stored, isV2: boolean, complain: (what: string) => void): Uint8Array | null {
  const doc = new Y.Doc({ gc: false })
  let only: Uint8Array | null = null
  let count = 0
  doc.transact(() => {
    for (const { where, read } of updates) {
      try {
        const update = readUpdate(read(), isV2)
        Y.applyUpdate(doc, update)
        only = update
        count++
      } catch (error) {
        complain(`${where}: ${messageOf(error)}`)
      }
    }
  })
  const { store } = doc
  const hasGaps = store.pendingStructs !== null || store.pendingDs !== null
  if (hasGaps) {
    store.pendingStructs = store.pendingDs = null
    const isAll = store.clients.size === 0
    complain(isAll ? 'it builds on updates that are not here' : 'a part of it builds on updates that are not here, and was left out')
    if (isAll) return null
  }
  if (count === 0) return null
  return count === 1 && !hasGaps ? only : Y.encodeStateAsUpdate(doc)
}

/** Throws before anything of it is applied. */
function readUpdate(value: unknown, isV2: boolean): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error(`not an update of Yjs but ${value === null ? 'nothing' : `of type ${typeof value}`}`)
  let update: Uint8Array
  let isEmpty: boolean
  try {
    update = isV2 ? Y.convertUpdateFormatV2ToV1(value) : value
    const { structs, ds } = Y.decodeUpdate(update)
    isEmpty = structs.length === 0 && ds.clients.size === 0
  } catch (error) {
    throw new Error(`not an update of Yjs${isV2 ? "'s second format" : ''} (${messageOf(error)})`)
  }
  // An update of the second format begins with a zero, by which the first one says that there is nothing.
  if (isEmpty && value.length > 2 && !isV2) throw new Error('nothing is in it, unless it is of the second format: see --v2')
  return update
}

/** What encodeURIComponent() made another name of. */
export function unescapeName(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name // a % of its own
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
