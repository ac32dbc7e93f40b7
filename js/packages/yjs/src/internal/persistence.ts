// Documents that outlive the page: what a place to keep them must do, and how a document is tied to one.
import * as Y from 'yjs'
import { guarded } from './emitter.ts'

export interface Stored {
  readonly updates: readonly Uint8Array[]
  /** Which document of its name this is, as the server said. */
  readonly generation?: string | undefined
}

/** Where a document is kept. Each method is called while none other is under way, but for close(). */
export interface Persistence {
  load(): Promise<Stored>
  /** Resolves when the update would outlive the page. */
  append(update: Uint8Array): Promise<void>
  setGeneration(generation: string): Promise<void>
  /** Forgets all of it. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** Keeps a document for as long as the object lives: for Node, and for tests. */
export function memory(): Persistence {
  let updates: Uint8Array[] = []
  let generation: string | undefined
  return {
    load: async () => ({ updates: [...updates], generation }),
    append: async (update) => {
      updates = [Y.mergeUpdates([...updates, update])]
    },
    setGeneration: async (value) => {
      generation = value
    },
    clear: async () => {
      updates = []
      generation = undefined
    },
    close: async () => {},
  }
}

/** A document that is kept. Changes made while one is written go together into the next write. */
export class Keeper {
  readonly whenLoaded: Promise<void>
  readonly #doc: Y.Doc
  readonly #place: Persistence
  readonly #onError: (error: unknown) => void
  #generation: string | undefined
  #waiting: Uint8Array[] = []
  #work: Promise<void>
  #isWriting = false

  /** Never rejects: a document whose place does not work is one that is not kept, and `onError` is told. */
  constructor(doc: Y.Doc, place: Persistence, onError: (error: unknown) => void) {
    this.#doc = doc
    this.#place = place
    this.#onError = onError
    // What the document had before is kept, too.
    if (Y.encodeStateVector(doc).length > 1) this.#waiting.push(Y.encodeStateAsUpdate(doc))
    doc.on('update', this.#onUpdate)
    this.#isWriting = true
    this.whenLoaded = this.#load()
    this.#work = this.whenLoaded.then(() => this.#write())
  }

  get generation(): string | undefined {
    return this.#generation
  }

  setGeneration(generation: string): void {
    if (generation === this.#generation) return
    this.#generation = generation
    this.#work = this.#work.then(() => this.#place.setGeneration(generation)).catch(this.#onError)
  }

  /** Resolves when all changes so far are kept. */
  async flush(): Promise<void> {
    for (let work; work !== this.#work; ) await (work = this.#work)
  }

  async close(): Promise<void> {
    this.#doc.off('update', this.#onUpdate)
    await this.flush()
    await this.#place.close().catch(this.#onError)
  }

  async #load(): Promise<void> {
    try {
      const { updates, generation } = await this.#place.load()
      this.#generation = generation
      if (updates.length > 0) guarded(() => Y.applyUpdate(this.#doc, Y.mergeUpdates([...updates]), this.#place))
    } catch (error) {
      this.#onError(error)
    }
  }

  readonly #onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin === this.#place) return
    this.#waiting.push(update)
    if (this.#isWriting) return
    this.#isWriting = true
    this.#work = this.#work.then(() => this.#write())
  }

  async #write(): Promise<void> {
    let updates: Uint8Array[] = []
    try {
      while (this.#waiting.length > 0) {
        updates = this.#waiting
        this.#waiting = []
        await this.#place.append(Y.mergeUpdates(updates))
      }
    } catch (error) {
      this.#waiting.unshift(...updates) // the next change tries again
      this.#onError(error)
    }
    this.#isWriting = false
  }
}
