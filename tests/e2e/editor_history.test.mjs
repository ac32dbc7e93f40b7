// tests/e2e/editor_history.test.mjs -- the editor's version history in a real browser: what was there, who wrote it, and the way back.
//
//   node --test tests/e2e/editor_history.test.mjs
//
// Needs what editor.test.mjs does. What the server says of versions: versions.test.mjs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { artifact, assertFits, everyLook, leave, until, useBrowser, violations } from './browser.mjs'
import { acknowledged, agree, newName, saved, shows, standing, tabsOf, write, writeAtEnd } from './editor.mjs'
import { Program } from './program.mjs'

const server = new Program('--versions', 'doc:kept-*=saved')
const browser = useBrowser(server)
const openTab = tabsOf(browser, server)

const newKept = () => `kept-${newName()}`
const button = (page, name) => page.getByRole('button', { name, exact: true })
const slider = (page) => page.getByRole('slider', { name: 'Version' })
const openHistory = (page) => button(page, 'Version history').click()

/** Saves a version by HTTP, without a name where there is none. */
async function save(name, version) {
  const response = await fetch(`${server.url}/api/topics/doc:${name}/versions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(version === undefined ? {} : { name: version }),
  })
  assert.equal(response.status, 201)
}

/** What the version says that is looked at: one line for each block, +what came+ and -what went-. */
const sightOf = (page) => page.evaluate(() => [...document.querySelectorAll('.version :is(.bn-inline-content, div.gone)')].map((block) => {
  const copy = block.cloneNode(true)
  for (const mark of copy.querySelectorAll('ins, del')) {
    const sign = mark.tagName === 'INS' ? '+' : '-'
    mark.replaceWith(sign + mark.textContent + sign)
  }
  return copy.textContent
}).join('\n').trim())

async function sees(page, expected) {
  let seen
  await until(async () => (seen = await sightOf(page)) === expected, () => `the version says:\n${seen}`)
}

test('the slider goes through what the document said, with what changed and who wrote it', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = newKept()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'We meet on Friday.')
  await one.keyboard.press('Enter')
  await one.keyboard.type('At the lake.')
  await acknowledged(one)
  await save(name, 'as it began')
  for (let i = 0; i < 12; i++) await one.keyboard.press('Backspace')
  await one.keyboard.press('Backspace') // and its block
  await agree([one, two], (content) => content === 'We meet on Friday.')
  await acknowledged(one)
  await writeAtEnd(two, ' All of us.')
  await acknowledged(two)
  await save(name)
  await writeAtEnd(two, ' Really.')
  await agree([one, two], (content) => content.endsWith('Really.'))
  await openHistory(one)
  await sees(one, 'We meet on Friday. All of us.+ Really.+')
  const { name: bens } = await two.evaluate(() => JSON.parse(localStorage.getItem('laniakea.person')))
  await one.getByText(`Written by ${bens}`).waitFor()
  assert.equal(await one.locator('.version ins').getAttribute('title'), `Written by ${bens}`)
  await writeAtEnd(two, ' Yes.') // what is shown as now is now
  await sees(one, 'We meet on Friday. All of us.+ Really. Yes.+')
  await one.keyboard.press('ArrowLeft')
  await sees(one, 'We meet on Friday.+ All of us.+\n-At the lake.-')
  await button(one, 'Earlier version').click()
  await sees(one, '+We meet on Friday.+\n+At the lake.+')
  assert.match(await slider(one).getAttribute('aria-valuetext'), /^as it began, version 1 of 2$/)
  await one.getByLabel('Show changes').uncheck()
  await sees(one, 'We meet on Friday.\nAt the lake.')
  await leave(ann, ben)
})

test('a version is saved, restored for everybody, and that is taken back', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = newKept()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'The first words.')
  await acknowledged(one)
  await openHistory(one)
  await one.getByText('No version is kept yet.').waitFor()
  await button(one, 'Save a version').click()
  await one.getByLabel('What to call it').fill('the first')
  await button(one, 'Save').click()
  await slider(one).waitFor()
  await writeAtEnd(two, ' And others.')
  await agree([two], (content) => content === 'The first words. And others.')
  await acknowledged(two)
  await slider(one).press('Home')
  await one.getByText('the first').first().waitFor()
  await button(one, 'Restore').click()
  await button(one, 'Cancel').click()
  await button(one, 'Restore').click()
  await button(one, 'Restore it').click()
  await shows(two, 'The first words.')
  await one.getByText('The document says again what it said at “the first”').waitFor()
  await shows(one, 'The first words.')
  await button(one, 'Undo').click()
  await agree([one, two], (content) => content === 'The first words. And others.')
  await leave(ann, ben)
})

test('the history works by keyboard, and says when the server is away', async () => {
  const ann = await browser.newPerson()
  const name = newKept()
  const page = await openTab(ann, name)
  await write(page, 'Text')
  await acknowledged(page)
  await save(name, 'one')
  await save(name, 'two')
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent)
  const isFocused = (label) => until(async () => await focused() === label, async () => `${label} is focused, not ${await focused()}`)
  await button(page, 'Version history').focus()
  await page.keyboard.press('Enter')
  await isFocused('Version')
  await page.keyboard.press('Home')
  await page.getByText('one').first().waitFor()
  await page.keyboard.press('End')
  await page.getByText('What the document says').waitFor()
  await page.keyboard.press('ArrowLeft')
  for (const label of ['Later version', 'Restore', 'Show changes']) {
    await page.keyboard.press('Tab')
    if (label !== 'Show changes') await isFocused(label)
  }
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await isFocused('Cancel')
  await page.keyboard.press('Escape') // the question alone
  await isFocused('Restore')
  await ann.setOffline(true)
  await standing(page, 'offline')
  await page.getByText('It is here again when you are online').waitFor()
  await ann.setOffline(false)
  await saved(page)
  await page.keyboard.press('Escape')
  await isFocused('Version history')
  assert.equal(await slider(page).count(), 0)
  await leave(ann)
})

test('where no versions are kept the history says how that is changed', async () => {
  const ann = await browser.newPerson()
  const page = await openTab(ann, newName())
  await openHistory(page)
  await page.getByText("laniakea serve --versions 'doc:*=1h'").waitFor()
  assert.deepEqual(await violations(page), [])
  await page.screenshot({ path: artifact('editor-history-none.png') })
  await page.keyboard.press('Escape')
  await write(page, 'It goes on.')
  await shows(page, 'It goes on.')
  await leave(ann)
})

test('the history fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const ann = await browser.newPerson()
  const name = newKept()
  const page = await openTab(ann, name)
  await write(page, '# Trip to the lake')
  await page.keyboard.press('Enter')
  await page.keyboard.type('We leave on Friday, after work.')
  await page.keyboard.press('Enter')
  await page.keyboard.type('[ ] Tent')
  await acknowledged(page)
  await save(name, 'What we said on Monday')
  for (let i = 0; i < 4; i++) await page.keyboard.press('Backspace')
  await page.keyboard.type('Boat, and the good rope')
  await acknowledged(page)
  await save(name)
  await openHistory(page)
  await slider(page).press('ArrowLeft')
  await sees(page, 'Trip to the lake\nWe leave on Friday, after work.\n-Tent-+Boat, and the good rope+')
  await everyLook(page, async (device, colorScheme) => {
    await page.screenshot({ path: artifact(`editor-history-${device}-${colorScheme}.png`), animations: 'disabled' })
    await assertFits(page, `the history on a ${device}`)
    assert.deepEqual(await violations(page), [], `${device} ${colorScheme}`)
  })
  await button(page, 'Restore').click()
  await page.screenshot({ path: artifact('editor-restore.png'), animations: 'disabled' })
  assert.deepEqual(await violations(page), [])
  await leave(ann)
})

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
