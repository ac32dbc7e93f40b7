// tests/e2e/client_versions.test.mjs -- createClient() beside tabs of another version, and where a page is refused its locks.
//
//   node --test tests/e2e/client_versions.test.mjs        after tools/build_js.mjs
//
// Goal: a page always works and says what it lacks, and no two of them write one diary. Method: the package's own files, and the same
// with another number of the protocol between tabs, as a tab would have them that was left open while a new version was deployed; a
// frame without an origin; a page that came over plain HTTP from another machine. Needs what browser.mjs says.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { listen, openWindow, until } from './browser.mjs'
import { Program, root } from './program.mjs'

const DIST = join(root, 'js/packages/sdk/dist')
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' }
/** What it is called on a machine that is not this one: browsers have no locks there, and no private file system. */
const ELSEWHERE = 'elsewhere.test'

const APP = `
const query = new URLSearchParams(location.search)
const { createClient } = await import('/' + (query.get('sdk') ?? 'sdk') + '/index.js')
const log = []
window.app = { log, async open(options) {
  const client = await createClient({ ...options, onError: ({ code }) => log.push(code) })
  const crdt = await client.crdt('crdt:' + options.name, 'gcounter')
  Object.assign(window.app, { client, crdt, object: crdt.object })
} }
`
const PAGE = '<!doctype html><meta charset="utf-8"><title>client</title><body><script type="module" src="/app.js"></script>'
const FRAMED = '<!doctype html><meta charset="utf-8"><title>frame</title><iframe sandbox="allow-scripts" src="/"></iframe>'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-versions-'))
const program = new Program('--origins', '*', '--open')
const complaints = []
let browser
let names = 0

/** The package's file, of this version or as another one has it. */
function fileOf(sdk, path) {
  const bytes = readFileSync(join(DIST, path))
  if (sdk === 'sdk' || !path.endsWith('protocol.js')) return bytes
  const text = String(bytes)
  assert.match(text, /PROTOCOL = \d+;/)
  return text.replace(/PROTOCOL = \d+;/, `PROTOCOL = ${sdk === 'older' ? 0 : 1000};`)
}

const pages = createServer((request, response) => {
  // A frame without an origin is another one's, to its own server, too.
  const send = (type, body) => response.writeHead(200, { 'content-type': type, 'access-control-allow-origin': '*' }).end(body)
  const path = normalize(new URL(request.url, 'http://localhost').pathname)
  const [, sdk, name] = /^\/(sdk|older|newer)\/(.+)$/.exec(path) ?? []
  if (path === '/') return send('text/html', PAGE)
  if (path === '/framed') return send('text/html', FRAMED)
  if (path === '/app.js') return send('text/javascript', APP)
  if (sdk !== undefined) return send(TYPES[extname(path)] ?? 'text/plain', fileOf(sdk, name))
  return response.writeHead(204).end()
})

before(async () => {
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  await program.start()
  browser = await openWindow(folder, `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`)
})
afterEach(async () => {
  for (const page of browser.pages().slice(1)) await page.close()
})
after(async () => {
  await browser?.close()
  pages.close()
  await program.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const framed = 'framed'
const newName = () => `v${++names}`
const addressOf = (path, host = '127.0.0.1') => `http://${host}:${pages.address().port}${path}`

async function newPage(name, address) {
  const page = await browser.newPage()
  listen(page, name, complaints)
  await page.goto(address)
  return page
}

/** `frame` has a client, and a counter that is named like its store. */
async function open(frame, name, options = {}) {
  await frame.waitForFunction(() => window.app !== undefined)
  await frame.evaluate((options) => window.app.open(options), { url: `${program.url}/socket`, name, ...options })
  return frame
}

const tab = async (name, sdk = 'sdk', options = {}) => open(await newPage(name, addressOf(`/?sdk=${sdk}`)), name, options)
const status = (frame) => frame.evaluate(() => ({ ...window.app.client.status }))
const logOf = (frame) => frame.evaluate(() => window.app.log)
const count = (frame, times = 1) => frame.evaluate((times) => void window.app.object.increment(times), times)
const settled = (frame) => frame.evaluate(() => window.app.crdt.acknowledged())
const saved = (frame) => frame.evaluate(() => window.app.crdt.saved())
const value = (frame) => frame.evaluate(() => Number(window.app.object.value))
const sees = (frame, wanted) => until(async () => (await value(frame)) === wanted, async () => `${await value(frame)}, not ${wanted}: ${JSON.stringify([await status(frame), await logOf(frame)])}`)
const comes = (frame, isSo) => until(async () => isSo(await status(frame)), async () => JSON.stringify([await status(frame), await logOf(frame)]))

for (const other of ['older', 'newer']) {
  test(`a tab beside one that is ${other} works, keeps nothing, and says why; when that is closed, it keeps everything`, async () => {
    const name = newName()
    const first = await tab(name, other)
    await count(first, 2)
    await settled(first)
    const second = await tab(name)
    const { storage, storageState, isLeading } = await status(second)
    assert.deepEqual([storage, storageState, isLeading], ['memory', 'LK_ERR_VERSION', false])
    assert.deepEqual(await logOf(second), ['LK_ERR_VERSION'])
    await sees(second, 2)
    await count(second, 3)
    await sees(first, 5)
    assert.deepEqual(await logOf(first), [], 'the one that was there is not disturbed')

    await program.stop()
    await count(second, 10)
    await first.close()
    await comes(second, (is) => is.isLeading && is.storage === 'opfs' && is.storageState === 'LK_OK')
    await saved(second)
    await second.close()
    const third = await tab(name)
    await sees(third, 15)
    await program.start()
    await settled(third)
    const stranger = await tab(name, 'sdk', { storage: 'memory', name })
    await sees(stranger, 15)
  })
}

test('when the tab of another version is closed, those of this one share again', async () => {
  const name = newName()
  const first = await tab(name, 'older')
  const [a, b] = [await tab(name), await tab(name)]
  assert.deepEqual([(await status(a)).storage, (await status(b)).storage], ['memory', 'memory'])
  await program.stop()
  await first.close()
  for (const page of [a, b]) await comes(page, ({ storage }) => storage === 'opfs')
  await count(a)
  await sees(b, 1)
  await count(b)
  await sees(a, 2)
  assert.deepEqual([await status(a), await status(b)].map(({ isLeading }) => isLeading).sort(), [false, true])
  await program.start()
})

test('a tab that was there keeps working when the next that leads is of another version', async () => {
  const name = newName()
  const leader = await tab(name)
  const newer = await tab(name, 'newer')
  const follower = await tab(name)
  await count(follower, 2)
  await settled(follower)
  await leader.close()
  await comes(newer, ({ isLeading, storage }) => isLeading && storage === 'opfs')
  await comes(follower, ({ storageState }) => storageState === 'LK_ERR_VERSION')
  await count(follower, 3)
  await settled(follower)
  await sees(newer, 5)
  await newer.close()
  await comes(follower, ({ isLeading, storage }) => isLeading && storage === 'opfs')
  await count(follower)
  await saved(follower)
  await settled(follower)
  await sees(await tab(name), 6)
})

test('what a tab of another version wants is nothing to the one that leads', async () => {
  const name = newName()
  const leader = await tab(name)
  await count(leader)
  await settled(leader)
  await tab(name, 'newer', { connect: false })
  await count(leader)
  await settled(leader)
  assert.equal((await status(leader)).state, 'online')
  assert.deepEqual(await logOf(leader), [])
})

test('what was changed in a topic that was closed meanwhile is not left behind', async () => {
  const name = newName()
  const first = await tab(name, 'older')
  const second = await tab(name)
  await program.stop()
  await count(second, 4)
  await second.evaluate(() => window.app.crdt.close())
  await first.close()
  await second.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)))
  assert.equal((await status(second)).storage, 'memory', 'it waits for the server')
  await program.start()
  await comes(second, ({ isLeading, storage }) => isLeading && storage === 'opfs')
  await sees(await tab(name), 4)
})

test('a worker of another version than its page is not listened to', async () => {
  const page = await newPage('worker', addressOf('/'))
  await page.waitForFunction(() => window.app !== undefined)
  const code = await page.evaluate((url) => window.app.open({ url, name: 'worker', worker: () => new Worker('/newer/worker.js', { type: 'module' }) }).catch(({ code }) => code), `${program.url}/socket`)
  assert.equal(code, 'LK_ERR_VERSION')
})

test('a frame without an origin is alone, keeps nothing, and works', async () => {
  const name = framed
  const page = await newPage(name, addressOf('/framed'))
  const frame = page.frames()[1]
  await open(frame, name)
  assert.deepEqual(await logOf(frame), ['LK_ERR_PERMISSION', 'LK_ERR_IO'])
  assert.equal((await status(frame)).storage, 'memory')
  // The server refuses pages without an origin, so that it is offline for good.
  await count(frame, 2)
  await sees(frame, 2)
  await frame.evaluate(() => window.app.client.close())
})

test('without locks one page at a time has the store', async () => {
  const name = newName()
  const alone = async () => open(await newPage(name, addressOf('/', ELSEWHERE)), name)
  const first = await alone()
  assert.equal(await first.evaluate(() => navigator.locks), undefined)
  assert.equal((await status(first)).storage, 'indexeddb')
  await count(first, 2)
  await settled(first)
  const second = await alone()
  assert.equal((await status(second)).storage, 'memory')
  assert.deepEqual(await logOf(second), ['LK_ERR_IO'])
  await sees(second, 2)
  await count(second, 3)
  await sees(first, 5)
  await program.stop()
  await count(first, 10)
  await saved(first)
  await first.close()
  const third = await alone()
  assert.equal((await status(third)).storage, 'indexeddb')
  await sees(third, 15)
  await program.start()
  await settled(third)
  await sees(second, 15)
})

test('no page complained of anything', () => {
  // Chromium's own: indexedDB.databases() throws in a frame without an origin, and leaves a promise behind that is rejected.
  assert.deepEqual(complaints.filter((text) => text !== `${framed}: undefined`), [])
})
