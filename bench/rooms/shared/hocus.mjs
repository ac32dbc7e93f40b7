// bench/rooms/shared/hocus.mjs PORT [FOLDER] -- hocuspocus as its manual starts it; with a folder it keeps documents there.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Server } from '@hocuspocus/server'
import * as Y from 'yjs'

const [port, folder] = process.argv.slice(2)
const pathOf = (name) => join(folder, `${encodeURIComponent(name)}.bin`)

const kept = {
  async onLoadDocument({ documentName }) {
    const path = pathOf(documentName)
    return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined
  },
  async onStoreDocument({ document, documentName }) {
    const path = pathOf(documentName)
    writeFileSync(`${path}.new`, Y.encodeStateAsUpdate(document))
    renameSync(`${path}.new`, path)
  },
}
const server = new Server({ port: Number(port), address: '127.0.0.1', quiet: true, timeout: 600_000, ...(folder ? kept : {}) })
await server.listen()
