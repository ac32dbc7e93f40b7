// Documents in a page: a part of the client that is loaded when the first one is opened.
import { createDocsWith, type Documents } from '../doc.ts'
import type { Doc } from '../doc_types.ts'
import type { Modules } from '../instance.ts'
import type { DocTopic, Shared, SharedReplica } from './client.ts'
import { TopicHandle } from './client.ts'
import { ClientAwareness } from './client_awareness.ts'
import type { Bytes } from './protocol.ts'
import { subscribe, tell, type PageTopic, type ReplicaPort } from './topic.ts'

/** The documents of a page. A trap costs what the call that trapped was about to do: another instance takes from the hub what was
 * changed before, and each document is another object from then on. */
export class PageDocs {
  readonly #modules: Modules
  readonly #onRebuilt: () => void
  readonly #replicas = new Map<DocReplica, () => PageTopic>()
  #docs: Documents

  static async load(modules: Modules, onRebuilt: () => void): Promise<PageDocs> {
    return new PageDocs(modules, await createDocsWith(...modules), onRebuilt)
  }

  private constructor(modules: Modules, docs: Documents, onRebuilt: () => void) {
    this.#modules = modules
    this.#onRebuilt = onRebuilt
    this.#docs = docs
    this.#watch(docs)
  }

  makeReplica(shared: Shared): SharedReplica {
    const replica = new DocReplica(this.#docs, (update) => shared.page?.changed(update))
    this.#replicas.set(replica, () => shared.page)
    const close = (): void => {
      this.#replicas.delete(replica)
      replica.close()
    }
    return { face: replica, port: replica, close }
  }

  makeHandle(shared: Shared): DocTopic {
    return new DocHandle(shared, shared.replica?.face as DocReplica)
  }

  close(): void {
    this.#docs.close()
  }

  #watch(docs: Documents): void {
    docs.onTrap(() => void this.#rebuild())
  }

  async #rebuild(): Promise<void> {
    this.#docs = await createDocsWith(...this.#modules)
    this.#watch(this.#docs)
    this.#onRebuilt()
    for (const [replica, page] of this.#replicas) {
      replica.move(this.#docs)
      page().revive()
    }
  }
}

const FROM_HUB = Symbol('hub')
const CLOSE_MS = 1_000

class DocReplica implements ReplicaPort {
  #docs: Documents
  readonly #changed: (update: Bytes) => void
  readonly listeners: Set<(doc: Doc) => void> = new Set()
  doc: Doc

  constructor(docs: Documents, changed: (update: Bytes) => void) {
    this.#docs = docs
    this.#changed = changed
    this.doc = this.#make()
  }

  #make(): Doc {
    const doc = this.#docs.open()
    doc.onUpdate((update, origin) => {
      if (origin !== FROM_HUB) this.#changed(update as Bytes)
    })
    return doc
  }

  version(): Bytes {
    return this.doc.stateVector()
  }

  since(version: Bytes): Bytes {
    return this.doc.encode(version.length > 0 ? version : undefined)
  }

  merge(bytes: Bytes): void {
    this.doc.apply(bytes, FROM_HUB)
  }

  reset(): void {
    const before = this.doc
    this.doc = this.#make()
    tell(this.listeners, this.doc)
    // Who shows it may read it once more before it hears of the other one.
    setTimeout(() => before.close(), CLOSE_MS)
  }

  /** Into another instance: what the document was is lost. */
  move(docs: Documents): void {
    this.#docs = docs
    this.doc = this.#make()
    tell(this.listeners, this.doc)
  }

  close(): void {
    this.doc.close()
  }
}

export class DocHandle extends TopicHandle implements DocTopic {
  readonly #replica: DocReplica
  #awareness: ClientAwareness | undefined
  readonly #stop: () => void

  constructor(shared: Shared, replica: DocReplica) {
    super(shared)
    this.#replica = replica
    this.#stop = subscribe(replica.listeners, () => this.#replaceAwareness())
  }

  /** Another document has another client: what we showed goes with the new one. */
  #replaceAwareness(): void {
    const before = this.#awareness
    if (before === undefined) return
    const state = before.getLocalState()
    before.destroy()
    this.#awareness = new ClientAwareness(this.doc, this.shared.page)
    this.#awareness.setLocalState(state)
  }

  get doc(): Doc {
    return this.#replica.doc
  }

  onReplaced(listener: (doc: Doc) => void): () => void {
    return subscribe(this.#replica.listeners, listener)
  }

  get awareness(): ClientAwareness {
    return (this.#awareness ??= new ClientAwareness(this.doc, this.shared.page))
  }

  override async close(): Promise<void> {
    this.#stop()
    this.#awareness?.destroy()
    await super.close()
  }
}
