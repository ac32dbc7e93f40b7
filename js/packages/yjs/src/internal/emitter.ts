// Events as Yjs's own classes have them: on, once, off and emit.

/** Names of events, and their listeners. */
export type EventMap = { readonly [name: string]: (...args: never[]) => void }

export class Emitter<Events extends EventMap> {
  readonly #listeners = new Map<keyof Events, Set<EventMap[string]>>()

  on<Name extends keyof Events>(name: Name, listener: Events[Name]): Events[Name] {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all.add(listener))
    return listener
  }

  once<Name extends keyof Events>(name: Name, listener: Events[Name]): void {
    const first = ((...args: never[]) => {
      this.off(name, first)
      listener(...args)
    }) as Events[Name]
    this.on(name, first)
  }

  off<Name extends keyof Events>(name: Name, listener: Events[Name]): void {
    this.#listeners.get(name)?.delete(listener)
  }

  /** What a listener throws is reported as the platform reports errors that nobody caught: the others are told, and who
   * emitted goes on. */
  emit<Name extends keyof Events>(name: Name, args: Parameters<Events[Name]>): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) guarded(() => listener(...(args as never[])))
  }

  /** Nobody is told anything from now on. */
  destroy(): void {
    this.#listeners.clear()
  }
}

/** Runs what belongs to the application. Its mistakes must not leave a connection half made. */
export function guarded(run: () => void): void {
  try {
    run()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
