// tools/test_all.mjs -- runs every kind of test, the cheapest to read first, and adds them up.
//
//   node tools/test_all.mjs            all stages; what they need has been built (`make test`)
//   node tools/test_all.mjs unit sim   some of them
//   node tools/test_all.mjs --list
//
// A stage is a list of commands. A command counts its tests by the last line "N passed, N failed"
// (our C binaries), by TAP's totals (node --test), or is one test by its exit code. What failed is
// shown whole, with the command that repeats it; what passed is one line. Two commands run at a time,
// where a stage allows it. The last line of all is "N passed, N failed".
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cpus } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const SECONDS_MAX = 900
// What is called `node` below is the one that runs this, and tools of the project come before the system's.
const env = { ...process.env, PATH: [dirname(process.execPath), join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter) }

const files = (folder, pattern) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder)).filter((name) => pattern.test(name)).sort().map((name) => `${folder}/${name}`)
    : []
const nodeTests = (...paths) => paths.map((path) => ({ run: ['node', '--test', '--test-timeout=180000', '--test-reporter=tap', path], count: 'tap' }))
const gates = (...names) => names.map((name) => ({ run: ['node', `tools/check_${name}.mjs`], count: 'exit' }))
const binaries = (folder, pattern) => files(folder, pattern).map((path) => ({ run: [path], count: 'last line' }))

const stages = {
  sources: {
    about: 'architecture, as far as the sources tell',
    commands: () => gates('floors', 'defs', 'fresh', 'fuzz', 'headers'),
  },
  gates: {
    about: 'architecture, as built',
    commands: () => gates('symbols', 'abi'),
  },
  tools: {
    about: 'the gates can fail',
    commands: () => nodeTests(...files('tests/tools', /\.test\.mjs$/)),
  },
  unit: {
    about: 'units and properties, AddressSanitizer and UndefinedBehaviorSanitizer',
    commands: () => binaries('build/asan', /^test_[a-z]+$/),
  },
  threads: {
    about: 'what has threads, ThreadSanitizer',
    commands: () => binaries('build/tsan', /^test_[a-z]+$/),
  },
  vectors: {
    about: 'the same vectors in JavaScript and WebAssembly',
    commands: () => nodeTests(...files('tests/vectors', /\.(test|check)\.mjs$|^check_.*\.mjs$/)),
  },
  sim: {
    about: 'simulated clusters',
    commands: () => [
      { run: ['build/release/laniakea-sim', '--seeds', '300'], count: 'exit' },
      ...nodeTests(...files('tests/sim', /\.test\.mjs$/)),
    ],
  },
  conformance: {
    about: 'documents against real Yjs',
    commands: () => nodeTests(...files('tests/conformance/doc', /\.test\.mjs$/)),
  },
  phoenix: {
    about: 'channels with phoenix.js, and beside a genuine Phoenix',
    commands: () => nodeTests(...files('tests/conformance/phoenix', /\.test\.mjs$/), ...files('tests/conformance/presence', /\.test\.mjs$/)),
  },
  sdk: {
    about: 'the npm packages',
    commands: () => nodeTests(...['sdk', 'yjs', 'react'].flatMap((name) => files(`js/packages/${name}/test`, /\.test\.(mjs|ts)$/))),
  },
  e2e: {
    about: 'the real program, real clients, a real browser',
    alone: true,
    commands: () => nodeTests(...files('tests/e2e', /\.test\.mjs$/)),
  },
}

function execute({ run }) {
  return new Promise((resolve) => {
    const began = Date.now()
    const child = spawn(run[0], run.slice(1), { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk) => {
      output += chunk
      if (output.length > 4e6) output = output.slice(-2e6)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    const timer = setTimeout(() => {
      output += `\nkilled after ${SECONDS_MAX} s\n`
      child.kill('SIGKILL')
    }, SECONDS_MAX * 1000)
    child.on('error', (error) => {
      clearTimeout(timer)
      resolve({ code: 127, output: String(error), seconds: 0 })
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? signal, output, seconds: (Date.now() - began) / 1000 })
    })
  })
}

/** How many tests a command ran; a command that ended badly has failed at least once. */
function tally(command, { code, output }) {
  let passed = 0
  let failed = 0
  if (command.count === 'last line') {
    const match = /(\d+) passed, (\d+) failed\s*$/.exec(output)
    if (match) [passed, failed] = [Number(match[1]), Number(match[2])]
  } else if (command.count === 'tap') {
    passed = Number(/^# pass (\d+)$/m.exec(output)?.[1] ?? 0)
    failed = Number(/^# fail (\d+)$/m.exec(output)?.[1] ?? 0) + Number(/^# cancelled (\d+)$/m.exec(output)?.[1] ?? 0)
  } else {
    passed = code === 0 ? 1 : 0
  }
  if (code !== 0 && failed === 0) failed = 1
  if (passed + failed === 0) failed = 1 // ran nothing
  return { passed, failed }
}

/** What a failed command printed, without the tests of it that passed: who reads it looks for the other ones. */
function withoutPassed(output) {
  return output.replace(/^# Subtest: .*\n(?=ok )/gm, '').replace(/^ok .*\n(  ---\n(?:  .*\n)*?  \.\.\.\n)?/gm, '')
}

async function runStage(name, total) {
  const stage = stages[name]
  const queue = stage.commands()
  console.log(`${name}: ${stage.about}`)
  if (queue.length === 0) {
    console.log('  FAIL there is nothing to run: was it built?')
    total.failed++
    return
  }
  const worker = async () => {
    for (let command = queue.shift(); command !== undefined; command = queue.shift()) {
      const result = await execute(command)
      const { passed, failed } = tally(command, result)
      total.passed += passed
      total.failed += failed
      const text = command.run.map((word) => (word.startsWith(root) ? relative(root, word) : word)).join(' ')
      console.log(`  ${failed === 0 ? 'ok  ' : 'FAIL'} ${text} (${passed} passed, ${failed} failed, ${result.seconds.toFixed(1)} s)`)
      if (failed === 0) continue
      const told = command.count === 'tap' ? withoutPassed(result.output) : result.output
      console.log(told.replace(/^/gm, '    ') + `\n  repeat: ${text}`)
      total.repeat.push(text)
    }
  }
  const width = stage.alone ? 1 : Math.min(cpus().length, 2)
  await Promise.all(Array.from({ length: width }, worker))
}

const wanted = process.argv.slice(2)
if (wanted.includes('--list')) {
  for (const [name, stage] of Object.entries(stages)) console.log(`${name}: ${stage.about}`)
  process.exit(0)
}
const unknown = wanted.filter((name) => !(name in stages))
if (unknown.length > 0) {
  console.error(`no such stage: ${unknown.join(' ')}; --list names them`)
  process.exit(2)
}
const total = { passed: 0, failed: 0, repeat: [] }
for (const name of wanted.length > 0 ? wanted : Object.keys(stages)) await runStage(name, total)
for (const text of total.repeat) console.log(`failed; repeat: ${text}`)
console.log(`${total.passed} passed, ${total.failed} failed`)
process.exit(total.failed === 0 ? 0 : 1)
