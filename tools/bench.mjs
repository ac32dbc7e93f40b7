// tools/bench.mjs -- runs the benchmarks and sets our results beside those of others.
//
//   node tools/bench.mjs [suite ...]      the suites named, or every folder of bench/
//   ... --runs N                          how often each program runs (default 5)
//   ... --quick                           once, and programs that take long leave something out
//   ... --build DIR                       where the native programs are (default build/release)
//
// A suite is a folder bench/<suite>/. Its programs are the native bench_<suite> and bench_<suite>_...
// of the build, and the scripts bench/<suite>/*.mjs; nothing is built here. Each prints JSON lines
//
//   {"suite", "name", "unit", "value", "peer", "peer_value", "bar", "better": "lower" | "higher"}
//
// of which a line may hold our half or a peer's: lines of one suite and name are put together, as one
// result for each peer. A peer's bar counts before ours. The programs take turns, run after run, so that a machine that
// slows down slows all of them; the median of each value counts. A program learns by LK_BENCH_TURN, from 0 up, which
// turn it is, and by LK_BENCH_QUICK=1 of --quick. `ratio` says how many times better than the peer we are (above 1 is
// better, whichever direction that is for the unit); a row is ok if it reaches its `bar`. Without a peer the
// bar is for the value itself, and without a bar there is nothing to reach.
//
// A suite with many peers has bench/<suite>/shared/report.mjs, which exports judge(results), the results with bars of its
// own; table(results), instead of the one here; and plotted(results), those that are drawn.
//
// Written: build/bench/results.json, and build/bench/<suite>.svg for each suite. A row that falls
// short is marked, not an error: benchmarks inform, machines differ. The exit code is 1 if nothing
// could be measured.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from './lib.mjs'

const RUN_MS_MAX = 1_200_000
const OUTPUT_BYTES_MAX = 1 << 26

// ---- finding and running programs ----

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function listFolder(path) {
  return existsSync(path) ? readdirSync(path).sort() : []
}

/** [{ title, command, args }] of one suite. */
function programsOf(root, build, suite) {
  const native = listFolder(join(root, build))
    .filter((name) => name === `bench_${suite}` || name.startsWith(`bench_${suite}_`))
    .filter((name) => isProgram(join(root, build, name)))
    .map((name) => ({ title: name, command: join(root, build, name), args: [] }))
  const scripts = listFolder(join(root, 'bench', suite))
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => `bench/${suite}/${name}`)
    .map((path) => ({ title: path, command: process.execPath, args: [join(root, path)] }))
  return [...native, ...scripts]
}

/** The lines that one run of a program printed; null, and a word about it, where it failed. */
function runOnce(root, { title, command, args }, env) {
  const stdio = ['ignore', 'pipe', 'inherit']
  const options = { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8', timeout: RUN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX, stdio }
  const done = spawnSync(command, args, options)
  if (done.error || done.status !== 0) {
    const why = done.error?.message ?? `ended with ${done.signal ?? `status ${done.status}`}`
    console.error(`${title}: ${why}; left out`)
    return null
  }
  const rows = []
  for (const line of done.stdout.split('\n').filter((text) => text.startsWith('{'))) {
    try {
      rows.push(JSON.parse(line))
    } catch {
      console.error(`${title}: not JSON: ${line}`)
    }
  }
  return rows
}

// ---- results ----

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Puts the lines of all runs together: one result for each suite, name and peer, in order of appearance. */
export function combine(rows) {
  const byName = new Map()
  for (const row of rows) {
    if (typeof row.suite !== 'string' || typeof row.name !== 'string') continue
    const key = JSON.stringify([row.suite, row.name])
    const { suite, name, unit = '' } = row
    if (!byName.has(key)) byName.set(key, { suite, name, unit, values: [], peers: new Map() })
    const entry = byName.get(key)
    if (row.unit !== undefined && row.unit !== entry.unit) {
      throw new Error(`${suite}: ${name} is measured in ${entry.unit} and in ${row.unit}`)
    }
    if (Number.isFinite(row.value)) entry.values.push(row.value)
    if (Number.isFinite(row.peer_value)) addPeer(entry.peers, row)
    else entry.bar ??= row.bar
    entry.better ??= row.better
  }
  return [...byName.values()].filter((entry) => entry.values.length > 0).flatMap(besideEach)
}

function addPeer(peers, { peer = 'peer', peer_value, bar }) {
  if (!peers.has(peer)) peers.set(peer, { peer, peerValues: [] })
  const entry = peers.get(peer)
  entry.peerValues.push(peer_value)
  entry.bar ??= bar
}

function besideEach({ peers, bar, ...ours }) {
  if (peers.size === 0) return [judge({ ...ours, peerValues: [], bar })]
  return [...peers.values()].map((one) => judge({ ...ours, ...one, bar: one.bar ?? bar }))
}

function judge({ suite, name, unit, values, peerValues, peer, bar = null, better = 'lower' }) {
  const value = median(values)
  const peerValue = peerValues.length > 0 ? median(peerValues) : null
  const ratio = peerValue === null ? null : better === 'higher' ? value / peerValue : peerValue / value
  const reached = ratio !== null ? ratio >= bar : better === 'higher' ? value >= bar : value <= bar
  const ok = bar === null || reached
  const runs = { runs: values.length, ...(peerValue === null ? {} : { peer_runs: peerValues.length }) }
  return { suite, name, unit, value, peer: peerValue === null ? null : peer, peer_value: peerValue, ratio, bar, ok, ...runs }
}

// ---- showing ----

export function formatNumber(value) {
  if (value === null) return ''
  if (value !== 0 && Math.abs(value) < 0.01) return value.toExponential(1)
  const size = Math.abs(value)
  return value.toLocaleString('en-US', { maximumFractionDigits: size < 10 ? 2 : size < 100 ? 1 : 0 })
}

const formatRatio = (ratio) => (ratio === null ? '' : `${formatNumber(ratio)}x`)

function verdict({ ok, ratio, bar }) {
  if (ok) return ''
  return ratio === null ? `falls short of ${formatNumber(bar)}` : `falls short: ${formatRatio(bar)} wanted`
}

export function table(results) {
  const head = ['suite', 'name', 'value', 'unit', 'peer', 'peer value', 'ratio', '']
  const cells = (r) => [r.suite, r.name, formatNumber(r.value), r.unit, r.peer ?? '', formatNumber(r.peer_value)]
  const rows = results.map((r) => [...cells(r), formatRatio(r.ratio), verdict(r)])
  const numeric = [2, 5, 6]
  const widths = head.map((text, column) => Math.max(text.length, ...rows.map((row) => row[column].length)))
  const pad = (text, column) => (numeric.includes(column) ? text.padStart(widths[column]) : text.padEnd(widths[column]))
  return [head, ...rows].map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** For text and attributes alike; control characters have no place in XML at all. */
function escapeXml(text) {
  const printable = String(text).replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '')
  return printable.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}

/** A bar for us and one for the peer in each row. Units differ, so a row has its own scale. */
export function plot(suite, results) {
  const [width, left, right, rowHeight, top] = [760, 250, 190, 46, 44]
  const span = width - left - right
  const rows = results.map((r, index) => {
    const most = Math.max(r.value, r.peer_value ?? 0, Number.MIN_VALUE)
    const y = top + index * rowHeight
    const bar = (value, label, className, offset) => {
      const length = Math.max(2, (value / most) * span)
      return `  <rect class="${className}" x="${left}" y="${y + offset}" width="${length.toFixed(1)}" height="14" rx="2"/>
  <text class="note" x="${(left + length + 6).toFixed(1)}" y="${y + offset + 11}">${escapeXml(label)}</text>`
    }
    const lines = [`  <text class="name" x="${left - 10}" y="${y + 18}" text-anchor="end">${escapeXml(r.name)}</text>`]
    const ratio = r.ratio === null ? '' : `  (${formatRatio(r.ratio)})`
    const own = `${formatNumber(r.value)} ${r.unit}${ratio}${r.ok ? '' : ', falls short'}`
    lines.push(bar(r.value, own, r.ok ? 'ours' : 'short', 0))
    const other = `${formatNumber(r.peer_value)} ${r.unit}, ${r.peer}`
    if (r.peer_value !== null) lines.push(bar(r.peer_value, other, 'peer', 17))
    return lines.join('\n')
  })
  const height = top + results.length * rowHeight + 6
  const size = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-labelledby="title">
  <title id="title">${escapeXml(suite)}: our results beside a peer's</title>
  <style>
    text { font: 12px system-ui, sans-serif; fill: #24292f }
    .head { font-size: 15px; font-weight: 600 }
    .note { fill: #57606a }
    .ours { fill: #1f77b4 } .peer { fill: #afb8c1 } .short { fill: #cf5b16 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .note { fill: #9aa4af }
      .ours { fill: #58a6ff } .peer { fill: #56606b } .short { fill: #f0883e }
    }
  </style>
  <text class="head" x="10" y="24">${escapeXml(suite)}</text>
${rows.join('\n')}
</svg>
`
}

// ---- main ----

const plain = { judge: (results) => results, table, plotted: (results) => results }

/** How a suite shows its results. */
async function reportOf(root, suite) {
  const path = join(root, 'bench', suite, 'shared/report.mjs')
  return existsSync(path) ? import(pathToFileURL(path)) : plain
}

async function main() {
  const args = parseArgs({ values: ['runs', 'build'], flags: ['quick'] })
  const root = resolve(args.root)
  const runs = args.quick ? 1 : Number(args.runs ?? 5)
  if (!Number.isInteger(runs) || runs < 1) {
    console.error('--runs wants a number from 1 up')
    process.exit(2)
  }
  const folders = listFolder(join(root, 'bench')).filter((name) => statSync(join(root, 'bench', name)).isDirectory())
  const suites = args.rest.length > 0 ? args.rest : folders
  const programs = suites.flatMap((suite) => {
    const found = programsOf(root, args.build ?? 'build/release', suite)
    const hint = 'build with `cmake --preset release && ninja -C build/release benchmarks`'
    if (found.length === 0) console.error(`${suite}: no program; ${hint}`)
    return found
  })

  const failed = new Set()
  const rows = []
  const began = performance.now()
  for (let turn = 0; turn < runs; turn++) {
    for (const program of programs.filter((one) => !failed.has(one))) {
      console.error(`turn ${turn + 1} of ${runs}, ${((performance.now() - began) / 1000).toFixed(0)} s: ${program.title}`)
      const printed = runOnce(root, program, { LK_BENCH_TURN: String(turn), ...(args.quick ? { LK_BENCH_QUICK: '1' } : {}) })
      if (printed === null) failed.add(program)
      else rows.push(...printed)
    }
  }

  const all = Map.groupBy(combine(rows), ({ suite }) => suite)
  const reported = []
  for (const [suite, some] of all) {
    const report = await reportOf(root, suite)
    reported.push({ suite, report, results: report.judge(some) })
  }
  const results = reported.flatMap((one) => one.results)
  if (results.length === 0) {
    console.error('nothing was measured')
    process.exitCode = 1
    return
  }
  const output = join(root, 'build/bench')
  mkdirSync(output, { recursive: true })
  writeFileSync(join(output, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
  for (const one of reported) {
    const name = one.suite.replace(/[^\w.-]/g, '_')
    writeFileSync(join(output, `${name}.svg`), plot(one.suite, one.report.plotted(one.results)))
  }
  const short = results.filter((r) => !r.ok).length
  const together = reported.filter(({ report }) => report === plain).flatMap((one) => one.results)
  if (together.length > 0) console.log(table(together))
  for (const { report, results: own } of reported.filter((one) => one.report !== plain)) console.log(`\n${report.table(own)}`)
  const verdict = short === 0 ? 'none falls' : short === 1 ? '1 falls' : `${short} fall`
  console.log(`\n${results.length} results, ${verdict} short; build/bench/results.json`)
}

// Not awaited: a suite's report may want something of this module, which must be complete then.
if (process.argv[1] === fileURLToPath(import.meta.url)) main()
