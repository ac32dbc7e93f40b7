// A topic that components share, and what they see of it.
//
//   run(change) ── open? ──yes──> now
//                   └──no──> #queue ──opened──> in the order in which they were made
//
// What hooks return is made once for each change, so that React can tell by its identity whether there was one.
import type { Client, PresenceShown, PresenceState, Topic, TopicStatus } from '@laniakea/sdk'
import { GRACE_MS, Held, Listeners } from './held.ts'
import type { Source } from './source.ts'

/** What differs between objects, documents and plain topics. */
export interface Kind<T extends Topic, R> {
  readonly id: string
  open(client: Client, name: string): Promise<T>
  /** Calls `changed` when result() would be another one, until the function that it returns is called. */
  watch(topic: T, changed: () => void): () => void
  /** What hooks give; of a topic that is not open yet the empty one. */
  result(entry: Entry<T, R>, topic: T | undefined): R
}

/** Of a topic that is not open yet. */
export const OPENING: TopicStatus = { state: 'opening', reason: '', pending: 0, unsaved: 0, level: '', profile: '', readOnly: false }
export const NOBODY: PresenceState = {}

interface Life<T> {
  readonly topic: Promise<T>
  readonly release: () => void
  stops: (() => void)[]
}

interface Shown {
  count: number
  text: string
}

export class Entry<T extends Topic, R> extends Held {
  readonly name: string
  readonly #source: Source
  readonly #kind: Kind<T, R>
  readonly #changes = new Listeners()
  readonly #statuses = new Listeners()
  readonly #presences = new Listeners()
  readonly #shown = new Map<string, Shown>()
  #hearsPresence = false
  #queue: ((topic: T) => unknown)[] = []
  #life: Life<T> | undefined
  #open: T | undefined
  #error: { readonly cause: unknown } | undefined
  #result: R
  /** What there is on the server, and until the topic is open. */
  readonly empty: R
  #status: TopicStatus = OPENING
  #present: PresenceState = NOBODY

  constructor(source: Source, name: string, kind: Kind<T, R>) {
    super()
    this.#source = source
    this.name = name
    this.#kind = kind
    this.#result = this.empty = kind.result(this, undefined)
  }

  /** `undefined` until it is open. */
  get topic(): T | undefined {
    return this.#open
  }

  // ---- from the first who holds it to the last ----

  protected override start(): void {
    this.#source.keep(this.#kind.id, this)
    const release = this.#source.acquire()
    const topic = this.#source.opening.then((client) => this.#kind.open(client, this.name))
    const life: Life<T> = { topic, release, stops: [] }
    this.#life = life
    topic.then(
      (topic) => {
        if (this.#life === life) this.#opened(life, topic)
      },
      (cause: unknown) => {
        if (this.#life !== life) return
        this.#error = { cause }
        this.#takeStatus({ ...OPENING, state: 'failed', reason: (cause as { readonly code?: string } | undefined)?.code ?? String(cause) })
        this.#changes.tell()
      },
    )
  }

  #opened(life: Life<T>, topic: T): void {
    this.#open = topic
    this.#drain(topic)
    life.stops.push(this.#kind.watch(topic, () => this.#update()), topic.onStatus((status) => this.#takeStatus(status)))
    if (this.#hearsPresence) this.#watchPresence(topic)
    this.#update()
    this.#takeStatus(topic.status)
  }

  protected override end(): void {
    const life = this.#life
    this.#life = this.#open = this.#error = undefined
    this.#result = this.empty
    this.#status = OPENING
    this.#present = NOBODY
    for (const stop of life?.stops ?? []) stop()
    this.#source.forget(this.#kind.id, this)
    // What was to be changed meanwhile is, also where nobody looks any more.
    const leave = async (): Promise<void> => {
      const topic = await life?.topic
      if (topic === undefined) return
      const before = this.#open
      this.#open = topic
      this.#drain(topic)
      this.#open = before
      await topic.close()
    }
    leave().catch(() => {}).finally(() => life?.release())
  }

  protected override get isBroken(): boolean {
    return this.#error !== undefined
  }

  // ---- changes ----

  /** Now, or as soon as the topic is open: then it returns nothing. */
  run<X>(change: (topic: T) => X): X | undefined {
    if (this.#open !== undefined) return change(this.#open)
    this.#queue.push(change)
    this.acquire()() // also where nobody shows it
    return undefined
  }

  #drain(topic: T): void {
    for (const change of this.#queue.splice(0)) {
      try {
        change(topic)
      } catch (error) {
        this.#source.report(error)
      }
    }
  }

  // ---- what components see ----

  readonly #listen = (listeners: Listeners, listener: () => void): (() => void) => {
    const stop = listeners.add(listener)
    const release = this.acquire()
    return () => {
      stop()
      release()
    }
  }

  readonly subscribe = (listener: () => void): (() => void) => this.#listen(this.#changes, listener)

  /** Throws where the topic could not be opened: a mistake of the program's, such as another type, that an error boundary is for. */
  readonly getResult = (): R => {
    if (this.#error !== undefined) throw this.#error.cause
    return this.#result
  }

  readonly getEmpty = (): R => this.empty

  #update(): void {
    this.#result = this.#kind.result(this, this.#open)
    this.#changes.tell()
  }

  readonly subscribeStatus = (listener: () => void): (() => void) => this.#listen(this.#statuses, listener)

  readonly getStatus = (): TopicStatus => this.#status

  #takeStatus(status: TopicStatus): void {
    this.#status = status
    this.#statuses.tell()
  }

  // ---- who is here ----

  readonly subscribePresence = (listener: () => void): (() => void) => {
    if (!this.#hearsPresence) {
      this.#hearsPresence = true
      if (this.#open !== undefined) this.#watchPresence(this.#open)
    }
    return this.#listen(this.#presences, listener)
  }

  readonly getPresent = (): PresenceState => this.#present

  #watchPresence({ presence }: T): void {
    const take = (state: PresenceState): void => {
      if (JSON.stringify(state) === JSON.stringify(this.#present)) return
      this.#present = state
      this.#presences.tell()
    }
    this.#life?.stops.push(presence.subscribe(take))
    take(presence.state)
  }

  /** Until the function that it returns is called, and somewhat longer, since who shows it may come back. */
  show(key: string, meta: PresenceShown): () => void {
    const release = this.acquire()
    const shown = this.#shown.get(key) ?? { count: 0, text: '' }
    this.#shown.set(key, shown)
    shown.count++
    const text = JSON.stringify(meta)
    if (shown.text !== text) {
      shown.text = text
      this.run(({ presence }) => presence.show(key, meta))
    }
    return () => {
      setTimeout(() => {
        if (--shown.count === 0) {
          this.#shown.delete(key)
          this.run(({ presence }) => presence.hide(key))
        }
        release()
      }, GRACE_MS)
    }
  }
}
