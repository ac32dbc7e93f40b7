// bench/doc/shared/report.mjs -- results of this suite as tools/bench.mjs shows them: a table for each session, with all
// peers in a row, and what the row should reach (bars.mjs).
import { formatNumber } from '../../../tools/bench.mjs'
import { GAP_BUFFER, WATCHED, barsOf, parseName } from './bars.mjs'

const AT_MOST = 'at most'
const EXTRAPOLATED = ', extrapolated'

/** Our results with their bars; a limit for our own value stands beside it like a peer. */
export function judge(results) {
  const absolute = new Map()
  const besides = results.map((result) => {
    const { atMost, others, ...peers } = barsOf(result.name)
    if (atMost !== undefined) absolute.set(result.name, { ...result, peer: AT_MOST, peer_value: atMost, ratio: atMost / result.value, bar: 1, ok: result.value <= atMost })
    const isOther = result.peer !== null && ![GAP_BUFFER, AT_MOST].includes(result.peer)
    const bar = peers[result.peer] ?? (isOther ? (others ?? null) : null)
    return { ...result, bar, ok: bar === null || result.ratio >= bar }
  })
  return [...besides, ...absolute.values()]
}

/** One row for each name: { name, unit, value, peers: result by peer }. */
function gather(results) {
  const rows = new Map()
  for (const result of results) {
    const { name, unit, value } = result
    if (!rows.has(name)) rows.set(name, { name, unit, value, peers: new Map() })
    if (result.peer !== null) rows.get(name).peers.set(result.peer.replace(EXTRAPOLATED, ''), result)
  }
  return [...rows.values()]
}

const times = (ratio) => `${formatNumber(ratio)}x`

function fastestOther(peers) {
  const others = [...peers.values()].filter(({ peer }) => ![GAP_BUFFER, AT_MOST].includes(peer) && !peer.startsWith('yjs'))
  return others.sort((a, b) => a.peer_value - b.peer_value)[0]
}

/** "yes" or "NO" with each bar. */
function verdicts({ unit, peers }) {
  return [...peers.values()]
    .filter(({ bar }) => bar !== null)
    .map(({ peer, peer_value, bar, ok }) => {
      const wanted = peer === AT_MOST ? `at most ${formatNumber(peer_value)} ${unit}` : peer === GAP_BUFFER ? `${formatNumber(1 / bar)}x the gap buffer` : `${times(bar)} ${peer}`
      return `${wanted}: ${ok ? 'yes' : 'NO'}`
    })
    .join(', ')
}

const SHOWN = ['yjs', 'ywasm', 'loro-crdt', 'automerge', 'json-joy', 'diamond-types']

const plainName = (name) => (name.endsWith(WATCHED) ? name.slice(0, -WATCHED.length) : name)

/** |above| is the row above it: what stands below the same without an observer need not say all of it again. */
function cells(row, above) {
  const { name, unit, value, peers } = row
  const { task, isWatched } = parseName(name)
  const isBelow = isWatched && above?.name === plainName(name)
  const title = isBelow ? '  + observer, undo manager' : isWatched ? `${task}, + observer, undo manager` : task
  const shown = SHOWN.map((peer) => {
    const result = peers.get(peer)
    return result === undefined ? '' : `${result.peer.endsWith(EXTRAPOLATED) ? '~' : ''}${formatNumber(result.peer_value)}`
  })
  const gap = peers.get(GAP_BUFFER)
  const other = fastestOther(peers)
  const ratios = [
    peers.has('yjs') ? times(peers.get('yjs').ratio) : '',
    other === undefined ? '' : `${times(other.ratio)} ${other.peer}`,
    gap === undefined ? '' : times(1 / gap.ratio),
  ]
  return [title, formatNumber(value), unit, gap === undefined ? '' : formatNumber(gap.peer_value), ...shown, ...ratios, verdicts(row)]
}

const HEAD = ['', 'ours', 'unit', 'gap buffer', ...SHOWN, 'vs yjs', 'vs fastest other', 'of gap buffer', 'wanted']
const LEFT = [0, 2, 11, 13]

function layout(lines) {
  const used = HEAD.map((_, column) => column < 2 || lines.some((line) => line[column] !== ''))
  const all = [HEAD, ...lines].map((line) => line.filter((_, column) => used[column]))
  const isLeft = HEAD.map((_, column) => LEFT.includes(column)).filter((_, column) => used[column])
  const widths = all[0].map((_, column) => Math.max(...all.map((line) => line[column].length)))
  return all.map((line) => line.map((text, column) => (isLeft[column] ? text.padEnd(widths[column]) : text.padStart(widths[column]))).join('  ').trimEnd()).join('\n')
}

/** A row with an observer stands below the one without. */
function inOrder(rows) {
  const places = new Map()
  for (const { name } of rows) if (!places.has(plainName(name))) places.set(plainName(name), places.size)
  return rows.toSorted((a, b) => places.get(plainName(a.name)) - places.get(plainName(b.name)) || a.name.length - b.name.length)
}

/** How often each peer ran where that is less often than we did. */
function runs(results) {
  const most = Math.max(...results.map((result) => result.runs ?? 1))
  const fewer = new Map(results.filter((result) => result.peer_runs < most && SHOWN.includes(result.peer)).map((result) => [result.peer, result.peer_runs]))
  const said = [...fewer].map(([peer, count]) => `${peer}: ${count}`)
  return `medians of ${most} run${most === 1 ? '' : 's'}${said.length > 0 ? `; of fewer for ${said.join(', ')}` : ''}`
}

export function table(results) {
  // Sessions that were cut short are there for peers that take too long with all of it.
  const isWanted = ({ name, peers }) => !parseName(name).session.includes(', first ') || SHOWN.some((peer) => peers.has(peer))
  const rows = gather(results).filter(isWanted)
  const groups = new Map()
  for (const row of rows) {
    const { isSdk, session } = parseName(row.name)
    const title = `${session === '' ? 'a long run, and shapes' : session}, ${isSdk ? 'WASM' : 'native'}`
    if (!groups.has(title)) groups.set(title, [])
    groups.get(title).push(row)
  }
  const short = results.filter(({ bar, ok }) => bar !== null && !ok).length
  const wanted = results.filter(({ bar }) => bar !== null).length
  const tables = [...groups].map(([title, members]) => `${title}\n${layout(inOrder(members).map((row, i, all) => cells(row, all[i - 1])))}`)
  return `${tables.join('\n\n')}\n\n${runs(results)}; "~" is extrapolated; ${wanted - short} of ${wanted} bars are reached`
}

/** What has a bar. */
export const plotted = (results) => results.filter(({ name, bar }) => bar !== null && !parseName(name).isWatched && /^$|^automerge-paper$/.test(parseName(name).session))
