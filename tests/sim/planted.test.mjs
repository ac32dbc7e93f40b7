// tests/sim/planted.test.mjs -- the simulator finds the bugs that were planted for it, and no others.
//
//   LK_BUILD=build/dev node --test tests/sim/
//
// Each planted bug is one that a careful person could write. It must be found within 200 seeds;
// what finds it is printed. The healthy program passes the same seeds with one and the same hash, so
// that a failure is the bug's and not the simulator's. Bugs in the core are programs of their own,
// built with -DLK_BUG_...; those in the simulator's hosts are switched on by --plant.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

const SEEDS = 200
const DOC_SEEDS = 60
const root = join(import.meta.dirname, '..', '..')
const candidates = process.env.LK_BUILD ? [process.env.LK_BUILD] : ['build/release', 'build/dev', 'build/asan']
const build = candidates.map((name) => join(root, name)).find((name) => existsSync(join(name, 'laniakea-sim')))
assert.ok(build, `no laniakea-sim in ${candidates.join(', ')}: build it, or set LK_BUILD`)

/** Runs a simulator; resolves to its exit code and everything that it wrote. */
async function run(program, ...args) {
  try {
    const { stdout, stderr } = await promisify(execFile)(join(build, program), args, { maxBuffer: 1 << 26 })
    return { code: 0, stdout, stderr }
  } catch (error) {
    assert.equal(typeof error.code, 'number', `${program} did not run: ${error.message}`)
    return error
  }
}

/** The program of the bug, its arguments, and what the oracle should say. */
const bugs = [
  ['laniakea-sim-merge-adds', [], /phantom|fell|diverged|lost/],
  ['laniakea-sim-ack-early', [], /lost/],
  ['laniakea-sim-same-slot', [], /lost|fell/],
  ['laniakea-sim-ack-appended', [], /lost/],
  ['laniakea-sim-doc-ack-early', ['--scenario', 'doc'], /lost/],
  ['laniakea-sim-doc-forgets', ['--scenario', 'doc'], /lost|diverged|overdue/],
  ['laniakea-sim-doc-full-ack', ['--scenario', 'doc'], /lost/],
  ['laniakea-sim-version-ack-early', ['--scenario', 'doc'], /lost: version|undone/],
  ['laniakea-sim-version-undead', ['--scenario', 'doc'], /undead: version/],
  ['laniakea-sim-restore-twice', ['--scenario', 'doc'], /twice: .* restorings/],
  ['laniakea-sim-peer-send-early', ['--scenario', 'peer'], /refused: .*LK_ERR_DOT|lost|twice/],
  ['laniakea-sim-peer-ack-sent', ['--scenario', 'peer'], /lost/],
  ['laniakea-sim-peer-retire-early', ['--scenario', 'peer'], /lost|phantom|overdue/],
  ['laniakea-sim', ['--plant', 'lying-sync'], /lost/],
  ['laniakea-sim', ['--plant', 'drop-resend'], /overdue/],
  ['laniakea-sim', ['--plant', 'reuse-actor'], /diverged|fell|phantom|lost|pending/],
  ['laniakea-sim', ['--plant', 'deaf-timers'], /overdue/],
]

for (const [program, args, finding] of bugs) {
  test(`${[program, ...args].join(' ')} is found within ${SEEDS} seeds`, async (t) => {
    const { code, stderr } = await run(program, '--seeds', `${SEEDS}`, ...args)
    assert.equal(code, 1, 'all seeds passed')
    assert.match(stderr, finding)
    assert.match(stderr, /^seed (\d+); again: .* --seed \1 .*--trace$/m, 'says how to have it again')
    t.diagnostic(stderr.split('\n').slice(0, 2).join(': '))
  })
}

test('the healthy program passes the same seeds, twice with one hash', async () => {
  const { code, stdout, stderr } = await run('laniakea-sim', '--seeds', `${SEEDS}`, '--twice')
  assert.equal(code, 0, stderr)
  assert.match(stdout, new RegExp(`^${SEEDS} seeds passed`))
  const again = await run('laniakea-sim', '--seeds', `${SEEDS}`)
  const hash = /^hash [0-9a-f]{16}$/m
  assert.equal(again.stdout.match(hash)[0], stdout.match(hash)[0])
})

for (const scenario of ['doc', 'doc-storm', 'doc-kills', 'peer', 'peer-storm']) {
  test(`the healthy program passes ${DOC_SEEDS} seeds of ${scenario}, twice with one hash`, async () => {
    const { code, stdout, stderr } = await run('laniakea-sim', '--scenario', scenario, '--seeds', `${DOC_SEEDS}`, '--twice')
    assert.equal(code, 0, stderr)
    assert.match(stdout, new RegExp(`^${DOC_SEEDS} seeds passed`))
  })
}

test('a failing seed fails again, with the same hash of its story', async () => {
  const args = ['--plant', 'lying-sync', '--seed', '1', '--trace']
  const first = await run('laniakea-sim', ...args)
  assert.equal(first.code, 1)
  assert.equal((await run('laniakea-sim', ...args)).stdout, first.stdout)
})

test('arguments that make no sense are refused', async () => {
  for (const args of [['--seed'], ['--seed', 'x'], ['--minutes', '0'], ['--scenario', 'none'], ['--plant', 'x'], ['-x']]) {
    assert.equal((await run('laniakea-sim', ...args)).code, 2, args.join(' '))
  }
  const { stdout } = await run('laniakea-sim', '--list')
  assert.match(stdout, /^counter /m)
})
