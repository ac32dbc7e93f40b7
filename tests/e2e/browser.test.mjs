// tests/e2e/browser.test.mjs -- the page in a real browser, with a real server that comes and goes.
//
//   node --test tests/e2e/browser.test.mjs
//
// Needs build/laniakea (or LK_PROGRAM) with the page of build/web inside, and what browser.mjs says.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Socket } from 'phoenix'
import { artifact, assertFits, everyLook, listen, openWindow, violations } from './browser.mjs'
import { Program } from './program.mjs'

const profile = mkdtempSync(join(tmpdir(), 'laniakea-chromium-'))
const server = new Program()
const complaints = []
let browser

before(async () => {
  await server.start()
  browser = await openWindow(profile)
})

after(async () => {
  await browser?.close()
  await server.dispose()
  rmSync(profile, { recursive: true, force: true })
})

/** A tab that shows the counter `name`, ready to count. */
async function openTab(name) {
  const page = await browser.newPage()
  listen(page, name, complaints)
  await page.goto(`${server.url}/counter?counter=${name}`)
  await page.locator('#increment:enabled').waitFor()
  return page
}

const waitForText = (page, id, text) => page.waitForFunction(([id, text]) => document.getElementById(id).textContent === text, [id, text])
const online = (page) => waitForText(page, 'status', 'Online')
const offline = (page) => waitForText(page, 'status', 'Offline')
const waitForAll = (page, value) => Promise.all([
  online(page),
  waitForText(page, 'value', String(value)),
  waitForText(page, 'pending', 'All increments are on the server.'),
])

/** Clicks `times` times in one turn of the page, and returns what the page shows before that turn ends. */
function count(page, times) {
  return page.evaluate((times) => {
    for (let i = 0; i < times; i++) document.getElementById('increment').click()
    return document.getElementById('value').textContent
  }, times)
}

/** Resolves when the browser keeps what the page has counted. */
const kept = (page) => page.locator('#pending[data-kept]').waitFor()

/** Whether the tab has the connection: it holds the lock for that. Who a lock belongs to is seen beside one of our own. */
const isLeading = (page) => page.evaluate(() => {
  const own = `test ${Math.random()}`
  return navigator.locks.request(own, async () => {
    const { held } = await navigator.locks.query()
    const { clientId } = held.find(({ name }) => name === own)
    return held.some((lock) => lock.name.startsWith('laniakea hub ') && lock.clientId === clientId)
  })
})

/** Of several tabs, that which has the connection; the others go through it. */
async function leaderOf(...pages) {
  const leading = await Promise.all(pages.map(isLeading))
  return pages[leading.indexOf(true)]
}

/** Joins as any application of Phoenix would, by its own unchanged client. */
async function joinByPhoenix(name) {
  const socket = new Socket(`${server.url.replace('http', 'ws')}/socket`, { transport: WebSocket })
  socket.connect()
  const channel = socket.channel(`crdt:${name}`, { type: 'gcounter' })
  const joined = await new Promise((resolve, reject) => {
    channel.join().receive('ok', resolve).receive('error', reject).receive('timeout', () => reject(new Error('no answer')))
  })
  return { channel, joined, leave: () => socket.disconnect() }
}

test('a click is seen at once, and in the other tab soon', async () => {
  const [one, two] = [await openTab('seen'), await openTab('seen')]
  await Promise.all([online(one), online(two)])
  assert.equal(await count(one, 1), '1')
  await waitForAll(two, 1)
  assert.equal(await count(two, 2), '3')
  await Promise.all([waitForAll(one, 3), waitForAll(two, 3)])
  await Promise.all([one.close(), two.close()])
})

test('tabs go on without a server, and converge when it is back', async () => {
  const [one, two] = [await openTab('stopped'), await openTab('stopped')]
  await Promise.all([online(one), online(two)])
  await count(one, 2)
  await Promise.all([waitForAll(one, 2), waitForAll(two, 2)])
  assert.equal(await server.stop('SIGTERM'), 0)
  await Promise.all([offline(one), offline(two)])
  // Tabs of one browser hear of each other without a server, and what waits, waits for all of them.
  assert.equal(await count(one, 3), '5')
  await waitForText(two, 'value', '5')
  assert.equal(await count(two, 4), '9')
  await waitForText(one, 'value', '9')
  for (const page of [one, two]) await waitForText(page, 'pending', '7 increments are waiting for the server.')
  await server.start()
  await Promise.all([waitForAll(one, 9), waitForAll(two, 9)])
  await Promise.all([one.close(), two.close()])
})

test('a server that is killed comes back with all that it acknowledged', async () => {
  const page = await openTab('killed')
  await online(page)
  await count(page, 7)
  await waitForAll(page, 7)
  await server.stop('SIGKILL')
  await page.close()
  await server.start()
  const { joined, leave } = await joinByPhoenix('killed')
  assert.equal(joined.value, 7)
  leave()
})

/* Goal: two tabs close with changes that no server has; one is opened again; all arrive, once. */
test('what closed tabs kept arrives once', async () => {
  const [one, two] = [await openTab('closed'), await openTab('closed')]
  await Promise.all([online(one), online(two)])
  await count(one, 1)
  await Promise.all([waitForAll(one, 1), waitForAll(two, 1)])
  await server.stop()
  await Promise.all([offline(one), offline(two)])
  await Promise.all([count(one, 5), count(two, 10)])
  await Promise.all([kept(one), kept(two)])
  await Promise.all([one.close(), two.close()])
  await server.start()
  const again = await openTab('closed')
  await waitForAll(again, 16)
  await again.reload()
  await waitForAll(again, 16)
  assert.equal(await count(again, 1), '17')
  await waitForAll(again, 17)
  await again.close()
})

/* Goal: the tab through which others speak to the server closes while they count, without a server and with one. */
test('the tab that has the connection closes, and another one takes it over', async () => {
  const tabs = [await openTab('leader'), await openTab('leader'), await openTab('leader')]
  await Promise.all(tabs.map(online))
  let total = 0
  const loseLeader = async () => {
    const leader = await leaderOf(...tabs)
    assert.ok(leader, 'one of the tabs leads')
    await Promise.all(tabs.map((tab) => count(tab, 3)))
    total += 3 * tabs.length
    await kept(leader)
    await leader.close()
    tabs.splice(tabs.indexOf(leader), 1)
    await Promise.all(tabs.map((tab) => count(tab, 1)))
    total += tabs.length
  }
  await loseLeader()
  await Promise.all(tabs.map((tab) => waitForAll(tab, total)))
  await server.stop()
  await Promise.all(tabs.map(offline))
  await loseLeader()
  await server.start()
  await waitForAll(tabs[0], total)
  const { joined, leave } = await joinByPhoenix('leader')
  assert.equal(joined.value, total)
  leave()
  await tabs[0].close()
})

test('without JavaScript a form counts, and the server shows the sum', async () => {
  const person = await browser.browser().newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 860 } })
  try {
    const page = await person.newPage()
    await page.goto(`${server.url}/counter`)
    await assertFits(page, 'the page without JavaScript')
    await page.screenshot({ path: artifact('counter-without-js.png') })
    const scripted = await browser.newPage()
    listen(scripted, 'beside', complaints)
    await scripted.goto(`${server.url}/counter`)
    await waitForAll(scripted, 0)
    for (const sum of [1, 2]) {
      await page.getByRole('button', { name: 'Add one' }).click()
      await page.waitForURL(`${server.url}/render/counter:demo`)
      assert.equal(await page.locator('output').textContent(), String(sum))
      await waitForAll(scripted, sum)
      if (sum === 1) await page.goto(`${server.url}/counter`)
    }
    await page.locator('input[name=amount]').fill('5')
    await page.locator('button').click()
    await waitForAll(scripted, 7)
    assert.equal(await page.locator('output').textContent(), '7')
    await page.screenshot({ path: artifact('counter-rendered.png') })
    await scripted.close()
  } finally {
    await person.close()
  }
})

test('a duplicated tab is a replica of its own', async () => {
  const one = await openTab('duplicated')
  await online(one)
  await count(one, 3)
  await waitForAll(one, 3)
  const two = await openTab('duplicated')
  await waitForAll(two, 3)
  await Promise.all([count(one, 10), count(two, 20)])
  await Promise.all([waitForAll(one, 33), waitForAll(two, 33)])
  await Promise.all([one.close(), two.close()])
})

/* Goal: a worker that breaks down is replaced, and counts nothing twice. Method: an error that nobody
 * catches, in the middle of counting. */
test('a worker that breaks down is replaced', async () => {
  const page = await openTab('worker')
  await online(page)
  await count(page, 4)
  await waitForAll(page, 4)
  const seen = complaints.length
  const [worker] = page.workers()
  await worker.evaluate(() => void setTimeout(() => { throw new Error('broken on purpose') }, 5))
  for (let i = 0; i < 20; i++) {
    await count(page, 1)
    await page.waitForTimeout(5)
  }
  await waitForAll(page, 24)
  assert.notEqual(page.workers()[0], worker)
  const told = complaints.splice(seen)
  assert.ok(told.some((text) => text.includes('LK_ERR_TRAP')), told.join('\n'))
  await page.reload()
  await waitForAll(page, 24)
  await page.close()
})

test("Phoenix's own client sees what the page does", async () => {
  const page = await openTab('phoenix')
  await online(page)
  const { channel, joined, leave } = await joinByPhoenix('phoenix')
  const values = []
  const heard = new Promise((resolve) => {
    channel.on('state_updated', ({ value }) => values.push(value) && value === 3 && resolve())
  })
  assert.equal(joined.value, 0)
  await count(page, 3)
  await heard
  assert.equal(values.at(-1), 3)
  leave()
  await page.close()
})

test('the button works by keyboard', async () => {
  const page = await openTab('keyboard')
  await online(page)
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'increment')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Space')
  await waitForAll(page, 2)
  await page.close()
})

test('the page fits a desk and a phone, by day and by night', async () => {
  let total = 0
  const one = await openTab('look')
  await everyLook(one, async (device, colorScheme) => {
    await waitForAll(one, total)
    await one.screenshot({ path: artifact(`counter-${device}-${colorScheme}.png`), fullPage: true, animations: 'disabled' })
    await assertFits(one, `the page on a ${device}`)
    assert.deepEqual(await violations(one), [], `${device} ${colorScheme}`)
    await count(one, 1)
    await waitForAll(one, ++total)
  })
  await one.close()
  const page = await openTab('look')
  await page.setViewportSize({ width: 1280, height: 900 })
  await online(page)
  await server.stop()
  await offline(page)
  await count(page, 3)
  await waitForText(page, 'pending', '3 increments are waiting for the server.')
  await page.screenshot({ path: artifact('counter-offline.png') })
  await server.start()
  await waitForAll(page, total + 3)
  await page.close()
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
