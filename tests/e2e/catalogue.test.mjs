// tests/e2e/catalogue.test.mjs -- the catalogue of @laniakea/sdk in a real browser.
//
//   node --test tests/e2e/catalogue.test.mjs        after tools/build_js.mjs
//
// Goal: what Node's tests say of the objects holds in a page. Method: the package's modules as they are, served by
// a few lines, and the cases of tests/vectors/crdt.json that need no time of day. Needs a Chromium (/usr/bin/chromium,
// or LK_CHROMIUM).
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { root } from './program.mjs'

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' }
const profile = mkdtempSync(join(tmpdir(), 'laniakea-chromium-'))
const server = createServer((request, response) => {
  if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>catalogue</title>')
  try {
    const body = readFileSync(join(root, 'js/packages/sdk/dist', new URL(request.url, 'http://page').pathname))
    response.writeHead(200, { 'content-type': TYPES[extname(request.url)] }).end(body)
  } catch {
    response.writeHead(404).end()
  }
})
let browser
let page

before(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const executablePath = process.env.LK_CHROMIUM ?? '/usr/bin/chromium'
  browser = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, headless: true })
  page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${server.address().port}/`)
})

after(async () => {
  await browser?.close()
  server.close()
  rmSync(profile, { recursive: true, force: true })
})

test('objects change, tell, and come together in a page', async () => {
  const seen = await page.evaluate(async () => {
    const { createCrdts } = await import('/index.js')
    const crdts = await createCrdts()
    const [here, there] = [crdts.create('ormap'), crdts.create('ormap')]
    const heard = []
    there.at('n', 'pncounter').subscribe((value) => heard.push(String(value)))
    there.merge(here.batch(() => {
      for (let i = 0; i < 1000; i++) here.at('n', 'pncounter').increment()
      here.at('t', 'text').insert(0, 'a😀')
      here.at('t', 'text').insert(3, 'b')
    }))
    there.merge(here.at('n', 'pncounter').decrement(2n ** 60n))
    return { heard, t: there.value.t, order: here.compare(there), same: here.digest() === there.digest() }
  })
  assert.deepEqual(seen, { heard: ['1000', String(1000n - 2n ** 60n)], t: 'a😀b', order: 'equal', same: true })
})

test('bytes are the same as everywhere', async () => {
  const { cases } = JSON.parse(readFileSync(join(root, 'tests/vectors/crdt.json'), 'utf8'))
  const plain = cases.filter(({ type, steps }) => ['orset', 'list'].includes(type) && steps.every(({ error, now, path }) => !error && !now && !path))
  assert.ok(plain.length > 10)
  const got = await page.evaluate(async (cases) => {
    const { createCrdts } = await import('/index.js')
    const crdts = await createCrdts()
    return cases.map(({ type, steps }) => {
      const replicas = {}
      const deltas = []
      const replica = (actor) => (replicas[actor] ??= crdts.create(type, { actor }))
      for (const { on, op, args, merge, delta } of steps) {
        if (merge) replica(on).merge(replica(merge).encode())
        if (delta !== undefined) replica(on).merge(deltas[delta])
        deltas.push(op && replica(on)[op](...JSON.parse(args)))
      }
      const fresh = crdts.create(type)
      for (const replica of Object.values(replicas)) fresh.merge(replica.encode())
      return { digest: fresh.digest(), value: fresh.value }
    })
  }, plain)
  got.forEach(({ digest, value }, i) => {
    assert.equal(digest, plain[i].digest, plain[i].name)
    assert.deepEqual(value, JSON.parse(plain[i].value), plain[i].name)
  })
})
