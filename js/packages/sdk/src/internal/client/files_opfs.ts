// The diary in the origin's private file system: handles that a worker has for itself, and may use at once.
import type { DeviceFile, DeviceFiles } from './files.ts'

type Bytes = Uint8Array<ArrayBuffer>

const FOLDER = 'laniakea'
/** A worker that was ended lets go of its handles a moment later. */
const TAKEN_MS = 5_000

export async function opfsFiles(scope: string): Promise<DeviceFiles> {
  const root = await navigator.storage.getDirectory()
  const folder = await (await root.getDirectoryHandle(FOLDER, { create: true })).getDirectoryHandle(encodeURIComponent(scope), { create: true })
  const files: DeviceFiles = {
    kind: 'opfs',
    open: async (name, create) => {
      const handle = await orUndefined(folder.getFileHandle(name, { create }))
      return handle === undefined ? undefined : new OpfsFile(await take(handle))
    },
    remove: async (name) => (await orUndefined(folder.removeEntry(name).then(() => true))) ?? false,
    rename: async (from, to) => {
      const [source, target] = [await files.open(from, false), await files.open(to, true)]
      if (source === undefined || target === undefined) throw new DOMException(from, 'NotFoundError')
      await target.truncate(0)
      await target.write(0, await source.read(0, await source.size()))
      await target.sync()
      await source.close()
      await target.close()
      await files.remove(from)
    },
    list: async () => {
      const names: string[] = []
      for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name)
      return names
    },
    close: async () => {},
  }
  // Some browsers have the folders and not the handles.
  const probe = await files.open('probe', true)
  await probe?.close()
  await files.remove('probe')
  return files
}

async function take(handle: FileSystemFileHandle): Promise<SyncHandle> {
  const end = performance.now() + TAKEN_MS
  for (;;) {
    try {
      return await (handle as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle()
    } catch (cause) {
      if ((cause as DOMException).name !== 'NoModificationAllowedError' || performance.now() > end) throw cause
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  return promise.catch((cause: unknown) => {
    if ((cause as DOMException).name === 'NotFoundError') return undefined
    throw cause
  })
}

/** A FileSystemSyncAccessHandle, which workers alone have. */
interface SyncHandle {
  read(into: Bytes, options: { at: number }): number
  write(bytes: Bytes, options: { at: number }): number
  flush(): void
  truncate(size: number): void
  getSize(): number
  close(): void
}

class OpfsFile implements DeviceFile {
  readonly #handle: SyncHandle

  constructor(handle: SyncHandle) {
    this.#handle = handle
  }

  read(at: number, length: number): Bytes {
    const bytes = new Uint8Array(length)
    return bytes.subarray(0, this.#handle.read(bytes, { at }))
  }

  write(at: number, bytes: Bytes): void {
    if (this.#handle.write(bytes, { at }) !== bytes.length) throw new DOMException('a write was cut short', 'QuotaExceededError')
  }

  sync(): void {
    this.#handle.flush()
  }

  truncate(size: number): void {
    this.#handle.truncate(size)
  }

  size(): number {
    return this.#handle.getSize()
  }

  close(): void {
    this.#handle.close()
  }
}
