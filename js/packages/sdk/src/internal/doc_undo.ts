// Undo managers: handles, like documents themselves.
import { COUNT, type DocCore, type DocModule } from './doc_core.ts'
import type { DocNode, UndoItem, UndoManager } from './doc_types.ts'
import type { ItemWatch } from './doc_watch.ts'

/** The document, as its undo managers see it. */
export interface UndoOwner {
  readonly core: DocCore
  check(call: (core: DocModule, doc: number) => number): void
  change(call: (core: DocModule, doc: number) => number): void
  pin(origin: unknown): number
  unpin(origin: unknown): void
  place(node: DocNode): { readonly slot: number; readonly check: number }
  dropUndo(number: number): void
}

export class Undo implements UndoManager, ItemWatch {
  readonly metas: Map<number, Map<unknown, unknown>> = new Map()
  listeners: readonly ((item: UndoItem) => void)[] = []
  readonly #doc: UndoOwner
  readonly #number: number
  readonly #origins = new Set<unknown>()
  #watched = false
  #closed = false

  constructor(doc: UndoOwner, number: number, origins: Iterable<unknown> | undefined) {
    this.#doc = doc
    this.#number = number
    if (origins === undefined) return
    let nameless = false
    for (const origin of origins) {
      if (origin === undefined || origin === null) nameless = true
      else this.track(origin)
    }
    if (!nameless) this.untrack(null)
  }

  get undoCount(): number {
    return this.#count(0)
  }

  get redoCount(): number {
    return this.#count(1)
  }

  undo(): boolean {
    return this.#pop(0)
  }

  redo(): boolean {
    return this.#pop(1)
  }

  stopCapturing(): void {
    this.#doc.check((core, doc) => (core.doc_undo_stop(doc, this.#number), 0))
  }

  clear({ undo = true, redo = true }: { readonly undo?: boolean; readonly redo?: boolean } = {}): void {
    this.#doc.change((core, doc) => core.doc_undo_clear(doc, this.#number, undo ? 1 : 0, redo ? 1 : 0))
    if (undo && redo) this.metas.clear()
  }

  addScope(node: DocNode): void {
    const { slot, check } = this.#doc.place(node)
    this.#doc.check((core, doc) => core.doc_undo_add_scope(doc, this.#number, slot, check))
  }

  track(origin: unknown): void {
    if (this.#origins.has(origin)) return
    const number = this.#doc.pin(origin)
    this.#origins.add(origin)
    this.#doc.check((core, doc) => core.doc_undo_track(doc, this.#number, number, 1))
  }

  untrack(origin: unknown): void {
    const number = this.#doc.pin(origin)
    this.#doc.unpin(origin)
    this.#doc.check((core, doc) => core.doc_undo_track(doc, this.#number, number, 0))
    if (this.#origins.delete(origin)) this.#doc.unpin(origin)
  }

  onItem(listener: (item: UndoItem) => void): () => void {
    if (!this.#watched) this.#doc.check((core, doc) => core.doc_undo_watch(doc, this.#number))
    this.#watched = true
    const own = (item: UndoItem): void => listener(item) // the same function may listen twice
    this.listeners = [...this.listeners, own]
    return () => (this.listeners = this.listeners.filter((other) => other !== own))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const origin of this.#origins) this.#doc.unpin(origin)
    this.#doc.dropUndo(this.#number)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #pop(redo: number): boolean {
    let done = 0
    this.#doc.change((core, doc) => {
      const result = core.doc_undo_pop(doc, this.#number, redo)
      this.#doc.core.refresh()
      done = this.#doc.core.board[COUNT] as number
      return result
    })
    return done === 1
  }

  #count(redo: number): number {
    let count = 0
    this.#doc.check((core, doc) => ((count = core.doc_undo_count(doc, this.#number, redo)), 0))
    return count
  }
}
