// bench/doc/node.mjs -- what main.c measures, in Node: the SDK with its WASM instance (rows that begin with "SDK:"), and
// libraries of others (shared/engines.mjs), whose rows stand beside both ours. Those are no part of the project:
// `make bench` installs them into bench/doc/node_modules by the lock file there, and without them ours run alone.
//
//   node bench/doc/node.mjs                                all of it
//   node bench/doc/node.mjs --only laniakea,yjs sessions   some libraries, some parts: sessions, append, shapes, memory
//
// All share one process, in which each has its own copy of the functions that measure: else V8, which learns
// from what it has run, would have to allow for all of them in each. Only memory takes a process for each.
// Libraries that take long run in the first turns only: `turns` of an engine, LK_BENCH_TURN of tools/bench.mjs. With
// LK_BENCH_QUICK=1 those that would run once do not run at all, and the others for fewer rounds.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { peers } from './shared/engines.mjs'
import { measureAll, parts } from './shared/parts.mjs'
import { laniakea } from './shared/sdk.mjs'
import { runSelf } from './shared/run.mjs'

const { values, positionals: wanted } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } })
const turn = Number(process.env.LK_BENCH_TURN ?? 0)
const isQuick = process.env.LK_BENCH_QUICK === '1'
const hasPeers = existsSync(new URL('node_modules/.package-lock.json', import.meta.url))
const factories = { laniakea, ...(hasPeers ? peers : {}) }

function fail(why) {
  console.error(`bench/doc: ${why}`)
  process.exit(1)
}

/** A library that cannot be had costs only its own rows. */
async function open(name) {
  if (factories[name] === undefined) fail(`no library ${name}; there are ${Object.keys(factories).join(', ')}`)
  try {
    return { name, ...(await factories[name]()) }
  } catch (error) {
    console.error(`bench/doc: ${name}: ${error.message}; left out`)
    return null
  }
}

/** Engines of which this turn is one. */
async function openAll(names) {
  const isNow = ({ turns = Infinity }) => turn < turns && !(isQuick && turns === 1)
  const opened = (await Promise.all(names.map(open))).filter((engine) => engine !== null && isNow(engine))
  for (const engine of opened.filter(({ name }) => name === 'ywasm')) engine.updatesFrom = await open('yjs')
  return opened
}

/** What a library of others does stands beside both ours. */
const printer = ({ title, isOurs }) => (name, unit, value, peer = title) => {
  const rows = isOurs
    ? [{ suite: 'doc', name: `SDK: ${name}`, unit, value, better: 'lower' }]
    : [name, `SDK: ${name}`].map((row) => ({ suite: 'doc', name: row, unit, peer, peer_value: value }))
  for (const row of rows) console.log(JSON.stringify(row))
}

if (!hasPeers) console.error('bench/doc: what is measured beside ours is not installed: npm ci in bench/doc')
for (const part of wanted) if (!parts.includes(part) && part !== 'memory') fail(`no part ${part}; there are ${parts.join(', ')}, memory`)
const names = values.only?.split(',') ?? Object.keys(factories)
const self = fileURLToPath(import.meta.url)
const chosen = wanted.length > 0 ? wanted : [...parts, 'memory']

if (globalThis.gc === undefined) {
  const together = chosen.filter((part) => part !== 'memory')
  if (together.length > 0) runSelf(self, ['--only', names.join(), ...together])
  const each = chosen.includes('memory') ? await openAll(names) : []
  for (const { name } of each) runSelf(self, ['--only', name, 'memory'])
  process.exit(0)
}
for (const part of chosen) await measureAll(part, await openAll(names), printer)
