// The diary in IndexedDB, where there is nothing better: files as rows of blocks.
//
//   files    name -> size          blocks    [name, number] -> bytes
//
// What is written stays in memory until sync() puts it into one transaction, which asks for strict durability: a relaxed one may
// be undone by a power cut.
import { fileError, indexedDbName, type DeviceFile, type DeviceFiles } from './files.ts'

type Bytes = Uint8Array<ArrayBuffer>

const BLOCK = 16_384
/** A worker that was ended lets go of its connection a moment later. */
const TAKEN_MS = 5_000


/** `isAlone`: no lock keeps others out. */
export async function indexedDbFiles(scope: string, isAlone: boolean): Promise<DeviceFiles> {
  const database = await (isAlone ? openAlone(indexedDbName(scope)) : resultOf(openRequest(indexedDbName(scope))))
  const sizes = new Map<string, number>()
  const store = database.transaction('files').objectStore('files')
  const [names, values] = await Promise.all([resultOf(store.getAllKeys()), resultOf<number[]>(store.getAll())])
  names.forEach((name, i) => sizes.set(name as string, values[i] ?? 0))
  const files: DeviceFiles = {
    kind: 'indexeddb',
    open: async (name, create) => {
      if (!sizes.has(name) && !create) return undefined
      if (!sizes.has(name)) sizes.set(name, 0)
      return new IndexedDbFile(database, name, sizes)
    },
    remove: async (name) => {
      if (!sizes.delete(name)) return false
      await committed(database, (files, blocks) => {
        files.delete(name)
        blocks.delete(allOf(name))
      })
      return true
    },
    rename: async (from, to) => {
      const reading = database.transaction('blocks').objectStore('blocks')
      const [keys, values] = await Promise.all([resultOf(reading.getAllKeys(allOf(from))), resultOf(reading.getAll(allOf(from)))])
      await committed(database, (files, blocks) => {
        blocks.delete(allOf(to))
        keys.forEach((key, i) => blocks.put(values[i], [to, (key as [string, number])[1]]))
        files.put(sizes.get(from) ?? 0, to)
        files.delete(from)
        blocks.delete(allOf(from))
      })
      sizes.set(to, sizes.get(from) ?? 0)
      sizes.delete(from)
    },
    list: async () => [...sizes.keys()],
    close: async () => database.close(),
  }
  return files
}

function openRequest(name: string, version?: number, onUpgrade?: () => void): IDBOpenDBRequest {
  const opening = indexedDB.open(name, version)
  opening.onupgradeneeded = ({ oldVersion }) => {
    onUpgrade?.()
    if (oldVersion > 0) return
    opening.result.createObjectStore('files')
    opening.result.createObjectStore('blocks')
  }
  return opening
}

/** The next version of a database has who opens it first, and that waits until everybody else has closed the one before. */
async function openAlone(name: string): Promise<IDBDatabase> {
  const end = performance.now() + TAKEN_MS
  do {
    const version = (await indexedDB.databases()).find((known) => known.name === name)?.version ?? 0
    const database = await openNext(name, version + 1, end - performance.now())
    if (database !== undefined) return database
  } while (performance.now() < end)
  throw new DOMException('another page has it', 'NoModificationAllowedError')
}

/** `undefined`: another one was faster, or still has it. */
function openNext(name: string, version: number, ms: number): Promise<IDBDatabase | undefined> {
  let isOurs = false
  const opening = openRequest(name, version, () => (isOurs = true))
  return new Promise((resolve) => {
    const late = setTimeout(() => {
      // It comes when nobody waits for it any more.
      opening.onsuccess = () => opening.result.close()
      resolve(undefined)
    }, ms)
    opening.onsuccess = () => {
      clearTimeout(late)
      if (!isOurs) opening.result.close()
      resolve(isOurs ? opening.result : undefined)
    }
  })
}

const allOf = (name: string): IDBKeyRange => IDBKeyRange.bound([name], [name, []])

class IndexedDbFile implements DeviceFile {
  readonly #database: IDBDatabase
  readonly #name: string
  readonly #sizes: Map<string, number>
  readonly #blocks = new Map<number, Bytes>()
  readonly #dirty = new Set<number>()
  #size: number
  /** Blocks from here on are not to be read from the database. */
  #end: number

  constructor(database: IDBDatabase, name: string, sizes: Map<string, number>) {
    this.#database = database
    this.#name = name
    this.#sizes = sizes
    this.#size = sizes.get(name) ?? 0
    this.#end = Math.ceil(this.#size / BLOCK)
  }

  async read(at: number, length: number): Promise<Bytes> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.#size - at)))
    for (let done = 0; done < bytes.length; ) {
      const block = await this.#block(Math.floor((at + done) / BLOCK))
      const from = (at + done) % BLOCK
      const part = block.subarray(from, Math.min(BLOCK, from + bytes.length - done))
      bytes.set(part, done)
      done += part.length
    }
    return bytes
  }

  async write(at: number, bytes: Bytes): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const number = Math.floor((at + done) / BLOCK)
      const block = await this.#block(number)
      const from = (at + done) % BLOCK
      const part = bytes.subarray(done, done + BLOCK - from)
      block.set(part, from)
      this.#dirty.add(number)
      done += part.length
    }
    this.#size = Math.max(this.#size, at + bytes.length)
  }

  sync(): Promise<void> {
    const dirty = [...this.#dirty]
    const name = this.#name
    this.#dirty.clear()
    this.#sizes.set(name, this.#size)
    return committed(this.#database, (files, blocks) => {
      files.put(this.#size, name)
      for (const number of dirty) blocks.put(this.#blocks.get(number), [name, number])
      blocks.delete(IDBKeyRange.bound([name, Math.ceil(this.#size / BLOCK)], [name, []]))
    })
  }

  /** What is behind the end reads as zeros when the file grows again. */
  async truncate(size: number): Promise<void> {
    const last = Math.floor(size / BLOCK)
    if (size < this.#size) {
      if (size % BLOCK > 0) {
        ;(await this.#block(last)).fill(0, size % BLOCK)
        this.#dirty.add(last)
      }
      const end = Math.ceil(size / BLOCK)
      this.#end = Math.min(this.#end, end)
      for (const number of [...this.#blocks.keys()]) {
        if (number < end) continue
        this.#blocks.delete(number)
        this.#dirty.delete(number)
      }
    }
    this.#size = size
  }

  size(): number {
    return this.#size
  }

  close(): void {
    this.#blocks.clear()
  }

  async #block(number: number): Promise<Bytes> {
    let block = this.#blocks.get(number)
    if (block === undefined) {
      block = new Uint8Array(BLOCK)
      if (number < this.#end) {
        const kept = await resultOf<Bytes | undefined>(this.#database.transaction('blocks').objectStore('blocks').get([this.#name, number]))
        if (kept !== undefined) block.set(kept)
      }
      this.#blocks.set(number, block)
    }
    return block
  }
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(fileError(request.error))
  })
}

function committed(database: IDBDatabase, change: (files: IDBObjectStore, blocks: IDBObjectStore) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(['files', 'blocks'], 'readwrite', { durability: 'strict' })
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(fileError(transaction.error))
    change(transaction.objectStore('files'), transaction.objectStore('blocks'))
    transaction.commit()
  })
}
