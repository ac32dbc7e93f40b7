// tests/e2e/board.test.mjs -- the board in a real browser: two devices, a network that is cut, and what merges make of it.
//
//   node --test tests/e2e/board.test.mjs      LK_SEED=N for another random outage
//
// Needs build/laniakea (or LK_PROGRAM) with the pages of build/web inside, and what browser.mjs says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { artifact, assertFits, everyLook, leave, until, useBrowser, violations } from './browser.mjs'
import { Program } from './program.mjs'

const server = new Program()
const browser = useBrowser(server)
const seed = Number(process.env.LK_SEED ?? 7)

/** A stream of numbers below `n`, the same for the same seed (mulberry32). */
function generator(state) {
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

// ---- a page

const network = (page) => page.getByRole('switch', { name: 'Network' })
const cardOf = (page, device, title) => page.locator(`#${device} .card`).filter({ has: page.locator('.title', { hasText: title }) })

async function openBoard(person, name) {
  const page = await browser.newPage(person, name)
  await page.goto(`${server.url}/board?board=${name}`)
  await network(page).and(page.locator(':enabled')).waitFor()
  return page
}

/** { todo: ['title', ...], ... } with likes behind each title, and the votes, as the device shows it. */
const shown = (page, device) => page.evaluate((device) => {
  const pane = document.getElementById(device)
  const columns = [...pane.querySelectorAll('ul[data-column]')].map((list) => [list.dataset.column, [...list.querySelectorAll('.card')].map((card) => {
    const likes = card.querySelector('.like').textContent.replace('♥ ', '')
    return `${card.querySelector('.title').textContent}${likes === '0' ? '' : ` ♥${likes}`}`
  })])
  const votes = [...pane.querySelectorAll('.poll button')].map((button) => [button.dataset.option, button.querySelector('.votes').textContent])
  return { ...Object.fromEntries(columns), votes: Object.fromEntries(votes) }
}, device)

const statusOf = (page, device) => page.locator(`#${device} .status`)
const summaryOf = (page) => page.locator('#summary').textContent()
const conflictsOf = (page) => page.locator('#conflicts li').allTextContents()

/** Resolves to what both devices show, when that is the same, by what they know and by what they show, and nothing waits. */
async function agreed(page) {
  await page.locator('#agreement[data-same="true"]').waitFor()
  for (const device of ['ada', 'ben']) {
    await statusOf(page, device).filter({ hasText: 'Online' }).waitFor()
    await page.locator(`#${device} .bar .pending:empty`).waitFor({ state: 'attached' })
  }
  const [ada, ben] = [await shown(page, 'ada'), await shown(page, 'ben')]
  assert.deepEqual(ada, ben)
  return ada
}

/** The cards' names as the server has them: the page would show one that stands twice only once. */
async function orderOf(page) {
  const name = new URL(page.url()).searchParams.get('board')
  const value = await (await fetch(`${server.url}/api/topics/crdt:board-${name}`)).json()
  return value.order
}

async function setNetwork(page, isUp) {
  if ((await network(page).getAttribute('aria-checked')) !== String(isUp)) await network(page).click()
  for (const device of ['ada', 'ben']) await statusOf(page, device).filter({ hasText: isUp ? 'Online' : 'Offline' }).waitFor()
}

/** Gives the network back and resolves to what both show then, when the page has told what the merge did. */
async function meet(page) {
  await setNetwork(page, true)
  await page.locator('#summary').filter({ hasText: /^(Merged|The network is back)/ }).waitFor()
  return agreed(page)
}

// ---- what people do

async function add(page, device, column, title) {
  const form = page.locator(`#${device} .column:has(ul[data-column="${column}"]) .add`)
  await form.getByRole('textbox').fill(title)
  await form.getByRole('textbox').press('Enter')
  await cardOf(page, device, title).waitFor()
}

async function edit(page, device, title, { to, column }) {
  const card = cardOf(page, device, title)
  const id = await card.getAttribute('data-id')
  const same = page.locator(`#${device} .card[data-id="${id}"]`)
  await card.locator('.title').click()
  if (to !== undefined) await same.getByRole('textbox', { name: 'Title' }).fill(to)
  if (column !== undefined) await same.getByRole('combobox', { name: 'Column' }).selectOption(column)
  await same.getByRole('button', { name: 'Save' }).click()
}

async function remove(page, device, title) {
  await cardOf(page, device, title).locator('.title').click()
  await page.locator(`#${device}`).getByRole('button', { name: 'Delete', exact: true }).click()
}

const like = (page, device, title) => cardOf(page, device, title).locator('.like').click()
const vote = (page, device, option) => page.locator(`#${device} .poll button[data-option="${option}"]`).click()

// ---- tests

test('what one device does the other one shows, and who was never here finds cards', async () => {
  const ann = await browser.newPerson()
  const page = await browser.newPage(ann, 'first')
  await page.goto(`${server.url}/board`)
  const seen = await agreed(page)
  assert.deepEqual(seen.todo, ['Write the announcement', 'Order the cake'])
  await add(page, 'ada', 'done', 'From Ada')
  await cardOf(page, 'ben', 'From Ada').waitFor()
  await like(page, 'ben', 'From Ada')
  await page.locator('#ada .card', { hasText: 'From Ada' }).locator('.like', { hasText: '1' }).waitFor()
  await vote(page, 'ben', 'Friday')
  await vote(page, 'ada', 'Monday')
  await vote(page, 'ada', 'Friday')
  await until(async () => (await agreed(page)).votes.Friday === '2', async () => JSON.stringify(await shown(page, 'ada')))
  await vote(page, 'ben', 'Friday')
  await until(async () => (await agreed(page)).votes.Friday === '1', async () => JSON.stringify(await shown(page, 'ada')))
  const name = new URL(page.url()).searchParams.get('board')
  const bob = await browser.newPerson()
  const other = await openBoard(bob, name)
  await cardOf(other, 'ada', 'From Ada').waitFor()
  assert.deepEqual(await agreed(other), await agreed(page))
  await leave(ann, bob)
})

test('what both did apart merges, and the page says where they met', async () => {
  const ann = await browser.newPerson()
  const page = await openBoard(ann, 'met')
  for (const title of ['rename both', 'rename or delete', 'move both', 'move or delete', 'like both', 'like or delete', 'rename and move', 'delete both', 'alone']) {
    await add(page, 'ada', 'todo', title)
  }
  await cardOf(page, 'ben', 'alone').waitFor()
  await like(page, 'ada', 'like both')
  await page.locator('#ben .card', { hasText: 'like both' }).locator('.like', { hasText: '1' }).waitFor()
  await agreed(page)

  await setNetwork(page, false)
  await edit(page, 'ada', 'rename both', { to: 'by Ada' })
  await edit(page, 'ben', 'rename both', { to: 'by Ben' })
  await remove(page, 'ada', 'rename or delete')
  await edit(page, 'ben', 'rename or delete', { to: 'saved by a name' })
  await edit(page, 'ada', 'move both', { column: 'doing' })
  await edit(page, 'ben', 'move both', { column: 'done' })
  await edit(page, 'ada', 'move or delete', { column: 'doing' })
  await remove(page, 'ben', 'move or delete')
  for (let i = 0; i < 3; i++) await like(page, 'ada', 'like both')
  for (let i = 0; i < 2; i++) await like(page, 'ben', 'like both')
  await like(page, 'ada', 'like or delete')
  await remove(page, 'ben', 'like or delete')
  await edit(page, 'ada', 'rename and move', { to: 'renamed and moved' })
  await edit(page, 'ben', 'rename and move', { column: 'done' })
  await remove(page, 'ada', 'delete both')
  await remove(page, 'ben', 'delete both')
  await edit(page, 'ben', 'alone', { to: 'alone, by Ben' })
  await vote(page, 'ada', 'Monday')
  await vote(page, 'ben', 'Friday')
  assert.equal(await page.locator('#agreement').getAttribute('data-same'), 'false')
  await page.locator('#ada .bar .pending', { hasText: /changes wait$/ }).waitFor()
  await page.screenshot({ path: artifact('board-cut.png'), fullPage: true, animations: 'disabled' })

  const seen = await meet(page)
  await page.evaluate(() => scrollTo(0, 0)) // else the switch, which stays in sight, covers something
  await page.screenshot({ path: artifact('board-merged.png'), fullPage: true })
  const all = [...seen.todo, ...seen.doing, ...seen.done]
  const order = await orderOf(page)
  assert.equal(order.length, all.length)
  assert.equal(new Set(order).size, order.length, 'no card stands twice')
  assert.ok(seen.todo.includes('by Ada / by Ben') || seen.todo.includes('by Ben / by Ada'), JSON.stringify(seen))
  assert.ok(seen.todo.includes('saved by a name') && seen.todo.includes('alone, by Ben') && seen.todo.includes('like both ♥6'), JSON.stringify(seen))
  assert.ok(seen.doing.includes('move or delete') && seen.done.includes('renamed and moved'), JSON.stringify(seen))
  assert.equal(all.filter((title) => title === 'move both').length, 1)
  assert.ok(!all.some((title) => /like or delete|delete both/.test(title)), JSON.stringify(seen))
  assert.deepEqual(seen.votes, { Monday: '1', Wednesday: '0', Friday: '1' })

  const met = await conflictsOf(page)
  const says = (...patterns) => patterns.forEach((pattern) => assert.ok(met.some((line) => pattern.test(line)), `${pattern} in\n${met.join('\n')}`))
  says(/^Both renamed the card “rename both”: Ada “by Ada”, Ben “by Ben”\. Both names are kept/, /^Ada deleted “rename or delete” while Ben renamed it to “saved by a name”\. The card stays/)
  says(/^Both moved “move both”: Ada to Doing, Ben to Done\. It stands once, in (Doing|Done)\./, /^Ben deleted “move or delete” while Ada moved it\. The card stays/)
  says(/^Both liked “like both”: 1 \+ 3 \+ 2 = 6\./, /^Ben deleted “like or delete” while Ada liked it\. It is gone/, /^Ada renamed “rename and move” while Ben moved it: both hold/)
  says(/^Both deleted “delete both”/, /^Both voted/)
  assert.equal(met.length, 9, met.join('\n'))
  assert.match(await summaryOf(page), /^Merged: Ada brought changes to 8 cards and 1 vote, Ben brought changes to 9 cards and 1 vote\./)
  const column = await page.locator('#ada ul:has(> .card[data-id]):has-text("move both")').first().getAttribute('data-column')
  assert.ok(seen[column].includes('move both'))

  assert.equal(await page.locator('#ada .card', { hasText: 'saved by a name' }).getAttribute('data-merged'), 'is back')

  // Somebody chooses one of the two names, on one device, and that is the name.
  await page.locator('#ben').getByRole('button', { name: 'Keep the name “by Ben”' }).click()
  await page.locator('#ada .title', { hasText: /^by Ben$/ }).waitFor()
  assert.ok((await agreed(page)).todo.includes('by Ben'))
  await leave(ann)
})

test('a page that is loaded again keeps everything, and stays without a network', async () => {
  const ann = await browser.newPerson()
  const page = await openBoard(ann, 'again')
  await add(page, 'ada', 'todo', 'before')
  await cardOf(page, 'ben', 'before').waitFor()
  await agreed(page)
  await setNetwork(page, false)
  await add(page, 'ada', 'doing', 'of Ada alone')
  await edit(page, 'ada', 'before', { to: 'of Ada' })
  await edit(page, 'ben', 'before', { to: 'of Ben' })
  await like(page, 'ben', 'of Ben')
  for (const device of ['ada', 'ben']) await page.locator(`#${device} .bar .pending`, { hasText: /wait/ }).waitFor()
  const before = [await shown(page, 'ada'), await shown(page, 'ben')]
  await until(() => page.evaluate(() => [...document.querySelectorAll('.pane')].every((pane) => pane.dataset.kept === 'true')), async () => 'both devices keep what was done')
  await page.reload()
  await network(page).and(page.locator(':enabled')).waitFor()
  for (const device of ['ada', 'ben']) await statusOf(page, device).filter({ hasText: 'Offline' }).waitFor()
  assert.deepEqual([await shown(page, 'ada'), await shown(page, 'ben')], before)
  assert.equal(await network(page).getAttribute('aria-checked'), 'false')
  assert.deepEqual(before[1].doing, [], 'Ben has not heard of it')

  // The server goes, too, and comes back with the network.
  await server.stop('SIGKILL')
  await network(page).click()
  await like(page, 'ben', 'of Ben')
  await server.start()
  const seen = await meet(page)
  assert.deepEqual(seen.doing, ['of Ada alone'])
  assert.match(seen.todo[0], /^of (Ada \/ of Ben|Ben \/ of Ada) ♥2$/)
  assert.ok((await conflictsOf(page))[0].startsWith('Both renamed the card “before”: Ada “of Ada”, Ben “of Ben”.'))
  await page.reload()
  assert.deepEqual(await agreed(page), seen)
  await leave(ann)
})

test('cards are moved by keyboard and by mouse, within a column and to another one', async () => {
  const ann = await browser.newPerson()
  const page = await openBoard(ann, 'moved')
  for (const title of ['one', 'two', 'three']) await add(page, 'ada', 'todo', title)
  await cardOf(page, 'ben', 'three').waitFor()
  await cardOf(page, 'ben', 'three').locator('.handle').focus()
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowUp')
  assert.deepEqual((await shown(page, 'ben')).todo, ['three', 'one', 'two'])
  await page.keyboard.press('ArrowDown')
  assert.deepEqual((await shown(page, 'ben')).todo, ['one', 'three', 'two'])
  await page.keyboard.press('ArrowRight')
  assert.deepEqual((await shown(page, 'ben')).doing, ['three'])
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Move “three” by arrow keys')
  assert.equal(await page.locator('#ben .voice').textContent(), '“three”: Doing, 1 of 1.')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  assert.deepEqual((await agreed(page)).done, ['three'])

  const drag = async (title, x, y) => {
    const box = await cardOf(page, 'ada', title).boundingBox()
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
    await page.mouse.down()
    await page.mouse.move(x, y, { steps: 8 })
    await page.mouse.up()
  }
  const above = await cardOf(page, 'ada', 'one').boundingBox()
  await drag('two', above.x + above.width / 2, above.y + 3)
  assert.deepEqual((await shown(page, 'ada')).todo, ['two', 'one'])
  const done = await cardOf(page, 'ada', 'three').boundingBox()
  await drag('two', done.x + done.width / 2, done.y + done.height + 30)
  assert.deepEqual((await shown(page, 'ada')).done, ['three', 'two'])
  assert.equal(await page.locator('.edit').count(), 0, 'what was dragged was not clicked')
  const todo = await page.locator('#ada ul[data-column="todo"]').boundingBox()
  await drag('three', todo.x + todo.width / 2, todo.y + 2)
  const seen = await agreed(page)
  assert.deepEqual([seen.todo, seen.doing, seen.done], [['three', 'one'], [], ['two']])
  await leave(ann)
})

test('a finger moves a card by its handle, and not elsewhere', async () => {
  const ann = await browser.newPerson({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true })
  const page = await openBoard(ann, 'touched')
  for (const title of ['one', 'two', 'three']) await add(page, 'ada', 'todo', title)
  await cardOf(page, 'ada', 'one').locator('.handle').scrollIntoViewIfNeeded()
  const touch = await ann.newCDPSession(page)
  const swipe = async (from, to) => {
    const [begin, end] = [await from.boundingBox(), await to.boundingBox()]
    const [x, y] = [begin.x + begin.width / 2, begin.y + begin.height / 2]
    const dy = end.y + end.height - 4 - y
    await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x, y }] })
    for (const part of [0.25, 0.5, 0.75, 1]) await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [{ x, y: y + part * dy }] })
    await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  }
  await swipe(cardOf(page, 'ada', 'one').locator('.title'), cardOf(page, 'ada', 'three'))
  assert.deepEqual((await shown(page, 'ada')).todo, ['one', 'two', 'three'])
  await swipe(cardOf(page, 'ada', 'one').locator('.handle'), cardOf(page, 'ada', 'two'))
  assert.deepEqual((await shown(page, 'ada')).todo, ['two', 'one', 'three'])
  assert.deepEqual((await agreed(page)).todo, ['two', 'one', 'three'])
  await leave(ann)
})

/* Goal: tabs of one browser are the same two devices, and the network is that of the devices. */
test('the network is cut for all tabs, and given back to all', async () => {
  const ann = await browser.newPerson()
  const [one, two] = [await openBoard(ann, 'tabs'), await openBoard(ann, 'tabs')]
  await add(one, 'ada', 'todo', 'before')
  for (const page of [one, two]) await cardOf(page, 'ben', 'before').waitFor()
  await setNetwork(one, false)
  await two.locator('#network[aria-checked="false"]').waitFor()
  for (const device of ['ada', 'ben']) await statusOf(two, device).filter({ hasText: 'Offline' }).waitFor()
  await add(one, 'ada', 'doing', 'of Ada')
  await cardOf(two, 'ada', 'of Ada').waitFor()
  await add(two, 'ben', 'doing', 'of Ben')
  await cardOf(one, 'ben', 'of Ben').waitFor()
  assert.deepEqual((await shown(two, 'ben')).doing, ['of Ben'])
  assert.deepEqual((await shown(one, 'ada')).doing, ['of Ada'])
  // The tab that has the connections goes, and the other one has them, and the same network.
  await one.close()
  await add(two, 'ada', 'done', 'of Ada, later')
  assert.deepEqual((await shown(two, 'ben')).done, [])
  for (const device of ['ada', 'ben']) await statusOf(two, device).filter({ hasText: 'Offline' }).waitFor()
  const seen = await meet(two)
  assert.deepEqual(seen.doing.sort(), ['of Ada', 'of Ben'])
  assert.deepEqual(seen.done, ['of Ada, later'])
  await leave(ann)
})

/* Goal: whatever both do apart, they agree afterwards, and no card is there twice. Method: many deeds, drawn from a seed. */
test('after a random outage both agree', async () => {
  const ann = await browser.newPerson()
  const page = await openBoard(ann, `random-${seed}`)
  const below = generator(seed)
  const devices = ['ada', 'ben']
  for (let i = 0; i < 6; i++) await add(page, 'ada', ['todo', 'doing', 'done'][i % 3], `card ${i}.`)
  await cardOf(page, 'ben', 'card 5.').waitFor()
  await agreed(page)
  for (let round = 0; round < 2; round++) {
    await setNetwork(page, false)
    for (let i = 0; i < 40; i++) {
      const device = devices[below(2)]
      const cards = page.locator(`#${device} .card`)
      const count = await cards.count()
      const deed = below(10)
      if (deed === 0 || count === 0) await add(page, device, ['todo', 'doing', 'done'][below(3)], `added ${round}.${i} by ${device}.`)
      else if (deed === 1) await vote(page, device, ['Monday', 'Wednesday', 'Friday'][below(3)])
      else if (deed <= 5) {
        await cards.nth(below(count)).locator('.handle').focus()
        await page.keyboard.press(['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight'][below(4)])
      } else if (deed <= 7) await cards.nth(below(count)).locator('.like').click()
      else {
        await cards.nth(below(count)).locator('.title').click()
        if (deed === 8) await page.locator(`#${device} .edit [name=title]`).fill(`renamed ${round}.${i} by ${device}.`)
        await page.locator(`#${device} .edit`).getByRole('button', { name: deed === 8 ? 'Save' : 'Delete', exact: true }).click()
      }
    }
    const seen = await meet(page)
    const ids = await orderOf(page)
    assert.equal(new Set(ids).size, ids.length, `LK_SEED=${seed}: ${JSON.stringify(seen)}`)
  }
  await leave(ann)
})

test('the board fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const ann = await browser.newPerson()
  const page = await openBoard(ann, 'look')
  for (const [column, title] of [['todo', 'Write the announcement'], ['todo', 'Order the cake'], ['doing', 'Test on a train'], ['done', 'Choose a name']]) await add(page, 'ada', column, title)
  await cardOf(page, 'ben', 'Choose a name').waitFor()
  await vote(page, 'ada', 'Friday')
  await vote(page, 'ben', 'Friday')
  await agreed(page)
  await setNetwork(page, false)
  await edit(page, 'ada', 'Order the cake', { to: 'Order two cakes' })
  await edit(page, 'ben', 'Order the cake', { to: 'Order a pie' })
  await edit(page, 'ada', 'Test on a train', { column: 'done' })
  await edit(page, 'ben', 'Test on a train', { to: 'Test in a tunnel' })
  await like(page, 'ada', 'Write the announcement')
  await like(page, 'ben', 'Write the announcement')
  const look = (name) => everyLook(page, async (device, colorScheme) => {
    await page.screenshot({ path: artifact(`board-${name}-${device}-${colorScheme}.png`), fullPage: true, animations: 'disabled' })
    await assertFits(page, `the board on a ${device}`)
    assert.deepEqual(await violations(page), [], `${name} ${device} ${colorScheme}`)
  })
  await look('offline')
  await page.setViewportSize({ width: 1280, height: 860 })
  await page.emulateMedia({ colorScheme: 'light' })
  await meet(page)
  await page.screenshot({ path: artifact('board-highlight.png'), fullPage: true })
  await cardOf(page, 'ben', 'Choose a name').locator('.title').click()
  await look('online')
  await leave(ann)
})

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
