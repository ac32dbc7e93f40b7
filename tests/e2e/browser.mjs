// tests/e2e/browser.mjs -- a real browser, the people who sit before it, and what its pages complain of.
//
// Needs a Chromium (/usr/bin/chromium, or LK_CHROMIUM). Screenshots go to build/e2e/.
//
// Waiting: a test waits for what it needs to be so, and never for a time. Where a page shows nothing to wait for, turn()
// waits in the page's own queue, which is as slow as the page is.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { root } from './program.mjs'

const PATIENCE_MS = 30_000
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const LAUNCH = { executablePath: process.env.LK_CHROMIUM ?? '/usr/bin/chromium', args: FLAGS, headless: true }
const screenshots = join(root, 'build/e2e')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

mkdirSync(screenshots, { recursive: true })

/** A file of build/e2e/. */
export const artifact = (name) => join(screenshots, name)

/** Resolves when `isSo` is, or resolves to what is. `tell` says what is instead, when it takes too long. */
export async function until(isSo, tell) {
  for (const end = Date.now() + PATIENCE_MS; !(await isSo()); await sleep(30)) {
    if (Date.now() > end) assert.fail(`it does not happen: ${await tell()}`)
  }
}

// ---- a browser

/** A browser whose people share nothing with each other. */
class Browser {
  /** What pages said that is an error or a warning. */
  complaints = []
  #browser

  async start() {
    this.#browser = await chromium.launch(LAUNCH)
  }

  async stop() {
    await this.#browser?.close()
  }

  /** Somebody with a storage of their own. */
  async newPerson(options = {}) {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 860 }, permissions: ['clipboard-read', 'clipboard-write'], ...options })
    context.setDefaultTimeout(PATIENCE_MS)
    return context
  }

  async newPage(person, name) {
    const page = await person.newPage()
    listen(page, name, this.complaints)
    return page
  }
}

/** A browser for the tests of a file, and `server`, while they run. */
export function useBrowser(server) {
  const browser = new Browser()
  before(() => Promise.all([server.start(), browser.start()]))
  after(() => Promise.all([browser.stop(), server.dispose()]))
  return browser
}

/** A browser of one person, whose storage is in the folder `profile` and whose tabs are in one window. */
export async function openWindow(profile, ...flags) {
  const person = await chromium.launchPersistentContext(profile, { ...LAUNCH, args: [...FLAGS, ...flags] })
  person.setDefaultTimeout(PATIENCE_MS)
  return person
}

export async function leave(...people) {
  for (const person of people) await person.close()
}

/** Gathers in `complaints` what `page` says that is an error or a warning. */
export function listen(page, name, complaints) {
  page.on('pageerror', (error) => complaints.push(`${name}: ${error}`))
  page.on('console', (message) => {
    // A connection that fails is told by the browser itself and is no fault of the page.
    const isNetwork = /WebSocket connection to .* failed|Failed to load resource: net::/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !isNetwork) complaints.push(`${name}: ${message.type()}: ${message.text()}`)
  })
}

// ---- what a page does

/** Resolves when the page has done all that it had put off by less than `ms`. */
export const turn = (page, ms = 0) => page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms)

/**
 * Gives the focus to an editor of ProseMirror. It sets the browser's selection to its own 20 ms later, and so undoes what
 * somebody who is quicker than people moved meanwhile.
 */
export async function focusEditor(page, editor) {
  await editor.focus()
  await turn(page, 40)
}

// ---- how a page looks

/** Everywhere where a page is to be seen: on a desk and on a phone, by day and by night. */
export async function everyLook(page, look) {
  for (const colorScheme of ['light', 'dark']) {
    for (const [device, width, height] of [['desktop', 1280, 860], ['phone', 360, 740]]) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height })
      await stillness(page)
      await look(device, colorScheme)
    }
  }
}

/** Resolves when nothing moves or changes its color any more, but what does so for ever. */
const stillness = (page) => page.evaluate(async () => {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  const isFinite = (animation) => animation.effect?.getComputedTiming().endTime < Infinity
  await Promise.allSettled(document.getAnimations().filter(isFinite).map(({ finished }) => finished))
})

export async function assertFits(page, what) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(wide <= 0, `${what} scrolls sideways by ${wide}`)
}

/** What axe finds of serious and critical impact. */
export async function violations(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join('\n')}`)
}
