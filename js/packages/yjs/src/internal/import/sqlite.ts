// Databases of SQLite in which a row is a document or an update of one.
import type { DatabaseSync } from 'node:sqlite'
import type { Stored, StoredUpdate } from './stored.ts'

interface Table {
  readonly table: string
  readonly columns: readonly string[]
}

/** What is known by the names that it gives: @hocuspocus/extension-sqlite, and pycrdt-store with its ancestor ypy-websocket. */
const KNOWN: readonly Table[] = [
  { table: 'documents', columns: ['name', 'data'] },
  { table: 'yupdates', columns: ['path', 'yupdate'] },
]

/** The database at `path`. `wanted` is `TABLE(NAME, UPDATE)`, where somebody has said where to look. */
export async function* readSqlite(path: string, wanted: string | undefined): AsyncGenerator<Stored> {
  const { DatabaseSync } = await load()
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const { table, columns } = choose(tablesOf(database), wanted)
    const [name, value] = columns.map(quote)
    const rows = database.prepare(`SELECT ${name} AS name, ${value} AS value FROM ${quote(table)} ORDER BY ${name}`)
    rows.setReadBigInts(true)
    // Rows of one document follow each other, and their order among themselves changes nothing for Yjs.
    let current: { name: string; updates: StoredUpdate[] } | undefined
    for (const { name: given, value } of rows.iterate() as Iterable<{ name: unknown; value: unknown }>) {
      const name = given === null || given instanceof Uint8Array ? '' : String(given)
      if (current?.name !== name) {
        if (current) yield current
        current = { name, updates: [] }
      }
      current.updates.push({ where: `row ${current.updates.length + 1} of ${table}`, read: () => value })
    }
    if (current) yield current
  } finally {
    database.close()
  }
}

/** Node's own SQLite, without its warning that it is young. */
async function load(): Promise<typeof import('node:sqlite')> {
  const warn = process.emitWarning
  process.emitWarning = () => {}
  try {
    return await import('node:sqlite')
  } catch {
    throw new Error(`SQLite is read by Node 22.13 or later, and this is ${process.version}`)
  } finally {
    process.emitWarning = warn
  }
}

function tablesOf(database: DatabaseSync): Table[] {
  const columns = database.prepare('SELECT name FROM pragma_table_info(?)')
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name")
  return tables.all().map(({ name }) => ({ table: String(name), columns: columns.all(name as string).map(({ name }) => String(name)) }))
}

function choose(tables: readonly Table[], wanted: string | undefined): Table {
  const candidates = wanted === undefined ? KNOWN : [parse(wanted)]
  const has = (there: Table, { table, columns }: Table): boolean => there.table === table && columns.every((column) => there.columns.includes(column))
  const found = candidates.find((candidate) => tables.some((there) => has(there, candidate)))
  if (found) return found
  const list = tables.length === 0 ? 'there are none' : `there are ${tables.map(({ table, columns }) => `${table}(${columns.join(', ')})`).join('; ')}`
  throw new Error(`${wanted === undefined ? 'none of its tables is known; say which with' : 'it has no such'} --table 'TABLE(NAME, UPDATE)': ${list}`)
}

function parse(wanted: string): Table {
  const [, table, name, value] = /^\s*([^(]+?)\s*\(\s*([^,]+?)\s*,\s*([^,]+?)\s*\)\s*$/.exec(wanted) ?? []
  if (table === undefined || name === undefined || value === undefined) throw new Error("--table is to be 'TABLE(NAME, UPDATE)', with the names of a table and of two columns")
  return { table, columns: [name, value] }
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
