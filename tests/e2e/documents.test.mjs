// tests/e2e/documents.test.mjs -- documents of @laniakea/sdk in a real browser, beside Yjs in the same page.
//
//   node --test tests/e2e/documents.test.mjs        after tools/pack_npm.mjs
//
// Goal: what an application gets from npm works in a page: people type, change lists and maps and XML, take back, and
// replicas of ours and of Yjs read the same and are the same bytes. Method: the packed tarball, installed in an empty project and
// bundled by esbuild with a small application; real key strokes. Needs a Chromium (/usr/bin/chromium, or LK_CHROMIUM),
// and Yjs as tests/conformance/doc has it: `npm ci` there; without it Yjs' part is played by a third document of ours.
import { after, before, beforeEach, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { root } from './program.mjs'

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--js-flags=--expose-gc']
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' }
const yjs = join(root, 'tests/conformance/doc/node_modules/yjs/dist/yjs.mjs')
const hasYjs = existsSync(yjs)
const project = mkdtempSync(join(tmpdir(), 'laniakea-documents-'))
const installed = join(project, 'node_modules/@laniakea/sdk/dist')
const complaints = []
let browser
let page

// ---- the application: three people in one page, of whom the third has Yjs ----

const PAGE = `<!doctype html><title>documents</title>
<textarea id="ada"></textarea><textarea id="ben"></textarea><textarea id="cy"></textarea>
<button id="undo">undo</button><button id="redo">redo</button>
<script type="module" src="/app.js"></script>`

const OURS = `
import { Awareness, createDocs, createHistory, RelativePosition } from '@laniakea/sdk'

const docs = await createDocs()

export const sdk = { Awareness, createHistory, RelativePosition }

export function ours(client, area) {
  const doc = docs.open({ client })
  const text = doc.getText('text')
  return {
    doc, text, docs,
    undo: doc.undo(text, { trackedOrigins: [area], captureTimeout: 0 }),
    transact: (body, origin) => doc.transact(body, origin),
    send: (listener) => doc.onUpdate((update, origin, local) => local && listener(update)),
    apply: (update) => doc.apply(update, 'network'),
    observe: (listener) => text.observe(({ delta, origin }) => listener(delta, origin)),
    encode: () => doc.encode(),
    read: () => ({ delta: text.toDelta(), list: doc.getArray('list').toJSON(), map: doc.getMap('map').toJSON(), xml: doc.getXml('xml').toString() }),
  }
}
`

const THEIRS = `
import * as Y from 'yjs'

export { Y }
export function theirs(client, area) {
  const doc = new Y.Doc()
  doc.clientID = client
  const text = doc.getText('text')
  return {
    doc, text,
    undo: new Y.UndoManager(text, { trackedOrigins: new Set([area]), captureTimeout: 0 }),
    transact: (body, origin) => doc.transact(body, origin),
    send: (listener) => doc.on('update', (update, origin) => origin !== 'network' && listener(update)),
    apply: (update) => Y.applyUpdate(doc, update, 'network'),
    observe: (listener) => text.observe(({ delta }, { origin }) => listener(delta, origin)),
    encode: () => Y.encodeStateAsUpdate(doc),
    read: () => ({ delta: text.toDelta(), list: doc.getArray('list').toJSON(), map: doc.getMap('map').toJSON(), xml: doc.getXmlFragment('xml').toString() }),
  }
}
`

const APP = `
import { ours, sdk } from './ours.js'
import { theirs, Y } from './theirs.js'

/** What an input field needs: its changes go into the text, and those of others into it. */
function bind(area, { text, transact, observe }) {
  let known = ''
  area.addEventListener('input', () => {
    const value = area.value
    let from = 0
    while (from < known.length && known[from] === value[from]) from++
    let behind = 0
    while (behind < Math.min(known.length, value.length) - from && known.at(-1 - behind) === value.at(-1 - behind)) behind++
    transact(() => {
      if (known.length > from + behind) text.delete(from, known.length - from - behind)
      if (value.length > from + behind) text.insert(from, value.slice(from, value.length - behind))
    }, area)
    known = value
  })
  observe((delta, origin) => {
    if (origin === area) return
    let at = 0
    for (const { retain = 0, insert, delete: count = 0 } of delta) {
      at += retain
      area.setRangeText(insert ?? '', at, at + count, 'preserve')
      at += insert?.length ?? 0
    }
    known = area.value
  })
}

const areas = ['ada', 'ben', 'cy'].map((id) => document.getElementById(id))
const people = areas.map((area, i) => (i === 2 && theirs ? theirs : ours)(i + 1, area))
const waiting = []
let isOnline = true
const deliver = (from, update) => people.forEach((person, i) => i === from || person.apply(update))
people.forEach((person, i) => {
  bind(areas[i], person)
  person.send((update) => (isOnline ? deliver(i, update) : waiting.push([i, update])))
})
document.getElementById('undo').onclick = () => people[0].undo.undo()
document.getElementById('redo').onclick = () => people[0].undo.redo()
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

window.app = {
  people, Y, sdk,
  part() { isOnline = false },
  /** What was held back comes now, the last first. */
  meet() {
    isOnline = true
    for (const [from, update] of waiting.splice(0).reverse()) deliver(from, update)
  },
  values: () => areas.map(({ value }) => value),
  /** Of replicas with the same updates: undo managers keep what was deleted, which others let go. */
  states: () => people.map(({ encode }) => {
    const doc = people[0].docs.open()
    doc.apply(encode())
    return hex(doc.encode())
  }),
  readings: () => people.map(({ read }) => read()),
}
`

async function install() {
  const tarballs = readdirSync(join(root, 'build/npm')).filter((name) => name.startsWith('laniakea-sdk-'))
  assert.equal(tarballs.length, 1, 'build/npm has one tarball of the SDK: make build-npm')
  writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}')
  const args = ['install', '--offline', '--no-audit', '--no-fund', join(root, 'build/npm', tarballs[0])]
  const done = spawnSync('npm', args, { cwd: project, encoding: 'utf8', timeout: 60_000 })
  assert.equal(done.status, 0, `npm ${args.join(' ')}: ${done.stdout}${done.stderr}`)
}

async function bundle() {
  const www = join(project, 'www')
  mkdirSync(www)
  writeFileSync(join(www, 'index.html'), PAGE)
  writeFileSync(join(project, 'ours.js'), OURS)
  writeFileSync(join(project, 'theirs.js'), hasYjs ? THEIRS : 'export const theirs = undefined, Y = undefined')
  writeFileSync(join(project, 'app.js'), APP)
  await build({ entryPoints: [join(project, 'app.js')], outfile: join(www, 'app.js'), bundle: true, format: 'esm', target: 'es2022', alias: { yjs }, logLevel: 'error' })
  for (const name of ['laniakea-doc.wasm', 'laniakea-history.wasm']) copyFileSync(join(installed, name), join(www, name))
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://page')
  if (pathname === '/favicon.ico') return response.writeHead(204).end()
  const path = pathname === '/' ? '/index.html' : pathname
  try {
    const file = path.startsWith('/sdk/') ? join(installed, path.slice(5)) : join(project, 'www', path)
    const body = readFileSync(file)
    response.writeHead(200, { 'content-type': TYPES[extname(path)] }).end(body)
  } catch {
    response.writeHead(404).end()
  }
})

before(async () => {
  await install()
  await bundle()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const executablePath = process.env.LK_CHROMIUM ?? '/usr/bin/chromium'
  browser = await chromium.launchPersistentContext(join(project, 'profile'), { executablePath, args: FLAGS, headless: true })
  browser.setDefaultTimeout(15_000)
  page = await browser.newPage()
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()))
})

beforeEach(async () => {
  await page.goto(`http://127.0.0.1:${server.address().port}/`)
  await page.waitForFunction(() => window.app !== undefined)
})

after(async () => {
  await browser?.close()
  server.close()
  rmSync(project, { recursive: true, force: true })
})

// ---- what people do ----

async function type(id, text, place) {
  const area = page.locator(`#${id}`)
  await area.focus()
  if (place !== undefined) await area.evaluate((field, at) => field.setSelectionRange(at, at), place)
  await page.keyboard.type(text)
}

const values = () => page.evaluate(() => window.app.values())
const all = (text) => [text, text, text]

/** All read the same, and are the same bytes. */
async function agree() {
  const [ada, ...others] = await page.evaluate(() => window.app.readings())
  for (const other of others) assert.deepEqual(other, ada)
  const states = await page.evaluate(() => window.app.states())
  assert.deepEqual(states, all(states[0]))
  return ada
}

test('what one types appears with the others', async () => {
  await type('ada', 'Hello')
  assert.deepEqual(await values(), all('Hello'))
  await type('cy', ', world', 5)
  await type('ben', 'Oh. ', 0)
  assert.deepEqual(await values(), all('Oh. Hello, world'))
  await page.locator('#ada').focus()
  await page.keyboard.press('Control+End')
  await page.keyboard.press('Backspace')
  await page.keyboard.insertText('d 😀 \ufeffé')
  assert.deepEqual(await values(), all('Oh. Hello, world 😀 \ufeffé'))
  await agree()
})

test('what is typed apart comes together, in whatever order it arrives', async () => {
  await type('ada', 'The way is big')
  await page.evaluate(() => window.app.part())
  await type('ada', 'milky ', 4)
  await type('ben', ', really', 14)
  await type('cy', 'very ', 11)
  assert.equal(new Set(await values()).size, 3)
  await page.evaluate(() => window.app.meet())
  assert.deepEqual(await values(), all('The milky way is very big, really'))
  await agree()
})

test('everybody takes back what is theirs', async () => {
  await type('ada', 'ab')
  await type('ben', 'X', 1)
  await type('cy', 'Y', 3)
  await page.locator('#undo').click()
  assert.deepEqual(await values(), all('aXY'))
  await page.locator('#undo').click()
  assert.deepEqual(await values(), all('XY'))
  await page.locator('#redo').click()
  await page.locator('#redo').click()
  assert.deepEqual(await values(), all('aXbY'))
  await agree()
})

test('text with formats, arrays, maps and XML are the same on both sides', async () => {
  const heard = await page.evaluate(() => {
    const [ada, ben, cy] = window.app.people
    const told = []
    const events = ben.doc.getMap('map').observeDeep((all) => told.push(...all.map(({ path, keys, delta }) => [path, [...keys.keys()], delta])))
    ada.text.insert(0, 'bold and plain', { bold: true })
    ada.text.format(4, 10, { bold: null, link: { href: 'x' } })
    ada.text.insertEmbed(4, { image: 'y.png' })
    ada.doc.transact(() => {
      const map = ada.doc.getMap('map')
      map.set('title', 'Notes')
      const items = map.setNode('items', 'array')
      items.push(['one', 2, null, { deep: [true] }])
      items.insertNode(1, 'map').set('done', false)
      const section = ada.doc.getXml('xml').insertElement(0, 'p')
      section.setAttribute('class', 'wide')
      section.insertText(0).insert(0, 'in a paragraph')
      ada.doc.getArray('list').push([1, 'two', 3])
    })
    const Y = window.app.Y
    if (Y) {
      cy.doc.transact(() => {
        cy.doc.getMap('map').get('items').insert(0, [new Y.Text('theirs')])
        cy.doc.getMap('map').delete('title')
        cy.doc.getXmlFragment('xml').get(0).setAttribute('id', 'first')
        cy.doc.getArray('list').delete(0)
        cy.text.format(0, 2, { bold: null })
      })
      ben.doc.getMap('map').get('items').get(0).insert(6, ' and ours')
    }
    events()
    return told
  })
  const { delta, list, map, xml } = await agree()
  if (!hasYjs) return
  assert.deepEqual(list, ['two', 3])
  assert.deepEqual(map.items.slice(0, 3), ['theirs and ours', 'one', { done: false }])
  assert.equal(xml, '<p class="wide" id="first">in a paragraph</p>')
  assert.deepEqual(delta, [
    { insert: 'bo' },
    { insert: 'ld', attributes: { bold: true } },
    { insert: { image: 'y.png' } },
    { insert: ' and plain', attributes: { link: { href: 'x' } } },
  ])
  assert.deepEqual(heard.map(([path]) => path), [[], [], ['items'], ['items', 0]])
  assert.deepEqual(heard[0][1], ['title', 'items'])
  assert.deepEqual(heard[3][2], [{ retain: 6 }, { insert: ' and ours' }])
})

test('cursors stay in their places, versions are compared, and everybody shows who they are', async () => {
  await type('ada', 'Hello world')
  const seen = await page.evaluate(async () => {
    const { people: [ada, ben, cy], Y, sdk: { Awareness, createHistory, RelativePosition } } = window.app
    const history = await createHistory()
    const [here, there] = [new Awareness(ada.doc), new Awareness(ben.doc)]
    here.on('update', ({ added, updated, removed }) => there.apply(here.encode([...added, ...updated, ...removed])))
    const before = ada.encode()
    here.setLocalState({ name: 'Ada', cursor: ada.text.position(6) })
    ben.text.insert(0, 'Oh. ')
    const { name, cursor } = there.getStates().get(1)
    const theirs = Y ? Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(cursor), cy.doc).index : 10
    const { users } = history.compare(before, ada.encode(), { userOf: (client) => ['', 'Ada', 'Ben'][client] })
    here.destroy()
    const left = [...there.getStates().keys()]
    there.destroy()
    return { name, ours: ben.doc.resolve(RelativePosition.fromJSON(cursor)).index, theirs, users, left }
  })
  assert.deepEqual(seen, { name: 'Ada', ours: 10, theirs: 10, users: [{ user: 'Ben', added: 4, deleted: 0, formats: 0 }], left: [2] })
})

/* Goal: a page that opens document after document does not grow. Method: far more documents than memory has room for,
 * of which none is closed; the browser is asked to collect garbage now and then. */
test('documents that nobody holds are given back', async () => {
  const counts = await page.evaluate(async () => {
    const { docs } = window.app.people[0]
    const piece = 'x'.repeat(1 << 20)
    let last = 0
    for (let i = 0; i < 400; i++) {
      const doc = docs.open()
      doc.onUpdate(() => doc.size)
      doc.undo()
      doc.getText('text').observe(() => doc.client)
      doc.getText('text').insert(0, piece)
      last = doc.size.bytes
      if (i % 20 === 19) {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    return { last }
  })
  assert.ok(counts.last > 1 << 20)
  await type('ada', 'still here')
  assert.deepEqual(await values(), all('still here'))
})

test('errors have names, and nothing breaks of what comes from outside', async () => {
  const codes = await page.evaluate(async () => {
    const { LaniakeaError } = await import('/sdk/index.js')
    const [ada] = window.app.people
    const { doc, text } = ada
    const code = (body) => {
      try {
        body()
        return 'nothing'
      } catch (error) {
        return error.code ?? String(error)
      }
    }
    const closed = ada.docs.open()
    const leave = closed.getText('t').observe(() => {})
    const stop = closed.onUpdate(() => {})
    const undo = closed.undo()
    const node = closed.getText('t')
    closed.close()
    leave()
    stop()
    undo.close()
    return {
      garbage: code(() => doc.apply(new Uint8Array([1, 2, 3]))),
      buffer: code(() => doc.apply(new ArrayBuffer(2))),
      text: code(() => doc.apply('AAA=')),
      range: code(() => text.insert(99, 'x')),
      fraction: code(() => text.insert(0.5, 'x')),
      kind: code(() => doc.getMap('text')),
      date: code(() => doc.getMap('map').set('a', new Date())),
      closed: code(() => node.insert(0, 'x')),
      again: code(() => closed.getText('t')),
      undone: code(() => undo.undo()),
      isError: new LaniakeaError('LK_ERR_STATE') instanceof Error,
    }
  })
  assert.deepEqual(codes, {
    garbage: 'LK_ERR_TRUNCATED', buffer: 'LK_ERR_TYPE', text: 'LK_ERR_TYPE', range: 'LK_ERR_RANGE', fraction: 'LK_ERR_RANGE',
    kind: 'LK_ERR_TYPE', date: 'LK_ERR_TYPE', closed: 'LK_ERR_STATE', again: 'LK_ERR_STATE', undone: 'LK_ERR_STATE', isError: true,
  })
})

test('the package works without a bundler, in a page and in a worker', async () => {
  const said = await page.evaluate(async () => {
    const write = `const docs = await (await import('${location.origin}/sdk/index.js')).createDocs()
      const text = docs.open({ client: 7 }).getText('text')
      text.insert(0, 'from elsewhere')
      const update = text.doc.encode()`
    const source = `${write}\npostMessage(update, [update.buffer])`
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' })
    const update = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
    })
    worker.terminate()
    const { createDocs, createUpdates } = await import('/sdk/index.js')
    const [docs, work] = await Promise.all([createDocs(), createUpdates()])
    const doc = docs.open({ client: 8 })
    doc.getText('text').insert(0, 'and ')
    const merged = work.merge([update, doc.encode()])
    doc.apply(update)
    window.app.people[2].apply(merged)
    return [doc.getText('text').toString(), window.app.people[2].text.toString()]
  })
  assert.deepEqual(said, ['from elsewhereand ', 'from elsewhereand '])
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
