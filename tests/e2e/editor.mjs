// tests/e2e/editor.mjs -- the editor's page as people use it: tabs with a document, what is typed into them and what they show.
import * as Y from 'yjs'
import { focusEditor, turn, until } from './browser.mjs'

let names = 0

/** A document that no other test knows. */
export const newName = () => `test-${process.pid}-${names++}`

export const text = (page) => page.locator('.bn-editor')

// ---- how it stands with the server

export const standing = (page, ...wanted) => page.waitForFunction((wanted) => wanted.includes(document.getElementById('status')?.dataset.standing), wanted)
export const saved = (page) => standing(page, 'saved')

/** Resolves when the server has all that was written: the page says that it is saving when that takes 400 ms. */
export async function acknowledged(page) {
  await turn(page, 450)
  await saved(page)
}

/** Tabs with documents of `server`, in `browser`. */
export const tabsOf = (browser, server) =>
  /** A tab with the document `name`, ready to write into. */
  async function openTab(person, name, { url = server.url, query = '', wait = saved } = {}) {
    const page = await browser.newPage(person, name)
    await page.goto(`${url}/edit/${name}${query}`)
    await text(page).waitFor()
    await wait(page)
    return page
  }

// ---- what it shows

/** What the document says: without cursors of others, one line for each block. */
export const contentOf = (page) => page.evaluate(() => [...document.querySelectorAll('.bn-editor .bn-inline-content')].map((block) => {
  const copy = block.cloneNode(true)
  for (const cursor of copy.querySelectorAll('.bn-collaboration-cursor__base')) cursor.remove()
  return copy.textContent
}).join('\n').trim())

/** Resolves to what all `pages` show, as soon as they show the same and `isRight` finds it right. */
export async function agree(pages, isRight = () => true) {
  let contents
  await until(async () => {
    contents = await Promise.all(pages.map(contentOf))
    return contents.every((content) => content === contents[0]) && isRight(contents[0])
  }, () => `they agree:\n${contents.join('\n--\n')}`)
  return contents[0]
}

export const shows = (page, content) => agree([page], (shown) => shown === content)

export const countOf = (content, letter) => content.split(letter).length - 1

// ---- what is typed

const focus = (page) => focusEditor(page, text(page))

export async function write(page, what) {
  await focus(page)
  await page.keyboard.type(what)
}

/** Whether the editor and the browser agree that the cursor is where `key` moves it. */
const isAt = (page, key) => page.evaluate((key) => {
  const { view } = document.querySelector('.bn-editor').editor
  const { $head, empty, head } = view.state.selection
  const { focusNode, focusOffset } = getSelection()
  if (!empty || !view.dom.contains(focusNode) || view.posAtDOM(focusNode, focusOffset) !== head) return false
  if (key === 'Control+Home') return view.state.doc.textBetween(0, head) === '' && $head.parentOffset === 0
  return $head.parentOffset === $head.parent.content.size // End, in a block of one line
}, key)

/**
 * Moves the cursor by a key. What somebody else writes or shows meanwhile makes the editor put the cursor back where it
 * knew it: then the key is pressed again.
 */
export async function go(page, key) {
  await focus(page)
  await until(async () => {
    await page.keyboard.press(key)
    await turn(page, 20)
    return isAt(page, key)
  }, () => `${key} moves the cursor`)
}

export async function writeAtEnd(page, what) {
  await go(page, 'End')
  await page.keyboard.type(what)
}

/** Writes `count` times `letter`, one at a time. */
export async function typeMany(page, letter, count, delay) {
  for (let i = 0; i < count; i++) {
    await page.keyboard.type(letter)
    await page.waitForTimeout(delay)
  }
}

// ---- what is kept in the browser

/** All updates of the document `name` that the browser keeps. */
const updatesOf = (page, name) => page.evaluate((name) => new Promise((resolve, reject) => {
  const opening = indexedDB.open(`laniakea-yjs doc:${name}`)
  opening.onerror = () => reject(opening.error)
  opening.onsuccess = () => {
    const reading = opening.result.transaction('updates').objectStore('updates').getAll()
    reading.onsuccess = () => {
      opening.result.close()
      resolve(reading.result.map((update) => [...update]))
    }
  }
}), name)

export const countKept = async (page, name) => (await updatesOf(page, name)).length

/** Resolves when the browser keeps `content` of the document `name`, so that it outlives its tab. */
export async function kept(page, name, content) {
  let found
  await until(async () => {
    const doc = new Y.Doc()
    for (const update of await updatesOf(page, name)) Y.applyUpdate(doc, Uint8Array.from(update))
    found = doc.getXmlFragment('document-store').toString()
    return found.includes(content)
  }, () => `the browser keeps ${content}: ${found}`)
}

/** The first text in BlockNote's tree. */
export function firstText(node) {
  if (node instanceof Y.XmlText) return node
  for (const child of node.toArray()) {
    const found = firstText(child)
    if (found) return found
  }
  return undefined
}
