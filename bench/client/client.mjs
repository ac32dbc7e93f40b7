// bench/client/client.mjs -- the SDK in a browser: how soon a page sees what it did, how soon another one does, how soon it begins.
//
//   node bench/client/client.mjs          needs build/release/laniakea, js/packages/sdk/dist and Chromium (LK_CHROMIUM)
//
// The page is what a user's bundler makes: esbuild, minified, with the worker and the core beside it.
//
//   local        from before the call that changes to the listener's call, while 50 changes of others come in each second
//   saved        from the call until the change would outlive the page: the worker's part, and the disk's
//   screen       from a key in one page to the next frame of another one that shows it, through the server
//   start        from before the SDK is imported until the client is there with what the device knows; what it loads is in the cache
//   download     what a page loads, brotli, as a server with good settings sends it: the core, the page's part, the worker's; until the
//                client is ready, and with what is loaded for the first document, for the first object, and for both
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { createClient } from '@laniakea/sdk'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const isQuick = process.env.LK_BENCH_QUICK === '1'
const KEYS = isQuick ? 100 : 400
const STARTS = isQuick ? 5 : 15
const REMOTE_MS = 20

const row = (name, unit, value, bar) => console.log(JSON.stringify({ suite: 'client', name, unit, value, bar, better: 'lower' }))
const sorted = (values) => [...values].sort((a, b) => a - b)
const at = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))]

// ---- the page ----

const APP = `
const ready = (async () => {
  const from = performance.now()
  const given = new URLSearchParams(location.search)
  const { createClient } = await import('./sdk.js')
  const client = await createClient({ url: given.get('server') + '/socket', name: given.get('name') })
  window.client = client
  window.took = performance.now() - from
})()
window.ready = ready
`
const files = {}
const bundled = mkdtempSync(join(tmpdir(), 'laniakea-bundle-'))
const sources = { sdk: `export { createClient } from '@laniakea/sdk'`, worker: `import '@laniakea/sdk/worker'` }
for (const [name, contents] of Object.entries(sources)) writeFileSync(join(bundled, `${name}.in.js`), contents)
await build({
  bundle: true, splitting: true, format: 'esm', target: 'es2022', minify: true, conditions: ['browser'], logLevel: 'error',
  entryPoints: Object.keys(sources).map((name) => ({ in: join(bundled, `${name}.in.js`), out: name })), outdir: bundled, nodePaths: [join(root, 'node_modules')],
})
for (const name of readdirSync(bundled)) if (!name.endsWith('.in.js')) files[`/${name}`] = readFileSync(join(bundled, name))
for (const part of ['base', 'part-documents', 'part-objects']) {
  const name = `laniakea-client-${part}.wasm`
  files[`/${name}`] = readFileSync(createRequire(import.meta.url).resolve(`@laniakea/sdk/${name}`))
}
rmSync(bundled, { recursive: true, force: true })

/** What pages have asked for since this was emptied. */
const asked = new Set()
const compress = (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 } }).length
const load = (name) => {
  asked.add(name)
  return files[name]
}
const kilobytesOf = (isCounted) => [...asked].filter(isCounted).reduce((sum, name) => sum + compress(files[name]) / 1000, 0)

const pages = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  const type = pathname.endsWith('.wasm') ? 'application/wasm' : 'text/javascript'
  if (files[pathname]) return response.writeHead(200, { 'content-type': type, 'cache-control': 'max-age=3600' }).end(load(pathname))
  if (pathname === '/app.js') return response.writeHead(200, { 'content-type': type }).end(APP)
  if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>bench</title><p id="text"></p><script type="module" src="/app.js"></script>')
  return response.writeHead(204).end()
})
await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))

// ---- the server, and a browser ----

const folder = mkdtempSync(join(tmpdir(), 'laniakea-bench-'))
const program = join(root, 'build/release/laniakea')
if (!existsSync(program)) throw new Error(`${program} is not there; run make bench-client`)
const server = spawn(program, ['serve', '--port', '0', '--data', join(folder, 'data')], { stdio: ['ignore', 'pipe', 'pipe'] })
const url = await new Promise((resolve, reject) => {
  let said = ''
  const hear = (bytes) => {
    const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec((said += bytes)) ?? []
    if (found) resolve(found)
  }
  server.stdout.on('data', hear)
  server.stderr.on('data', hear)
  server.on('exit', () => reject(new Error(said)))
})
const browser = await chromium.launch({ executablePath: process.env.LK_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'], headless: true })
const client = await createClient({ url: `${url}/socket` })

const open = async (context, name) => {
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${pages.address().port}/?name=${name}&server=${encodeURIComponent(url)}`)
  await page.evaluate(() => window.ready)
  return page
}

try {
  // ---- download ----
  for (const [what, ...kinds] of [['until it is ready'], ['with a document', 'doc'], ['with an object', 'crdt'], ['with both', 'doc', 'crdt']]) {
    asked.clear()
    const context = await browser.newContext()
    const page = await open(context, what)
    for (const kind of kinds) await page.evaluate(async (kind) => (await window.client[kind](`${kind}:download`, kind === 'crdt' ? 'pncounter' : undefined)).acknowledged(), kind)
    if (kinds.length === 0) await page.waitForFunction(() => window.client.status.state === 'online')
    row(`download, ${what}: the core`, 'kB', kilobytesOf((name) => name.endsWith('.wasm')))
    row(`download, ${what}`, 'kB', kilobytesOf(() => true), 120)
    await context.close()
  }

  // ---- local ----
  const context = await browser.newContext()
  const page = await open(context, 'local')
  const [likes, notes] = [await client.crdt('crdt:bench', 'pncounter'), await client.doc('doc:bench')]
  const others = setInterval(() => {
    likes.object.increment()
    notes.doc.getText('t').insert(0, 'x')
  }, REMOTE_MS)
  const took = await page.evaluate(async (times) => {
    const object = (await window.client.crdt('crdt:bench', 'pncounter'))
    const notes = await window.client.doc('doc:bench')
    const text = notes.doc.getText('t')
    await object.acknowledged()
    const result = { counter: [], text: [], saved: [], seen: 0 }
    let heard
    object.object.subscribe(() => heard?.())
    text.observe(() => heard?.())
    const timed = (values, change) => {
      const from = performance.now()
      heard = () => values.push(performance.now() - from)
      change()
      heard = () => result.seen++
    }
    for (let i = 0; i < times; i++) {
      timed(result.counter, () => object.object.increment())
      timed(result.text, () => text.insert(text.length, 'k'))
      const from = performance.now()
      await notes.saved()
      result.saved.push(performance.now() - from)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return result
  }, KEYS)
  clearInterval(others)
  if (took.seen < KEYS / 4) throw new Error(`no more than ${took.seen} changes of others came`)
  row('local, counter: to the listener, median', 'ms', at(took.counter, 0.5), 1)
  row('local, counter: to the listener, 99th percentile', 'ms', at(took.counter, 0.99), 10)
  row('local, text: to the listener, median', 'ms', at(took.text, 0.5), 1)
  row('local, text: to the listener, 99th percentile', 'ms', at(took.text, 0.99), 10)
  row('saved on the device, median', 'ms', at(took.saved, 0.5))
  row('saved on the device, 99th percentile', 'ms', at(took.saved, 0.99))

  // ---- screen ----
  const there = await open(await browser.newContext(), 'there')
  await there.evaluate(async () => {
    const notes = await window.client.doc('doc:screen')
    const text = notes.doc.getText('t')
    window.shown = []
    text.observe(() => {
      document.getElementById('text').textContent = text.toString()
      const length = text.length
      requestAnimationFrame(() => setTimeout(() => {
        while (window.shown.length < length) window.shown.push(performance.timeOrigin + performance.now())
      }))
    })
    await notes.acknowledged()
  })
  const typed = await page.evaluate(async (times) => {
    const notes = await window.client.doc('doc:screen')
    const text = notes.doc.getText('t')
    const typed = []
    while (notes.status.state !== 'joined') await new Promise((resolve) => setTimeout(resolve, 10))
    for (let i = 0; i < times; i++) {
      typed.push(performance.timeOrigin + performance.now())
      text.insert(i, 'k')
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    await notes.acknowledged()
    return typed
  }, KEYS)
  await there.waitForFunction((count) => window.shown.length >= count, typed.length)
  const shown = await there.evaluate(() => window.shown)
  const delays = typed.map((from, i) => shown[i] - from)
  row('a key to the screen of another page, median', 'ms', at(delays, 0.5), 50)
  row('a key to the screen of another page, 99th percentile', 'ms', at(delays, 0.99))

  // ---- start ----
  const starts = []
  for (let i = 0; i <= STARTS; i++) {
    const starting = await open(context, 'start')
    if (i > 0) starts.push(await starting.evaluate(() => window.took))
    await starting.close()
  }
  row('start of the SDK, warm, median', 'ms', at(starts, 0.5), 150)
} finally {
  await client.close()
  await browser.close()
  server.removeAllListeners('exit')
  server.kill('SIGTERM')
  pages.close()
  rmSync(folder, { recursive: true, force: true })
}
