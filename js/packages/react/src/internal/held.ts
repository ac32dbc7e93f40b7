// What components hold together, and what outlives them by a moment.
//
//   at rest ──first acquire()──> on ──last release──> lingering ──GRACE_MS──> at rest
//                                ^                        │
//                                └──────── acquire() ─────┘
//
// React unmounts and mounts again what stays on the page: in StrictMode, on a change of route, when code is replaced while it
// runs. To leave a topic and join it again each time would cost two round trips and show nothing meanwhile.

/** How long something stays open that nobody holds, in milliseconds. */
export const GRACE_MS = 1_000

export abstract class Held {
  #holders = 0
  #isOn = false
  #timer: ReturnType<typeof setTimeout> | undefined

  /** Returns what lets go of it, once. */
  acquire(): () => void {
    clearTimeout(this.#timer)
    this.#holders++
    if (!this.#isOn) {
      this.#isOn = true
      this.start()
    }
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--this.#holders > 0) return
      if (this.isBroken) this.#rest()
      else this.#timer = setTimeout(() => this.#rest(), GRACE_MS)
    }
  }

  #rest(): void {
    this.#isOn = false
    this.end()
  }

  /** Not worth to be kept: who comes next wants it begun anew. */
  protected get isBroken(): boolean {
    return false
  }

  protected abstract start(): void
  protected abstract end(): void
}

/** Those who want to hear of something. */
export class Listeners {
  readonly #listeners = new Set<() => void>()

  add(listener: () => void): () => void {
    // One function may listen twice, and each time ends by itself.
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  tell(): void {
    for (const listener of [...this.#listeners]) if (this.#listeners.has(listener)) listener()
  }
}
