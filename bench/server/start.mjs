// bench/server/start.mjs -- how long the program takes until it accepts a connection, and how large it is.
//
// The peer is the smallest server in Node that accepts one: what a JavaScript server cannot be below. The program's
// size is without debugging information and without the pages that it serves, which have their own budget.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nextPort, program, servers, start } from './shared/servers.mjs'

const print = (row) => console.log(JSON.stringify({ suite: 'server', better: 'lower', ...row }))

/** Milliseconds until |command|, made of a port, accepts: the best of some. */
async function startMs(command, times) {
  const all = []
  for (let i = 0; i < times; i++) {
    const server = await start(command(nextPort()))
    all.push(server.ms)
    await server.stop()
  }
  return Math.min(...all)
}

function run(command, args) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (done.status !== 0) throw new Error(`${command} failed: ${done.stderr}`)
  return done.stdout
}

/** What lies between the symbols that tools/embed_assets.mjs has put around each page. */
function pagesBytes() {
  const at = new Map()
  for (const line of run('nm', [program]).split('\n')) {
    const [, address, edge, index] = /^([0-9a-f]+) \S lk_asset_(begin|end)_(\d+)$/.exec(line) ?? []
    if (index !== undefined) at.set(`${edge}${index}`, parseInt(address, 16))
  }
  let sum = 0
  for (const [name, address] of at) if (name.startsWith('end')) sum += address - at.get(name.replace('end', 'begin'))
  return sum
}

function strippedBytes() {
  const folder = mkdtempSync(join(tmpdir(), 'laniakea-bench-'))
  try {
    run('strip', ['-o', join(folder, 'stripped'), program])
    return statSync(join(folder, 'stripped')).size
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const script = `require('node:http').createServer((q, s) => s.end()).listen(process.argv[1], '127.0.0.1')`
const ours = await startMs(servers.ours.command, 3)
const node = await startMs((port) => [process.execPath, '-e', script, String(port)], 1)
print({ name: 'start to accept', unit: 'ms', value: ours, bar: 20 })
print({ name: 'start to accept, beside others', unit: 'ms', value: ours })
print({ name: 'start to accept, beside others', unit: 'ms', peer: 'node:http, empty', peer_value: node, bar: 1 })
print({ name: 'program size, without pages', unit: 'MB', value: (strippedBytes() - pagesBytes()) / 1e6, bar: 3 })
