// Documents in documents: which there are, who wants what they hold, and who is told.
//
// The core knows a guid and options. What a document of that guid holds is a document like any other, which is here when
// somebody asked for it, and whose updates go their own ways.
import { Reader, type Subdocument } from './doc_any.ts'
import type { Bytes } from './doc_core.ts'
import type { NodeHandle } from './doc_nodes.ts'
import type { Doc, DocOptions, SubdocumentEvent } from './doc_types.ts'
import { OneTelling, type Telling } from './doc_watch.ts'
import { LaniakeaError } from './errors.ts'

/** The document, as those in it see it. */
export interface SubdocumentOwner {
  readonly isOpen: boolean
  subdocuments(): Subdocument[]
  /** Another one, beside this one. */
  openBeside(options: DocOptions): LoadedDoc
  /** Subdocuments that come and go are told from now on, until what it returns is called. */
  watchSubdocuments(): () => void
  tellNow(telling: Telling): void
}

type LoadedDoc = Doc & { readonly isOpen: boolean }
type Listener = (event: SubdocumentEvent) => void

export class Subdocuments {
  readonly #owner: SubdocumentOwner
  readonly #loaded = new Map<string, LoadedDoc>()
  #listeners: readonly Listener[] = []
  #off: (() => void) | undefined

  constructor(owner: SubdocumentOwner) {
    this.#owner = owner
  }

  load(guid: string): Doc {
    const known = this.#loaded.get(guid)
    if (known?.isOpen) return known
    const subdocument = this.#owner.subdocuments().find((one) => one.guid === guid)
    if (subdocument === undefined) throw new LaniakeaError('LK_ERR_NOT_FOUND', `no subdocument "${guid}"`)
    this.#watch()
    const doc = this.#open(subdocument)
    this.#owner.tellNow(new OneTelling(this.#listeners, { added: [], removed: [], loaded: [subdocument] }))
    return doc
  }

  listen(listener: Listener): () => void {
    const own: Listener = (event) => listener(event) // the same function may listen twice
    this.#watch()
    this.#listeners = [...this.#listeners, own]
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== own)
      this.#unwatch()
    }
  }

  /** What wasm/doc_watch.c wrote down. */
  read(bytes: Bytes, addedCount: number): Telling {
    const reader = new Reader<Subdocument>(bytes, () => { throw new LaniakeaError('LK_ERR_CORRUPT') })
    const all: Subdocument[] = []
    while (reader.more) all.push(reader.subdocument())
    const loaded: Subdocument[] = []
    const event = { added: all.slice(0, addedCount), removed: all.slice(addedCount), loaded }
    // What listeners find is loaded, and what they may still look at is not closed yet.
    return new OneTelling([() => this.#loadAdded(event.added, loaded), ...this.#listeners, () => this.#closeRemoved(event.removed)], event)
  }

  close(): void {
    for (const doc of this.#loaded.values()) doc.close()
    this.#loaded.clear()
    this.#off = undefined
  }

  #open({ guid, options }: Subdocument): LoadedDoc {
    const doc = this.#owner.openBeside({ keepDeleted: options['gc'] === false })
    this.#loaded.set(guid, doc)
    return doc
  }

  #loadAdded(added: readonly Subdocument[], loaded: Subdocument[]): void {
    if (!this.#owner.isOpen) return
    for (const one of added) {
      if (one.options['autoLoad'] !== true || this.#loaded.get(one.guid)?.isOpen) continue
      this.#open(one)
      loaded.push(one)
    }
  }

  #closeRemoved(removed: readonly Subdocument[]): void {
    const gone = removed.filter(({ guid }) => this.#loaded.has(guid))
    if (gone.length === 0 || !this.#owner.isOpen) return
    const left = new Set(this.#owner.subdocuments().map(({ guid }) => guid)) // one may lie in two places
    for (const { guid } of gone) {
      if (left.has(guid)) continue
      this.#loaded.get(guid)?.close()
      this.#loaded.delete(guid)
    }
    this.#unwatch()
  }

  #watch(): void {
    this.#off ??= this.#owner.watchSubdocuments()
  }

  #unwatch(): void {
    if (this.#listeners.length > 0 || this.#loaded.size > 0) return
    this.#off?.()
    this.#off = undefined
  }
}

/** All below some nodes, which may nest deeper than functions. */
export function subdocumentsIn(roots: NodeHandle[]): Subdocument[] {
  const found: Subdocument[] = []
  const open = [...roots]
  for (let node = open.pop(); node !== undefined; node = open.pop()) node.sortContent(open, found)
  return found
}
