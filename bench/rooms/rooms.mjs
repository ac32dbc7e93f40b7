// bench/rooms/rooms.mjs -- what documents cost the server, beside the least that passing messages on can cost, and
// beside servers of others. README.md says how to read it.
//
// Ours validates each update, applies it, and keeps it before it answers: in memory that outlives its processes, and in
// the rows called "on disk" behind an fdatasync. The limit and `ws` know no documents and pass on what comes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { begin, isThere, load, measure } from './shared/servers.mjs'

const quick = process.env.LK_BENCH_QUICK === '1'
const only = process.env.LK_BENCH_ONLY // a part of the names of tasks
const others = ['limit', 'ws', 'y-websocket', 'hocuspocus'].filter(isThere)
const withDocuments = others.filter((name) => name !== 'limit' && name !== 'ws')
const ours = { '': 'doc', ', /y/': 'y' }
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const print = (row) => console.log(JSON.stringify({ suite: 'rooms', better: 'lower', ...row }))

/** Bars are how many times better than a peer ours is to be. */
const row = (name, unit, value, bar) => print({ name, unit, value, bar })
const peerRow = (name, unit, peer, value, bar) => print({ name, unit, peer, peer_value: value, bar })

const tasks = []
const task = (name, run) => tasks.push({ name, run })

/** Gives |use| a folder that is gone afterwards. */
async function inFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'laniakea-bench-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const onDisk = (name, options, more = []) => inFolder((folder) => measure(name, options, ['--data', folder, ...more]))

function expectAll(name, result) {
  if (result.ready < result.clients || result.gone > 0) console.error(`${name}: ${result.ready} of ${result.clients} clients, ${result.gone} lost`)
}

/** What |run| gives of a peer; without it where that one does not get through. */
async function attempt(results, peer, run) {
  if (!isThere(peer)) return
  try {
    results.set(peer, await run())
  } catch (error) {
    console.error(`rooms: ${peer} is left out: ${error.message}`)
  }
}

// ---- memory ----

const many = ['--limit', 'rooms_count=8192']
const idle = { rooms: quick ? 200 : 950, members: 10 }

/** Of the same number of connections, one in each document instead of ten: what the documents take. */
const alone = (count) => ({ rooms: count, members: 1, write: true, payload: 224 })
const documents = quick ? 1000 : 4000
const perDocument = (one, crowd) => ({
  now: (one.memory_written - crowd.memory) / documents,
  later: (one.memory_later - crowd.memory) / documents,
})

task('memory', async () => {
  const idleName = 'idle connection in a document with ten: memory'
  for (const [variant, name] of Object.entries(ours)) {
    const result = await measure(name, idle, many)
    expectAll(idleName, result)
    row(`${idleName}${variant}`, 'KB', result.client_bytes / 1024, 1)
  }
  const beside = `${idleName}, beside others`
  row(beside, 'KB', (await measure('doc', idle, many)).client_bytes / 1024)
  for (const peer of others) peerRow(beside, 'KB', peer, (await measure(peer, idle)).client_bytes / 1024, peer === 'limit' ? undefined : 1)
})

task('open document', async () => {
  const crowd = { rooms: documents / 10, members: 10 }
  const name = 'open document of 200 characters: memory'
  const kinds = { ', in memory': (options) => measure('doc', options, many), ', on disk': (options) => onDisk('doc', options, many) }
  for (const [kind, run] of Object.entries(kinds)) {
    const { now, later } = perDocument(await run(alone(documents)), await run(crowd))
    row(`${name}${kind}`, 'KB', now / 1024)
    row(`${name}${kind}, after 5 s`, 'KB', later / 1024, 2)
    row(`${name}, beside others${kind}`, 'KB', later / 1024)
    for (const peer of kind === ', on disk' ? [] : withDocuments) {
      const theirs = perDocument(await measure(peer, alone(documents)), await measure(peer, crowd))
      peerRow(`${name}, beside others${kind}`, 'KB', peer, theirs.later / 1024, 3.5)
    }
  }
})

// ---- time on processors ----

const times = { warm: 1, seconds: quick ? 2 : 4 }

/** |variants|: how ours is measured, by what stands behind the name; |bars| by peer. */
async function compare(name, options, variants, bars) {
  const results = new Map()
  for (const peer of others) await attempt(results, peer, () => measure(peer, options))
  for (const [variant, run] of Object.entries(variants)) {
    const result = await run(options)
    expectAll(name + variant, result)
    row(name + variant, 'µs', result.cpu_us)
    for (const [peer, theirs] of results) peerRow(name + variant, 'µs', peer, theirs.cpu_us, bars[peer])
  }
}

const plain = Object.fromEntries(Object.entries(ours).map(([variant, name]) => [variant, (options) => measure(name, options)]))

task('500 rooms of 4', () => {
  const options = { rooms: 500, members: 4, window: 1, ...times }
  const variants = { ...plain, ', on disk': (all) => onDisk('doc', all) }
  return compare('500 rooms of 4: CPU for a delivery', options, variants, { limit: 2.1 / 4, 'y-websocket': 17.7 / 4, hocuspocus: 31.8 / 4 })
})

const wide = { rooms: 1, members: 1001, fixed: true, ...times }
task('1 to 1,000', async () => {
  const bars = { limit: 1.3 / 1.5, 'y-websocket': 4 / 1.5 }
  await compare('1 to 1,000: CPU for a delivery', { ...wide, window: 1 }, plain, bars)
  await compare('1 to 1,000, 4 at once: CPU for a delivery', { ...wide, window: 4 }, plain, { ...bars, hocuspocus: 1.75 / 1.5 })
})

const constrained = '{"encoding":"binary","connection_type":"cellular","effective_type":"3g"}'
task('1 to 1,000, constrained', () => {
  const variants = { '': (options) => measure('doc', { ...options, params: constrained }) }
  const name = '1 to 1,000, 300 a second, as constrained clients: CPU for a delivery'
  return compare(name, { ...wide, rate: 300 }, variants, { limit: 1.3 / 0.6, 'y-websocket': 4 / 0.6 })
})

// ---- a document that many wrote ----

const updates = quick ? 20_000 : 100_000
const ingested = `document of ${updates.toLocaleString('en-US')} updates`

/** What it costs to write it, to join it, and to join it first after a restart where |options| keep it. */
async function history(name, options, settle = 0) {
  let server = await begin(name, options)
  try {
    const result = { ingest: load(server, { ingest: updates, rooms: 1, members: 1 }) }
    await wait(settle)
    result.warm = load(server, { joins: 20, rooms: 1 })
    if (result.warm.units !== result.ingest.units) console.error(`${name}: the document has ${result.warm.units} characters, not ${result.ingest.units}`)
    if (options === undefined) return result
    await server.stop()
    server = await begin(name, options)
    result.first = load(server, { joins: 1, rooms: 1 })
    if (result.first.units !== result.ingest.units) console.error(`${name}: after a restart the document has ${result.first.units} characters`)
    return result
  } finally {
    await server.stop()
  }
}

const rowsOfHistory = [
  { name: `${ingested}: CPU to take one in`, unit: 'µs', of: ({ ingest }) => ingest.cpu_us, bars: { 'y-websocket': 25 / 1.5, hocuspocus: 55 / 1.5 } },
  { name: `${ingested}: memory`, unit: 'MB', of: ({ ingest }) => ingest.memory_bytes / 2 ** 20, bars: {} },
  { name: `${ingested}: join`, unit: 'ms', of: ({ warm }) => warm.p50_ms, bars: { 'y-websocket': 10, hocuspocus: 10 } },
  { name: `${ingested}: CPU of a join`, unit: 'ms', of: ({ warm }) => warm.cpu_ms, bars: {} },
  { name: `${ingested}: first join after a restart`, unit: 'ms', of: ({ first }) => first?.first_ms, bars: { hocuspocus: 374 / 15 } },
]

task('history', async () => {
  const results = new Map()
  const disk = (name) => inFolder((folder) => history(name, ['--data', folder], 3000))
  results.set('', await disk('doc'))
  results.set(', /y/', await disk('y'))
  results.set(', in memory', await history('doc', undefined))
  const theirs = new Map()
  await attempt(theirs, 'y-websocket', () => history('y-websocket', undefined))
  await attempt(theirs, 'hocuspocus', () => inFolder((folder) => history('hocuspocus', [folder], 12_000)))
  for (const { name, unit, of, bars } of rowsOfHistory) {
    for (const [variant, result] of results) {
      if (of(result) === undefined) continue
      row(name + variant, unit, of(result))
      for (const [peer, one] of theirs) if (of(one) !== undefined) peerRow(name + variant, unit, peer, of(one), bars[peer])
    }
  }
})

// ---- a reader that stopped ----

task('a reader stops', async () => {
  const flood = { rooms: 1, members: 11, fixed: true, rate: 1000, payload: 4096, churn: true, warm: 1, seconds: quick ? 5 : 20 }
  const grown = (result) => (result.own_memory_most - result.own_memory_before) / 2 ** 20
  const name = 'one of ten readers stops, 4 MB/s'
  for (const [variant, server] of Object.entries(ours)) {
    const all = await measure(server, flood)
    const stopped = await measure(server, { ...flood, stalled: 1 })
    row(`${name}: memory${variant}`, 'MB', grown(stopped), 1.5)
    row(`${name}: memory beyond that when all read${variant}`, 'MB', grown(stopped) - grown(all))
    row(`${name}: 99th percentile of the others${variant}`, 'ms', stopped.p99_ms)
    peerRow(`${name}: 99th percentile of the others${variant}`, 'ms', 'all read', all.p99_ms, 1 / 1.5)
  }
  const beside = `${name}: memory, beside others`
  row(beside, 'MB', grown(await measure('doc', { ...flood, stalled: 1 })))
  for (const peer of others) peerRow(beside, 'MB', peer, grown(await measure(peer, { ...flood, stalled: 1 })))
})

for (const { name, run } of tasks) {
  if (only !== undefined && !name.includes(only)) continue
  console.error(`rooms: ${name}`)
  await run()
}
