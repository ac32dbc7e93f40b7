// tests/e2e/editor.test.mjs -- the editor in a real browser: people who write at once, see each other, and what they can do.
//
//   node --test tests/e2e/editor.test.mjs
//
// Needs build/laniakea (or LK_PROGRAM) with the pages of build/web inside, and what browser.mjs says. How the editor does
// without its server: editor_outage.test.mjs.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { artifact, assertFits, everyLook, leave, until, useBrowser, violations } from './browser.mjs'
import { acknowledged, agree, countOf, firstText, go, newName, saved, shows, tabsOf, text, typeMany, write, writeAtEnd } from './editor.mjs'
import { Program } from './program.mjs'

const server = new Program()
const browser = useBrowser(server)
const openTab = tabsOf(browser, server)

// ---- writing together

test('without a name a document gets one that can be read aloud', async () => {
  const person = await browser.newPerson()
  const page = await browser.newPage(person, 'new')
  await page.goto(`${server.url}/edit/`)
  await saved(page)
  assert.match(page.url(), /\/edit\/[a-z]+-[a-z]+-[a-z2-9]{6}$/)
  assert.equal(await page.locator('h1').textContent(), page.url().split('/').at(-1))
  const first = page.url()
  await page.getByRole('link', { name: 'New document' }).click()
  await page.waitForURL((url) => url.href !== first && /\/edit\/./.test(url.pathname))
  await saved(page)
  await leave(person)
})

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

test('two who write into an empty document at once agree, and nothing is lost', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = newName()
  const letGo = [await holdChanges(ann), await holdChanges(ben)] // both find nothing there, and begin
  const shown = (page) => text(page).waitFor()
  const [one, two] = await Promise.all([openTab(ann, name, { wait: shown }), openTab(ben, name, { wait: shown })])
  await Promise.all([write(one, 'a'), write(two, 'b')])
  for (const send of letGo) send()
  await Promise.all([typeMany(one, 'a', 39, 7), typeMany(two, 'b', 39, 11)])
  const content = await agree([one, two], (content) => content.length >= 80)
  assert.equal(countOf(content, 'a'), 40)
  assert.equal(countOf(content, 'b'), 40)
  await Promise.all([acknowledged(one), acknowledged(two)])
  await one.reload()
  await saved(one)
  assert.equal(await agree([one, two]), content)
  await leave(ann, ben)
})

/** One who writes `text` in the editor, and what `body` does beside, with an unmodified client of y-websocket. */
async function besideWebsocket(text, body) {
  const ann = await browser.newPerson()
  const name = newName()
  const page = await openTab(ann, name)
  await write(page, text)
  await acknowledged(page)
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${server.url.replace('http', 'ws')}/y`, name, doc)
  try {
    await new Promise((resolve) => provider.once('sync', resolve))
    await body({ page, provider, node: firstText(doc.getXmlFragment('document-store')) })
  } finally {
    provider.destroy()
    doc.destroy()
  }
  await leave(ann)
}

test('an unmodified y-websocket client writes in the same document', async () => {
  await besideWebsocket('From the editor', async ({ page, provider, node }) => {
    assert.equal(node.toString(), 'From the editor')
    const named = () => [...provider.awareness.getStates().values()].filter(({ user }) => user?.name)
    await until(() => named().length === 1, () => `the editor is there: ${JSON.stringify(named())}`)
    node.insert(node.length, ', and from y-websocket')
    await shows(page, 'From the editor, and from y-websocket')
    await writeAtEnd(page, '!')
    await until(() => node.toString() === 'From the editor, and from y-websocket!', () => node.toString())
  })
})

// ---- people

test('others are seen with their names and cursors, and a new name is seen at once', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
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
  const colorOf = () => label.evaluate((element) => element.style.backgroundColor)
  await until(async () => await colorOf() === 'rgb(166, 30, 109)', colorOf)
  await two.getByRole('button', { name: '2 people are here' }).click()
  await two.getByText(hostile, { exact: true }).first().waitFor({ state: 'attached' })
  await one.reload()
  await saved(one)
  assert.equal(await one.evaluate(() => JSON.parse(localStorage.getItem('laniakea.person')).name), hostile)
  await leave(ann)
  await two.getByRole('button', { name: 'Only you are here' }).waitFor()
  await leave(ben)
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
  const ann = await browser.newPerson()
  const name = newName()
  const page = await openTab(ann, name)
  await write(page, '# A title')
  await page.keyboard.press('Enter')
  await page.keyboard.type('Some words & signs.')
  await acknowledged(page)
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
  await leave(ann)
})

test('all of it works by keyboard', async () => {
  const ann = await browser.newPerson()
  const page = await openTab(ann, newName())
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)
  const isFocused = (label) => until(async () => await focused() === label, async () => `${label} is focused, not ${await focused()}`)
  const seen = []
  for (let i = 0; i < 8; i++) {
    await page.keyboard.press('Tab')
    seen.push(await focused())
  }
  assert.deepEqual(seen.map((label) => label.split('.')[0]), ['Skip to the document', 'Laniakea, start page', 'Only you are here', 'New document', 'Version history',
    'Export', 'Share: copy the link', 'Document'])
  await page.keyboard.type('By hand')
  await page.keyboard.press('Escape')
  await isFocused('Share: copy the link')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await isFocused('HTML page')
  await page.keyboard.press('Escape')
  await isFocused('Export')
  assert.equal(await page.getByRole('button', { name: 'Export' }).getAttribute('aria-expanded'), 'false')
  await leave(ann)
})

// ---- how it looks

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
  await acknowledged(page)
}

test('the editor fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = 'trip-to-the-lake'
  const other = await openTab(ben, name)
  await fill(other)
  await go(other, 'Control+Home')
  const page = await openTab(ann, name)
  await everyLook(page, async (device, colorScheme) => {
    await other.keyboard.press('ArrowRight')
    await page.locator('.bn-collaboration-cursor__base[data-active]').waitFor({ state: 'attached' }) // with its name
    await page.screenshot({ path: artifact(`editor-${device}-${colorScheme}.png`), animations: 'disabled' })
    await assertFits(page, `the editor on a ${device}`)
    assert.deepEqual(await violations(page), [], `${device} ${colorScheme}`)
    await page.getByRole('button', { name: '2 people are here' }).click()
    await page.screenshot({ path: artifact(`editor-people-${device}-${colorScheme}.png`), animations: 'disabled' })
    assert.deepEqual(await violations(page), [], `people, ${device} ${colorScheme}`)
    await page.keyboard.press('Escape')
  })
  await leave(ann, ben)
})

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
