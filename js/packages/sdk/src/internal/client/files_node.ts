// The diary in a folder, for Node. One process at a time has it: a file names that process, and when it began, since numbers of
// processes are used again.
import { mkdir, open, readFile, readdir, realpath, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { LaniakeaError } from '../errors.ts'
import { fileError, newDeviceName, type DeviceFile, type DeviceFiles } from './files.ts'

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

const TRIES_MAX = 4
const TRY_MS = 50

const inUse = (folder: string, who: string): LaniakeaError => new LaniakeaError('LK_ERR_EXISTS', `${folder} is in use by ${who}`)

async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = await realpath(folder)
  if (taken.has(path)) throw inUse(folder, 'this process')
  taken.add(path)
  try {
    const own = await putLock(folder)
    return async () => {
      await rm(own, { force: true })
      taken.delete(path)
    }
  } catch (cause) {
    taken.delete(path)
    throw cause instanceof LaniakeaError ? cause : errorOf(cause)
  }
}

/** Everybody puts up a file of their own first, and looks for those of others then. So of two who come at once at least one sees the
 * other, and takes its own away; and nobody ever takes away what somebody who lives has put up. */
async function putLock(folder: string): Promise<string> {
  const own = `${LOCK}-${process.pid}-${await startOf(process.pid)}-${newDeviceName()}`
  const path = join(folder, own)
  for (let i = 1; ; i++) {
    await (await open(path, 'wx')).close()
    const owner = await otherOwner(folder, own)
    if (owner === undefined) return path
    await rm(path, { force: true })
    if (i === TRIES_MAX) throw inUse(folder, owner === process.pid ? 'this process' : `process ${owner}`)
    await new Promise((resolve) => setTimeout(resolve, TRY_MS * Math.random()))
  }
}

async function otherOwner(folder: string, own: string): Promise<number | undefined> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${LOCK}-`) || name === own) continue
    const [, pid = '', start = ''] = name.split('-')
    if (await isOwned(Number(pid), start)) return Number(pid)
    await rm(join(folder, name), { force: true })
  }
  return undefined
}

/** Where nobody tells when processes began, or told when it was written, one with our number was there before us. */
async function isOwned(pid: number, start: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  const now = await startOf(pid)
  return start === '' || now === '' ? pid !== process.pid : now === start
}

/** Field 22 of proc(5)'s stat; empty where there is none. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // Who may not ask does not know: Deno lets nobody who was not given the right to run programs.
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH'
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
