// bench/rooms/shared/servers.mjs -- the servers of documents that are measured, beside those of ../../server/shared.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { servers } from '../../server/shared/servers.mjs'

export { begin, load, measure, nextPort, program, servers, start } from '../../server/shared/servers.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const installed = join(here, '../node_modules')

// Ours in each of its dialects; `more` is options of the program.
const { command } = servers.ours
servers.doc = { command, load: { dialect: 'doc', topic: 'doc', params: '{"encoding":"binary"}' } }
servers.y = { command, load: { dialect: 'yjs', path: '/y/' } }

servers['y-websocket'] = {
  command: () => [process.execPath, join(installed, '@y/websocket-server/src/server.js')],
  environment: (port) => ({ HOST: '127.0.0.1', PORT: String(port) }),
  load: { dialect: 'yjs' },
}
servers.hocuspocus = {
  command: (port, more = []) => [process.execPath, join(here, 'hocus.mjs'), String(port), ...more],
  load: { dialect: 'hocus' },
}

const packages = { 'y-websocket': '@y/websocket-server', hocuspocus: '@hocuspocus/server', ws: 'ws' }

/** Whether |name| can be measured here. */
export const isThere = (name) => packages[name] === undefined || existsSync(join(installed, packages[name], 'package.json'))
