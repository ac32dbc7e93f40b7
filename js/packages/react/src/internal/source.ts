// A provider's client, and the topics that components have open through it.
import type { Client, ClientOptions, ClientStatus, Topic } from '@laniakea/sdk'
import { Entry, type Kind } from './entry.ts'
import { Held, Listeners } from './held.ts'

/** Of a client that is not there yet. */
export const STARTING: ClientStatus = {
  state: 'starting', transport: undefined, storage: undefined, storageState: 'LK_OK', pending: 0, unsaved: 0, isFull: false, acknowledgedAt: undefined,
  roundTrip: undefined, isLeading: false,
}

interface Life {
  readonly client: Promise<Client>
  stop: () => void
}

export class Source extends Held {
  readonly #open: () => Client | Promise<Client>
  readonly #isOwn: boolean
  readonly #entries = new Map<string, { readonly name: string }>()
  readonly #listeners = new Listeners()
  readonly #onError: (error: unknown) => void
  #life: Life | undefined
  client: Client | undefined
  status: ClientStatus = STARTING
  /** Why there is no client. */
  error: unknown

  /** One that `isOwn` is closed when nobody needs it. */
  constructor(open: () => Client | Promise<Client>, isOwn: boolean, onError: (error: unknown) => void) {
    super()
    this.#open = open
    this.#isOwn = isOwn
    this.#onError = onError
  }

  protected override start(): void {
    const life: Life = { client: new Promise((resolve) => resolve(this.#open())), stop: () => {} }
    this.#life = life
    life.client.then(
      (client) => {
        if (this.#life !== life) return
        life.stop = client.onStatus(() => this.#take(client, client.status, undefined))
        this.#take(client, client.status, undefined)
      },
      (error: unknown) => {
        if (this.#life === life) this.#take(undefined, STARTING, error)
      },
    )
  }

  protected override end(): void {
    const life = this.#life
    this.#life = undefined
    life?.stop()
    this.#take(undefined, STARTING, undefined)
    if (this.#isOwn) life?.client.then((client) => client.close()).catch(() => {})
  }

  protected override get isBroken(): boolean {
    return this.error !== undefined
  }

  #take(client: Client | undefined, status: ClientStatus, error: unknown): void {
    this.client = client
    this.status = status
    this.error = error
    this.#listeners.tell()
  }

  /** The client of this life. To be asked for by who holds the source. */
  get opening(): Promise<Client> {
    return this.#life?.client ?? Promise.reject(new Error('nobody holds the client'))
  }

  /** Hears of another client, status or error. */
  readonly subscribe = (listener: () => void): (() => void) => {
    const stop = this.#listeners.add(listener)
    const release = this.acquire()
    return () => {
      stop()
      release()
    }
  }

  /** The topic `name`, the same one for all who ask. Nothing is opened before somebody holds it. */
  entry<T extends Topic, R>(name: string, kind: Kind<T, R>): Entry<T, R> {
    const found = this.#entries.get(`${kind.id} ${name}`)
    if (found !== undefined) return found as Entry<T, R>
    const made = new Entry(this, name, kind)
    this.keep(kind.id, made)
    return made
  }

  keep(kind: string, entry: { readonly name: string }): void {
    const key = `${kind} ${entry.name}`
    if (!this.#entries.has(key)) this.#entries.set(key, entry)
  }

  /** Whoever still has it may hold it again. */
  forget(kind: string, entry: { readonly name: string }): void {
    const key = `${kind} ${entry.name}`
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
  }

  /** Nobody who could be told waits for this. */
  report(error: unknown): void {
    this.#onError(error)
  }
}

/** As an error in an event's listener would be. */
function throwLater(error: unknown): void {
  setTimeout(() => {
    throw error
  })
}

/** Makes a client of what `options` are when it is needed. The SDK is loaded then: pages pay for it after their first picture, and
 * servers never do. */
export function ownSource(options: () => ClientOptions): Source {
  const open = async (): Promise<Client> => {
    const { createClient } = await import('@laniakea/sdk')
    const { token } = options()
    const now = async (): Promise<string> => {
      const { token } = options()
      return (await (typeof token === 'function' ? token() : token)) ?? ''
    }
    return createClient({
      ...options(),
      ...(token === undefined ? {} : { token: now }),
      onError: (error) => options().onError?.(error),
    })
  }
  const onError = (error: unknown): void => (options().onError as ((error: unknown) => void) | undefined ?? throwLater)(error)
  return new Source(open, true, onError)
}

const given = new WeakMap<object, Source>()

/** Of a client that somebody else made, and closes. */
export function sourceOf(client: Client | Promise<Client>): Source {
  let source = given.get(client)
  if (source === undefined) given.set(client, (source = new Source(() => client, false, throwLater)))
  return source
}
