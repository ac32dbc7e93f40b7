// tests/e2e/runtimes.test.mjs -- the packed packages in Node, Deno, Bun and workerd's way, against the real program.
//
//   node --test tests/e2e/runtimes.test.mjs        after tools/pack_npm.mjs
//
// Goal: wherever JavaScript runs, what is changed is kept and arrives, a folder has one owner, and a program that closes its client
// ends; and importing a package touches nothing that is not everywhere. Method: the tarballs in a project of their own; the runtimes'
// real binaries, where npm has them for this machine.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Project } from './packed.mjs'
import { Program, root } from './program.mjs'

const SOON_MS = 1_000
const server = new Program()
const project = new Project('sdk', 'react', 'yjs')

/** Command, and arguments before the program's. */
const binaries = {
  node: [process.execPath],
  bun: [join(root, 'node_modules/@oven/bun-linux-x64/bin/bun')],
  deno: [join(root, 'node_modules/@deno/linux-x64-glibc/deno'), 'run', '--allow-all', '--no-prompt'],
  'deno with few rights': [join(root, 'node_modules/@deno/linux-x64-glibc/deno'), 'run', '--allow-net', '--allow-read=.', '--allow-write=.', '--no-prompt'],
}
const runtimes = Object.entries(binaries).map(([name, [command, ...args]]) => ({
  name, command, args, skip: existsSync(command) ? false : `${name} is not among the npm packages of ${process.platform} ${process.arch}`,
}))

const MAIN = `
import { createClient } from '@laniakea/sdk'
import process from 'node:process'
const [url, folder, hold] = process.argv.slice(2)
const problems = []
try {
  const client = await createClient({ url: url + '/socket', storage: { folder }, onError: ({ code }) => problems.push(code) })
  if (hold) {
    console.log('has it')
    await new Promise((resolve) => setTimeout(resolve, 60_000))
  }
  const [likes, notes] = [await client.crdt('crdt:' + folder, 'pncounter'), await client.doc('doc:' + folder)]
  const before = [Number(likes.object.value), String(notes.doc.getText('t'))]
  likes.object.increment(2)
  notes.doc.getText('t').insert(0, 'x')
  await Promise.all([likes, notes].flatMap((topic) => [topic.saved(), topic.acknowledged()]))
  const after = [Number(likes.object.value), String(notes.doc.getText('t'))]
  const { storage, state } = client.status
  await client.close()
  console.log(JSON.stringify({ before, after, storage, state, level: likes.status.level, problems, closedAt: Date.now() }))
} catch (error) {
  console.log(error.code ?? String(error.stack))
}
`

before(async () => {
  project.write('main.js', MAIN)
  await server.start()
})
after(async () => {
  await server.dispose()
  project.remove()
})

function run({ command, args }, ...more) {
  const done = spawnSync(command, [...args, ...more], { cwd: project.folder, encoding: 'utf8', timeout: 30_000, env: { ...process.env, NO_COLOR: '1' } })
  assert.equal(done.status, 0, `${command} ${[...args, ...more].join(' ')}: ${done.stdout}${done.stderr}${done.error ?? ''}`)
  return done.stdout.trim()
}

/** Runs MAIN in a folder, and gives what it says. */
function runMain(runtime, folder) {
  const said = run(runtime, 'main.js', server.url, folder)
  const endedAt = Date.now()
  assert.match(said, /^\{/)
  const { closedAt, ...rest } = JSON.parse(said)
  assert.ok(endedAt - closedAt < SOON_MS, `it ended ${endedAt - closedAt} ms after its client was closed`)
  return rest
}

for (const runtime of runtimes) {
  test(`${runtime.name}: what is changed is kept in a folder, and the server has it`, { skip: runtime.skip }, () => {
    const folder = `kept-${runtime.name.replaceAll(' ', '-')}`
    const same = { storage: 'files', state: 'online', level: 'durable', problems: [] }
    assert.deepEqual(runMain(runtime, folder), { before: [0, ''], after: [2, 'x'], ...same })
    assert.deepEqual(runMain(runtime, folder), { before: [2, 'x'], after: [4, 'xx'], ...same })
  })

  test(`${runtime.name}: nobody else takes a folder that is in use`, { skip: runtime.skip }, async () => {
    const folder = `held-${runtime.name.replaceAll(' ', '-')}`
    const holder = spawn(runtime.command, [...runtime.args, 'main.js', server.url, folder, 'hold'], { cwd: project.folder, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await new Promise((resolve, reject) => {
        holder.stdout.once('data', resolve)
        holder.once('exit', () => reject(new Error('it has ended')))
      })
      for (const other of runtimes.filter(({ skip }) => !skip)) assert.equal(run(other, 'main.js', server.url, folder), 'LK_ERR_EXISTS', other.name)
    } finally {
      const gone = new Promise((resolve) => holder.once('exit', resolve))
      holder.kill('SIGKILL')
      await gone
    }
    assert.equal(runMain(runtimes[0], folder).storage, 'files')
  })
}

// Node 20 has no WebSocket: the one that is given takes its place, and else it polls.
test('without a WebSocket of its own, a runtime polls, or takes one that it is given, or says so', () => {
  project.write('bare.js', `
    import { createClient } from '@laniakea/sdk'
    import { WebSocket } from 'ws'
    delete globalThis.WebSocket
    const url = process.argv[2] + '/socket'
    const problem = await new Promise((resolve) => createClient({ url, longPoll: false, onError: resolve }).then((client) => setTimeout(() => client.close(), 200)))
    const used = []
    for (const options of [{ webSocket: (url, protocols) => new WebSocket(url, protocols) }, {}]) {
      const client = await createClient({ url, ...options })
      const likes = await client.crdt('crdt:bare', 'gcounter')
      likes.object.increment()
      await likes.acknowledged()
      used.push(client.status.transport)
      await client.close()
    }
    console.log(problem.code, /WebSocket is not defined/.test(problem.message), ...used)
  `)
  assert.equal(run(runtimes[0], 'bare.js', server.url), 'LK_ERR_UNSUPPORTED true websocket longpoll')
})

// workerd itself is no dependency of ours, for its size. What it does otherwise is the condition, and how a module is imported.
test("the entry for workerd imports its modules, and reads no file", () => {
  project.write('workerd.js', `
    import { readFileSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    const read = []
    registerHooks({ load(url, context, next) {
      if (url.startsWith('node:')) read.push(url)
      if (!url.endsWith('.wasm')) return next(url, context)
      const bytes = readFileSync(new URL(url)).toString('base64')
      return { format: 'module', shortCircuit: true, source: \`export default new WebAssembly.Module(Buffer.from('\${bytes}', 'base64'))\` }
    } })
    const { createClient, createCrdts, createDocs, createHistory, createUpdates } = await import('@laniakea/sdk')
    for (const create of [createCrdts, createDocs, createHistory, createUpdates]) await create()
    const { compile } = WebAssembly
    WebAssembly.compile = (bytes) => {
      if (/@laniakea/.test(new Error().stack)) throw new Error('nothing is compiled in workerd')
      return compile(bytes) // Node's own fetch
    }
    const client = await createClient({ url: process.argv[2] + '/socket' })
    const [likes, notes] = [await client.crdt('crdt:edge', 'gcounter'), await client.doc('doc:edge')]
    likes.object.increment()
    notes.doc.getText('t').insert(0, 'x')
    await Promise.all([likes.acknowledged(), notes.acknowledged()])
    console.log(client.status.storage, String(likes.object.value), String(notes.doc.getText('t')), read.length)
    await client.close()
  `)
  assert.equal(run({ command: process.execPath, args: ['--conditions=workerd', '--no-warnings'] }, 'workerd.js', server.url), 'memory 1 x 0')
})

test('the entry with its core inside needs no other file', () => {
  project.write('inline.js', `
    import { createClient, createCrdts, createDocs } from '@laniakea/sdk/inline'
    const counter = (await createCrdts()).create('pncounter')
    counter.increment()
    const doc = (await createDocs()).open()
    doc.getText('t').insert(0, 'x')
    const client = await createClient({ url: process.argv[2] + '/socket' })
    const likes = await client.crdt('crdt:inline', 'gcounter')
    likes.object.increment()
    await likes.acknowledged()
    console.log(client.status.storage, String(counter.value), String(doc.getText('t')), String(likes.object.value))
    await client.close()
  `)
  rmSync(project.path('node_modules/@laniakea/sdk/dist/laniakea-client.wasm'))
  runtimes.filter(({ skip }) => !skip).forEach((runtime, i) => assert.equal(run(runtime, 'inline.js', server.url), `memory 1 x ${i + 1}`, runtime.name))
})

/** What is there in some places where a page is rendered, and not in others. */
const NAMES = [
  'window', 'document', 'self', 'navigator', 'location', 'localStorage', 'sessionStorage', 'indexedDB', 'caches', 'Worker', 'SharedWorker', 'WebSocket', 'BroadcastChannel',
  'fetch', 'XMLHttpRequest', 'WebAssembly', 'process', 'Buffer', 'crypto', 'setTimeout', 'setInterval',
]
const entries = [['@laniakea/sdk', ''], ['@laniakea/sdk', 'browser'], ['@laniakea/sdk', 'workerd'], ['@laniakea/sdk/inline', ''], ['@laniakea/react', ''], ['@laniakea/yjs', '']]

for (const [entry, condition] of entries) {
  test(`importing ${entry} ${condition && `for ${condition} `}touches nothing that is not everywhere`, () => {
    project.write('import.js', `
      import { registerHooks } from 'node:module'
      const entry = process.argv[2]
      for (const name of entry.endsWith('react') ? ['react'] : entry.endsWith('yjs') ? ['yjs', 'y-protocols/awareness'] : []) await import(name)
      const asked = []
      for (const name of process.argv[3].split(',')) {
        const value = globalThis[name]
        Object.defineProperty(globalThis, name, { configurable: true, get: () => (new Error().stack.includes('@laniakea') && asked.push(name), value) })
      }
      registerHooks({ load(url, context, next) {
        if (url.endsWith('.wasm')) asked.push(url)
        return next(url, context)
      } })
      const given = await import(entry)
      console.log(JSON.stringify(asked), Object.keys(given).length > 0)
    `)
    const args = ['--no-warnings', ...(condition ? [`--conditions=${condition}`] : [])]
    assert.equal(run({ command: process.execPath, args }, 'import.js', entry, NAMES.join(',')), '[] true')
  })
}
