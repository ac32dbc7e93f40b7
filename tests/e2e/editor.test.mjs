// tests/e2e/editor.test.mjs -- the editor and the start page in a real browser: people who write at once, go offline, and lose
// their server.
//
//   node --test tests/e2e/editor.test.mjs
//
// Needs build/laniakea (or LK_PROGRAM) with the pages of build/web inside, and a Chromium (/usr/bin/chromium, or
// LK_CHROMIUM). Screenshots go to build/e2e/.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { Program, root } from './program.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const beside = join(dirname(realpathSync(process.env.LK_PROGRAM ?? join(root, 'build/laniakea'))), 'liblaniakea.a')
const library = existsSync(beside) ? beside : join(root, 'build/liblaniakea.a')
const screenshots = join(root, 'build/e2e')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-editor-'))
const server = new Program()
const complaints = []
const contexts = new Set()
let browser
let names = 0

before(async () => {
  mkdirSync(screenshots, { recursive: true })
  await server.start()
  browser = await chromium.launch({ executablePath: process.env.LK_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, headless: true })
})

after(async () => {
  await browser?.close()
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** A document that no other test knows. */
const newName = () => `test-${process.pid}-${names++}`

/** Somebody with a browser of their own. */
async function newPerson(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, permissions: ['clipboard-read', 'clipboard-write'], ...options })
  context.setDefaultTimeout(20_000)
  contexts.add(context)
  return context
}

function listen(page, name) {
  page.on('pageerror', (error) => complaints.push(`${name}: ${error}`))
  page.on('console', (message) => {
    // A connection that fails is told by the browser itself and is no fault of the page.
    const isNetwork = /WebSocket connection to .* failed|Failed to load resource: net::/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !isNetwork) complaints.push(`${name}: ${message.type()}: ${message.text()}`)
  })
}

const text = (page) => page.locator('.bn-editor')
const standing = (page, ...wanted) => page.waitForFunction((wanted) => wanted.includes(document.getElementById('status')?.dataset.standing), wanted)
const saved = (page) => standing(page, 'saved')

/** A tab with the document `name`, ready to write into. */
async function openTab(person, name, { url = server.url, query = '', wait = saved } = {}) {
  const page = await person.newPage()
  listen(page, name)
  await page.goto(`${url}/edit/${name}${query}`)
  await text(page).waitFor()
  await wait(page)
  return page
}

/** Holds back what pages of `person` change: of the frames that they send, the first asks for the document. Returns how to let go. */
async function holdChanges(person) {
  let isHeld = true
  const held = []
  await person.routeWebSocket(/\/socket\//, (socket) => {
    const upstream = socket.connectToServer()
    let frames = 0
    socket.onMessage((message) => {
      const isChange = typeof message !== 'string' && ++frames > 1
      if (isHeld && isChange) held.push(() => upstream.send(message))
      else upstream.send(message)
    })
  })
  return () => {
    isHeld = false
    for (const send of held.splice(0)) send()
  }
}

/** What the document says: without cursors of others, one line for each block. */
const contentOf = (page) => page.evaluate(() => [...document.querySelectorAll('.bn-editor .bn-inline-content')].map((block) => {
  const copy = block.cloneNode(true)
  for (const cursor of copy.querySelectorAll('.bn-collaboration-cursor__base')) cursor.remove()
  return copy.textContent
}).join('\n').trim())

async function agree(pages, isRight = () => true) {
  const end = Date.now() + 20_000
  for (;;) {
    const contents = await Promise.all(pages.map(contentOf))
    if (contents.every((content) => content === contents[0]) && isRight(contents[0])) return contents[0]
    assert.ok(Date.now() < end, `they do not agree:\n${contents.join('\n--\n')}`)
    await pages[0].waitForTimeout(50)
  }
}

/**
 * Puts the cursor into the text. An editor that gets the focus sets the browser's selection to its own 20 ms later, and
 * so undoes what somebody who is quicker than people moved meanwhile.
 */
async function focus(page) {
  await text(page).focus()
  await page.waitForTimeout(100)
}

async function write(page, what) {
  await focus(page)
  await page.keyboard.type(what)
}

/** Moves the cursor. The editor hears of it from the browser, a moment later. */
async function go(page, key) {
  await focus(page)
  await page.keyboard.press(key)
  await page.waitForTimeout(200)
}

async function writeAtEnd(page, what) {
  await go(page, 'End')
  await page.keyboard.type(what)
}

/** Writes `count` times `letter`, one at a time. */
const typeMany = async (page, letter, count, delay) => {
  for (let i = 0; i < count; i++) {
    await page.keyboard.type(letter)
    await page.waitForTimeout(delay)
  }
}

const countOf = (content, letter) => content.split(letter).length - 1

async function close(...people) {
  for (const person of people) {
    contexts.delete(person)
    await person.close()
  }
}

// ---- writing together

test('without a name a document gets one that can be read aloud', async () => {
  const person = await newPerson()
  const page = await person.newPage()
  listen(page, 'new')
  await page.goto(`${server.url}/edit/`)
  await saved(page)
  assert.match(page.url(), /\/edit\/[a-z]+-[a-z]+-[a-z2-9]{6}$/)
  assert.equal(await page.locator('h1').textContent(), page.url().split('/').at(-1))
  const first = page.url()
  await page.getByRole('link', { name: 'New document' }).click()
  await page.waitForURL((url) => url.href !== first && /\/edit\/./.test(url.pathname))
  await saved(page)
  await close(person)
})

test('two who write into an empty document at once agree, and nothing is lost', async () => {
  const [ann, ben] = [await newPerson(), await newPerson()]
  const name = newName()
  const letGo = [await holdChanges(ann), await holdChanges(ben)] // both find nothing there, and begin
  const shown = (page) => text(page).waitFor()
  const [one, two] = await Promise.all([openTab(ann, name, { wait: shown }), openTab(ben, name, { wait: shown })])
  await Promise.all([write(one, 'a'), write(two, 'b')])
  for (const go of letGo) go()
  await Promise.all([typeMany(one, 'a', 39, 7), typeMany(two, 'b', 39, 11)])
  const content = await agree([one, two], (content) => content.length >= 80)
  assert.equal(countOf(content, 'a'), 40)
  assert.equal(countOf(content, 'b'), 40)
  await Promise.all([saved(one), saved(two)])
  await one.reload()
  await saved(one)
  assert.equal(await agree([one, two]), content)
  await close(ann, ben)
})

test('what is written offline in the same paragraph comes together', async () => {
  const [ann, ben] = [await newPerson(), await newPerson()]
  const name = newName()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'The middle.')
  await agree([one, two], (content) => content === 'The middle.')
  await ann.setOffline(true)
  await standing(one, 'offline')
  await one.getByText('You are offline').waitFor()
  await writeAtEnd(one, ' Ann was in a tunnel.')
  await go(two, 'Control+Home')
  await two.keyboard.type('Ben was first. ')
  await saved(two)
  assert.equal(await contentOf(one), 'The middle. Ann was in a tunnel.')
  assert.equal(await contentOf(two), 'Ben was first. The middle.')
  await one.screenshot({ path: join(screenshots, 'editor-offline.png') })
  await ann.setOffline(false)
  const content = await agree([one, two], (content) => content.includes('tunnel') && content.includes('first'))
  assert.equal(content, 'Ben was first. The middle. Ann was in a tunnel.')
  await Promise.all([saved(one), saved(two)])
  await close(ann, ben)
})

test('a server that is killed while two write comes back with all of it', async () => {
  const [ann, ben] = [await newPerson(), await newPerson()]
  const name = newName()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'Start. ')
  await agree([one, two], (content) => content.startsWith('Start.'))
  await writeAtEnd(two, ' ')
  await writeAtEnd(one, ' ')
  const writing = Promise.all([typeMany(one, 'x', 60, 25), typeMany(two, 'y', 60, 25)])
  await one.waitForTimeout(500)
  await server.stop('SIGKILL')
  await one.waitForTimeout(700)
  await server.start()
  await writing
  await Promise.all([saved(one), saved(two)])
  const content = await agree([one, two], (content) => countOf(content, 'x') + countOf(content, 'y') >= 120)
  assert.equal(countOf(content, 'x'), 60)
  assert.equal(countOf(content, 'y'), 60)
  await close(ann, ben)
  const third = await newPerson()
  assert.equal(await contentOf(await openTab(third, name)), content)
  await close(third)
})

test('what a closed tab wrote without a server is sent when it is opened again', async () => {
  const ann = await newPerson()
  const name = newName()
  let page = await openTab(ann, name)
  await write(page, 'Known. ')
  await saved(page)
  await server.stop('SIGKILL')
  await standing(page, 'offline')
  await writeAtEnd(page, 'Written alone.')
  await page.waitForTimeout(500) // until it is in the browser's storage
  await page.close()
  await server.start()
  page = await openTab(ann, name)
  assert.match(await contentOf(page), /Known\..*Written alone\./)
  const ben = await newPerson()
  assert.match(await contentOf(await openTab(ben, name)), /Written alone\./)
  await close(ann, ben)
})

/** The first text in BlockNote's tree. */
function firstText(node) {
  if (node instanceof Y.XmlText) return node
  for (const child of node.toArray()) {
    const found = firstText(child)
    if (found) return found
  }
  return undefined
}

/** One who writes `text` in the editor, and what `body` does beside, with an unmodified client of y-websocket. */
async function besideWebsocket(text, body) {
  const ann = await newPerson()
  const name = newName()
  const page = await openTab(ann, name)
  await write(page, text)
  await saved(page)
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${server.url.replace('http', 'ws')}/y`, name, doc)
  try {
    await new Promise((resolve) => provider.once('sync', resolve))
    await body({ page, provider, node: firstText(doc.getXmlFragment('document-store')) })
  } finally {
    provider.destroy()
    doc.destroy()
  }
  await close(ann)
}

test('an unmodified y-websocket client writes in the same document', async () => {
  await besideWebsocket('From the editor', async ({ page, provider, node }) => {
    assert.equal(node.toString(), 'From the editor')
    assert.equal([...provider.awareness.getStates().values()].filter(({ user }) => user?.name).length, 1)
    node.insert(node.length, ', and from y-websocket')
    await agree([page], (content) => content === 'From the editor, and from y-websocket')
    await writeAtEnd(page, '!')
    await saved(page)
    assert.equal(node.toString(), 'From the editor, and from y-websocket!')
  })
})

// ---- people

test('others are seen with their names and cursors, and a new name is seen at once', async () => {
  const [ann, ben] = [await newPerson(), await newPerson()]
  const name = newName()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'Hello')
  await agree([one, two], (content) => content === 'Hello')
  await two.locator('.bn-collaboration-cursor__label').waitFor({ state: 'attached' })
  await one.getByRole('button', { name: '2 people are here' }).click()
  await two.locator('.bn-collaboration-cursor__label').waitFor({ state: 'detached' })
  const hostile = '<b style="x">Ann</b>'
  await one.getByRole('textbox', { name: 'Your name' }).fill(hostile)
  await one.getByRole('radio', { name: 'Pink' }).check()
  await one.keyboard.press('Escape')
  await go(one, 'Control+Home')
  const label = two.locator('.bn-collaboration-cursor__label')
  await label.filter({ hasText: hostile }).waitFor({ state: 'attached' })
  assert.equal(await label.evaluate((element) => element.style.backgroundColor), 'rgb(166, 30, 109)')
  await two.getByRole('button', { name: '2 people are here' }).click()
  await two.getByText(hostile, { exact: true }).first().waitFor({ state: 'attached' })
  await one.reload()
  await saved(one)
  assert.equal(await one.evaluate(() => JSON.parse(localStorage.getItem('laniakea.person')).name), hostile)
  await close(ann)
  await two.getByRole('button', { name: 'Only you are here' }).waitFor()
  await close(ben)
})

test('a color that is none does no harm', async () => {
  await besideWebsocket('Some text', async ({ page, provider, node }) => {
    const at = (index) => JSON.parse(JSON.stringify(Y.createRelativePositionFromTypeIndex(node, index)))
    provider.awareness.setLocalState({ user: { name: 'Eve', color: 'red; position: fixed; inset: 0' }, cursor: { anchor: at(1), head: at(5) } })
    await page.locator('.bn-collaboration-cursor__label', { hasText: 'Eve' }).waitFor({ state: 'attached' })
    assert.equal(await page.locator('.bn-editor [style*="fixed"]').count(), 0)
  })
})

// ---- what can be done with it

test('a document is shared by its address, and exported as HTML and Markdown', async () => {
  const ann = await newPerson()
  const name = newName()
  const page = await openTab(ann, name)
  await write(page, '# A title')
  await page.keyboard.press('Enter')
  await page.keyboard.type('Some words & signs.')
  await saved(page)
  await page.getByRole('button', { name: 'Share' }).click()
  await page.getByText('The link is copied.').waitFor({ state: 'attached' })
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${server.url}/edit/${name}`)
  for (const [choice, ending, expected] of [['HTML page', 'html', /<h1[^>]*>A title<\/h1>[^]*Some words &amp; signs\./], ['Markdown', 'md', /# A title\n+Some words & signs\./]]) {
    await page.getByRole('button', { name: 'Export' }).click()
    const coming = page.waitForEvent('download')
    await page.getByRole('button', { name: choice }).click()
    const download = await coming
    assert.equal(download.suggestedFilename(), `${name}.${ending}`)
    assert.match(readFileSync(await download.path(), 'utf8'), expected)
  }
  await close(ann)
})

test('all of it works by keyboard', async () => {
  const ann = await newPerson()
  const page = await openTab(ann, newName())
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)
  const seen = []
  for (let i = 0; i < 7; i++) {
    await page.keyboard.press('Tab')
    seen.push(await focused())
  }
  assert.deepEqual(seen.map((label) => label.split('.')[0]), ['Skip to the document', 'Laniakea, start page', 'Only you are here', 'New document', 'Export',
    'Share: copy the link', 'Document'])
  await page.keyboard.type('By hand')
  await page.keyboard.press('Escape')
  assert.equal(await focused(), 'Share: copy the link')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  assert.equal(await focused(), 'HTML page')
  await page.keyboard.press('Escape')
  assert.equal(await focused(), 'Export')
  assert.equal(await page.getByRole('button', { name: 'Export' }).getAttribute('aria-expanded'), 'false')
  await close(ann)
})

// ---- what the server says

test('a document that is in memory alone says so, and is not kept in the browser', async () => {
  const ephemeral = new Program({ data: false })
  await ephemeral.start()
  const ann = await newPerson()
  try {
    const page = await openTab(ann, 'passing', { url: ephemeral.url })
    await page.getByText('This document is in memory only. It is erased when nobody has been here for 15 minutes.').waitFor()
    await write(page, 'Written on water.')
    await saved(page)
    await page.waitForTimeout(300)
    const kept = await page.evaluate(() => new Promise((resolve) => {
      const opening = indexedDB.open('laniakea-yjs doc:passing')
      opening.onsuccess = () => {
        const all = opening.result.transaction('updates').objectStore('updates').getAll()
        all.onsuccess = () => resolve(all.result.length)
      }
    }))
    assert.equal(kept, 0)
    await page.screenshot({ path: join(screenshots, 'editor-ephemeral.png') })
  } finally {
    await close(ann)
    await ephemeral.dispose()
  }
})

function jwt(secret, claims) {
  const b64 = (value) => Buffer.from(value).toString('base64url')
  const body = `${b64(JSON.stringify({ alg: 'HS256', typ: 'JWT' }))}.${b64(JSON.stringify({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims }))}`
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

test('who may only read is told so, and who may not come in as well', async () => {
  const secret = '0123456789abcdef0123456789abcdef'
  const keyFile = join(folder, 'jwt')
  writeFileSync(keyFile, secret, { mode: 0o600 })
  const strict = new Program('--token-jwt-secret-file', keyFile)
  await strict.start()
  const [ann, ben, eve] = [await newPerson(), await newPerson(), await newPerson()]
  const tokenOf = (rights) => `?token=${jwt(secret, { sub: 'somebody', topics: rights })}`
  try {
    const one = await openTab(ann, 'rules', { url: strict.url, query: tokenOf({ 'doc:*': 'write' }) })
    await write(one, 'As it is written.')
    await saved(one)
    assert.equal(one.url(), `${strict.url}/edit/rules`)
    const two = await openTab(ben, 'rules', { url: strict.url, query: tokenOf({ 'doc:*': 'read' }), wait: (page) => standing(page, 'reading') })
    await agree([one, two], (content) => content === 'As it is written.')
    await two.getByText('You may read this document').waitFor()
    assert.equal(await text(two).getAttribute('contenteditable'), 'false')
    await two.screenshot({ path: join(screenshots, 'editor-reading.png') })
    const three = await eve.newPage()
    listen(three, 'denied')
    await three.goto(`${strict.url}/edit/rules${tokenOf({ 'doc:other': 'write' })}`)
    await three.getByText('does not let you into this document').waitFor()
    await three.evaluate(() => sessionStorage.clear())
    await three.goto(`${strict.url}/edit/rules`)
    await three.getByText('It may want a token').waitFor()
  } finally {
    await close(ann, ben, eve)
    await strict.dispose()
  }
})

/* Goal: nothing merges into a document that began again. Method: the server loses its data while a tab is closed, and
 * somebody else writes under the same name. */
test('a copy of a document that began again is kept apart, until its reader lets it go', async () => {
  const wiped = new Program()
  await wiped.start()
  const [ann, ben] = [await newPerson(), await newPerson()]
  try {
    let one = await openTab(ann, 'again', { url: wiped.url })
    await write(one, 'The old one.')
    await saved(one)
    await one.waitForTimeout(500) // until it is in the browser's storage
    await one.close()
    await wiped.stop()
    for (const entry of readdirSync(wiped.data)) rmSync(join(wiped.data, entry), { recursive: true })
    await wiped.start()
    const two = await openTab(ben, 'again', { url: wiped.url })
    await write(two, 'The new one.')
    await saved(two)
    one = await openTab(ann, 'again', { url: wiped.url, wait: (page) => standing(page, 'refused') })
    await one.getByText('was erased and began again').waitFor()
    assert.equal(await contentOf(one), 'The old one.')
    assert.equal(await contentOf(two), 'The new one.')
    await one.screenshot({ path: join(screenshots, 'editor-diverged.png') })
    one.once('dialog', (dialog) => dialog.accept())
    await one.getByRole('button', { name: 'Open what the server has' }).click()
    await agree([one, two], (content) => content === 'The new one.')
  } finally {
    await close(ann, ben)
    await wiped.dispose()
  }
})

// ---- how it looks

/** What axe finds of serious and critical impact. */
async function violations(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join('\n')}`)
}

async function fits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(wide <= 0, `${what} scrolls sideways by ${wide}`)
}

async function fill(page) {
  await write(page, '# Trip to the lake')
  await page.keyboard.press('Enter')
  await page.keyboard.type('We leave on Friday, after work. Everybody brings something, and nobody brings too much.')
  await page.keyboard.press('Enter')
  for (const line of ['[ ] Tent, and the good rope', 'Lamp', 'Bread for four']) {
    await page.keyboard.type(line)
    await page.keyboard.press('Enter')
  }
  await page.keyboard.press('Enter')
  await page.keyboard.type('> Whoever comes last carries the water.')
  await saved(page)
}

test('the editor fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const [ann, ben] = [await newPerson(), await newPerson()]
  const name = 'trip-to-the-lake'
  const other = await openTab(ben, name)
  await fill(other)
  await other.keyboard.press('Control+Home')
  const page = await openTab(ann, name)
  for (const colorScheme of ['light', 'dark']) {
    for (const [device, width, height] of [['desktop', 1280, 860], ['phone', 360, 740]]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height })
      await other.keyboard.press('ArrowRight') // so that its name is shown
      await page.waitForTimeout(300)
      await page.screenshot({ path: join(screenshots, `editor-${device}-${colorScheme}.png`), animations: 'disabled' })
      await fits(page, `the editor on a ${device}`)
      assert.deepEqual(await violations(page), [], `${device} ${colorScheme}`)
      await page.getByRole('button', { name: '2 people are here' }).click()
      await page.screenshot({ path: join(screenshots, `editor-people-${device}-${colorScheme}.png`), animations: 'disabled' })
      assert.deepEqual(await violations(page), [], `people, ${device} ${colorScheme}`)
      await page.keyboard.press('Escape')
    }
  }
  await close(ann, ben)
})

test('the start page fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const ann = await newPerson()
  const page = await ann.newPage()
  listen(page, 'start')
  await page.goto(server.url)
  await page.getByText(/Running: \d+ rooms? open/).waitFor()
  for (const colorScheme of ['light', 'dark']) {
    for (const [device, width, height] of [['desktop', 1280, 860], ['phone', 360, 740]]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height })
      await page.screenshot({ path: join(screenshots, `start-${device}-${colorScheme}.png`), fullPage: true, animations: 'disabled' })
      await fits(page, `the start page on a ${device}`)
      assert.deepEqual(await violations(page), [], `${device} ${colorScheme}`)
    }
  }
  await page.getByRole('link', { name: /New document/ }).click()
  await saved(page)
  await page.goBack()
  await page.getByRole('link', { name: /Counter/ }).click()
  await page.locator('#increment:enabled').waitFor()
  await close(ann)
})

// ---- what the start page offers to copy

/** Runs until its output matches, and what it said has arrived. */
async function runUntil(pattern, command, args, arrived) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  try {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${args.join(' ')} said only: ${output}`)), 15_000)
      const hear = (bytes) => {
        output += bytes
        if (!pattern.test(output)) return
        clearTimeout(timer)
        resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.on('exit', (code) => code !== 0 && reject(new Error(`${args.join(' ')} ended with ${code}: ${output}`)))
    })
    await arrived?.()
  } finally {
    child.kill('SIGKILL')
  }
}

test('what is copied from the start page works as it is', async () => {
  const ann = await newPerson()
  const page = await ann.newPage()
  listen(page, 'snippets')
  await page.goto(server.url)
  const copied = async (name) => {
    await page.getByRole('button', { name: `Copy the code ${name}` }).click()
    await page.getByText('Copied').waitFor()
    const code = await page.evaluate(() => navigator.clipboard.readText())
    await page.getByText('Copied').waitFor({ state: 'detached' })
    return code
  }
  const script = async (name, label) => {
    const file = join(screenshots, `snippet-${name}.mjs`) // inside the project, where its packages are found
    writeFileSync(file, await copied(label))
    return file
  }
  const read = async () => (await fetch(`${server.url}/api/topics/doc:hello?as=text`)).text()
  const arrived = async () => {
    while (!(await read()).includes('y-websocket')) await page.waitForTimeout(50)
  }
  await runUntil(/^Hello from y-websocket\. \n/m, process.execPath, [await script('y-websocket', 'for y-websocket')], arrived)
  await runUntil(/^Hello from phoenix\.js\. Hello from y-websocket\. \n/m, process.execPath, [await script('phoenix', 'for phoenix.js')])
  const code = await copied('in C')
  const [source, binary, update] = ['hello.c', 'hello', 'hello.bin'].map((name) => join(folder, name))
  writeFileSync(source, code)
  const libraries = execFileSync('pkg-config', ['--libs', 'libcrypto', 'libsodium', 'zlib'], { encoding: 'utf8' }).trim().split(' ')
  execFileSync('cc', ['-Wall', '-Werror', source, '-I', join(root, 'include'), library, ...libraries, '-lpthread', '-lm', '-o', binary])
  writeFileSync(update, execFileSync(binary))
  const [, address] = /^ \*   (http\S+) \*\/$/m.exec(code)
  const response = await fetch(address, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: readFileSync(update) })
  assert.equal(response.status, 200, await response.text())
  const said = await read()
  for (const who of ['y-websocket', 'C']) assert.ok(said.includes(`Hello from ${who}. `), said)
  await close(ann)
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
