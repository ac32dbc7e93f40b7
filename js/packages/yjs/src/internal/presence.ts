// One awareness and one connection: what is shown here goes out, what others show comes in.
//
// While a message is under way further changes wait for it and then go together, so a moving cursor sends no more than the
// connection takes. States that are heard are not repeated to who said them, but for our own: where somebody took us to
// have gone, y-protocols makes our clock higher than that, and the others must hear it.
import { applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates, type Awareness } from 'y-protocols/awareness'
import { guarded } from './emitter.ts'

interface Change {
  readonly added: readonly number[]
  readonly updated: readonly number[]
  readonly removed: readonly number[]
}

export class PresenceLink {
  readonly #awareness: Awareness
  readonly #origin: unknown
  readonly #send: (update: Uint8Array) => void
  readonly #changed = new Set<number>()
  #isOpen = false
  #isBusy = false

  /** `origin` marks what came in. `send` is called while the link is open, and again once settled() was. */
  constructor(awareness: Awareness, origin: unknown, send: (update: Uint8Array) => void) {
    this.#awareness = awareness
    this.#origin = origin
    this.#send = send
    awareness.on('update', this.#onUpdate)
    globalThis.addEventListener?.('beforeunload', this.#onUnload)
  }

  /** The connection is there. The clock goes on, since others may have been told that we went. */
  open(): void {
    this.#isOpen = true
    this.#isBusy = false
    this.#changed.clear()
    const state = this.#awareness.getLocalState()
    if (state !== null) guarded(() => this.#awareness.setLocalState(state))
  }

  /** The connection is gone, and with it whom we saw by it. Their clocks are forgotten as well: who has not moved when we
   * come back is told to us with the clock that we knew, and would not be seen. */
  close(): void {
    this.#isOpen = false
    const { clientID, meta } = this.#awareness
    const others = [...this.#awareness.getStates().keys()].filter((client) => client !== clientID)
    guarded(() => removeAwarenessStates(this.#awareness, others, this.#origin))
    for (const client of [...meta.keys()]) if (client !== clientID) meta.delete(client)
  }

  /** What was sent last is on its way: there may be more. */
  settled(): void {
    this.#isBusy = false
    this.#flush()
  }

  take(update: Uint8Array): void {
    guarded(() => applyAwarenessUpdate(this.#awareness, update, this.#origin))
  }

  /** That nobody is here any more, for who hears it. The state stays: the awareness may have other connections. */
  get farewell(): Uint8Array {
    return encodeAwarenessUpdate(this.#awareness, [this.#awareness.clientID], new Map())
  }

  /** All that are known here, for who asks. */
  get everybody(): Uint8Array {
    return encodeAwarenessUpdate(this.#awareness, [...this.#awareness.getStates().keys()])
  }

  destroy(): void {
    this.#isOpen = false
    this.#awareness.off('update', this.#onUpdate)
    globalThis.removeEventListener?.('beforeunload', this.#onUnload)
  }

  readonly #onUpdate = ({ added, updated, removed }: Change, origin: unknown): void => {
    if (!this.#isOpen || origin === 'timeout') return
    const own = this.#awareness.clientID
    for (const client of [...added, ...updated, ...removed]) {
      if (origin !== this.#origin || client === own) this.#changed.add(client)
    }
    this.#flush()
  }

  #flush(): void {
    if (!this.#isOpen || this.#isBusy || this.#changed.size === 0) return
    const update = encodeAwarenessUpdate(this.#awareness, [...this.#changed])
    this.#changed.clear()
    this.#isBusy = true
    this.#send(update)
  }

  /** A page that is asked whether it may go, and stays, shows itself again. */
  readonly #onUnload = (): void => {
    if (!this.#isOpen) return
    this.#send(this.farewell)
    setTimeout(() => this.#isOpen && this.open(), 1000)
  }
}
