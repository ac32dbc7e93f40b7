// tests/conformance/doc/doc.test.mjs -- our documents do what Yjs' documents do, byte for byte.
//
//   LK_BUILD=build/dev LK_SEED=7 LK_SESSIONS=100000 node --test tests/conformance/doc/doc.test.mjs
//
// Yjs itself is installed by this folder's package-lock.json, the first time. Sessions of editors are played from
// a recording; with LK_EDITORS=1 editors are installed as well, and as many sessions are new ones of theirs.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { brotliDecompressSync } from 'node:zlib'
import { install } from './install.mjs'

const here = import.meta.dirname
const root = join(here, '../../..')
const candidates = process.env.LK_BUILD ? [process.env.LK_BUILD] : ['build/release', 'build/dev', 'build/asan']
const program = candidates.map((name) => join(root, name, 'doc_conformance')).find((path) => existsSync(path))
assert.ok(program, `no doc_conformance in ${candidates.join(', ')}: build it, or set LK_BUILD`)
const seed = process.env.LK_SEED ?? '1'
const sessions = Number(process.env.LK_SESSIONS ?? 2000)

install(here)

/** Resolves to the exit code and what was written, as text or, with `binary`, as bytes. */
async function run(command, args, { binary = false, input } = {}) {
  const encoding = binary ? 'buffer' : 'utf8'
  const running = promisify(execFile)(command, args, { cwd: here, encoding, maxBuffer: 1 << 30 })
  if (input) running.child.stdin.end(input)
  try {
    return { code: 0, ...(await running) }
  } catch (error) {
    assert.equal(typeof error.code, 'number', `${command} did not run to its end: ${error.message}`)
    return error
  }
}
const node = (args, options) => run(process.execPath, args, options)
const generated = async (...args) => (await node(['sessions.mjs', ...args], { binary: true })).stdout

/** The sessions that `args` ask for, through a pipe; the exit code is the runner's. */
const piped = (args, runnerArgs, generator = 'sessions.mjs', runner = program) =>
  run('sh', ['-c', `"$0" ${generator} ${args.join(' ')} | "$1" ${runnerArgs.join(' ')}`, process.execPath, runner])

test(`${sessions} sessions of Yjs, done and received by ours, give the same documents and the same bytes`, async (t) => {
  const { code, stdout, stderr } = await piped(['--seed', seed, '--count', sessions], ['--stop-after', '5'])
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, new RegExp(`^${sessions} sessions`, 'm'), 'the generator went on to its end')
  t.diagnostic(stdout)
})

test('so does the engine without its short ways, which is that of clients in browsers', async (t) => {
  const plain = `${program}_plain`
  assert.ok(existsSync(plain), `no ${plain}: build it`)
  const count = Math.ceil(sessions / 4)
  const { code, stdout, stderr } = await piped(['--seed', seed, '--count', count], ['--stop-after', '5'], 'sessions.mjs', plain)
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, new RegExp(`^${count} sessions`, 'm'), 'the generator went on to its end')
  t.diagnostic(stdout)
})

/** Seeds and sessions in which a campaign found that we differed. */
const FINDS = [[1000009, 1073], [1000007, 1074], [1000019, 1086], [1000044, 903], [1000044, 1915], [1000055, 1620], [1000061, 1360], [31045000, 1110]]

for (const [found, session] of FINDS) {
  test(`session ${session} of seed ${found}, in which we differed once, is as Yjs has it`, async () => {
    const { code, stdout, stderr } = await piped(['--seed', found, '--only', session], ['--bare', 'none'])
    assert.equal(code, 0, stdout + stderr)
  })
}

test('32 sessions of BlockNote, y-prosemirror, Quill and CodeMirror, recorded', async () => {
  const input = brotliDecompressSync(readFileSync(join(here, 'editors/recorded.br')))
  const { code, stdout, stderr } = await run(program, [], { input })
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^32 sessions/m)
  for (const level of 'LV') assert.match(stdout, new RegExp(`^${level} +[1-9]\\d{2,} `, 'm'), 'operations of editors are done again')
})

test(`${sessions} sessions of editors that are at work now`, { skip: !process.env.LK_EDITORS && 'LK_EDITORS is not set' }, async (t) => {
  install(join(here, 'editors'))
  const { code, stdout, stderr } = await piped(['--seed', seed, '--count', sessions], ['--stop-after', '5'], 'editors/sessions.mjs')
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
