// tests/e2e/bundlers.test.mjs -- the packed @laniakea/sdk in a real browser, as bundlers and a page without one bring it there.
//
//   node --test tests/e2e/bundlers.test.mjs        after tools/pack_npm.mjs
//
// Goal: with no settings, createClient() finds its worker and its core, and keeps what it has where it should. Method: one page that
// imports the package by its name; what each bundler makes of it, or the files as they are, in Chromium with the real program. Needs
// what browser.mjs says.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import esbuild from 'esbuild'
import webpack from 'webpack'
import { listen, openWindow } from './browser.mjs'
import { Project } from './packed.mjs'
import { Program } from './program.mjs'

// npm leaves out what is native of Vite's where it runs in a Node that is too old for it, as Debian's does, though the Node of these tests is not.
// starter.test.mjs has Vite installed by the other one, and builds and serves with it.
const vite = await import('vite').catch(() => undefined)
const noVite = vite === undefined && "npm left out Vite's native part"

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' }
const MAIN = (entry) => `
import { createClient, createDocs } from '${entry}'
window.use = async (url, name) => {
  const problems = []
  const client = await createClient({ url: url + '/socket', name, onError: ({ code }) => problems.push(code) })
  const [likes, notes] = [await client.crdt('crdt:bundled', 'pncounter'), await client.doc('doc:' + name)]
  likes.object.increment()
  notes.doc.getText('t').insert(0, 'Hello')
  await Promise.all([likes, notes].flatMap((topic) => [topic.saved(), topic.acknowledged()]))
  const own = (await createDocs()).open()
  own.apply(notes.doc.encode())
  const { storage, state } = client.status
  await client.close()
  return { storage, state, text: String(own.getText('t')), problems }
}
`
const PAGE = (head) => `<!doctype html><meta charset="utf-8"><title>bundled</title><link rel="icon" href="data:,">${head}`

const program = new Program()
const project = new Project('sdk')
const profile = mkdtempSync(join(tmpdir(), 'laniakea-bundlers-'))
const complaints = []
let browser

before(async () => {
  project.write('main.js', MAIN('@laniakea/sdk'))
  project.write('inline.js', MAIN('@laniakea/sdk/inline'))
  await program.start()
  browser = await openWindow(profile)
})
after(async () => {
  await browser?.close()
  await program.dispose()
  project.remove()
  rmSync(profile, { recursive: true, force: true })
})

/** Serves a folder of the project, as any server of static files does. */
async function serve(folder, page, body) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname)
    const file = project.path(folder, path)
    if (path === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(page)
    else if (existsSync(file)) response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(readFileSync(file))
    else response.writeHead(404).end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await body(`http://127.0.0.1:${server.address().port}/`)
  } finally {
    server.close()
  }
}

/** Uses the client of a page, and tells how it went and how many workers there were. */
async function use(address, name) {
  const page = await browser.newPage()
  listen(page, name, complaints)
  const workers = []
  page.on('worker', (worker) => workers.push(worker.url()))
  try {
    await page.goto(address)
    await page.waitForFunction(() => window.use !== undefined)
    return { ...await page.evaluate(([url, name]) => window.use(url, name), [program.url, name]), workers: workers.length }
  } finally {
    await page.close()
  }
}

const works = { storage: 'opfs', state: 'online', text: 'Hello', problems: [], workers: 1 }

test('webpack', async () => {
  const done = await promisify(webpack)({
    mode: 'production', context: project.folder, entry: './main.js', output: { path: project.path('webpack') },
    performance: { hints: false }, // the core is larger than webpack recommends for a picture
  })
  const { errors, warnings } = done.toJson({ all: false, errors: true, warnings: true })
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] })
  const page = PAGE('<script defer src="main.js"></script>')
  assert.deepEqual(await serve('webpack', page, (address) => use(address, 'webpack')), works)
})

test('vite build', { skip: noVite }, async () => {
  project.write('index.html', PAGE('<script type="module" src="/main.js"></script>'))
  const said = []
  const customLogger = { ...vite.createLogger('silent'), warn: (text) => said.push(text), error: (text) => said.push(text) }
  await vite.build({ root: project.folder, configFile: false, customLogger, build: { outDir: 'vite' } })
  assert.deepEqual(said, [])
  const page = readFileSync(project.path('vite/index.html'))
  assert.deepEqual(await serve('vite', page, (address) => use(address, 'vite')), works)
})

test('vite while it is written', { skip: noVite }, async () => {
  project.write('index.html', PAGE('<script type="module" src="/main.js"></script>'))
  const server = await vite.createServer({ root: project.folder, configFile: false, logLevel: 'silent', cacheDir: project.path('cache'), server: { host: '127.0.0.1', port: 0, hmr: false } })
  try {
    await server.listen()
    assert.deepEqual(await use(server.resolvedUrls.local[0], 'vite dev'), works)
  } finally {
    await server.close()
  }
})

test('no bundler: the files as they are, and a map of names', async () => {
  const map = { imports: { '@laniakea/sdk': '/node_modules/@laniakea/sdk/dist/index.js' } }
  const page = PAGE(`<script type="importmap">${JSON.stringify(map)}</script><script type="module" src="/main.js"></script>`)
  assert.deepEqual(await serve('.', page, (address) => use(address, 'files')), works)
})

// It leaves `new URL(.., import.meta.url)` as it is: the entry with its core inside is for that, in one file and without a worker.
test('esbuild, one file', async () => {
  const { warnings } = await esbuild.build({ entryPoints: [project.path('inline.js')], bundle: true, format: 'esm', minify: true, outfile: project.path('esbuild/inline.js'), logLevel: 'silent' })
  assert.deepEqual(warnings, [])
  assert.deepEqual(readdirSync(project.path('esbuild')), ['inline.js'])
  const page = PAGE('<script type="module" src="inline.js"></script>')
  assert.deepEqual(await serve('esbuild', page, (address) => use(address, 'esbuild')), { ...works, storage: 'indexeddb', workers: 0 })
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
