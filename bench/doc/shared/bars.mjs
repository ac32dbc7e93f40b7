// bench/doc/shared/bars.mjs -- what the document engine is meant to reach.
//
// A bar beside a peer says how many times as long the peer should take at least; a quarter of the gap buffer is
// four times its time. `atMost` is for our own value. Bars beside peers hold for all sessions, but not for the first
// edits of one, and for rows with an observer and an undo manager too; `atMost` is about automerge-paper.
const local = 'each edit a transaction'
const append = "one author's run of 5 MB: append 20 characters"

export const GAP_BUFFER = 'bare gap buffer'
export const WATCHED = ', observer and undo manager attached'

const remote = { native: { yjs: 40 }, sdk: { yjs: 15, 'json-joy': 2 } }
const bars = new Map([
  [local, { native: { [GAP_BUFFER]: 1 / 4, yjs: 120 }, sdk: { yjs: 60, 'diamond-types': 2 } }],
  [`${local}, its update encoded`, { native: { yjs: 100 }, sdk: { yjs: 30, 'json-joy': 2 } }],
  [`${local}, its update encoded, in buffers of their own`, { sdk: { yjs: 30 } }],
  ['apply the updates one by one', remote],
  ['load the document (v1) and read its text', { native: { yjs: 25, others: 1 }, sdk: { yjs: 15 } }],
  ['encode the document (v1)', { native: { yjs: 8 }, sdk: { yjs: 8 } }],
  ['merge the updates without a document', { native: { atMost: 15 }, sdk: { atMost: 45 } }],
  ['memory of the loaded document', { native: { atMost: 700_000 }, sdk: { atMost: 800_000 } }],
])
const alone = new Map([
  [`${append}, each update encoded`, { native: { atMost: 5 }, sdk: { atMost: 15 } }],
  [`${append} that come one by one`, { native: { atMost: 5 }, sdk: { atMost: 15 } }],
])
/** Changes that go from one replica to others: the bars of remote updates beside Yjs. */
const exchanged = { native: { yjs: 40 }, sdk: { yjs: 15 } }

/** What a row's name says: "SDK: session: task, observer and undo manager attached", of which only the task must be there. */
export function parseName(name) {
  const isSdk = name.startsWith('SDK: ')
  const rest = isSdk ? name.slice(5) : name
  const isWatched = rest.endsWith(WATCHED)
  const row = isWatched ? rest.slice(0, -WATCHED.length) : rest
  if (alone.has(row) || !row.includes(': ')) return { isSdk, isWatched, session: '', task: row }
  const end = row.indexOf(': ')
  return { isSdk, isWatched, session: row.slice(0, end), task: row.slice(end + 2) }
}

/** The bars of a row: { atMost } and those of peers by name; `others` is any. */
export function barsOf(name) {
  const { isSdk, isWatched, session, task } = parseName(name)
  if (session.includes(', first ')) return {}
  const isExchange = /^B\d\.|replicas write and exchange/.test(task)
  const all = session === '' ? (alone.get(task) ?? (isExchange ? exchanged : undefined)) : (bars.get(task) ?? (isExchange ? exchanged : undefined))
  const { atMost, ...beside } = all?.[isSdk ? 'sdk' : 'native'] ?? {}
  const isAbsolute = atMost !== undefined && !isWatched && (session === '' || session === 'automerge-paper')
  return isAbsolute ? { atMost, ...beside } : beside
}
