// tests/e2e/client_browser.test.mjs -- createClient() in a real browser: tabs, workers, storage, and what breaks down.
//
//   node --test tests/e2e/client_browser.test.mjs        after tools/build_js.mjs
//
// Goal: whoever types sees it at once, and nothing that was saved is lost or counted twice, whatever ends on the way: tabs, the tab
// that leads, its worker, the core in it, the core in the page, the server, the space on the disk.
// Method: the package's own files, as a page without a bundler loads them; the real program; a browser of one person, whose tabs
// share a storage. Needs what browser.mjs says.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, normalize } from 'node:path'
import { listen, openWindow, until } from './browser.mjs'
import { BlockingProxy } from './blocking_proxy.mjs'
import { Program, root } from './program.mjs'

const DIST = join(root, 'js/packages/sdk/dist')
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' }

const APP = `
const log = []
const topics = []
window.app = {
  log,
  async open({ server, name, ...options }, ...wanted) {
    const { tokens, privately, ...rest } = options
    const { createClient } = await import('/sdk/index.js')
    if (tokens) rest.token = async () => { log.push('asked for a token'); return tokens.length > 1 ? tokens.shift() : tokens[0] }
    if (privately) rest.worker = () => new Worker('/private.js', { type: 'module', name: 'laniakea' })
    const client = await createClient({ url: server + '/socket', name, onError: (error) => log.push(error.code + ' ' + error.message), ...rest })
    Object.assign(window.app, { client })
    for (const [kind, topic, type] of wanted) {
      const opened = await client[kind](topic, type)
      topics.push(opened)
      if (kind === 'crdt') Object.assign(window.app, { crdt: opened, object: opened.object })
      else if (kind === 'doc') window.app.doc = opened
    }
  },
  get text() { return this.doc.doc.getText('t') },
  type(text) { this.text.insert(this.text.length, text) },
  settled: () => Promise.all(topics.map((topic) => topic.acknowledged())),
  saved: () => Promise.all(topics.map((topic) => topic.saved())),
}
`
const PAGE = '<!doctype html><meta charset="utf-8"><title>client</title><body><script type="module" src="/app.js"></script>'
/** A browser that keeps nothing, as some do in private windows. */
const STRIP = `
delete StorageManager.prototype.getDirectory
Object.defineProperty(globalThis, 'indexedDB', { value: { open() { throw new DOMException('private', 'InvalidStateError') } } })
`
const PRIVATE = `
import '/strip.js'
import '/sdk/worker.js'
`

const folder = mkdtempSync(join(tmpdir(), 'laniakea-client-'))
const program = new Program()
const complaints = []
let browser
let names = 0
/** The pages' own server does not answer. */
let isGone = false

const pages = createServer((request, response) => {
  const send = (type, body) => response.writeHead(200, { 'content-type': type }).end(body)
  if (isGone) return request.socket.destroy()
  const path = normalize(new URL(request.url, 'http://localhost').pathname)
  if (path === '/') return send('text/html', PAGE)
  if (path === '/app.js') return send('text/javascript', APP)
  if (path === '/strip.js') return send('text/javascript', STRIP)
  if (path === '/private.js') return send('text/javascript', PRIVATE)
  if (path.startsWith('/sdk/')) return send(TYPES[extname(path)] ?? 'text/plain', readFileSync(join(DIST, path.slice(5))))
  return response.writeHead(204).end()
})

before(async () => {
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  await program.start()
  browser = await openWindow(folder)
})
afterEach(async () => {
  isGone = false
  for (const page of browser.pages().slice(1)) await page.close()
})
after(async () => {
  await browser?.close()
  pages.close()
  await program.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const newName = () => `n${++names}`

/** A tab with a client in the store `name`, and both kinds of topics unless others are said. */
async function tab(name, options = {}, ...wanted) {
  const page = await browser.newPage()
  listen(page, name, complaints)
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  await page.waitForFunction(() => window.app !== undefined)
  if (wanted.length === 0) wanted = [['crdt', `crdt:${name}`, 'gcounter'], ['doc', `doc:${name}`]]
  await page.evaluate(([options, wanted]) => window.app.open(options, ...wanted), [{ server: program.url, name, ...options }, wanted])
  return page
}

const status = (page) => page.evaluate(() => ({ ...window.app.client.status }))
const count = (page, times = 1) => page.evaluate((times) => {
  for (let i = 0; i < times; i++) window.app.object.increment()
  return Number(window.app.object.value)
}, times)
const type = (page, text) => page.evaluate((text) => window.app.type(text), text)
const settled = (page) => page.evaluate(() => window.app.settled())
const saved = (page) => page.evaluate(() => window.app.saved())
const read = (page) => page.evaluate(() => ({ value: Number(window.app.object.value), text: window.app.text.toString() }))
const logOf = (page) => page.evaluate(() => window.app.log)

async function waitFor(page, what, isSo) {
  let found
  await until(async () => isSo(found = await read(page)), async () => `${what}: ${JSON.stringify(found)}, ${JSON.stringify(await logOf(page))}`)
}

const isLeading = (page) => page.evaluate(() => window.app.client.status.isLeading)
const sees = (page, value, text) => waitFor(page, `${value} ${text}`, (is) => is.value === value && is.text === text)

/** Who has never been here, and knows what the server says. */
async function stranger(name, look, before = () => {}) {
  before()
  const page = await tab(`${name} stranger`, { storage: 'memory' }, ['crdt', `crdt:${name}`, 'gcounter'], ['doc', `doc:${name}`])
  await look(page)
  await page.close()
}

async function startAgain() {
  for (let left = 200; ; left--) {
    try {
      return await program.start()
    } catch (error) {
      if (left === 0 || !/is taken/.test(error.message)) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

test('a tab keeps what it does in the private file system, and tells the server', async () => {
  const name = newName()
  const page = await tab(name)
  assert.equal((await status(page)).storage, 'opfs')
  assert.equal(await count(page, 3), 3)
  await type(page, 'Hello')
  await settled(page)
  const { state, pending, storageState, isLeading } = await status(page)
  assert.deepEqual({ state, pending, storageState, isLeading }, { state: 'online', pending: 0, storageState: 'LK_OK', isLeading: true })
  await stranger(name, (other) => sees(other, 3, 'Hello'))
})

test('tabs share one connection and one store, and see each other, with and without a server', async () => {
  const name = newName()
  const [a, b, c] = [await tab(name), await tab(name), await tab(name)]
  const leading = (await Promise.all([a, b, c].map(isLeading))).filter(Boolean)
  assert.equal(leading.length, 1)
  await Promise.all([count(a), count(b), count(c)])
  await type(a, 'Hello')
  await Promise.all([a, b, c].map((page) => sees(page, 3, 'Hello')))
  await Promise.all([a, b, c].map(settled))
  await program.stop()
  await count(b)
  await type(c, ' world')
  await Promise.all([a, b, c].map((page) => sees(page, 4, 'Hello world')))
  await startAgain()
  await Promise.all([a, b, c].map(settled))
  await stranger(name, (other) => sees(other, 4, 'Hello world'))
})

test('two tabs write one paragraph, one without a network: both agree, and no text is lost', async () => {
  const name = newName()
  const [a, b] = [await tab(name), await tab(`${name} apart`, {}, ['crdt', `crdt:${name}`, 'gcounter'], ['doc', `doc:${name}`])]
  await type(a, 'A sentence. ')
  await sees(b, 0, 'A sentence. ')
  await program.stop()
  await a.evaluate(() => window.app.text.insert(0, 'Ada: '))
  await b.evaluate(() => window.app.text.insert(2, 'short '))
  await Promise.all([saved(a), saved(b)])
  await startAgain()
  await Promise.all([a, b].map((page) => sees(page, 0, 'Ada: A short sentence. ')))
})

test('tabs that were closed offline, with things to send: the next one sends them once', async () => {
  const name = newName()
  const first = await tab(name)
  await count(first)
  await type(first, 'one ')
  await settled(first)
  await program.stop()
  const second = await tab(name)
  await sees(second, 1, 'one ')
  await Promise.all([count(first, 5), count(second, 7)])
  await type(first, 'two ')
  await waitFor(second, 'what the first one did', ({ value, text }) => value === 13 && text === 'one two ')
  await type(second, 'three')
  await Promise.all([saved(first), saved(second)])
  await first.close()
  await second.close()
  const third = await tab(name)
  await sees(third, 13, 'one two three')
  assert.equal((await status(third)).pending > 0, true)
  await startAgain()
  await settled(third)
  await stranger(name, (other) => sees(other, 13, 'one two three'))
  assert.equal(await third.evaluate(() => window.app.object.size.actors), 2, 'tabs take the names that tabs before them had')
})

/** Types a letter each few milliseconds in the page until it is told to stop; resolves with all that was typed. */
const keepTyping = (page) => page.evaluate(() => {
  window.app.typed = ''
  window.app.timer = setInterval(() => {
    const letter = String.fromCharCode(97 + (window.app.typed.length % 26))
    window.app.type(letter)
    window.app.object.increment()
    window.app.typed += letter
  }, 5)
})
const stopTyping = (page) => page.evaluate(() => {
  clearInterval(window.app.timer)
  return window.app.typed
})
const typedMore = async (page, letters) => {
  const before = await page.evaluate(() => window.app.typed.length)
  await page.waitForFunction((most) => window.app.typed.length > most, before + letters)
}

/** While somebody types in `page`, `disturb` happens: all that was typed is there, in the page and on the server, once. */
async function typeThrough(name, page, disturb) {
  await keepTyping(page)
  await typedMore(page, 20)
  await disturb()
  await typedMore(page, 20)
  const typed = await stopTyping(page)
  await until(() => Promise.race([settled(page).then(() => true), new Promise((resolve) => setTimeout(resolve, 200, false))]), async () => JSON.stringify([await status(page), await logOf(page)]))
  const { value, text } = await read(page)
  assert.equal(text, typed)
  assert.equal(value, typed.length)
  await stranger(name, (other) => sees(other, typed.length, typed))
}

test('the tab that leads is closed while another one types', async () => {
  const name = newName()
  const leader = await tab(name)
  const follower = await tab(name)
  assert.equal(await isLeading(follower), false)
  await typeThrough(name, follower, () => leader.close())
  assert.equal(await isLeading(follower), true)
})

test('what the server does not have is not acknowledged, whoever leads', async () => {
  const name = newName()
  const first = await tab(name)
  const second = await tab(name)
  await program.stop()
  await count(second, 3)
  await type(second, 'x')
  await saved(second)
  await second.evaluate(() => {
    window.acked = []
    for (const topic of [window.app.crdt, window.app.doc]) topic.acknowledged().then(() => window.acked.push(topic.name))
  })
  await first.close()
  await until(() => isLeading(second), () => 'the second tab does not lead')
  await until(async () => (await status(second)).state === 'offline', async () => JSON.stringify(await status(second)))
  // What is said now comes behind what the new hub had to say of the old changes.
  await count(second)
  await saved(second)
  assert.deepEqual(await second.evaluate(() => window.acked), [])
  await startAgain()
  await until(async () => (await second.evaluate(() => window.acked.length)) === 2, () => 'it is not acknowledged')
})

test('a topic that is closed while no tab leads keeps what was changed in it', async () => {
  const name = newName()
  const first = await tab(name)
  const second = await tab(name)
  await program.stop()
  await first.close()
  await second.evaluate(async () => {
    const { client, object, crdt } = window.app
    for (const end = Date.now() + 10_000; client.status.state !== 'starting' && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve))
    object.increment(7)
    await crdt.close()
  })
  const value = await second.evaluate(async (topic) => Number((await window.app.client.crdt(topic, 'gcounter')).object.value), `crdt:${name}`)
  assert.equal(value, 7)
  await startAgain()
})

test('a client closes while it opens something', async () => {
  const page = await tab(newName())
  const how = await page.evaluate(async () => {
    const { client } = window.app
    const opening = client.crdt('crdt:late', 'orset').then(() => 'opened', (error) => error.code)
    await null
    await null
    await client.close()
    return opening
  })
  assert.equal(how, 'LK_ERR_STATE')
})

test('what one tab wants kept is kept, though another one came first and did not', async () => {
  const name = newName()
  const topic = `crdt:${name} kept`
  const [first, second] = [await tab(name), await tab(name)]
  await program.stop()
  await first.evaluate(async (topic) => void (await window.app.client.crdt(topic, 'gcounter', { keep: false })).object.increment(2), topic)
  await second.evaluate(async (topic) => {
    const likes = await window.app.client.crdt(topic, 'gcounter')
    likes.object.increment(5)
    await likes.saved()
  }, topic)
  await second.close()
  await first.close()
  const third = await tab(name)
  const value = await third.evaluate(async (topic) => Number((await window.app.client.crdt(topic, 'gcounter')).object.value), topic)
  assert.equal(value, 7)
  await startAgain()
})

test('strangers may say what they like in the channel of the tabs', async () => {
  const name = newName()
  const [first, second] = [await tab(name), await tab(name)]
  await first.evaluate(async () => {
    const { held } = await navigator.locks.query()
    const hub = held.map((lock) => lock.name).find((lock) => lock.startsWith('laniakea hub '))
    const { PROTOCOL: v } = await import('/sdk/internal/client/protocol.js')
    const channel = new BroadcastChannel(hub.replace('laniakea hub ', 'laniakea '))
    const odd = [null, 5, 'text', {}, { m: {} }, { from: 'x' }, { from: 'x', m: null }, { from: {}, m: { t: 'hello' } }, { from: 'x', m: { t: 'nonsense' } }]
    for (const message of odd) for (const version of [{}, { v }, { v: {} }]) channel.postMessage(typeof message === 'object' ? { ...message, ...version } : message)
    for (const message of [{ t: 'hello' }, { t: 'open', id: 1, topic: 5, kind: 0 }, { t: 'change', id: 1, parts: 7 }, { t: 'awareness', id: 1 }]) channel.postMessage({ v, from: 'x', m: message })
    channel.close()
  })
  await count(second, 2)
  await settled(second)
  await sees(first, 2, '')
  for (const page of [first, second]) assert.deepEqual((await logOf(page)).filter((line) => line.startsWith('LK_ERR_TRAP')), [])
})

test('the tab that leads is closed, and the server is not there: another one goes on with the worker that it has', async () => {
  const name = newName()
  const leader = await tab(name)
  const follower = await tab(name)
  await until(async () => follower.workers().length === 1, () => 'a worker that waits')
  await count(leader)
  await settled(leader)
  await program.stop()
  isGone = true // and so are the files of the page
  await leader.close()
  await until(() => isLeading(follower), async () => JSON.stringify(await status(follower)))
  await count(follower)
  await saved(follower)
  assert.deepEqual(await logOf(follower), [])
  isGone = false
  await startAgain()
  await settled(follower)
  await stranger(name, (other) => sees(other, 2, ''))
})

test('the worker ends while somebody types, without a word', async () => {
  const name = newName()
  const page = await tab(name)
  await typeThrough(name, page, () => page.workers()[0].evaluate(() => globalThis.close()))
  assert.match((await logOf(page)).join('\n'), /LK_ERR_TRAP.*the worker ended/)
})

test('the core in the worker traps while somebody types', async () => {
  const name = newName()
  const page = await tab(name)
  await typeThrough(name, page, () => page.workers()[0].evaluate(() => {
    // What the core hands out is decoded within its calls: there it breaks down, as an instruction of its own would.
    const { decode } = TextDecoder.prototype
    let left = 1
    TextDecoder.prototype.decode = function (...given) {
      if (left-- > 0) throw new WebAssembly.RuntimeError('unreachable')
      TextDecoder.prototype.decode = decode
      return decode.apply(this, given)
    }
  }))
  assert.match((await logOf(page)).join('\n'), /LK_ERR_TRAP.*unreachable/)
  assert.equal(page.workers().length, 1)
})

test('a core that traps again and again costs its worker, and the next one goes on', async () => {
  const name = newName()
  const page = await tab(name)
  await typeThrough(name, page, async () => {
    await page.workers()[0].evaluate(() => {
      const bytes = Object.getPrototypeOf(Uint8Array.prototype)
      const { slice } = bytes
      bytes.slice = function (...given) {
        if (/poll/.test(new Error().stack)) throw new WebAssembly.RuntimeError('unreachable')
        return slice.apply(this, given)
      }
    })
    await until(async () => (await logOf(page)).filter((line) => /unreachable/.test(line)).length > 5, async () => JSON.stringify(await logOf(page)))
  })
})

test('the core in the page traps: objects and documents are there again, with what was done before', async () => {
  const name = newName()
  const page = await tab(name)
  await program.stop()
  await count(page, 5)
  await type(page, 'Hello')
  const result = await page.evaluate(async () => {
    const { app } = window
    const before = app.doc.doc
    const replaced = new Promise((resolve) => app.doc.onReplaced(resolve))
    // Within a call into the core its host fails in a way that nobody expects: as an instruction of the core's own would.
    const trap = (owner, name, body) => {
      const was = owner[name]
      owner[name] = () => { throw new WebAssembly.RuntimeError('unreachable') }
      try {
        body()
        return 'nothing'
      } catch (error) {
        return error.code
      } finally {
        owner[name] = was
      }
    }
    app.doc.doc.undo()
    const codes = [
      trap(Object.getPrototypeOf(Uint8Array.prototype), 'set', () => app.object.increment()),
      trap(Date, 'now', () => app.text.insert(0, 'lost')),
    ]
    await replaced
    return { codes, isAnother: app.doc.doc !== before }
  })
  assert.deepEqual(result, { codes: ['LK_ERR_TRAP', 'LK_ERR_TRAP'], isAnother: true })
  await sees(page, 5, 'Hello')
  await until(() => page.evaluate(() => {
    try {
      window.app.object.increment()
      return true
    } catch {
      return false
    }
  }), () => 'it can be changed')
  await type(page, ' again')
  await startAgain()
  await settled(page)
  await stranger(name, (other) => sees(other, 6, 'Hello again'))
})

test('the server is killed while somebody types, and comes back', async () => {
  const name = newName()
  const page = await tab(name)
  await typeThrough(name, page, async () => {
    await program.stop('SIGKILL')
    await typedMore(page, 20)
    await startAgain()
  })
})

test('no space is left: it says so, goes on, and keeps everything when there is some again', async () => {
  const name = newName()
  const page = await tab(name)
  await count(page)
  await settled(page)
  await program.stop()
  const [worker] = page.workers()
  await worker.evaluate(() => {
    const { write } = FileSystemSyncAccessHandle.prototype
    FileSystemSyncAccessHandle.prototype.write = () => { throw new DOMException('full', 'QuotaExceededError') }
    globalThis.makeSpace = () => (FileSystemSyncAccessHandle.prototype.write = write)
  })
  await count(page, 4)
  await type(page, 'still here')
  await until(async () => (await status(page)).storageState === 'LK_ERR_NO_SPACE', async () => JSON.stringify(await status(page)))
  await sees(page, 5, 'still here')
  await worker.evaluate(() => globalThis.makeSpace())
  await until(async () => (await status(page)).storageState === 'LK_OK' && (await status(page)).unsaved === 0, async () => JSON.stringify(await status(page)))
  await page.close()
  const next = await tab(name)
  await sees(next, 5, 'still here')
  await startAgain()
  await settled(next)
  await stranger(name, (other) => sees(other, 5, 'still here'))
})

test('IndexedDB keeps as much, where it is asked for', async () => {
  const name = newName()
  const page = await tab(name, { storage: 'indexeddb' })
  assert.equal((await status(page)).storage, 'indexeddb')
  await program.stop()
  await count(page, 300)
  await type(page, 'kept '.repeat(10_000))
  await saved(page)
  await page.close()
  const next = await tab(name, { storage: 'indexeddb' })
  await sees(next, 300, 'kept '.repeat(10_000))
  await startAgain()
  await settled(next)
})

test('what is kept in IndexedDB is found there, also by who does not ask for it', async () => {
  const name = newName()
  const first = await tab(name, { storage: 'indexeddb' })
  await program.stop()
  await count(first, 3)
  await saved(first)
  await first.close()
  const second = await tab(name)
  await sees(second, 3, '')
  assert.equal((await status(second)).storage, 'indexeddb')
  await startAgain()
})

test('a private file system that is taken for the moment is not replaced by another place', async () => {
  const name = newName()
  const first = await tab(name)
  await count(first, 2)
  await settled(first)
  const scope = await first.evaluate(async () => {
    const { held } = await navigator.locks.query()
    return held.map((lock) => lock.name).find((lock) => lock.startsWith('laniakea hub ')).slice('laniakea hub '.length)
  })
  await first.close()
  const holder = await browser.newPage()
  await holder.goto(`http://127.0.0.1:${pages.address().port}/`)
  await holder.evaluate((folder) => new Promise((resolve) => {
    const script = `(async () => {
      const root = await navigator.storage.getDirectory()
      const of = await (await root.getDirectoryHandle('laniakea')).getDirectoryHandle(${JSON.stringify(folder)})
      self.handle = await (await of.getFileHandle('probe', { create: true })).createSyncAccessHandle()
      postMessage('it is taken')
    })()`
    window.worker = new Worker(URL.createObjectURL(new Blob([script])))
    window.worker.onmessage = resolve
  }), encodeURIComponent(scope))
  const second = await tab(name)
  assert.equal((await status(second)).storage, 'memory')
  assert.match((await logOf(second)).join(), /LK_ERR_IO/)
  await count(second, 5)
  await sees(second, 7, '')
  await settled(second)
  await second.close()
  await holder.close()
  const third = await tab(name)
  assert.equal((await status(third)).storage, 'opfs')
  await count(third)
  await sees(third, 8, '')
  await settled(third)
})

test('a browser that keeps nothing says so, and its tabs work together all the same', async () => {
  const name = newName()
  const [a, b] = [await tab(name, { privately: true }), await tab(name, { privately: true })]
  assert.equal((await status(a)).storage, 'memory')
  assert.equal((await status(b)).storage, 'memory')
  await Promise.all([count(a, 2), count(b, 3)])
  await type(a, 'here')
  await Promise.all([a, b].map((page) => sees(page, 5, 'here')))
  await settled(a)
  await a.close()
  await count(b)
  await settled(b)
  await stranger(name, (other) => sees(other, 6, 'here'))
})

// ---- what a tab loads ----

/** The modules that a tab and its worker loaded. */
const modulesOf = (page) => page.evaluate(() => [...new Set(performance.getEntriesByType('resource').map(({ name }) => name.replace(/.*\//, '')).filter((name) => name.endsWith('.wasm')))].sort())
const [BASE, DOCUMENTS, OBJECTS] = ['base', 'part-documents', 'part-objects'].map((part) => `laniakea-client-${part}.wasm`)

test('a tab loads what it uses, and what its hub has to have for others', async () => {
  const name = newName()
  const [texts, counts] = [['doc', `doc:${name}`], ['crdt', `crdt:${name}`, 'gcounter']]
  const relay = await tab(`${name} relay`, {}, ['channel', 'relay:lobby'])
  assert.deepEqual(await modulesOf(relay), [BASE])
  const likes = await tab(name, {}, counts)
  await count(likes, 3)
  await settled(likes)
  assert.deepEqual(await modulesOf(likes), [BASE, OBJECTS])
  // What follows is another tab's, which the first one has to serve.
  const notes = await tab(name, {}, texts)
  await type(notes, 'hello')
  await settled(notes)
  await until(async () => (await modulesOf(likes)).length === 3, async () => JSON.stringify(await modulesOf(likes)))
  await until(async () => (await modulesOf(notes)).length === 3, async () => JSON.stringify(await modulesOf(notes)))
  await stranger(name, (page) => sees(page, 3, 'hello'))

  // Nothing can be loaded, and the tab that led is gone: the other one has what it needs to lead.
  isGone = true
  await likes.close()
  await type(notes, ' again')
  await settled(notes)
  assert.equal(await isLeading(notes), true)
  assert.equal((await status(notes)).storage, 'opfs')
  await stranger(name, (page) => sees(page, 3, 'hello again'), () => (isGone = false))
})

test('what is kept has kinds that nobody spoke of yet: they are loaded, and sent', async () => {
  const name = newName()
  const page = await tab(name)
  await program.stop()
  await count(page, 2)
  await type(page, 'hello')
  await saved(page)
  await page.close()
  await startAgain()
  const next = await tab(name, {}, ['channel', 'relay:lobby'])
  await until(async () => (await status(next)).pending === 0 && (await status(next)).state === 'online', async () => JSON.stringify(await status(next)))
  assert.equal((await status(next)).storage, 'opfs')
  await stranger(name, (other) => sees(other, 2, 'hello'))
})

test('a part that cannot be loaded is told to who wants it, and is there when it can', async () => {
  const name = newName()
  const page = await tab(name, {}, ['channel', 'relay:lobby'])
  isGone = true
  const refusal = await page.evaluate((name) => window.app.client.doc(`doc:${name}`).then(() => 'opened', ({ code }) => code), name)
  assert.equal(refusal, 'LK_ERR_NOT_FOUND')
  isGone = false
  await page.evaluate(async (name) => (window.app.doc = await window.app.client.doc(`doc:${name}`)), name)
  await type(page, 'there')
  assert.equal(await page.evaluate(() => window.app.text.toString()), 'there')
  assert.deepEqual(await modulesOf(page), [BASE, DOCUMENTS])
})

test('where no WebSocket gets through tabs poll: what they change arrives once, whatever ends on the way', async () => {
  const name = newName()
  const proxy = new BlockingProxy(() => program.url)
  await proxy.start()
  try {
    const here = { server: proxy.url }
    const wanted = [['crdt', `crdt:${name}`, 'gcounter'], ['doc', `doc:${name}`]]
    const [a, b] = [await tab(name, here), await tab(name, here)]
    const other = await tab(`${name} other`, {}, ...wanted)
    await Promise.all([count(a), count(b, 2), count(other, 3)])
    await type(a, 'Hello')
    await Promise.all([a, b, other].map((page) => sees(page, 6, 'Hello')))
    await Promise.all([a, b].map(settled))
    const transports = await Promise.all([a, b, other].map(async (page) => (await status(page)).transport))
    assert.deepEqual(transports, ['longpoll', 'longpoll', 'websocket'])
    await other.evaluate(() => window.app.text.insert(5, ' world'.repeat(100_000)))
    const long = `Hello${' world'.repeat(100_000)}`
    await sees(b, 6, long)

    await program.stop('SIGKILL')
    await Promise.all([count(a), count(other)])
    await type(b, '!')
    await Promise.all([a, b].map(saved))
    await startAgain()
    await Promise.all([a, b, other].map(settled))
    await Promise.all([a, b, other].map((page) => sees(page, 8, `${long}!`)))

    // The browser says that the network came back: nobody waits for the next attempt.
    await browser.setOffline(true)
    proxy.cut()
    await count(a)
    await until(async () => (await status(a)).state === 'offline', () => 'it notices')
    await new Promise((resolve) => setTimeout(resolve, 3000))
    await browser.setOffline(false)
    await settled(a)

    // The tab that leads goes away in the middle of it, and the other one goes on.
    proxy.upgrades = 'swallow'
    const [leader, next] = (await isLeading(a)) ? [a, b] : [b, a]
    await count(leader, 5)
    await saved(leader)
    await leader.close()
    await count(next)
    await settled(next)
    assert.equal((await status(next)).transport, 'longpoll')
    await stranger(name, (page) => sees(page, 15, `${long}!`))
    assert.ok(proxy.seen.POST > 5)
  } finally {
    await browser.setOffline(false)
    proxy.close()
  }
})

test('no page complained', () => {
  assert.deepEqual(complaints, [])
})
