// bench/doc/peers.mjs -- what main.c and wasm.mjs measure, in libraries of others: shared/engines.mjs. They are no part
// of the project: `make bench` installs them into bench/doc/node_modules by the lock file there.
//
//   node bench/doc/peers.mjs                  all of it
//   node bench/doc/peers.mjs yjs [part ...]   one library: sessions, append, shapes, memory
//
// Each library has processes of its own: in one that already ran other code through the same functions,
// V8 has to allow for both.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runParts } from './shared/run.mjs'

const self = fileURLToPath(import.meta.url)
const [library, ...wanted] = process.argv.slice(2)

if (library === undefined && !existsSync(new URL('node_modules/.package-lock.json', import.meta.url))) {
  console.error('what bench/doc measures beside ours is not installed: npm ci in bench/doc')
  process.exitCode = 1
} else if (globalThis.gc === undefined) {
  const { peers } = await import('./shared/engines.mjs')
  for (const name of library === undefined ? Object.keys(peers) : [library]) runParts(self, [name], wanted)
} else {
  const { peers } = await import('./shared/engines.mjs')
  const { parts } = await import('./shared/parts.mjs')
  const engine = await peers[library]()
  if (library === 'ywasm') engine.updatesFrom = await peers.yjs()
  const print = (name, unit, value, peer = engine.title) => {
    // How many bytes a library writes is told; to write fewer is no aim where the format is somebody else's.
    const bar = unit === 'bytes' && !name.includes('memory') ? undefined : 1
    for (const row of [name, `SDK: ${name}`]) console.log(JSON.stringify({ suite: 'doc', name: row, unit, peer, peer_value: value, bar }))
  }
  for (const part of wanted.filter((each) => !engine.without?.includes(each))) parts[part](engine, print)
}
