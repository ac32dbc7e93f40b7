// The diary in a folder, for Node. One process at a time has it: a file names that process, and when it began, since numbers of
// processes are used again.
import { mkdir, open, readFile, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { LaniakeaError } from '../errors.ts'
import { fileError, type DeviceFile, type DeviceFiles } from './files.ts'

type Bytes = Uint8Array<ArrayBuffer>

const LOCK = '.lock'

/** LK_ERR_EXISTS where another process uses the folder. */
export async function nodeFiles(folder: string): Promise<DeviceFiles> {
  await mkdir(folder, { recursive: true })
  const unlock = await lockFolder(folder)
  return {
    kind: 'files',
    open: async (name, create) => {
      const path = join(folder, name)
      try {
        return new NodeFile(await open(path, 'r+'), undefined)
      } catch (cause) {
        if (!isMissing(cause)) throw errorOf(cause)
      }
      return create ? new NodeFile(await open(path, 'wx+'), folder) : undefined
    },
    remove: async (name) => {
      try {
        await rm(join(folder, name))
        return true
      } catch (cause) {
        if (isMissing(cause)) return false
        throw errorOf(cause)
      }
    },
    rename: async (from, to) => {
      await rename(join(folder, from), join(folder, to))
      await syncFolder(folder)
    },
    list: async () => (await readdir(folder)).filter((name) => !name.startsWith('.')),
    close: unlock,
  }
}

const isMissing = (cause: unknown): boolean => (cause as NodeJS.ErrnoException).code === 'ENOENT'

function errorOf(cause: unknown): LaniakeaError {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return new LaniakeaError('LK_ERR_NO_SPACE', String(cause))
  return code === 'EACCES' || code === 'EPERM' ? new LaniakeaError('LK_ERR_PERMISSION', String(cause)) : fileError(cause)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Folders that this process has. */
const taken = new Set<string>()

async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, LOCK)
  if (taken.has(path)) throw new LaniakeaError('LK_ERR_EXISTS', `${folder} is in use by this process`)
  for (;;) {
    try {
      const handle = await open(path, 'wx')
      await handle.writeFile(await nameOf(process.pid))
      await handle.close()
      break
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw errorOf(cause)
    }
    const owner = await readFile(path, 'utf8').catch(() => '')
    const pid = Number(owner.split(' ')[0])
    if (isAlive(pid) && pid !== process.pid && (await nameOf(pid)) === owner) throw new LaniakeaError('LK_ERR_EXISTS', `${folder} is in use by process ${pid}`)
    await rm(path, { force: true })
  }
  taken.add(path)
  return async () => {
    taken.delete(path)
    await rm(path, { force: true })
  }
}

/** With the time of its start, where the system tells that (field 22 of proc(5)'s stat). */
async function nameOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`.trimEnd()
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

class NodeFile implements DeviceFile {
  readonly #handle: FileHandle
  /** Of a file that was made now: its name is to be kept, too. */
  #folder: string | undefined

  constructor(handle: FileHandle, folder: string | undefined) {
    this.#handle = handle
    this.#folder = folder
  }

  async read(at: number, length: number): Promise<Bytes> {
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const { bytesRead } = await this.#handle.read(bytes, done, length - done, at + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return bytes.subarray(0, done)
  }

  async write(at: number, bytes: Bytes): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) done += (await this.#handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten
    } catch (cause) {
      throw errorOf(cause)
    }
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
    if (this.#folder !== undefined) await syncFolder(this.#folder)
    this.#folder = undefined
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size)
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
