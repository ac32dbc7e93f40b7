// bench/crdt/shared/naive.mjs -- counters and sets as one writes them in an afternoon of plain JavaScript, for the
// scripts beside this folder to measure. Deltas are JSON.

// ---- a counter: what each actor counted ----

// As the project's first sketches have it: increment and merge give a new state.
export const replacing = {
  increment: (state, actor) => ({ counts: { ...state.counts, [actor]: (state.counts[actor] ?? 0) + 1 } }),
  merge(a, b) {
    const counts = {}
    for (const actor of new Set([...Object.keys(a.counts), ...Object.keys(b.counts)])) {
      counts[actor] = Math.max(a.counts[actor] ?? 0, b.counts[actor] ?? 0)
    }
    return { counts }
  },
}

// For speed: objects are changed where they are.
export const inPlace = {
  increment(state, actor) {
    state.counts[actor] = (state.counts[actor] ?? 0) + 1
    return state
  },
  merge(a, b) {
    for (const [actor, count] of Object.entries(b.counts)) {
      if (count > (a.counts[actor] ?? 0)) a.counts[actor] = count
    }
    return a
  },
}

export const total = (state) => Object.values(state.counts).reduce((sum, count) => sum + count, 0)

// ---- a set: the tags of each element, and the tags that were removed ----

export class TagSet {
  tags = new Map()
  removed = new Set()
  #actor
  #next = 0

  constructor(actor) {
    this.#actor = actor
  }

  /** A delta, as the other two. */
  add(element) {
    const tag = `${this.#actor}:${++this.#next}`
    this.#put(element, tag)
    return { adds: [[element, tag]], removes: [] }
  }

  remove(element) {
    const removes = [...(this.tags.get(element) ?? [])]
    for (const tag of removes) this.removed.add(tag)
    this.tags.delete(element)
    return { adds: [], removes: removes.map((tag) => [element, tag]) }
  }

  merge({ adds, removes }) {
    for (const [element, tag] of removes) this.#take(element, tag)
    for (const [element, tag] of adds) if (!this.removed.has(tag)) this.#put(element, tag)
  }

  get value() {
    return [...this.tags.keys()]
  }

  #put(element, tag) {
    const tags = this.tags.get(element)
    if (tags) tags.add(tag)
    else this.tags.set(element, new Set([tag]))
  }

  #take(element, tag) {
    this.removed.add(tag)
    const tags = this.tags.get(element)
    if (tags?.delete(tag) && tags.size === 0) this.tags.delete(element)
  }
}

/** Deltas laid behind each other. */
export function joined(deltas) {
  return { adds: deltas.flatMap((delta) => delta.adds), removes: deltas.flatMap((delta) => delta.removes) }
}
