// tests/conformance/doc/doc.test.mjs -- our documents do what Yjs' documents do, byte for byte.
//
//   LK_BUILD=build/dev LK_SEED=7 LK_SESSIONS=100000 node --test tests/conformance/doc/
//
// Yjs itself is installed by this folder's package-lock.json, the first time.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

const here = import.meta.dirname
const root = join(here, '../../..')
const candidates = process.env.LK_BUILD ? [process.env.LK_BUILD] : ['build/release', 'build/dev', 'build/asan']
const program = candidates.map((name) => join(root, name, 'doc_conformance')).find((path) => existsSync(path))
assert.ok(program, `no doc_conformance in ${candidates.join(', ')}: build it, or set LK_BUILD`)
const seed = process.env.LK_SEED ?? '1'
const sessions = Number(process.env.LK_SESSIONS ?? 2000)

const installed = join(here, 'node_modules/.package-lock.json')
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(here, 'package-lock.json')).mtimeMs) {
  const quiet = ['--no-update-notifier', '--fetch-retries=1', '--fetch-timeout=60000', '--loglevel=error', '--no-audit', '--no-fund']
  execFileSync('npm', ['ci', ...quiet], { cwd: here, stdio: 'inherit' })
}

/** Resolves to the exit code and what was written, as text or, with `binary`, as bytes. */
async function run(command, args, { binary = false } = {}) {
  const encoding = binary ? 'buffer' : 'utf8'
  try {
    return { code: 0, ...(await promisify(execFile)(command, args, { cwd: here, encoding, maxBuffer: 1 << 30 })) }
  } catch (error) {
    assert.equal(typeof error.code, 'number', `${command} did not run to its end: ${error.message}`)
    return error
  }
}
const node = (args, options) => run(process.execPath, args, options)
const generated = async (...args) => (await node(['sessions.mjs', ...args], { binary: true })).stdout

/** The sessions that `args` ask for, through a pipe; the exit code is the runner's. */
const piped = (args, runnerArgs) =>
  run('sh', ['-c', `"$0" sessions.mjs ${args.join(' ')} | "$1" ${runnerArgs.join(' ')}`, process.execPath, program])

test(`${sessions} sessions of Yjs, done and received by ours, give the same documents and the same bytes`, async (t) => {
  const { code, stdout, stderr } = await piped(['--seed', seed, '--count', sessions], ['--stop-after', '5'])
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, new RegExp(`^${sessions} sessions`, 'm'), 'the generator went on to its end')
  t.diagnostic(stdout)
})

test('what our clients and those of Yjs do to the same documents comes to the same', async (t) => {
  const count = Math.ceil(sessions / 10)
  const { code, stdout, stderr } = await node(['interleave.mjs', '--seed', seed, '--count', `${count}`, program, '--serve'])
  assert.equal(code, 0, stdout + stderr)
  t.diagnostic(stdout)
})

test('where Yjs takes our place nothing is found, and where it forgets something that is', async () => {
  const args = ['interleave.mjs', '--seed', seed, '--count', '24', process.execPath, 'reference.mjs']
  const healthy = await node(args)
  assert.equal(healthy.code, 0, healthy.stdout + healthy.stderr)
  const forgetful = await node([...args, '--forget'])
  assert.equal(forgetful.code, 1, forgetful.stdout)
  assert.match(forgetful.stdout, /^FAIL session \d+ .*again: --seed \d+ --only \d+$/m)
})

test('a seed gives the same sessions each time, and each of them alone as well', async () => {
  const all = await generated('--seed', '3', '--count', '15')
  assert.ok(all.equals(await generated('--seed', '3', '--count', '15')))
  assert.ok(!all.equals(await generated('--seed', '4', '--count', '15')))
  const head = (await generated('--seed', '3', '--count', '1', '--from', '20')).indexOf('S')
  const alone = (await generated('--seed', '3', '--only', '9')).subarray(head)
  assert.ok(alone.length > 100 && all.includes(alone))
})

for (const level of 'MDCEPLFG') {
  test(`one wrong bit in what is compared at level ${level} is found, and shown`, async () => {
    const { code, stdout } = await piped(['--seed', '1', '--count', '24'], ['--levels', level, '--spoil', '5'])
    assert.equal(code, 1, stdout)
    assert.match(stdout, new RegExp(`^FAIL ${level} session \\d+ `, 'm'))
    assert.match(stdout, /^ +byte \d+ differs$/m)
    assert.match(stdout, /^\d+ passed, 1 failed$/m)
  })
}

test('a stream that is cut off or is none at all is not taken for a good one', async () => {
  const cut = await run('sh', ['-c', '"$0" sessions.mjs --count 2 | head -c 5000 | "$1" --levels M', process.execPath, program])
  assert.equal(cut.code, 2, cut.stdout)
  const none = await run('sh', ['-c', 'echo none | "$0"', program])
  assert.equal(none.code, 2, none.stdout)
})
