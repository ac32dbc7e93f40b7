#!/usr/bin/env node
// npx @laniakea/yjs import: documents of other servers, and files with updates, into the documents of a server.
import { parseArgs } from 'node:util'
import { Report } from './internal/import/report.ts'
import { Server, Unreachable, topicOf } from './internal/import/server.ts'
import { readSources } from './internal/import/sources.ts'
import { messageOf, readStored } from './internal/import/stored.ts'

const USAGE = `usage: npx @laniakea/yjs import [OPTION]... SOURCE...

Adds the documents of each SOURCE to those of a server: what is called notes there is doc:notes here. To do it twice does no harm.

A SOURCE is one of
  a database of SQLite    of Hocuspocus (its table documents), of pycrdt-store (yupdates), or any other with --table
  a folder of y-leveldb   where y-websocket's server has its documents: YPERSISTENCE. Needs y-leveldb, in the folder where you are
  a file                  with an update of Yjs as Y.encodeStateAsUpdate() gives it: notes.bin is the document notes, team%2Fnotes.bin
                          is team/notes. A document may be in several files
  a folder                of such files, and of folders: team/notes.bin is the document team/notes

  --url URL       of the server (default http://127.0.0.1:4000)
  --token TOKEN   for a server that wants one; or in the environment: LANIAKEA_TOKEN
  --topic TOPIC   all that is read belongs to this document
  --table 'TABLE(NAME, UPDATE)'
                  where a database has the names of documents and their updates, in one row or in many for each document
  --v2            updates are of the second format, as Y.encodeStateAsUpdateV2() gives it
  --dry-run       read everything, and send nothing
  --json          a line of JSON for each document and for each error, and one with the sums

Exits with 0 if all that was found has come in, 1 if something has not, and 2 if it was not understood what to do.
`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:4000' },
      token: { type: 'string' },
      topic: { type: 'string' },
      table: { type: 'string' },
      v2: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [command, ...sources] = positionals
  if (values.help) return say(USAGE, 0)
  if (command !== 'import' || sources.length === 0) return say(USAGE, 2)

  const report = new Report(values.json)
  const server = values['dry-run'] ? null : new Server(values.url, values.token ?? process.env['LANIAKEA_TOKEN'])
  const options = { table: values.table, together: values.topic !== undefined }
  try {
    for await (const stored of readSources(sources, options, (path, what) => report.failed({ from: path }, what))) {
      const place = { document: values.topic ?? stored.name, from: stored.from }
      try {
        place.document = values.topic ?? topicOf(stored.name)
        report.begin(place)
        const update = readStored(stored, values.v2, (what) => report.failed(place, what))
        if (update !== null) report.came(place, update.length, await server?.send(place.document, update))
      } catch (error) {
        report.failed(place, messageOf(error))
        if (!(error instanceof Unreachable)) continue
        report.stop()
        break
      }
    }
  } finally {
    server?.close()
  }
  return report.end()
}

function say(text: string, code: number): number {
  ;(code === 0 ? process.stdout : process.stderr).write(text)
  return code
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => (process.exitCode = say(`${messageOf(error)}\n`, 2)),
)
