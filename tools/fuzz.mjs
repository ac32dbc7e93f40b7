// tools/fuzz.mjs -- every fuzz target and property of build/fuzz under libFuzzer, for a bounded time.
//
//   node tools/fuzz.mjs [--seconds N] [--only TEXT]      (make fuzz SECONDS_EACH=N)
//
// Each target keeps its corpus in build/fuzz-corpus/<target>/, so that the next run goes on where
// this one stopped. An input that fails is written to build/fuzz-failures/ and named with the
// command that repeats it. A canary runs first: a property of the harness that must fail within
// seconds shows that the plant finds anything at all.
//
// Beside them sessions of real Yjs are played on our documents (tests/conformance/doc/), for as long as a target
// and with a seed of their own each time.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { install } from '../tests/conformance/doc/install.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const CANARY = 'fuzz_canary'
const args = process.argv.slice(2)
const option = (name, preset) => (args.includes(name) ? args[args.indexOf(name) + 1] : preset)
const seconds = Number(option('--seconds', '20'))
const only = option('--only', '')
if (!Number.isInteger(seconds) || seconds < 1) {
  console.error('--seconds wants a whole number from 1')
  process.exit(2)
}

const folder = join(root, 'build/fuzz')
const binaries = existsSync(folder) ? readdirSync(folder).filter((name) => /^test_[a-z]+$/.test(name)).sort() : []
const targets = []
for (const binary of binaries) {
  const listed = spawnSync(join(folder, binary), { env: { ...process.env, LK_FUZZ: 'list' }, encoding: 'utf8' })
  for (const name of listed.stdout.split('\n').filter(Boolean)) targets.push({ binary, name })
}
if (targets.length === 0) {
  console.error('no fuzz targets: run `make fuzz`, which builds them')
  process.exit(2)
}

function fuzz({ binary, name }, limit) {
  return new Promise((resolve) => {
    const corpus = join(root, 'build/fuzz-corpus', name)
    const failures = join(root, 'build/fuzz-failures')
    mkdirSync(corpus, { recursive: true })
    mkdirSync(failures, { recursive: true })
    const program = join(folder, binary)
    const flags = [`-max_total_time=${limit}`, '-timeout=5', '-rss_limit_mb=2048', '-max_len=4096', '-print_final_stats=1',
      `-artifact_prefix=${failures}/${name}-`, corpus]
    const child = spawn(program, flags, { env: { ...process.env, LK_FUZZ: name }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk) => (output = (output + chunk).slice(-40000))
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('close', (code) => {
      const runs = Number(/number_of_executed_units:\s*(\d+)/.exec(output)?.[1] ?? 0)
      resolve({ name, program, failed: code !== 0, runs, output, artifact: /Test unit written to (\S+)/.exec(output)?.[1] })
    })
  })
}

// ---- sessions of Yjs

const seed = Math.floor(Date.now() / 1000)
const sessions = 'tests/conformance/doc'
const runner = 'build/fuzz/doc_conformance'
const campaigns = [
  { name: 'conformance_doc_sessions', command: (limit) => `node ${sessions}/sessions.mjs --seed ${seed} --count 0${limit} | ${runner} --stop-after 5` },
  { name: 'conformance_doc_interleave', command: (limit) => `node ${sessions}/interleave.mjs --seed ${seed} --count 1000000000${limit} ${runner} --serve` },
  { name: 'conformance_doc_editors', command: (limit) => `node ${sessions}/editors/sessions.mjs --seed ${seed} --count 0${limit} 2> /dev/null | ${runner} --stop-after 5`,
    folder: `${sessions}/editors` },
]

/** The sessions that there is time for. What differs is said with its session, which --only plays again. */
function play({ name, command }, limit) {
  return new Promise((resolve) => {
    const child = spawn('sh', ['-c', command(` --seconds ${limit}`)], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk) => (output = (output + chunk).slice(-40000))
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('close', (code) => {
      const [played, passed] = [/^(\d+) sessions/m, /^(\d+) passed/m].map((pattern) => Number(pattern.exec(output)?.[1] ?? 0))
      const runs = played || passed
      resolve({ name: `${name}, seed ${seed}`, failed: code !== 0 || runs === 0, runs, output, again: `${command('')}    (--only N: session N alone)` })
    })
  })
}

const plays = (name) => name.includes(only)
const queued = campaigns.filter(({ name, folder }) => plays(name) && (folder === undefined || existsSync(join(root, folder, 'node_modules'))))
if (queued.length > 0) install(join(root, sessions))

// ---- all of them

const canary = targets.find((target) => target.name === CANARY)
if (canary === undefined || !(await fuzz(canary, 60)).failed) {
  console.error('the canary was not found: this build cannot find bugs')
  process.exit(1)
}
console.log('ok   the canary was found')

const queue = [...queued, ...targets.filter((target) => target.name !== CANARY && plays(target.name))]
let failed = 0
let runs = 0
const passed = []
const worker = async () => {
  for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
    const result = await (target.command ? play : fuzz)(target, seconds)
    runs += result.runs
    if (result.failed) {
      failed++
      console.log(`FAIL ${result.name}\n${result.output.replace(/^/gm, '  ')}`)
      console.log(`  repeat: ${result.again ?? `LK_FUZZ=${result.name} ${result.program} ${result.artifact ?? ''}`}`)
    } else {
      passed.push(result.name)
      console.log(`ok   ${result.name}: ${result.runs} runs`)
    }
  }
}
await Promise.all([worker(), worker()])
console.log(`${runs} runs in all`)
console.log(`${passed.length} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
