// Snapshots: what was known of a document, and what of it was deleted. The bytes are Yjs', and made here.
//
//   snapshot := deletes vector
//   deletes  := clients (client count (clock length)*)*       V2: clock less the end before it, length less one
//   vector   := clients (client clock)*                       the highest client first, here and there
import { Writer } from './doc_any.ts'
import type { UpdateFormat } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'
import { ForeignReader } from './foreign.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Range = readonly [clock: number, length: number]

/** A state of a document in a few bytes. What it looked like then says DocHistory, as long as it keeps what is deleted. */
export class Snapshot {
  /** How much of each client was known. */
  readonly states: ReadonlyMap<number, number>
  /** What of that was deleted: from where on, and how much. */
  readonly deletes: ReadonlyMap<number, readonly Range[]>

  private constructor(states: Map<number, number>, deletes: Map<number, Range[]>) {
    this.states = sorted(states)
    this.deletes = sorted(deletes)
  }

  /** From what encode(), or Yjs' encodeSnapshot() and encodeSnapshotV2(), gave. LK_ERR_TRUNCATED and others of decoding. */
  static decode(bytes: Uint8Array, format: UpdateFormat = 1): Snapshot {
    const reader = new ForeignReader(bytes)
    const deletes = readDeletes(reader, format)
    const states = readStates(reader)
    reader.end()
    return new Snapshot(states, deletes)
  }

  encode(format: UpdateFormat = 1): Bytes {
    const writer = new Writer()
    writer.uint(this.deletes.size)
    for (const [client, ranges] of this.deletes) {
      writer.uint(client)
      writer.uint(ranges.length)
      let end = 0
      for (const [clock, length] of ranges) {
        writer.uint(format === 2 ? clock - end : clock)
        writer.uint(format === 2 ? length - 1 : length)
        end = clock + length
      }
    }
    writer.uint(this.states.size)
    for (const [client, clock] of this.states) {
      writer.uint(client)
      writer.uint(clock)
    }
    return writer.bytes.slice(0, writer.length)
  }

  equals(other: Snapshot): boolean {
    const [mine, others] = [this.encode(), other.encode()]
    return mine.length === others.length && mine.every((byte, i) => byte === others[i])
  }
}

const sorted = <T>(map: Map<number, T>): Map<number, T> => new Map([...map].sort(([a], [b]) => b - a))

/** Each range takes two bytes at least, so that what the counts say costs no more than the bytes that came. */
function readDeletes(reader: ForeignReader, format: UpdateFormat): Map<number, Range[]> {
  const deletes = new Map<number, Range[]>()
  for (let clients = reader.uint(); clients > 0; clients--) {
    const client = reader.uint()
    const ranges = deletes.get(client) ?? []
    let end = 0
    for (let count = reader.uint(); count > 0; count--) {
      const clock = reader.uint() + (format === 2 ? end : 0)
      const length = reader.uint() + (format === 2 ? 1 : 0)
      end = clock + length
      if (end > Number.MAX_SAFE_INTEGER) throw new LaniakeaError('LK_ERR_RANGE')
      if (length > 0) ranges.push([clock, length])
    }
    if (ranges.length > 0) deletes.set(client, ranges)
  }
  for (const [client, ranges] of deletes) deletes.set(client, merged(ranges))
  return deletes
}

function readStates(reader: ForeignReader): Map<number, number> {
  const states = new Map<number, number>()
  for (let clients = reader.uint(); clients > 0; clients--) {
    const client = reader.uint()
    const clock = reader.uint()
    if (clock > (states.get(client) ?? 0)) states.set(client, clock)
  }
  return states
}

/** In their order, and as few as there can be. */
function merged(ranges: Range[]): Range[] {
  const all: [clock: number, length: number][] = []
  for (const [clock, length] of ranges.sort(([a], [b]) => a - b)) {
    const last = all.at(-1)
    if (last === undefined || clock > last[0] + last[1]) all.push([clock, length])
    else last[1] = Math.max(last[1], clock + length - last[0])
  }
  return all
}
