// made by tools/gen_tables.mjs from src/crdt/types.def; do not edit
import type { CrdtObject } from './crdt_object.ts'
import type { Json } from './json.ts'

/** A counter that only grows. Increments of all replicas add up. */
export interface GcounterCrdt extends CrdtObject<'gcounter', bigint> {
  increment(amount?: number | bigint): Uint8Array<ArrayBuffer>
}

/** A counter that goes both ways. It may go below zero. */
export interface PncounterCrdt extends CrdtObject<'pncounter', bigint> {
  increment(amount?: number | bigint): Uint8Array<ArrayBuffer>
  decrement(amount?: number | bigint): Uint8Array<ArrayBuffer>
}

/** A counter that never goes below zero: stock, seats. What a replica adds it may take away again, or transfer the right to do so to another replica; it may take nothing that it has no right to. */
export interface BcounterCrdt extends CrdtObject<'bcounter', { readonly value: bigint; readonly rights: Readonly<Record<string, bigint>> }> {
  increment(amount?: number | bigint): Uint8Array<ArrayBuffer>
  decrement(amount?: number | bigint): Uint8Array<ArrayBuffer>
  transfer(to: string, amount: number | bigint): Uint8Array<ArrayBuffer>
}

/** A set that only grows. */
export interface GsetCrdt extends CrdtObject<'gset', readonly Json[]> {
  add(element: Json): Uint8Array<ArrayBuffer>
}

/** A set in which an add wins over a concurrent remove: removing takes away the adds that the remover has seen, and no other. */
export interface OrsetCrdt extends CrdtObject<'orset', readonly Json[]> {
  add(element: Json): Uint8Array<ArrayBuffer>
  remove(element: Json): Uint8Array<ArrayBuffer>
  clear(): Uint8Array<ArrayBuffer>
}

/** A set in which a remove wins over a concurrent add. A removed element costs a little memory until it is added again. */
export interface RwsetCrdt extends CrdtObject<'rwset', readonly Json[]> {
  add(element: Json): Uint8Array<ArrayBuffer>
  remove(element: Json): Uint8Array<ArrayBuffer>
}

/** A flag, off at first, where enabling wins over a concurrent disabling. */
export interface EwflagCrdt extends CrdtObject<'ewflag', boolean> {
  enable(): Uint8Array<ArrayBuffer>
  disable(): Uint8Array<ArrayBuffer>
}

/** A flag, off at first, where disabling wins over a concurrent enabling. */
export interface DwflagCrdt extends CrdtObject<'dwflag', boolean> {
  enable(): Uint8Array<ArrayBuffer>
  disable(): Uint8Array<ArrayBuffer>
}

/** A register that keeps the last value written: one that was written with knowledge of another wins over it; of concurrent ones the later by hybrid logical clock, then by actor. null at first. */
export interface LwwCrdt extends CrdtObject<'lww', Json> {
  set(value: Json): Uint8Array<ArrayBuffer>
}

/** A register that keeps every value that was written concurrently, until a later one replaces those that it has seen. */
export interface MvregCrdt extends CrdtObject<'mvreg', readonly Json[]> {
  set(value: Json): Uint8Array<ArrayBuffer>
}

/** A map from keys to objects of this catalogue, maps included. A key is there as long as something is below it. Removing a key removes what the remover has seen below it; what others change there at the same time stays, and only that. */
export interface OrmapCrdt extends CrdtObject<'ormap', { readonly [key: string]: Json }> {
  remove(key: string): Uint8Array<ArrayBuffer>
  /** The object of `type` below `key`: there by being changed. What its methods give are deltas of the whole. */
  at<K extends CrdtType>(key: string, type: K): CrdtTypes[K]
}

/** An ordered list. Concurrent moves of one element leave it once, where one of them put it; moving or setting an element wins over deleting it at the same time. */
export interface ListCrdt extends CrdtObject<'list', readonly Json[]> {
  insert(index: number, value: Json): Uint8Array<ArrayBuffer>
  delete(index: number): Uint8Array<ArrayBuffer>
  move(from: number, to: number): Uint8Array<ArrayBuffer>
  set(index: number, value: Json): Uint8Array<ArrayBuffer>
}

/** Plain text for small fields; indexes count code points. Documents belong into doc. Here they count UTF-16 units, as those of JavaScript's strings do. */
export interface TextCrdt extends CrdtObject<'text', string> {
  insert(index: number, text: string): Uint8Array<ArrayBuffer>
  delete(index: number, count: number): Uint8Array<ArrayBuffer>
}

/** The types by their names. */
export interface CrdtTypes {
  readonly gcounter: GcounterCrdt
  readonly pncounter: PncounterCrdt
  readonly bcounter: BcounterCrdt
  readonly gset: GsetCrdt
  readonly orset: OrsetCrdt
  readonly rwset: RwsetCrdt
  readonly ewflag: EwflagCrdt
  readonly dwflag: DwflagCrdt
  readonly lww: LwwCrdt
  readonly mvreg: MvregCrdt
  readonly ormap: OrmapCrdt
  readonly list: ListCrdt
  readonly text: TextCrdt
}

/** The name of a type. */
export type CrdtType = keyof CrdtTypes

export type CrdtParameter = 'u64' | 'u32' | 'json' | 'text' | 'actor'

export interface CrdtTypeEntry {
  readonly number: number
  readonly map: boolean
  /** Each number in the value is a bigint. */
  readonly exact: boolean
  readonly operations: Readonly<Record<string, readonly CrdtParameter[]>>
}

export const crdtTypes: Readonly<Record<CrdtType, CrdtTypeEntry>> = {
  gcounter: { number: 1, map: false, exact: true, operations: { increment: ['u64'] } },
  pncounter: { number: 2, map: false, exact: true, operations: { increment: ['u64'], decrement: ['u64'] } },
  bcounter: { number: 3, map: false, exact: true, operations: { increment: ['u64'], decrement: ['u64'], transfer: ['actor', 'u64'] } },
  gset: { number: 4, map: false, exact: false, operations: { add: ['json'] } },
  orset: { number: 5, map: false, exact: false, operations: { add: ['json'], remove: ['json'], clear: [] } },
  rwset: { number: 6, map: false, exact: false, operations: { add: ['json'], remove: ['json'] } },
  ewflag: { number: 7, map: false, exact: false, operations: { enable: [], disable: [] } },
  dwflag: { number: 8, map: false, exact: false, operations: { enable: [], disable: [] } },
  lww: { number: 9, map: false, exact: false, operations: { set: ['json'] } },
  mvreg: { number: 10, map: false, exact: false, operations: { set: ['json'] } },
  ormap: { number: 11, map: true, exact: false, operations: { remove: ['text'] } },
  list: { number: 12, map: false, exact: false, operations: { insert: ['u32', 'json'], delete: ['u32'], move: ['u32', 'u32'], set: ['u32', 'json'] } },
  text: { number: 13, map: false, exact: false, operations: { insert: ['u32', 'text'], delete: ['u32', 'u32'] } },
}
