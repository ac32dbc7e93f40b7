// Goal: medians, ratios and verdicts are right, programs take turns, and a broken program costs only
// its own rows.
// Method: a fake suite of scripts that print fixed lines, and one tiny program over bench/bench.h.
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { judge as judgeDocs, table as tableOfDocs } from '../../bench/doc/shared/report.mjs'
import { combine, median, plot } from '../../tools/bench.mjs'
import { must, source, tool, tree } from './fixture.mjs'

const print = (...rows) => rows.map((row) => `console.log(${JSON.stringify(JSON.stringify(row))})\n`).join('')
const ours = { suite: 'fake', name: 'a <b> & "c"', unit: 'ns', value: 10, better: 'lower', bar: 2 }
const peer = { suite: 'fake', name: ours.name, unit: 'ns', peer: 'other', peer_value: 15 }

const read = (root) => JSON.parse(readFileSync(join(root, 'build/bench/results.json'), 'utf8'))

test('our half and the peer\'s half make one result', (t) => {
  const root = tree(t, { 'bench/fake/a.mjs': print(ours), 'bench/fake/b.mjs': print(peer), 'bench/bench.h': '' })
  const { status, stdout } = tool('bench', root, '--runs', '2')
  assert.equal(status, 0)
  assert.deepEqual(read(root), [{ suite: 'fake', name: ours.name, unit: 'ns', value: 10, peer: 'other', peer_value: 15, ratio: 1.5, bar: 2, ok: false, runs: 2, peer_runs: 2 }])
  assert.match(stdout, /^suite +name +value +unit +peer +peer value +ratio$/m)
  assert.match(stdout, /^fake +a <b> & "c" +10 +ns +other +15 +1\.5x +falls short: 2x wanted$/m)
  assert.match(stdout, /^1 results, 1 falls short/m)
  const svg = readFileSync(join(root, 'build/bench/fake.svg'), 'utf8')
  assert.match(svg, />a &#60;b&#62; &#38; &#34;c&#34;</)
  assert.match(svg, /10 ns {2}\(1\.5x\), falls short/)
  assert.match(svg, /prefers-color-scheme: dark/)
})

test('higher is better where a row says so', () => {
  const [row] = combine([{ ...ours, better: 'higher', value: 30 }, peer])
  assert.equal(row.ratio, 2)
  assert.equal(row.ok, true)
})

test('a bar without a peer is for the value; no bar is always reached', () => {
  const alone = (value, better, bar) => combine([{ suite: 's', name: 'n', unit: 'B', value, better, bar }])[0]
  assert.equal(alone(5, 'lower', 4).ok, false)
  assert.equal(alone(4, 'lower', 4).ok, true)
  assert.equal(alone(3, 'higher', 4).ok, false)
  assert.equal(alone(3, 'lower', undefined).ok, true)
  assert.equal(alone(3, 'lower', undefined).ratio, null)
})

test('several peers of one name make a result each, with the bar of the peer first', () => {
  const others = [peer, { ...peer, peer: 'another', peer_value: 5, bar: 0.5 }]
  const results = combine([others[0], ours, others[1], { ...ours, value: 10 }, others[1]])
  assert.deepEqual(results.map((row) => [row.peer, row.value, row.peer_value, row.ratio, row.bar]), [
    ['other', 10, 15, 1.5, 2],
    ['another', 10, 5, 0.5, 0.5],
  ])
})

test('one name in two units is a mistake', () => {
  assert.throws(() => combine([ours, { ...peer, unit: 'ms' }]), /a <b> & "c" is measured in ns and in ms/)
})

test('the median of runs counts, not their mean or best', (t) => {
  assert.equal(median([9, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 9]), 3)
  const counter = `import { appendFileSync, readFileSync } from 'node:fs'
appendFileSync('turns', 'a')
const turn = readFileSync('turns', 'utf8').split('a').length - 2
console.log(JSON.stringify({ suite: 'fake', name: 'n', unit: 'ns', value: [100, 1, 3][turn] }))
`
  const root = tree(t, { 'bench/fake/a.mjs': counter, 'bench/fake/b.mjs': "import { appendFileSync } from 'node:fs'\nappendFileSync('turns', 'b')\n" })
  assert.equal(tool('bench', root, '--runs', '3').status, 0)
  assert.equal(read(root)[0].value, 3)
  assert.equal(readFileSync(join(root, 'turns'), 'utf8'), 'ababab', 'programs take turns')
})

test('a program that fails is left out, the others count', (t) => {
  const root = tree(t, { 'bench/fake/a.mjs': print(ours), 'bench/fake/b.mjs': 'process.exit(3)\n', 'bench/fake/c.mjs': 'console.log("{torn")\n' })
  const { status, stderr } = tool('bench', root, '--runs', '2')
  assert.equal(status, 0)
  assert.equal(stderr.match(/bench\/fake\/b\.mjs: ended with status 3; left out/g).length, 1)
  assert.match(stderr, /bench\/fake\/c\.mjs: not JSON: \{torn/)
  assert.equal(read(root).length, 1)
})

test('nothing to measure is a failure', (t) => {
  const root = tree(t, { 'bench/fake/a.mjs': 'process.exit(1)\n' })
  const { status, stderr } = tool('bench', root)
  assert.match(stderr, /nothing was measured/)
  assert.equal(status, 1)
  assert.equal(existsSync(join(root, 'build/bench/results.json')), false)
  assert.equal(tool('bench', root, 'missing').status, 1)
})

test('a suite is chosen by name, and a native program prints through bench.h', (t) => {
  const root = tree(t, {
    'bench/other/a.mjs': print({ ...ours, suite: 'other' }),
    'bench/fake/main.c': `#include "bench/bench.h"
static void run(void *ctx) { bench_keep(*(int *)ctx + 1); }
int main(void) {
  int number = 1;
  double ns = bench_ns(run, &number);
  bench_row("fake", "add", "ns", ns, BENCH_LOWER, 1.0);
  bench_peer_row("fake", "add", "ns", "peer", 2 * ns);
  return !(ns > 0 && ns < 1e6);
}
`,
  })
  mkdirSync(join(root, 'build/release'), { recursive: true })
  must('gcc', ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-Werror', `-I${source}`, 'bench/fake/main.c', '-o', 'build/release/bench_fake'], { cwd: root })
  const { status, stdout } = tool('bench', root, 'fake', '--runs', '1')
  assert.equal(status, 0)
  const [row, ...rest] = read(root)
  assert.equal(rest.length, 0, stdout)
  assert.ok(Math.abs(row.ratio - 2) < 0.01 && row.ok)
  chmodSync(join(root, 'build/release/bench_fake'), 0o644)
  assert.equal(tool('bench', root, 'fake', '--runs', '1').status, 1, 'what cannot be executed is no program')
})

test('a program learns which turn it is, and whether to be quick', (t) => {
  const script = `import { appendFileSync } from 'node:fs'
appendFileSync('said', process.env.LK_BENCH_TURN + (process.env.LK_BENCH_QUICK ?? '-'))
${print(ours)}`
  const root = tree(t, { 'bench/fake/a.mjs': script })
  const { stderr } = tool('bench', root, '--runs', '2')
  assert.match(stderr, /^turn 2 of 2, \d+ s: bench\/fake\/a\.mjs$/m)
  assert.equal(tool('bench', root, '--quick').status, 0)
  assert.equal(readFileSync(join(root, 'said'), 'utf8'), '0-1-01')
})

test('a suite may judge its results and show them by itself', (t) => {
  const report = `export const judge = (results) => results.map((result) => ({ ...result, bar: 1, ok: true }))
export const table = (results) => 'all of ' + results.length
export const plotted = () => []
`
  const root = tree(t, { 'bench/fake/a.mjs': print(ours, peer), 'bench/fake/shared/report.mjs': report, 'bench/other/a.mjs': print({ ...ours, suite: 'other', value: 1, bar: 2 }) })
  const { stdout } = tool('bench', root, '--runs', '1')
  assert.match(stdout, /^other +a <b> & "c" +1 +ns$/m)
  assert.match(stdout, /^all of 1$/m)
  assert.match(stdout, /^2 results, none falls short/m)
  assert.equal(read(root).find(({ suite }) => suite === 'fake').bar, 1)
  assert.doesNotMatch(readFileSync(join(root, 'build/bench/fake.svg'), 'utf8'), /<rect/)
})

/* Goal: each bar of documents is where it belongs: by task, peer and engine, not beside others. */
test('rows about documents have the bars that were asked for', () => {
  const row = (name, value, peers = {}, unit = 'ms') => [
    { suite: 'doc', name, unit, value, better: 'lower' },
    ...Object.entries(peers).map(([other, peer_value]) => ({ suite: 'doc', name, unit, peer: other, peer_value })),
  ]
  const results = judgeDocs(combine([
    row('automerge-paper: each edit a transaction', 5, { 'bare gap buffer': 1, yjs: 600, ywasm: 1 }),
    row('automerge-paper, first 2,000 edits: each edit a transaction', 5, { yjs: 5 }),
    row('SDK: automerge-paper: each edit a transaction', 5, { yjs: 299, 'diamond-types': 10 }),
    row('sveltecomponent: load the document (v1) and read its text, observer and undo manager attached', 1, { yjs: 24, loro: 1 }),
    row('automerge-paper: merge the updates without a document', 15, { 'yjs, extrapolated': 1000 }),
    row('SDK: automerge-paper: merge the updates without a document', 46),
    row('typing: memory of the loaded document', 900_000, {}, 'bytes'),
    row("one author's run of 5 MB: append 20 characters that come one by one", 6, { yjs: 100 }, 'us'),
    row('SDK: B2.1 two insert strings of 6,000 at the same place', 1, { yjs: 15 }),
  ].flat()))
  assert.deepEqual(results.filter(({ bar }) => bar !== null).map(({ name, peer, bar, ok }) => [name.slice(0, 24), peer, bar, ok]), [
    ['automerge-paper: each ed', 'bare gap buffer', 0.25, false],
    ['automerge-paper: each ed', 'yjs', 120, true],
    ['SDK: automerge-paper: ea', 'yjs', 60, false],
    ['SDK: automerge-paper: ea', 'diamond-types', 2, true],
    ['sveltecomponent: load th', 'yjs', 25, false],
    ['sveltecomponent: load th', 'loro', 1, true],
    ['SDK: B2.1 two insert str', 'yjs', 15, true],
    ['automerge-paper: merge t', 'at most', 1, true],
    ['SDK: automerge-paper: me', 'at most', 1, false],
    ["one author's run of 5 MB", 'at most', 1, false],
  ])
  const shown = tableOfDocs(results)
  assert.match(shown, /^each edit a transaction +5 +ms +1 +600 +1 +120x +0\.2x ywasm +5x +4x the gap buffer: NO, 120x yjs: yes$/m)
  assert.match(shown, /~1,000/)
  assert.match(shown, /of 10 bars are reached$/)
})

test('the plot of a row without a peer, or of nothing but zeros, is well formed', () => {
  const svg = plot('s', [{ suite: 's', name: 'n', unit: 'B', value: 0, peer: null, peer_value: null, ratio: null, bar: null, ok: true }])
  assert.doesNotMatch(svg, /NaN|undefined|null|Infinity/)
  assert.equal((svg.match(/<rect/g) ?? []).length, 1)
})
