// The folder in which y-websocket's server keeps its documents, by y-leveldb. It is read through the package `level` that y-leveldb
// brings along, of whichever version: y-leveldb itself would bring a second Yjs, and writes when it reads.
//
//   key := part*    part := 0 length:varint utf8 | 1 number:u32 (big endian)
//   ["v1", name, "update", n]    an update
//   ["v1", name, "meta", key], ["v1_sv", name]    not ours
//
// A name is what stood in the URL, with its escapes: y-websocket's server leaves them there, and ours does not.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf, unescapeName, type Stored, type StoredUpdate } from './stored.ts'

/** Of level 6, and from 7 on. Both know "binary" as the encoding of what shall be left as it is. */
type Open = (path: string, options: object, done: (error: Error | null, database?: Database) => void) => void
type Level = new (path: string, options: object) => Database & { open(options: object): Promise<void> }
interface Database {
  createReadStream?(): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  iterator(): AsyncIterable<[key: Uint8Array, value: Uint8Array]>
  close(): Promise<void>
}

const OPTIONS = { keyEncoding: 'binary', valueEncoding: 'binary', createIfMissing: false }

export async function* readLevel(path: string): AsyncGenerator<Stored> {
  const database = await open(path)
  try {
    // In the order of the keys a document's updates follow each other.
    let current: { name: string; updates: StoredUpdate[] } | undefined
    for await (const [key, value] of entries(database)) {
      const [version, path, what, number] = partsOf(key)
      if (version !== 'v1' || typeof path !== 'string' || what !== 'update') continue
      const name = unescapeName(path)
      if (current?.name !== name) {
        if (current) yield current
        current = { name, updates: [] }
      }
      current.updates.push({ where: `update ${number}`, read: () => value })
    }
    if (current) yield current
  } finally {
    await database.close()
  }
}

async function* entries(database: Database): AsyncGenerator<[Uint8Array, Uint8Array]> {
  if (database.createReadStream === undefined) yield* database.iterator()
  else for await (const { key, value } of database.createReadStream()) yield [key, value]
}

async function open(path: string): Promise<Database> {
  const level = (await load()) as { Level?: Level; default?: Open & { Level?: Level } }
  const Level = level.Level ?? level.default?.Level
  try {
    if (Level !== undefined) {
      const database = new Level(path, OPTIONS)
      await database.open(OPTIONS)
      return database
    }
    return await new Promise((resolve, reject) => level.default!(path, OPTIONS, (error, database) => (error ? reject(error) : resolve(database!))))
  } catch (error) {
    const why = messageOf((error as Error).cause ?? error)
    throw new Error(/\block\b/i.test(why) ? 'somebody has it open: stop its server first' : why)
  }
}

/** Where people have y-leveldb: in the folder that they are in, or beside us. */
async function load(): Promise<unknown> {
  for (const place of [join(process.cwd(), 'package.json'), import.meta.url]) {
    for (const packages of [['y-leveldb', 'level'], ['level']]) {
      try {
        let from = place
        for (const name of packages) from = createRequire(from).resolve(name)
        return await import(pathToFileURL(from).href)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
      }
    }
  }
  throw new Error('it is read with the package y-leveldb: npm install y-leveldb')
}

function partsOf(key: Uint8Array): (string | number)[] {
  const parts: (string | number)[] = []
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at++] === 1) {
      if (at + 4 > bytes.length) return []
      parts.push(bytes.readUInt32BE(at))
      at += 4
      continue
    }
    let length = 0
    for (let shift = 0, byte = 0x80; byte >= 0x80 && shift < 28; shift += 7) {
      byte = bytes[at++] ?? 0
      length |= (byte & 0x7f) << shift
    }
    parts.push(bytes.toString('utf8', at, at + length))
    at += length
  }
  return parts
}
