// bench/server/load.mjs -- what connections and messages cost the server, beside the least that they can cost.
//
// Each task gets servers of its own, one after the other: ours, the bare broadcaster (limit.c), and `ws` in Node
// where it is installed. What they have in common is that whatever a member of a room says goes to the others. Ours
// also answers each message, keeps it until that has happened, and takes it through two processes; "silent" messages
// have no reference and want no answer, as those of the others.
import { isThere, measure } from './shared/servers.mjs'

const quick = process.env.LK_BENCH_QUICK === '1'
const peers = ['limit', 'ws'].filter(isThere)
const print = (row) => console.log(JSON.stringify({ suite: 'server', better: 'lower', ...row }))

/** Our row of a task, and those of its peers; |bar| is how many times the limit ours may be. */
function rows(name, unit, of, bar) {
  return {
    ours: (result) => print({ name, unit, value: of(result) }),
    peer: (peer, result) => print({ name, unit, peer, peer_value: of(result), bar: peer === 'limit' ? bar && 1 / bar : 1 }),
  }
}

/** |variants| are ours, each with options of its own and rows behind a name of its own. */
async function compare(task, options, variants, unit, of, bar) {
  const results = new Map()
  for (const peer of peers) results.set(peer, await measure(peer, options))
  for (const [variant, more] of Object.entries(variants)) {
    const row = rows(`${task}${variant}`, unit, of, bar)
    const result = await measure('ours', { ...options, ...more.load }, more.serve)
    if (result.gone > 0 || result.ready < result.clients) console.error(`${task}${variant}: ${result.ready} of ${result.clients} clients, ${result.gone} lost`)
    row.ours(result)
    for (const [peer, theirs] of results) row.peer(peer, theirs)
  }
}

// ---- memory ----

// As many as 20,000 files allow, which generators and servers may have open.
const many = ['server_connections_count=19900', 'rooms_count=2048'].flatMap((limit) => ['--limit', limit])
const idle = [{ rooms: 500 }, { rooms: 990 }, ...(quick ? [] : [{ rooms: 1980, serve: many }])]
for (const { rooms, serve } of idle) {
  const name = `idle connection, one of ${(rooms * 10).toLocaleString('en-US')} in rooms of 10: memory`
  const result = await measure('ours', { rooms, members: 10 }, serve)
  if (result.ready < result.clients) console.error(`${name}: ${result.ready} have joined`)
  print({ name, unit: 'KB', value: result.client_bytes / 1024, bar: 1 })
  const beside = rows(`${name}, beside others`, 'KB', (one) => one.client_bytes / 1024)
  beside.ours(result)
  for (const peer of peers) beside.peer(peer, await measure(peer, { rooms, members: 10 }))
}

// ---- time on processors ----

const cpu = (result) => result.cpu_us
const times = quick ? { warm: 1, seconds: 2 } : { warm: 1, seconds: 4 }
const relayed = { '': { load: {} }, ', silent': { load: { silent: true } }, ', JSON': { load: { dialect: 'text' } } }
await compare('500 rooms of 4: CPU for a delivery', { rooms: 500, members: 4, window: 1, ...times }, relayed, 'µs', cpu, 1.5)
const wide = { rooms: 1, members: 1001, fixed: true, ...times }
await compare('1 to 1,000: CPU for a delivery', { ...wide, window: 1 }, { '': {} }, 'µs', cpu, 1.2)
await compare('1 to 1,000, 4 at once: CPU for a delivery', { ...wide, window: 4 }, { '': {} }, 'µs', cpu, 1.2)

// ---- readers that stopped ----

const BUFFER_BYTES = 1 << 20 // limits.ws_output_bytes
const crowd = { rooms: 990, members: 10, rate: 2000, warm: 1, seconds: quick ? 3 : 4 }
const without = []
const stalled = []
for (let i = 0; i < 2; i++) {
  without.push(await measure('ours', crowd))
  stalled.push(await measure('ours', { ...crowd, stalled: 990, fill: 960 * 1024 }))
}
const least = (results, of) => Math.min(...results.map(of)) // whatever else the machine does only adds
const name = '9,900 connections, 990 of them stopped reading: 99th percentile of the others'
print({ name, unit: 'ms', value: least(stalled, (one) => one.p99_ms) })
print({ name, unit: 'ms', peer: 'all read', peer_value: least(without, (one) => one.p99_ms), bar: 1 / 1.5 })
const held = 'a connection that stopped reading: memory'
print({ name: held, unit: 'KB', value: stalled[0].stalled_bytes / 1024, bar: BUFFER_BYTES / 1024 })
print({ name: `${held} in the kernel`, unit: 'KB', value: stalled[0].stalled_kernel_bytes / 1024 })
