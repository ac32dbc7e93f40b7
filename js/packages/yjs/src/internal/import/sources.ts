// What people have: databases, and files and folders of updates. Which it is is told by the content, not by the name.
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs'
import { basename, join, relative, sep } from 'node:path'
import { readLevel } from './leveldb.ts'
import { readSqlite } from './sqlite.ts'
import { messageOf, unescapeName, type Stored, type StoredUpdate } from './stored.ts'

const SQLITE_MAGIC = 'SQLite format 3\0'

export interface SourceOptions {
  /** What readSqlite() is to look for. */
  readonly table: string | undefined
  /** All files are of one document. */
  readonly together: boolean
}

/** The documents of `paths`; `complain` hears of a path that cannot be read on, and what others hold is read all the same. */
export async function* readSources(
  paths: readonly string[],
  { table, together }: SourceOptions,
  complain: (path: string, what: string) => void,
): AsyncGenerator<Stored & { readonly from: string }> {
  const files = new Map<string, string[]>() // of one document each, which may be in several
  const addFile = (name: string, path: string): void => {
    const key = together ? '' : name
    files.set(key, [...(files.get(key) ?? []), path])
  }
  for (const path of paths) {
    try {
      const kind = kindOf(path)
      if (kind === 'file') addFile(nameOf(basename(path)), path)
      else if (kind === 'folder') readFolder(path, addFile)
      else for await (const stored of kind === 'level' ? readLevel(path) : readSqlite(path, table)) yield { ...stored, from: path }
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      complain(path, isMissing ? 'there is no such file or folder' : messageOf(error))
    }
  }
  for (const [name, paths] of files) yield { name, updates: readFiles(paths), from: paths[0]! }
}

function kindOf(path: string): 'file' | 'folder' | 'level' | 'sqlite' {
  if (statSync(path).isDirectory()) return existsSync(join(path, 'CURRENT')) ? 'level' : 'folder'
  const head = Buffer.alloc(SQLITE_MAGIC.length)
  const file = openSync(path, 'r')
  try {
    readSync(file, head)
  } finally {
    closeSync(file)
  }
  return head.toString('latin1') === SQLITE_MAGIC ? 'sqlite' : 'file'
}

function readFolder(folder: string, addFile: (name: string, path: string) => void): void {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
  if (found.length === 0) throw new Error('there is no file in it')
  for (const path of found) {
    const parts = relative(folder, path).split(sep)
    addFile([...parts.slice(0, -1), nameOf(parts.at(-1)!)].join('/'), path)
  }
}

function* readFiles(paths: readonly string[]): Generator<StoredUpdate> {
  for (const path of paths) yield { where: path, read: () => readFileSync(path) }
}

const nameOf = (file: string): string => unescapeName(file.replace(/\.[^.]*$/, ''))
