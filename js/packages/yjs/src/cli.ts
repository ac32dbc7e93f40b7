#!/usr/bin/env node
// npx @laniakea/yjs import: files with updates of Yjs into the documents of a server.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { importUpdate, readUpdate } from './internal/import.ts'

const USAGE = `usage: npx @laniakea/yjs import [--url URL] [--token TOKEN] [--v2] [--topic TOPIC] FILE...

Adds what is in each file, one update of Yjs as Y.encodeStateAsUpdate() gives it, to a document of the server.

  --url URL      of the server (default http://127.0.0.1:4000)
  --token TOKEN  for a server that wants one; or in the environment: LANIAKEA_TOKEN
  --v2           the files are of the second format, as Y.encodeStateAsUpdateV2() gives it
  --topic TOPIC  all files belong to this document; without it notes.bin goes into doc:notes, team%2Fnotes.bin into
                 doc:team/notes, and so on
`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:4000' },
      token: { type: 'string' },
      v2: { type: 'boolean', default: false },
      topic: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [command, ...files] = positionals
  if (values.help) return say(USAGE, 0)
  if (command !== 'import' || files.length === 0) return say(USAGE, 2)

  const documents = new Map<string, Uint8Array[]>()
  for (const file of files) {
    const topic = values.topic ?? `doc:${nameOf(file)}`
    documents.set(topic, [...(documents.get(topic) ?? []), readFileSync(file)])
  }
  let failed = 0
  for (const [topic, updates] of documents) {
    try {
      const merge = values.v2 ? Y.mergeUpdatesV2 : Y.mergeUpdates
      const update = readUpdate(updates.length === 1 ? updates[0]! : merge(updates), values.v2)
      const level = await importUpdate({ url: values.url, topic, token: values.token ?? process.env['LANIAKEA_TOKEN'] }, update)
      console.log(`${topic}: ${update.length} bytes, ${level}`)
    } catch (error) {
      failed++
      console.error(`${topic}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return failed === 0 ? 0 : 1
}

/** What encodeURIComponent() made a file name of. */
function nameOf(file: string): string {
  const name = basename(file).replace(/\.[^.]*$/, '')
  try {
    return decodeURIComponent(name)
  } catch {
    return name // a % of its own
  }
}

function say(text: string, code: number): number {
  ;(code === 0 ? process.stdout : process.stderr).write(text)
  return code
}

main().then(
  (code) => (process.exitCode = code),
  (error: unknown) => (process.exitCode = say(`${error instanceof Error ? error.message : String(error)}\n`, 2)),
)
