// tests/e2e/yjs_browser.test.mjs -- @laniakea/yjs in a real browser: editors, IndexedDB and tabs.
//
//   node --test tests/e2e/yjs_browser.test.mjs        after tools/build_js.mjs
//
// Goal: people type into CodeMirror, Tiptap and BlockNote and see each other; what a page wrote outlives it, without a server and
// with one. Method: a page with all three editors, bundled by esbuild; real key strokes, real IndexedDB, the real program that
// comes and goes. Needs what browser.mjs says.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listen, openWindow } from './browser.mjs'
import { Program } from './program.mjs'
import { bring, carets, go, servePage } from './yjs_page.mjs'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-yjs-'))
const program = new Program()
const complaints = []
let pages
let browser

before(async () => {
  pages = await servePage()
  await program.start()
  browser = await openWindow(folder)
})
afterEach(async () => {
  for (const page of browser.pages().slice(1)) await page.close()
})
after(async () => {
  await browser?.close()
  pages?.close()
  await program.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** A tab with a document, as `options` of the page's open() have it. */
async function tab(options) {
  const page = await browser.newPage()
  listen(page, options.name, complaints)
  await page.goto(pages.url)
  await page.waitForFunction(() => window.app !== undefined)
  await page.evaluate((options) => window.app.open(options), { server: program.url, ...options })
  return page
}

const online = (...tabs) => Promise.all(tabs.map((page) => page.waitForFunction(() => window.app.provider.synced && window.app.provider.pending !== true)))
const insert = (page, text) => page.evaluate((text) => window.app.text.insert(window.app.text.length, text), text)
const read = (page) => page.evaluate(() => window.app.text.toString())
const waitForText = (page, text) => page.waitForFunction((text) => window.app.text.toString() === text, text)
const loaded = (page) => page.evaluate(() => window.app.provider.whenLoaded)

/** Resolves when what is being written has been: IndexedDB does it in order. */
const settle = (page, keep) => page.evaluate(async (keep) => {
  await new Promise((resolve) => setTimeout(resolve, 50))
  await window.app.indexeddb(keep).load()
}, keep)

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

// ---- editors ----

for (const editor of ['codemirror', 'tiptap', 'blocknote']) {
  test(`two people type into ${editor} at once`, async () => {
    const [ada, ben] = [await tab({ name: editor, editor, user: 'Ada' }), await tab({ name: editor, editor, user: 'Ben' })]
    await online(ada, ben)
    const both = async (text) => {
      const [one, two] = await Promise.all([ada, ben].map((page) => page.waitForFunction((text) => window.app.read() === text, text).then(() => text, () => page.evaluate(() => window.app.read()))))
      assert.deepEqual([one, two], [text, text])
    }
    await bring(ada)
    await ada.keyboard.type('Hello')
    await both('Hello')
    await bring(ben)
    await go(ben, 'end')
    await ben.keyboard.type(', world')
    await both('Hello, world')
    await program.stop('SIGKILL')
    await ben.keyboard.press('Enter')
    await ben.keyboard.type('second')
    await bring(ada)
    await go(ada, 'start')
    await ada.keyboard.type('Oh. ')
    await startAgain()
    await both('Oh. Hello, world\nsecond')
    const selector = carets[editor].label
    await ada.waitForFunction((selector) => document.querySelector(selector)?.textContent === 'Ben', selector)
  })
}

// ---- what is kept ----

test('what was written without a server is there again, and arrives once', async () => {
  const options = { name: 'offline', keep: 'offline' }
  const first = await tab(options)
  await online(first)
  await insert(first, 'online ')
  await online(first)
  await program.stop('SIGKILL')
  await insert(first, 'offline ')
  await settle(first, 'offline')
  await first.close()
  const second = await tab(options)
  await loaded(second)
  assert.equal(await read(second), 'online offline ')
  await insert(second, 'again')
  await startAgain()
  await online(second)
  const other = await tab({ name: 'offline' })
  await online(other)
  assert.equal(await read(other), 'online offline again')
})

test('many changes are folded, also by tabs that share a name', async () => {
  const options = { name: 'many', keep: 'many', server: 'http://127.0.0.1:1' }
  const tabs = [await tab(options), await tab(options)]
  for (const page of tabs) {
    await loaded(page)
    await page.evaluate(async () => {
      for (let i = 0; i < 300; i++) {
        window.app.text.insert(window.app.text.length, 'x')
        window.app.text.delete(0, i % 2)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })
  }
  await Promise.all(tabs.map((page) => settle(page, 'many')))
  const { updates } = await tabs[0].evaluate(async () => ({ updates: (await window.app.indexeddb('many').load()).updates.length }))
  assert.ok(updates < 210, `${updates} updates are kept`)
  const late = await tab(options)
  await loaded(late)
  assert.equal(await read(late), 'x'.repeat(300))
  await late.evaluate(async () => {
    await window.app.provider.destroy()
    await window.app.indexeddb('many').clear()
  })
  const empty = await tab(options)
  await loaded(empty)
  assert.equal(await read(empty), '')
})

test('a page whose document began again meanwhile is told, after a reload', async () => {
  const server = new Program({ data: false })
  await server.start()
  try {
    const page = await tab({ name: 'again', keep: 'again', server: server.url })
    await online(page)
    await insert(page, 'mine')
    await online(page)
    await settle(page, 'again')
    await page.close()
    await server.stop('SIGKILL')
    for (let left = 200, isUp = false; !isUp; left--) {
      isUp = await server.start().then(() => true, (error) => {
        if (left === 0) throw error
        return new Promise((resolve) => setTimeout(() => resolve(false), 20))
      })
    }
    const other = await tab({ name: 'again', server: server.url })
    await insert(other, 'theirs')
    await online(other)
    const back = await tab({ name: 'again', keep: 'again', server: server.url })
    await back.waitForFunction(() => window.app.log.length > 0)
    assert.deepEqual(await back.evaluate(() => window.app.log), [['diverged', 'diverged']])
    assert.deepEqual([await read(back), await read(other)], ['mine', 'theirs'])
  } finally {
    await server.dispose()
  }
})

// ---- tabs ----

test('tabs of the provider with y-websocket\'s constructor tell each other without a server', async () => {
  const options = { name: 'tabs', kind: 'websocket', keep: 'tabs', server: 'http://127.0.0.1:1' }
  const [one, two] = [await tab(options), await tab(options)]
  await insert(one, 'one ')
  await waitForText(two, 'one ')
  await insert(two, 'two')
  await waitForText(one, 'one two')
})

test('who closes a tab is gone at once', async () => {
  const [one, two, three] = [await tab({ name: 'gone' }), await tab({ name: 'gone' }), await tab({ name: 'gone', kind: 'websocket' })]
  const count = (page, count) => page.waitForFunction((count) => window.app.provider.awareness.getStates().size === count, count)
  await Promise.all([one, two, three].map((page) => count(page, 3)))
  await two.close({ runBeforeUnload: true })
  await count(one, 2)
  await three.close({ runBeforeUnload: true })
  await count(one, 1)
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
