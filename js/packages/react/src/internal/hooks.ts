// What components use. Each topic is opened once, whoever uses it, and left a moment after the last of them is gone.
import type {
  Awareness, Client, CrdtTopic, CrdtType, CrdtTypes, Doc, DocTopic, Json, PresenceShown, PresenceState, Topic, TopicStatus,
} from '@laniakea/sdk'
import { useCallback, useEffect, useMemo, useSyncExternalStore } from 'react'
import { OPENING, NOBODY, type Entry, type Kind } from './entry.ts'
import { kindOf, type ObjectState } from './objects.ts'
import { useSource } from './provider.ts'

/** What all hooks of topics give. */
export interface Opened<T extends Topic = Topic> {
  /** False while what there is to see is empty because nothing is known yet. What is changed meanwhile is changed later. */
  readonly isReady: boolean
  /** What there is beyond hooks, such as acknowledged(), retry() and startAnew(); `undefined` until it is ready. */
  readonly topic: T | undefined
}

export interface UsedObject<K extends CrdtType> extends Opened<CrdtTopic<K>> {
  readonly value: CrdtTypes[K]['value']
  /** May be changed and watched at any time. */
  readonly object: CrdtTypes[K]
  /** Runs `body`; what it changes is one change for all others. */
  readonly batch: (body: () => void) => void
}

export interface UsedCounter extends Opened<CrdtTopic<'pncounter'>> {
  readonly value: bigint
  readonly increment: (amount?: number | bigint) => void
  readonly decrement: (amount?: number | bigint) => void
}

export interface UsedSet<E extends Json> extends Opened<CrdtTopic<'orset'>> {
  readonly values: readonly E[]
  readonly has: (element: E) => boolean
  readonly add: (element: E) => void
  readonly remove: (element: E) => void
  readonly clear: () => void
}

export interface UsedMap extends Opened<CrdtTopic<'ormap'>> {
  readonly value: { readonly [key: string]: Json }
  /** The object of `type` below `key`: there by being changed. For useValue(), too. */
  readonly at: <K extends CrdtType>(key: string, type: K) => CrdtTypes[K]
  readonly remove: (key: string) => void
  /** Runs `body`; what it changes is one change for all others. */
  readonly batch: (body: () => void) => void
}

export interface UsedDoc extends Opened<DocTopic> {
  /** Another one after startAnew(), and where the one that there was broke down. */
  readonly doc: Doc | undefined
  /** What everybody shows of themselves. Who asks for it is seen by the others. */
  readonly awareness: Awareness | undefined
}

export interface UsedPresence extends Opened {
  /** Who is here, and what they show: lists of `metas` by key. */
  readonly present: PresenceState
  readonly show: (key: string, meta: PresenceShown) => void
  readonly hide: (key: string) => void
}

// ---- objects ----

/** Whose results are to be found again. */
const entries = new WeakMap<object, Entry<any, any>>()

/** The result that belongs to `entry`, which usePresence() and useTopicStatus() take instead of a name. */
function link<R extends object>(entry: Entry<any, any>, result: R): R {
  entries.set(result, entry)
  return result
}

const named = (prefix: string, name: string): string => (name.includes(':') ? name : `${prefix}:${name}`)

function useEntry<T extends Topic, R>(hook: string, name: string, kind: Kind<T, R>): { readonly entry: Entry<T, R>; readonly result: R } {
  const entry = useSource(hook).entry(name, kind)
  return { entry, result: useSyncExternalStore(entry.subscribe, entry.getResult, entry.getEmpty) }
}

/** Makes `make` anew only where the object is another one. */
function useObject<K extends CrdtType, R extends object>(hook: string, topic: string, type: K, make: (state: ObjectState<K>) => R): R {
  const { entry, result } = useEntry(hook, named('crdt', topic), kindOf(type))
  return useMemo(() => link(entry, make(result)), [entry, result])
}

/** An object of any type of the catalogue: `useCrdt('title', 'lww')` is that of the topic "crdt:title". */
export function useCrdt<K extends CrdtType>(topic: string, type: K): UsedObject<K> {
  return useObject('useCrdt', topic, type, (state) => ({ ...state }))
}

/** A counter, which goes both ways: `useCounter('likes')` is that of the topic "crdt:likes". */
export function useCounter(topic: string): UsedCounter {
  return useObject('useCounter', topic, 'pncounter', ({ value, object, isReady, topic }) => {
    const { increment, decrement } = object
    return { value, increment, decrement, isReady, topic }
  })
}

/** A set of anything that JSON can say, in which adding wins over removing at the same time. */
export function useSet<E extends Json = Json>(topic: string): UsedSet<E> {
  return useObject('useSet', topic, 'orset', ({ value, object, isReady, topic }) => {
    const { add, remove, clear } = object
    let known: Set<string> | undefined
    const has = (element: E): boolean => (known ??= new Set(value.map(canonical))).has(canonical(element))
    return { values: value as readonly E[], has, add, remove, clear, isReady, topic }
  })
}

/** A map of objects of the catalogue: `at('title', 'lww').set('Notes')`. */
export function useMap(topic: string): UsedMap {
  return useObject('useMap', topic, 'ormap', ({ value, object, batch, isReady, topic }) => {
    const { at, remove } = object
    return { value, at, remove, batch, isReady, topic }
  })
}

/** The value of an object within a map: the component renders only when that one changes. */
export function useValue<V>(object: { readonly value: V; subscribe(listener: (value: V) => void): () => void }): V {
  const subscribe = useCallback((changed: () => void) => object.subscribe(changed), [object])
  const read = (): V => object.value
  return useSyncExternalStore(subscribe, read, read)
}

/** Equal elements give one text: the names of objects in order. */
function canonical(element: Json): string {
  return JSON.stringify(element, (_, value: unknown) =>
    typeof value !== 'object' || value === null || Array.isArray(value) ? value
      : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))))
}

// ---- documents ----

const DOC: Kind<DocTopic, UsedDoc> = {
  id: 'doc',
  open: (client: Client, name) => client.doc(name),
  watch: (topic, changed) => topic.onReplaced(changed),
  result: (entry, topic) => link(entry, {
    doc: topic?.doc,
    topic,
    isReady: topic !== undefined,
    get awareness() {
      return topic?.awareness
    },
  }),
}

/** A document: `useDoc('notes')` is that of the topic "doc:notes". What is written into it renders nothing: editors do that, or
 * useText(). */
export function useDoc(topic: string): UsedDoc {
  return useEntry('useDoc', named('doc', topic), DOC).result
}

/** The text of that name in a document. */
export function useText(doc: Doc | undefined, name?: string): string {
  const store = useMemo(() => {
    const node = doc?.getText(name)
    // To read it takes time for each letter: where we hear of changes, it is read once for each.
    let watchers = 0
    let text: string | undefined
    return {
      subscribe(changed: () => void): () => void {
        const stop = node?.observe(() => {
          text = undefined
          changed()
        })
        watchers++
        return () => {
          stop?.()
          if (--watchers === 0) text = undefined
        }
      },
      read: (): string => (watchers === 0 ? node?.toString() : (text ??= node?.toString())) ?? '',
    }
  }, [doc, name])
  return useSyncExternalStore(store.subscribe, store.read, () => '')
}

// ---- any topic ----

const PLAIN: Kind<Topic, Opened> = {
  id: 'plain',
  open: (client: Client, name) => client.channel(name),
  watch: () => () => {},
  result: (entry, topic) => link(entry, { topic, isReady: topic !== undefined }),
}

/** A topic's full name, or what a hook gave for it. */
export type TopicGiven = `${string}:${string}` | Opened<Topic>

function useAnyEntry(hook: string, given: TopicGiven): Entry<Topic, Opened> {
  const source = useSource(hook)
  if (typeof given !== 'string') {
    const entry = entries.get(given)
    if (entry === undefined) throw new TypeError(`${hook}() takes the name of a topic, or what another hook gave, as it was given`)
    return entry
  }
  if (!given.includes(':')) throw new TypeError(`${hook}('${given}'): which topic? Write 'doc:${given}', or 'relay:${given}'`)
  if (/^(crdt|counter):/.test(given)) {
    throw new TypeError(`${hook}('${given}'): an object has a type; give it what useCounter(), useSet() or another hook gave`)
  }
  return source.entry<Topic, Opened>(given, (given.startsWith('doc:') ? DOC : PLAIN) as Kind<Topic, Opened>)
}

/** Who is in a topic: `usePresence('doc:notes')`, or `usePresence(useCounter('likes'))`. With `me`, shows that under that key as long
 * as the component is there. */
export function usePresence(topic: TopicGiven, me?: { readonly key: string; readonly meta: PresenceShown }): UsedPresence {
  const entry = useAnyEntry('usePresence', topic)
  const opened = useSyncExternalStore(entry.subscribe, entry.getResult, entry.getEmpty)
  const present = useSyncExternalStore(entry.subscribePresence, entry.getPresent, () => NOBODY)
  const shown = me === undefined ? undefined : JSON.stringify(me)
  useEffect(() => {
    if (shown === undefined) return undefined
    const { key, meta } = JSON.parse(shown) as { readonly key: string; readonly meta: PresenceShown }
    return entry.show(key, meta)
  }, [entry, shown])
  return useMemo(() => link(entry, {
    present,
    isReady: opened.isReady,
    topic: opened.topic,
    show: (key: string, meta: PresenceShown) => void entry.run(({ presence }) => presence.show(key, meta)),
    hide: (key: string) => void entry.run(({ presence }) => presence.hide(key)),
  }), [entry, opened, present])
}

/** How a topic is doing. With `select` the component renders only when what that returns is another value: a text, a number. */
export function useTopicStatus(topic: TopicGiven): TopicStatus
export function useTopicStatus<T>(topic: TopicGiven, select: (status: TopicStatus) => T): T
export function useTopicStatus<T>(topic: TopicGiven, select?: (status: TopicStatus) => T): TopicStatus | T {
  const entry = useAnyEntry('useTopicStatus', topic)
  const read = (status: TopicStatus): TopicStatus | T => (select === undefined ? status : select(status))
  return useSyncExternalStore(entry.subscribeStatus, () => read(entry.getStatus()), () => read(OPENING))
}
