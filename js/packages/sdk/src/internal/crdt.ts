// Objects of the catalogue as JavaScript's objects.
//
// What they hold and how they merge is the core's business. Here is what makes them objects: methods with types, made
// from the table of crdt_types.gen.ts; values that are parsed once; listeners; and batches.
//
// All handles of one object, its own and those of at(), share an Origin: the number in the core, and a
// revision that every change raises. A handle keeps the value of the revision at which it was asked.
//
// In a batch the core lays the deltas behind each other and joins them at the end. To count is cheaper to do
// in JavaScript than to ask for: increments that follow each other are summed up here, and the core hears
// of their sum when anything else is asked of the object, or the batch ends. Only of counters that
// cannot refuse, so that no error comes later than the call that it is about (but for an overflow).
import { amountOf, argumentsOf, pointsBefore } from './crdt_arguments.ts'
import { CrdtCore } from './crdt_core.ts'
import type { CrdtObject, CrdtOrder, CrdtReplica, CrdtSize } from './crdt_object.ts'
import { crdtTypes, type CrdtParameter, type CrdtType, type CrdtTypes } from './crdt_types.gen.ts'
import { LaniakeaError } from './errors.ts'
import type { Modules } from './instance.ts'
import { parseIntegers } from './json.ts'

/** One replica of an object of type `K`. */
export type Crdt<K extends CrdtType> = CrdtTypes[K] & CrdtReplica

export interface CrdtOptions {
  /** Who makes the changes: 1 to 64 bytes of UTF-8 that name this replica and no other one ever; one that lost
   * its memory takes a new name. The default is a random one. */
  readonly actor?: string
  /** The time of day in milliseconds, for lww; the default is Date.now(). */
  readonly now?: () => number
}

/** For who carries changes elsewhere. */
export interface CrdtWatch {
  /** Is given each delta, before listeners hear of the change. */
  readonly onDelta?: (delta: Bytes) => void
  /** Throws where nothing is to be changed. */
  readonly mayChange?: () => void
}

/** Makes objects of the catalogue. All of them live in one instance of the core. */
export interface Crdts extends Disposable {
  /** A new replica, empty: what is known elsewhere comes by merge(). LK_ERR_UNKNOWN_TYPE, LK_ERR_ACTOR, LK_ERR_NOMEM;
   * LK_ERR_LIMIT for more than 65,536 at once. */
  create<K extends CrdtType>(type: K, options?: CrdtOptions): Crdt<K>

  /** Gives everything back; the objects throw LK_ERR_STATE from now on. Also by `using`. */
  close(): void
}

type Bytes = Uint8Array<ArrayBuffer>

const ACTOR_LEN_MAX = 64
const ORDERS: readonly CrdtOrder[] = ['equal', 'before', 'after', 'concurrent']
/** Whose counts may wait: see above. */
const SUMMED: readonly CrdtType[] = ['gcounter', 'pncounter']

const encoder: TextEncoder = new TextEncoder()
/** What methods return within a batch; making one each time would cost more than counting. */
const NOTHING: Bytes = new Uint8Array()

// ---- what all handles of one object share ----

interface Waiting {
  readonly path: Uint8Array
  readonly name: string
  sum: number
}

class Origin {
  readonly core: CrdtCore
  actor: string
  revision = 0
  readonly #type: CrdtType
  #handle: number
  #actor: Uint8Array
  readonly #watch: CrdtWatch
  readonly #now: () => number
  readonly #watched = new Set<Handle>()
  #batches = 0
  #holds = false
  #waiting: Waiting | undefined
  #telling = false
  #closed = false

  constructor(core: CrdtCore, type: CrdtType, actor: string, now: () => number, watch: CrdtWatch) {
    this.core = core
    this.actor = actor
    this.#type = type
    this.#actor = actorBytes(actor)
    this.#now = now
    this.#watch = watch
    this.#handle = core.open(crdtTypes[type].number)
    abandoned.register(this, { core, handle: this.#handle }, this)
  }

  /** What is made from now on is made under that name. */
  rename(actor: string): void {
    this.#actor = actorBytes(actor)
    this.actor = actor
  }

  /** Becomes another replica, which knows nothing. */
  reset(actor: string): void {
    const before = this.handle
    this.#reopen(actor)
    this.core.free(before)
    this.revision++
    this.#tell()
  }

  /** The same replica in another instance of the core, which knows nothing yet: values stay as they were until it does. */
  revive(): void {
    this.#batches = 0
    this.#holds = false
    this.#waiting = undefined
    this.#reopen(this.actor)
  }

  #reopen(actor: string): void {
    this.rename(actor)
    this.#handle = this.core.open(crdtTypes[this.#type].number)
    abandoned.unregister(this)
    abandoned.register(this, { core: this.core, handle: this.#handle }, this)
  }

  /** The number in the core, which then knows everything. */
  get handle(): number {
    this.core.check()
    if (this.#closed) throw new LaniakeaError('LK_ERR_STATE', 'the object was closed')
    if (this.#waiting) this.#pass(this.#waiting)
    return this.#handle
  }

  apply(path: Uint8Array, name: string, args: string): Bytes {
    this.#watch.mayChange?.()
    let delta = this.#apply(path, name, args)
    this.revision++
    // Before listeners hear of it, who may change the object again.
    if (this.#batches === 0 && this.#holds) delta = this.#release()
    if (this.#batches === 0) this.#watch.onDelta?.(delta)
    this.#tell()
    return delta
  }

  /** Counts, when there is time; false outside of batches. */
  count(path: Uint8Array, name: string, amount: number): boolean {
    if (this.#batches === 0 || this.#closed) return false
    this.#watch.mayChange?.()
    let waiting = this.#waiting
    if (waiting?.name !== name || !isSame(waiting.path, path) || !Number.isSafeInteger(waiting.sum + amount)) {
      if (waiting) this.#pass(waiting)
      this.#waiting = waiting = { path, name, sum: 0 }
    }
    waiting.sum += amount
    this.revision++
    return true
  }

  merge(taken: (handle: number) => boolean): boolean {
    const changed = taken(this.handle)
    if (changed) {
      this.revision++
      this.#tell()
    }
    return changed
  }

  batch(body: () => void): Bytes {
    this.core.hold(this.handle)
    this.#holds = true
    this.#batches++
    try {
      body()
      void this.handle // counts what waits
      if (this.#batches > 1) return NOTHING
      const delta = this.#release()
      this.#watch.onDelta?.(delta)
      return delta
    } finally {
      this.#batches--
      if (this.#batches === 0 && this.#holds) this.#passOn()
      this.#tell()
    }
  }

  /** What a batch changed before it threw stays. Who carries deltas elsewhere has it now; for others it is in the next one. */
  #passOn(): void {
    const { onDelta } = this.#watch
    if (onDelta === undefined || this.core.isClosed) return
    void this.handle
    onDelta(this.#release())
  }

  watch(handle: Handle): void {
    this.#watched.add(handle)
  }

  unwatch(handle: Handle): void {
    this.#watched.delete(handle)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#waiting = undefined
    this.#watched.clear()
    abandoned.unregister(this)
    this.core.free(this.#handle)
  }

  #apply(path: Uint8Array, name: string, args: string): Bytes {
    const operation = { actor: this.#actor, path, name: nameBytes(name), args, now: this.#now() }
    return this.core.apply(this.handle, operation)
  }

  /** What waits is no longer waiting, also where it fails: it would fail again. */
  #pass({ path, name, sum }: Waiting): void {
    this.#waiting = undefined
    this.revision++
    this.#apply(path, name, `[${sum}]`)
  }

  #release(): Bytes {
    const delta = this.core.release(this.handle)
    this.#holds = false
    return delta
  }

  /** Not in a batch, whose end tells of all. A listener that changes the object again is heard when all others have been told of the change before. */
  #tell(): void {
    if (this.#batches > 0 || this.#telling || this.#watched.size === 0) return
    this.#telling = true
    try {
      let told: number
      do {
        told = this.revision
        for (const handle of [...this.#watched]) if (this.#watched.has(handle)) handle.tell()
      } while (told !== this.revision)
    } finally {
      this.#telling = false
    }
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))

/** Objects that nobody holds are given back, sooner or later. */
const abandoned: FinalizationRegistry<{ readonly core: CrdtCore; readonly handle: number }> =
  new FinalizationRegistry(({ core, handle }) => core.free(handle))

function actorBytes(actor: unknown): Uint8Array {
  const bytes = typeof actor === 'string' && isWellFormed(actor) ? encoder.encode(actor) : new Uint8Array()
  if (bytes.length > 0 && bytes.length <= ACTOR_LEN_MAX) return bytes
  throw new LaniakeaError('LK_ERR_ACTOR', 'an actor has 1 to 64 bytes of UTF-8')
}

/** No half of a pair stands alone. */
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

const names = new Map<string, Uint8Array>()

function nameBytes(name: string): Uint8Array {
  let bytes = names.get(name)
  if (bytes === undefined) names.set(name, (bytes = encoder.encode(name)))
  return bytes
}

// ---- handles ----

class Handle implements CrdtObject<CrdtType, unknown> {
  readonly type: CrdtType
  readonly path: Uint8Array
  readonly #origin: Origin
  readonly #listeners = new Set<(value: unknown) => void>()
  #revision = -1
  #text = ''
  #value: unknown
  #told: string | undefined

  constructor(origin: Origin, type: CrdtType, path: Uint8Array) {
    this.#origin = origin
    this.type = type
    this.path = path
  }

  get value(): unknown {
    this.#refresh()
    return this.#value
  }

  subscribe(listener: (value: unknown) => void): () => void {
    this.#refresh()
    if (this.#listeners.size === 0) this.#told = this.#text
    // One function may subscribe twice, and each subscription ends by itself.
    const own = (value: unknown): void => listener(value)
    this.#listeners.add(own)
    this.#origin.watch(this)
    return () => {
      this.#listeners.delete(own)
      if (this.#listeners.size === 0) this.#origin.unwatch(this)
    }
  }

  /** The listeners hear of the value unless they heard of the same one. One that throws is reported as an
   * event's would be: neither the others nor the change suffer from it. */
  tell(): void {
    this.#refresh()
    if (this.#text === this.#told) return
    this.#told = this.#text
    const value = this.#value
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue // another one ended its subscription
      try {
        listener(value)
      } catch (cause) {
        setTimeout(() => {
          throw cause
        })
      }
    }
  }

  /** Objects within a map. */
  at(key: string, type: CrdtType): Handle {
    const entry = entryOf(type)
    if (typeof key !== 'string' || !isWellFormed(key)) throw new LaniakeaError('LK_ERR_UTF8', 'a key is a string')
    const bytes = encoder.encode(key)
    const step = [entry.number, ...varuint(bytes.length)]
    const path = new Uint8Array(this.path.length + step.length + bytes.length)
    path.set(this.path)
    path.set(step, this.path.length)
    path.set(bytes, this.path.length + step.length)
    return new (classesOf(type).nested)(this.#origin, type, path)
  }

  operate(name: string, kinds: readonly CrdtParameter[], given: readonly unknown[]): Bytes {
    if (SUMMED.includes(this.type) && this.#count(name, given[0])) return NOTHING
    return this.#origin.apply(this.path, name, argumentsOf(kinds, this.adapt(name, given)))
  }

  /** What differs between JavaScript and the core. */
  adapt(_name: string, given: readonly unknown[]): readonly unknown[] {
    return given
  }

  #count(name: string, amount: unknown): boolean {
    const exact = amountOf(amount)
    return typeof exact === 'number' && exact > 0 && this.#origin.count(this.path, name, exact)
  }

  #refresh(): void {
    const { core, handle } = this.#origin
    if (this.#revision === this.#origin.revision) return
    const text = core.value(handle, this.path)
    this.#revision = this.#origin.revision
    if (text === this.#text) return
    this.#value = crdtTypes[this.type].exact ? parseIntegers(text) : JSON.parse(text)
    this.#text = text
  }
}

function varuint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varuint(value >>> 7)]
}

class RootHandle extends Handle implements CrdtReplica {
  readonly #origin: Origin

  constructor(origin: Origin, type: CrdtType, path: Uint8Array) {
    super(origin, type, path)
    this.#origin = origin
  }

  get actor(): string {
    return this.#origin.actor
  }

  get size(): CrdtSize {
    const [entries = 0, ranges = 0, actors = 0, bytes = 0] = this.#ask('size')
    return { entries, ranges, actors, bytes }
  }

  merge(bytes: Uint8Array): boolean {
    return this.#origin.merge((handle) => this.#origin.core.merge(handle, bytes))
  }

  mergeJson(text: string): boolean {
    return this.#origin.merge((handle) => this.#origin.core.mergeJson(handle, text))
  }

  batch(body: () => void): Bytes {
    return this.#origin.batch(body)
  }

  encode(): Bytes {
    return this.#ask('encode')
  }

  encodeJson(): string {
    return this.#ask('encodeJson')
  }

  version(): Bytes {
    return this.#ask('version')
  }

  diffSince(version: Uint8Array): Bytes {
    const { handle, core } = this.#origin
    return core.diffSince(handle, version)
  }

  diff(other: CrdtReplica): Bytes {
    const { handle, core } = this.#origin
    return core.diff(handle, this.#handleOf(other))
  }

  compare(other: CrdtReplica): CrdtOrder {
    const { handle, core } = this.#origin
    return ORDERS[core.compare(handle, this.#handleOf(other))] ?? 'concurrent'
  }

  digest(): string {
    return Array.from(this.#ask('digest'), (byte) => byte.toString(16).padStart(2, '0')).join('')
  }

  /** For who begins again: these are not in the types. */
  rename(actor: string): void {
    this.#origin.rename(actor)
  }

  reset(actor: string): void {
    this.#origin.reset(actor)
  }

  revive(): void {
    this.#origin.revive()
  }

  close(): void {
    this.#origin.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #ask<M extends 'size' | 'encode' | 'encodeJson' | 'version' | 'digest'>(method: M): ReturnType<CrdtCore[M]> {
    const { handle, core } = this.#origin
    return core[method](handle) as ReturnType<CrdtCore[M]>
  }

  /** Numbers mean something in one core only. */
  #handleOf(other: CrdtReplica): number {
    if (other instanceof RootHandle && other.#origin.core === this.#origin.core) return other.#origin.handle
    throw new LaniakeaError('LK_ERR_INVALID', 'the other object is of another catalogue')
  }
}

// ---- a class for each type ----

type HandleClass<T extends Handle> = new (origin: Origin, type: CrdtType, path: Uint8Array) => T

interface Classes {
  readonly root: HandleClass<RootHandle>
  readonly nested: HandleClass<Handle>
}

const classes = new Map<CrdtType, Classes>()

function entryOf(type: CrdtType): (typeof crdtTypes)[CrdtType] {
  if (!Object.hasOwn(crdtTypes, type)) throw new LaniakeaError('LK_ERR_UNKNOWN_TYPE', String(type))
  return crdtTypes[type]
}

function classesOf(type: CrdtType): Classes {
  let made = classes.get(type)
  if (made === undefined) {
    made = { root: withMethods(type, class extends RootHandle {}), nested: withMethods(type, class extends Handle {}) }
    classes.set(type, made)
  }
  return made
}

function withMethods<T extends Handle>(type: CrdtType, Class: HandleClass<T>): HandleClass<T> {
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(Class.prototype, name, { value, writable: true, configurable: true })
  }
  for (const [name, kinds] of Object.entries(entryOf(type).operations)) {
    // A method with one amount counts by one where none is given.
    const one = kinds.length === 1 && kinds[0] === 'u64'
    define(name, function (this: Handle, ...given: unknown[]): Bytes {
      return this.operate(name, kinds, one && given[0] === undefined ? [1] : given)
    })
  }
  if (!entryOf(type).map) define('at', undefined)
  if (type === 'text') define('adapt', adaptText)
  return Class
}

/** JavaScript counts units of UTF-16, the core code points. */
function adaptText(this: Handle, name: string, [index, second]: readonly unknown[]): readonly unknown[] {
  const text = this.value as string
  const at = pointsBefore(text, index)
  if (name !== 'delete') return [at, second]
  return [at, pointsBefore(text, (index as number) + Number(second)) - at]
}

// ---- the catalogue ----

export class Catalogue implements Crdts {
  readonly #core: CrdtCore

  constructor(core: CrdtCore) {
    this.#core = core
  }

  /** An instance that broke down is replaced, and `revived` is called: each object is to be revived then. */
  supervise(modules: Modules, revived: () => void): void {
    this.#core.onTrap = () => void this.#core.revive(modules).then(revived)
  }

  create<K extends CrdtType>(type: K, options: CrdtOptions & CrdtWatch = {}): Crdt<K> {
    const { root } = classesOf(type)
    const origin = new Origin(this.#core, type, options.actor ?? randomActor(), options.now ?? Date.now, options)
    return new root(origin, type, new Uint8Array()) as unknown as Crdt<K>
  }

  close(): void {
    this.#core.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function randomActor(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Not in a worker of its own: its calls answer at once. */
export async function createCrdtsWith(...modules: Modules): Promise<Catalogue> {
  return new Catalogue(await CrdtCore.open(modules))
}
