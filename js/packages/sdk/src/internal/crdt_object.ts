// What all objects of the catalogue have in common, as their users see it.

/** An object that can be read and watched. The methods of its type change it. */
export interface CrdtObject<T extends string, V> {
  readonly type: T

  /** What this replica knows; the same one until it changes. Within an ormap's value counters are numbers,
   * exact up to 2^53; those of at() are bigints. */
  readonly value: V

  /** Calls `listener` after changes of the value, until the function that it returns is called; once for
   * all that a batch changed. */
  subscribe(listener: (value: V) => void): () => void
}

/** How much a replica holds. */
export interface CrdtSize {
  /** Live: elements, registers' values, counters' runs. */
  readonly entries: number
  /** Of the causal context: one for each actor, and one more for each gap. */
  readonly ranges: number
  readonly actors: number
  /** Of memory. */
  readonly bytes: number
}

/** How what two replicas know compares; "before": the other knows all that this one does, and more. */
export type CrdtOrder = 'equal' | 'before' | 'after' | 'concurrent'

/** One replica of an object: what can be sent to others, and taken in from them.
 *
 * Methods that change it return a delta for the other replicas. Deltas and states are of one kind: any of
 * them may be merged into any replica of the type, in any order, any number of times. */
export interface CrdtReplica extends Disposable {
  /** The name under which changes are made. */
  readonly actor: string
  readonly size: CrdtSize

  /** Takes in a state or a delta, all or nothing, and tells whether anything was new. The bytes may
   * come from anybody: LK_ERR_TYPE, LK_ERR_CORRUPT and others of decoding, LK_ERR_DOT where one actor was
   * used by two replicas. */
  merge(bytes: Uint8Array): boolean

  /** Runs `body` and returns one delta of all that it changed. Within it methods return nothing, an empty
   * array. Where it throws, what it changed until then stays, and is in the next delta that this replica
   * gives. Counts of a gcounter or pncounter are summed up until something else is asked of the object,
   * and LK_ERR_OVERFLOW comes only then: none of that sum is counted. */
  batch(body: () => void): Uint8Array<ArrayBuffer>

  /** The whole state, the same bytes on every replica that knows the same. */
  encode(): Uint8Array<ArrayBuffer>

  /** What this replica knows, without what it holds: another one answers with diffSince(). */
  version(): Uint8Array<ArrayBuffer>

  /** A delta with what a replica of that version lacks. */
  diffSince(version: Uint8Array): Uint8Array<ArrayBuffer>

  /** The least delta that brings `other`, of the same catalogue, to where merging this one would. */
  diff(other: CrdtReplica): Uint8Array<ArrayBuffer>

  compare(other: CrdtReplica): CrdtOrder

  /** 32 hex digits, the same on every replica that knows the same. */
  digest(): string

  /** State or delta as JSON, as text: its integers may be beyond JavaScript's. */
  encodeJson(): string
  mergeJson(text: string): boolean

  /** Gives the memory back. Also by `using`, and for those that nobody holds any more. */
  close(): void
}
