// The arguments of operations as the JSON array that the core reads.
import type { CrdtParameter } from './crdt_types.gen.ts'
import { LaniakeaError } from './errors.ts'
import { jsonOf } from './json.ts'

const U64_MAX = 2n ** 64n - 1n
const U32_MAX = 2 ** 32 - 1

/** Throws LK_ERR_RANGE or LK_ERR_TYPE for what cannot be meant. */
export function argumentsOf(kinds: readonly CrdtParameter[], given: readonly unknown[]): string {
  const texts = kinds.map((kind, i) => writers[kind](given[i]))
  return `[${texts.join()}]`
}

const writers: Readonly<Record<CrdtParameter, (value: unknown) => string>> = {
  u64: (value) => String(amountOf(value)),
  u32: (value) => String(indexOf(value)),
  json: jsonOf,
  text: stringOf,
  actor: stringOf,
}

/** How much is counted; that it is above 0 is up to the core. */
export function amountOf(value: unknown): number | bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  if (typeof value === 'bigint' && value >= 0n && value <= U64_MAX) return value
  throw new LaniakeaError('LK_ERR_RANGE', `an amount is an integer from 1 to 2^64 - 1, not ${String(value)}`)
}

export function indexOf(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= U32_MAX) return value
  throw new LaniakeaError('LK_ERR_RANGE', `an index or count is an integer from 0 to 2^32 - 1, not ${String(value)}`)
}

/** Halves of pairs are left to the core, which refuses them. */
function stringOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  throw new LaniakeaError('LK_ERR_TYPE', `expected a string, not ${typeof value}`)
}

/** How many code points stand before the unit `index` of `text`, which is well formed. LK_ERR_RANGE beyond the end
 * and between the halves of a pair. */
export function pointsBefore(text: string, index: unknown): number {
  const end = indexOf(index)
  if (end > text.length) throw new LaniakeaError('LK_ERR_RANGE', `${end} is behind the end, ${text.length}`)
  let pairs = 0
  for (let i = 0; i < end; i++) {
    if ((text.charCodeAt(i) & 0xfc00) !== 0xd800) continue
    if (++i === end) throw new LaniakeaError('LK_ERR_RANGE', `${end} is between the halves of a pair`)
    pairs++
  }
  return end - pairs
}
