// Undo managers: handles, like documents themselves.
import { docUndo } from './bindings.gen.ts'
import type { DocNode, UndoItem, UndoManager } from './doc_types.ts'
import type { ItemWatch } from './doc_watch.ts'

/** The document, as its undo managers see it. */
export interface UndoOwner {
  /** doc_undo(); what stands on the board behind it. */
  undoDo(undo: number, what: number, a?: number, b?: number): number
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
    return this.#do(docUndo.count, 0)
  }

  get redoCount(): number {
    return this.#do(docUndo.count, 1)
  }

  undo(): boolean {
    return this.#do(docUndo.pop, 0) === 1
  }

  redo(): boolean {
    return this.#do(docUndo.pop, 1) === 1
  }

  stopCapturing(): void {
    this.#do(docUndo.stop)
  }

  clear({ undo = true, redo = true }: { readonly undo?: boolean; readonly redo?: boolean } = {}): void {
    this.#do(docUndo.clear, undo ? 1 : 0, redo ? 1 : 0)
    if (undo && redo) this.metas.clear()
  }

  addScope(node: DocNode): void {
    const { slot, check } = this.#doc.place(node)
    this.#do(docUndo.scope, slot, check)
  }

  track(origin: unknown): void {
    if (this.#origins.has(origin)) return
    const number = this.#doc.pin(origin)
    this.#origins.add(origin)
    this.#do(docUndo.track, number, 1)
  }

  untrack(origin: unknown): void {
    const number = this.#doc.pin(origin)
    this.#doc.unpin(origin)
    this.#do(docUndo.track, number, 0)
    if (this.#origins.delete(origin)) this.#doc.unpin(origin)
  }

  onItem(listener: (item: UndoItem) => void): () => void {
    if (!this.#watched) this.#do(docUndo.watch)
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

  #do(what: number, a?: number, b?: number): number {
    return this.#doc.undoDo(this.#number, what, a, b)
  }
}
