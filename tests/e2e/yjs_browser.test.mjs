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
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { focusEditor, listen, openWindow, turn, until } from './browser.mjs'
import { Program, root } from './program.mjs'

const APP = `
import { Socket } from 'phoenix'
import * as Y from 'yjs'
import { EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { yCollab } from 'y-codemirror.next'
import { Editor } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { Document } from '@tiptap/extension-document'
import { Paragraph } from '@tiptap/extension-paragraph'
import { Text } from '@tiptap/extension-text'
import { BlockNoteEditor } from '@blocknote/core'
import { PhoenixProvider, WebsocketProvider, indexeddb } from '@laniakea/yjs'

const place = () => document.body.appendChild(document.createElement('div'))
const editors = {
  codemirror(doc, provider) {
    const text = doc.getText('codemirror')
    const state = EditorState.create({ doc: text.toString(), extensions: [yCollab(text, provider.awareness)] })
    const view = new EditorView({ state, parent: place() })
    return [view.contentDOM, () => view.state.doc.toString()]
  },
  tiptap(doc) {
    const editor = new Editor({ element: place(), extensions: [Document, Paragraph, Text, Collaboration.configure({ document: doc })] })
    return [editor.view.dom, () => editor.getText({ blockSeparator: '\\n' })]
  },
  blocknote(doc, provider, name) {
    const collaboration = { fragment: doc.getXmlFragment('blocknote'), provider, user: { name, color: '#30bced' }, showCursorLabels: 'always' }
    const editor = BlockNoteEditor.create({ collaboration })
    editor.mount(place())
    return [editor.prosemirrorView.dom, () => editor.document.map(({ content }) => content.map(({ text }) => text).join('')).join('\\n').trim()]
  },
}

const log = []
window.app = {
  log, Y, indexeddb,
  open({ server, name, keep, kind = 'phoenix', editor, user = 'somebody' }) {
    const doc = new Y.Doc()
    const persistence = keep ? indexeddb(keep) : undefined
    let provider
    if (kind === 'phoenix') {
      const socket = new Socket(server.replace('http', 'ws') + '/socket', { reconnectAfterMs: () => 50, rejoinAfterMs: () => 50 })
      socket.connect()
      provider = new PhoenixProvider({ socket, topic: 'doc:' + name, doc, persistence })
    } else {
      provider = new WebsocketProvider(server.replace('http', 'ws') + '/y', name, doc, { persistence, maxBackoffTime: 100 })
    }
    for (const event of ['diverged', 'refused', 'persistence-error']) provider.on(event, (what) => log.push([event, what?.reason ?? String(what)]))
    provider.awareness.setLocalStateField('user', { name: user, color: '#30bced' })
    Object.assign(window.app, { doc, provider, text: doc.getText('t') })
    if (!editor) return
    const [element, read] = editors[editor](doc, provider, user)
    element.id = 'editor'
    window.app.read = read
  },
}
`

const PAGE = '<!doctype html><meta charset="utf-8"><title>yjs</title><body><script type="module" src="/app.js"></script>'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-yjs-'))
const program = new Program()
const complaints = []
let script
let browser
const pages = createServer((request, response) => {
  if (request.url === '/app.js') response.writeHead(200, { 'content-type': 'text/javascript' }).end(script)
  else if (request.url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
  else response.writeHead(204).end()
})

before(async () => {
  const { outputFiles } = await build({
    stdin: { contents: APP, resolveDir: root }, bundle: true, format: 'esm', target: 'es2022', write: false,
    conditions: ['browser'], define: { 'process.env.NODE_ENV': '"production"' }, logLevel: 'error',
  })
  script = outputFiles[0].contents
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  await program.start()
  browser = await openWindow(folder)
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

/** A tab with a document, as `options` of the page's open() have it. */
async function tab(options) {
  const page = await browser.newPage()
  listen(page, options.name, complaints)
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
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

async function bring(page) {
  await page.bringToFront()
  await focusEditor(page, page.locator('#editor'))
}

/** Whether the cursor stands at the `edge` of all that is written, cursors of others left out. */
const isAt = (page, edge) => page.evaluate((edge) => {
  const editor = document.getElementById('editor')
  const { focusNode, focusOffset } = getSelection()
  if (!editor.contains(focusNode)) return false
  const beyond = document.createRange()
  beyond.selectNodeContents(editor)
  if (edge === 'start') beyond.setEnd(focusNode, focusOffset)
  else beyond.setStart(focusNode, focusOffset)
  const copy = beyond.cloneContents()
  for (const cursor of copy.querySelectorAll('.bn-collaboration-cursor__base, .cm-ySelectionCaret')) cursor.remove()
  return copy.textContent.trim() === ''
}, edge)

/** Moves the cursor. An editor that shows what comes from others may put it back meanwhile: then it is moved again. */
async function go(page, edge) {
  await until(async () => {
    await page.keyboard.press(edge === 'start' ? 'Control+Home' : 'Control+End')
    await turn(page, 20)
    return isAt(page, edge)
  }, () => `the cursor goes to the ${edge}`)
}

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
    const selector = { codemirror: '.cm-ySelectionInfo', blocknote: '.bn-collaboration-cursor__label' }[editor]
    if (selector) await ada.waitForFunction((selector) => document.querySelector(selector)?.textContent === 'Ben', selector)
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
