// Relative positions: which unit, root or node is meant, and which side of it. Where that is, only a document knows; the bytes
// and the JSON are Yjs', and made here.
//
//   position := 0 client clock assoc | 1 name assoc | 2 client clock assoc       varUints, a varString, a varInt
import { Writer } from './doc_any.ts'
import type { PositionJson, UnitId } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'
import { ForeignReader } from './foreign.ts'

const ITEM = 0
const ROOT = 1
const NODE = 2

type Bytes = Uint8Array<ArrayBuffer>

/** A place in a text or list that moves along with what is around it. It belongs to no replica: send its bytes or its JSON.
 * The fields are those of Yjs' class of that name. */
export class RelativePosition {
  /** The unit that it stays with. Where there is none it is the end of its node, or the beginning where `assoc` is below 0. */
  readonly item: UnitId | null
  /** The name of its node, if that is a root. */
  readonly tname: string | null
  /** Its node, if that is none. */
  readonly type: UnitId | null
  /** Below 0: it stays behind its unit; otherwise in front of it. */
  readonly assoc: number

  /** LK_ERR_CORRUPT for one that names nothing, or something that is none. */
  constructor({ item, tname, type, assoc }: PositionJson) {
    this.item = idOf(item)
    this.tname = tname ?? null
    this.type = idOf(type)
    this.assoc = assoc ?? 0
    const isNone = this.item === null && this.tname === null && this.type === null
    if (isNone || !Number.isSafeInteger(this.assoc) || (this.tname !== null && typeof this.tname !== 'string')) throw new LaniakeaError('LK_ERR_CORRUPT', 'no position')
  }

  /** From what encode(), or Yjs' encodeRelativePosition(), gave. LK_ERR_TRUNCATED and others of decoding. */
  static decode(bytes: Uint8Array): RelativePosition {
    const reader = new ForeignReader(bytes)
    const kind = reader.uint()
    let place: PositionJson
    if (kind === ROOT) place = { tname: reader.string() }
    else if (kind === ITEM || kind === NODE) place = { [kind === ITEM ? 'item' : 'type']: { client: reader.uint(), clock: reader.uint() } }
    else throw new LaniakeaError('LK_ERR_CORRUPT', 'no position')
    const assoc = reader.more ? reader.int() : 0 // the first versions of Yjs wrote none
    reader.end()
    return new RelativePosition({ ...place, assoc })
  }

  /** From what toJSON(), or Yjs' relativePositionToJSON(), gave. */
  static fromJSON(json: unknown): RelativePosition {
    if (typeof json !== 'object' || json === null) throw new LaniakeaError('LK_ERR_CORRUPT', 'no position')
    return new RelativePosition(json as PositionJson)
  }

  /** The node is left out where a unit is known. */
  encode(): Bytes {
    const writer = new Writer()
    const { item, tname, type, assoc } = this
    writer.uint(item !== null ? ITEM : tname !== null ? ROOT : NODE)
    const id = item ?? type
    if (item === null && tname !== null) {
      writer.string(tname)
    } else if (id !== null) {
      writer.uint(id.client)
      writer.uint(id.clock)
    }
    writer.int(assoc)
    return writer.bytes.slice(0, writer.length)
  }

  toJSON(): PositionJson {
    const { item, tname, type, assoc } = this
    return { ...(type && { type }), ...(tname !== null && { tname }), ...(item && { item }), assoc }
  }

  /** Whether both mean the same place, also where only one says in which node its unit is. */
  equals({ item, tname, type, assoc }: RelativePosition): boolean {
    if (assoc !== this.assoc || !sameId(item, this.item)) return false
    return item !== null || (tname === this.tname && sameId(type, this.type))
  }
}

function idOf(id: UnitId | null | undefined): UnitId | null {
  if (id === null || id === undefined) return null
  const { client, clock } = id
  if (isId(client) && isId(clock)) return { client, clock }
  throw new LaniakeaError('LK_ERR_CORRUPT', 'no position')
}

const isId = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

function sameId(a: UnitId | null, b: UnitId | null): boolean {
  return a === b || (a?.client === b?.client && a?.clock === b?.clock)
}
