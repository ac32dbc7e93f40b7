// Where a device keeps its diary: a few files, whose rules are those of src/base/storage.h.
import { LaniakeaError } from '../errors.ts'
import type { StorageKind } from './protocol.ts'

type Bytes = Uint8Array<ArrayBuffer>
type Soon<T> = T | Promise<T>

/** Calls do not overlap. What throws no LaniakeaError counts as LK_ERR_IO. */
export interface DeviceFile {
  /** Less where the file ends. */
  read(at: number, length: number): Soon<Bytes>
  write(at: number, bytes: Bytes): Soon<void>
  /** What was written, the size and the name would outlive the machine's end. */
  sync(): Soon<void>
  truncate(size: number): Soon<void>
  size(): Soon<number>
  close(): Soon<void>
}

export interface DeviceFiles {
  readonly kind: StorageKind
  /** `undefined` where there is none and `create` is not said. */
  open(name: string, create: boolean): Promise<DeviceFile | undefined>
  /** False where there is none. */
  remove(name: string): Promise<boolean>
  rename(from: string, to: string): Promise<void>
  /** In no order. */
  list(): Promise<string[]>
  /** Files are closed before. */
  close(): Promise<void>
}

/** What a storage threw. */
export function fileError(cause: unknown): LaniakeaError {
  if (cause instanceof LaniakeaError) return cause
  const name = (cause as { name?: unknown } | null)?.name
  return new LaniakeaError(name === 'QuotaExceededError' ? 'LK_ERR_NO_SPACE' : 'LK_ERR_IO', String(cause))
}

const DEVICE = 'device'

/** Names this device: as old as what is kept here, and never the name of another one. */
export async function deviceName(files: DeviceFiles | undefined): Promise<string> {
  const fresh = newDeviceName()
  if (files === undefined) return fresh
  const file = await files.open(DEVICE, true)
  if (file === undefined) return fresh
  try {
    const known = new TextDecoder().decode(await file.read(0, fresh.length))
    if (/^[0-9a-f]{16}$/.test(known)) return known
    await file.write(0, new TextEncoder().encode(fresh))
    await file.sync()
    return fresh
  } finally {
    await file.close()
  }
}

/** 64 random bits. */
export function newDeviceName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Of the database of a scope. */
export const indexedDbName = (scope: string): string => `laniakea ${scope}`
