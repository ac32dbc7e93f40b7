// Objects of the catalogue that can be changed before they are there.
import type { Client, CrdtTopic, CrdtType, CrdtTypes } from '@laniakea/sdk'
import type { Entry, Kind } from './entry.ts'

type Root<K extends CrdtType> = CrdtTypes[K] & { batch(body: () => void): unknown }
type Operations = Record<string | symbol, (...given: readonly unknown[]) => unknown>

/** What hooks know of an object. */
export interface ObjectState<K extends CrdtType> {
  readonly value: CrdtTypes[K]['value']
  /** May be changed and watched at any time. */
  readonly object: CrdtTypes[K]
  /** Runs `body`, whose changes others see at once or not at all. */
  readonly batch: (body: () => void) => void
  /** False while `value` is the empty one, because nothing is known yet. */
  readonly isReady: boolean
  readonly topic: CrdtTopic<K> | undefined
}

const EMPTY: { readonly [K in CrdtType]: CrdtTypes[K]['value'] } = {
  gcounter: 0n, pncounter: 0n, bcounter: { value: 0n, rights: {} }, gset: [], orset: [], rwset: [], ewflag: false, dwflag: false,
  lww: null, mvreg: [], ormap: {}, list: [], text: '',
}

/** What methods return before there is anything to return. */
const NOTHING = new Uint8Array()

/** Stands for the object that `find` finds in the one of the topic, whether there is one or not. The same in all its parts from one
 * time to the next, as React wants it. */
function face<K extends CrdtType, C extends CrdtType>(entry: Entry<CrdtTopic<K>, ObjectState<K>>, type: C, find: (root: Root<K>) => CrdtTypes[C]): CrdtTypes[C] {
  const operation = (name: string) => (...given: readonly unknown[]) =>
    entry.run(({ object }) => (find(object) as unknown as Operations)[name]!(...given)) ?? NOTHING
  const parts = new Map<string, unknown>()
  const part = <P>(key: string, make: () => P): P => {
    if (!parts.has(key)) parts.set(key, make())
    return parts.get(key) as P
  }
  const at = (key: string, type: CrdtType): unknown => part(`/${type} ${key}`, () => {
    let known: { readonly root: Root<K>; readonly object: CrdtTypes[CrdtType] } | undefined
    return face(entry, type, (root) => {
      if (known?.root !== root) known = { root, object: (find(root) as CrdtTypes['ormap']).at(key, type) }
      return known.object
    })
  })
  const subscribe = (listener: (value: unknown) => void): (() => void) => {
    let stop: (() => void) | undefined
    let isOver = false
    const release = entry.acquire()
    const isLate = entry.topic === undefined
    entry.run(({ object }) => {
      if (isOver) return
      const found = find(object)
      stop = (found.subscribe as (listener: (value: unknown) => void) => () => void)(listener)
      if (isLate) listener(found.value)
    })
    return () => {
      isOver = true
      stop?.()
      release()
    }
  }
  return new Proxy({}, {
    get(_, name) {
      if (name === 'value') return entry.topic === undefined ? EMPTY[type] : find(entry.topic.object).value
      if (name === 'type') return type
      if (name === 'subscribe') return subscribe
      if (name === 'at' && type === 'ormap') return at
      // Who asks whether this is a promise, or how it prints, does not ask for an operation.
      return typeof name === 'symbol' || name in Object.prototype || name === 'then' || name === 'toJSON' || name.startsWith('$$')
        ? undefined : part(name, () => operation(name))
    },
  }) as CrdtTypes[C]
}

const kinds = new Map<CrdtType, unknown>()

export function kindOf<K extends CrdtType>(type: K): Kind<CrdtTopic<K>, ObjectState<K>> {
  const known = kinds.get(type) as Kind<CrdtTopic<K>, ObjectState<K>> | undefined
  if (known !== undefined) return known
  const made: Kind<CrdtTopic<K>, ObjectState<K>> = {
    id: type,
    open: (client: Client, name) => client.crdt(name, type),
    watch: ({ object }, changed) => (object.subscribe as (listener: () => void) => () => void)(changed),
    result: (entry, topic) => {
      const { object, batch } = (topic === undefined ? undefined : entry.empty) ?? {
        object: face(entry, type, (root) => root),
        batch: (body: () => void) => void entry.run(({ object }) => object.batch(body)),
      }
      return { value: topic === undefined ? EMPTY[type] : topic.object.value, object, batch, isReady: topic !== undefined, topic }
    },
  }
  kinds.set(type, made)
  return made
}
