// tests/e2e/editor_outage.test.mjs -- the editor in a real browser without its server, and with one that says no.
//
//   node --test tests/e2e/editor_outage.test.mjs
//
// Goal: nothing that somebody wrote is lost or told wrongly, whatever becomes of the network, the server, its data and the tab.
// Needs what editor.test.mjs does.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { artifact, leave, useBrowser } from './browser.mjs'
import {
  acknowledged, agree, contentOf, countKept, countOf, go, kept, newName, saved, shows, standing, tabsOf, text, typeMany, write, writeAtEnd,
} from './editor.mjs'
import { Program } from './program.mjs'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-editor-'))
const server = new Program()
const browser = useBrowser(server)
const openTab = tabsOf(browser, server)

after(() => rmSync(folder, { recursive: true, force: true }))

// ---- without a server

test('what is written offline in the same paragraph comes together', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
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
  await shows(one, 'The middle. Ann was in a tunnel.')
  await shows(two, 'Ben was first. The middle.')
  await one.screenshot({ path: artifact('editor-offline.png') })
  await ann.setOffline(false)
  const content = await agree([one, two], (content) => content.includes('tunnel') && content.includes('first'))
  assert.equal(content, 'Ben was first. The middle. Ann was in a tunnel.')
  await Promise.all([acknowledged(one), acknowledged(two)])
  await leave(ann, ben)
})

test('a server that is killed while two write comes back with all of it', async () => {
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = newName()
  const [one, two] = [await openTab(ann, name), await openTab(ben, name)]
  await write(one, 'Start. ')
  await agree([one, two], (content) => content.startsWith('Start.'))
  await writeAtEnd(two, ' ')
  await writeAtEnd(one, ' ')
  const writing = Promise.all([typeMany(one, 'x', 60, 30), typeMany(two, 'y', 60, 30)])
  await agree([one], (content) => countOf(content, 'x') > 9 && countOf(content, 'y') > 0)
  await server.stop('SIGKILL')
  await standing(one, 'offline')
  await server.start()
  await writing
  const content = await agree([one, two], (content) => countOf(content, 'x') + countOf(content, 'y') >= 120)
  assert.equal(countOf(content, 'x'), 60)
  assert.equal(countOf(content, 'y'), 60)
  await Promise.all([acknowledged(one), acknowledged(two)])
  await leave(ann, ben)
  const third = await browser.newPerson()
  await shows(await openTab(third, name), content)
  await leave(third)
})

test('what a closed tab wrote without a server is sent when it is opened again', async () => {
  const ann = await browser.newPerson()
  const name = newName()
  let page = await openTab(ann, name)
  await write(page, 'Known. ')
  await acknowledged(page)
  await server.stop('SIGKILL')
  await standing(page, 'offline')
  await writeAtEnd(page, 'Written alone.')
  await kept(page, name, 'Written alone.')
  await page.close()
  await server.start()
  page = await openTab(ann, name)
  await agree([page], (content) => /Known\..*Written alone\./.test(content))
  const ben = await browser.newPerson()
  await agree([await openTab(ben, name)], (content) => content.includes('Written alone.'))
  await leave(ann, ben)
})

/** Resolves to a proxy of `server` that passes everything on but WebSockets, as some firewalls do. */
async function openProxy() {
  const proxy = createServer((request, response) => {
    const upstream = httpRequest(new URL(request.url, server.url), { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    response.on('close', () => upstream.destroy())
    request.pipe(upstream)
  })
  proxy.on('upgrade', (request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n'))
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return proxy
}

test('where something on the way lets no WebSocket pass, the editor polls', async () => {
  const proxy = await openProxy()
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  const name = newName()
  const [one, two] = [await openTab(ann, name, { url: `http://127.0.0.1:${proxy.address().port}` }), await openTab(ben, name)]
  await write(one, 'By polls. ')
  await agree([one, two], (content) => content === 'By polls.')
  await writeAtEnd(two, 'And back.')
  await agree([one, two], (content) => content.endsWith('And back.'))
  await Promise.all([acknowledged(one), acknowledged(two)])
  await leave(ann, ben)
  proxy.close()
})

// ---- what the server says

test('a document that is in memory alone says so, and is not kept in the browser', async () => {
  const ephemeral = new Program({ data: false })
  await ephemeral.start()
  const ann = await browser.newPerson()
  try {
    const page = await openTab(ann, 'passing', { url: ephemeral.url })
    await page.getByText('This document is in memory only. It is erased when nobody has been here for 15 minutes.').waitFor()
    await write(page, 'Written on water.')
    await acknowledged(page)
    assert.equal(await countKept(page, 'passing'), 0)
    await page.screenshot({ path: artifact('editor-ephemeral.png') })
  } finally {
    await leave(ann)
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
  const [ann, ben, eve] = [await browser.newPerson(), await browser.newPerson(), await browser.newPerson()]
  const tokenOf = (rights) => `?token=${jwt(secret, { sub: 'somebody', topics: rights })}`
  try {
    const one = await openTab(ann, 'rules', { url: strict.url, query: tokenOf({ 'doc:*': 'write' }) })
    await write(one, 'As it is written.')
    await saved(one)
    assert.equal(one.url(), `${strict.url}/edit/rules`)
    const two = await openTab(ben, 'rules', { url: strict.url, query: tokenOf({ 'doc:*': 'read' }), wait: (page) => standing(page, 'reading') })
    await shows(two, 'As it is written.')
    await two.getByText('You may read this document').waitFor()
    assert.equal(await text(two).getAttribute('contenteditable'), 'false')
    await two.screenshot({ path: artifact('editor-reading.png') })
    const three = await browser.newPage(eve, 'denied')
    await three.goto(`${strict.url}/edit/rules${tokenOf({ 'doc:other': 'write' })}`)
    await three.getByText('does not let you into this document').waitFor()
    await three.evaluate(() => sessionStorage.clear())
    await three.goto(`${strict.url}/edit/rules`)
    await three.getByText('It may want a token').waitFor()
  } finally {
    await leave(ann, ben, eve)
    await strict.dispose()
  }
})

test('whose token ends is told so, keeps the text, and goes on with a new one', async () => {
  const secret = 'fedcba9876543210fedcba9876543210'
  const keyFile = join(folder, 'jwt-ending')
  writeFileSync(keyFile, secret, { mode: 0o600 })
  const strict = new Program('--token-jwt-secret-file', keyFile)
  await strict.start()
  const ann = await browser.newPerson()
  const tokenOf = (seconds) => `?token=${jwt(secret, { sub: 'ann', topics: { 'doc:*': 'write' }, exp: Math.floor(Date.now() / 1000) + seconds })}`
  try {
    const page = await openTab(ann, 'ending', { url: strict.url, query: tokenOf(4) })
    await write(page, 'In time. ')
    await page.getByText('It may want a token').waitFor()
    await shows(page, 'In time.')
    await page.goto(`${strict.url}/edit/ending${tokenOf(3600)}`)
    await text(page).waitFor()
    await saved(page)
    await writeAtEnd(page, 'And later.')
    await acknowledged(page)
    assert.equal(await contentOf(page), 'In time. And later.')
  } finally {
    await leave(ann)
    await strict.dispose()
  }
})

/* Goal: nothing merges into a document that began again. Method: the server loses its data while a tab is closed, and
 * somebody else writes under the same name. */
test('a copy of a document that began again is kept apart, until its reader lets it go', async () => {
  const wiped = new Program()
  await wiped.start()
  const [ann, ben] = [await browser.newPerson(), await browser.newPerson()]
  try {
    let one = await openTab(ann, 'again', { url: wiped.url })
    await write(one, 'The old one.')
    await acknowledged(one)
    await kept(one, 'again', 'The old one.')
    await one.close()
    await wiped.stop()
    for (const entry of readdirSync(wiped.data)) rmSync(join(wiped.data, entry), { recursive: true })
    await wiped.start()
    const two = await openTab(ben, 'again', { url: wiped.url })
    await write(two, 'The new one.')
    await acknowledged(two)
    one = await openTab(ann, 'again', { url: wiped.url, wait: (page) => standing(page, 'refused') })
    await one.getByText('was erased and began again').waitFor()
    await shows(one, 'The old one.')
    assert.equal(await contentOf(two), 'The new one.')
    await one.screenshot({ path: artifact('editor-diverged.png') })
    one.once('dialog', (dialog) => dialog.accept())
    await one.getByRole('button', { name: 'Open what the server has' }).click()
    await agree([one, two], (content) => content === 'The new one.')
  } finally {
    await leave(ann, ben)
    await wiped.dispose()
  }
})

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
