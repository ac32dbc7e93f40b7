// A hub whose core comes in parts, which a server gives when it is told to: what pages say meanwhile, and what is kept.
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createDocs } from '@laniakea/sdk'
import type { Core } from '../dist/internal/core.js'
import { KIND_DOC, KIND_PLAIN, type Bytes, type ToPage } from '../dist/internal/client/protocol.js'
import { HeldFiles, Page, begin, moduleOf, settled, typed } from './hub_fixture.ts'

const COUNTER = 1
/** What it is asked for, and how it answers. */
const asked: string[] = []
let gate: Promise<void> = Promise.resolve()
let isGone = false
/** A server in the middle of becoming another version. */
let isForeign = false

/** It looks like the part with documents, and wants a global of its core that ours has not. */
const FOREIGN = Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 2, 15, 1, 4, 0x63, 0x6f, 0x72, 0x65, 5, 0x6f, 0x74, 0x68, 0x65, 0x72, 3, 0x7f, 0, 7, 11, 1, 7, ...Buffer.from('doc_new'), 3, 0])

const server = createServer((request, response) => {
  const name = new URL(request.url ?? '', 'http://localhost').pathname.slice(1)
  asked.push(name)
  void gate.then(() => {
    if (isGone) response.writeHead(503).end()
    else response.writeHead(200, { 'content-type': 'application/wasm' }).end(isForeign ? FOREIGN : readFileSync(new URL(import.meta.resolve(`@laniakea/sdk/${name}`))))
  })
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => server.close())

let cores = 0
/** Each of them loads its parts anew. */
async function coreInParts(): Promise<Core> {
  const at = (part: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/laniakea-client-part-${part}.wasm?${++cores}`
  return { module: await moduleOf('laniakea-client-base'), parts: { documents: at('documents'), objects: at('objects') } }
}

function hold(): () => void {
  let release = (): void => undefined
  gate = new Promise((resolve) => { release = resolve })
  return release
}

const heardOf = (page: Page, id: number): ToPage['t'][] => page.heard.flatMap((message) => ('id' in message && message.id === id ? [message.t] : []))

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !isSo(); await new Promise((resolve) => setTimeout(resolve, 5))) assert.ok(Date.now() < end, what)
}

async function textOf(updates: readonly Bytes[]): Promise<string> {
  const docs = await createDocs()
  const doc = docs.open()
  for (const update of updates) doc.apply(update)
  const text = doc.getText('t').toString()
  docs.close()
  return text
}

/** What a page that comes later finds. */
async function find(page: Page, topic: string): Promise<string> {
  await page.open(topic)
  return textOf(page.heard.flatMap((message) => (message.t === 'opened' ? [message.bytes] : [])))
}

test('what a page says of a topic waits for the part that it needs, in order, and of other topics it does not', async () => {
  const release = hold()
  const { hub } = await begin({ core: await coreInParts() })
  const [one, other] = [new Page(hub, 'one'), new Page(hub, 'other')]
  await one.waitFor('hub')
  const updates = await typed(7, ['a', 'b', 'c'])
  one.ask('doc:notes')
  updates.forEach((update, i) => one.change(i + 1, update, true))
  one.ask('relay:lobby', { id: 2, kind: KIND_PLAIN })
  await until(() => heardOf(one, 2).includes('opened'), 'the lobby is open')
  await settled()
  assert.deepEqual(heardOf(one, 1), [])
  assert.deepEqual(one.heard.filter(({ t }) => t === 'parts'), [])
  release()
  await until(() => one.heard.some((message) => message.t === 'saved' && message.id === 1 && message.n === 3), 'all of it is kept')
  assert.equal(heardOf(one, 1)[0], 'opened')
  assert.equal(await find(other, 'doc:notes'), 'abc')
  // Who may have to lead one day is told what that takes.
  for (const page of [one, other]) assert.deepEqual(page.heard.findLast((message) => message.t === 'parts'), { t: 'parts', parts: ['documents'] })
  await hub.end()
})

test('what a page said before it left is done, also while a part is on its way', async () => {
  const release = hold()
  const { hub } = await begin({ core: await coreInParts() })
  const one = new Page(hub, 'one')
  await one.waitFor('hub')
  const [update] = (await typed(7, ['last words'])) as [Bytes]
  one.ask('doc:notes')
  one.change(1, update, true)
  one.say({ t: 'bye' })
  await settled()
  release()
  const other = new Page(hub, 'other')
  assert.equal(await find(other, 'doc:notes'), 'last words')
  const [news] = (await typed(8, ['nobody hears'])) as [Bytes]
  other.change(1, news, false)
  await settled()
  assert.ok(!heardOf(one, 1).includes('news'))
  await hub.end()
})

test('two pages that need two parts at once get them, and each is loaded once', async () => {
  const release = hold()
  asked.length = 0
  const { hub } = await begin({ core: await coreInParts() })
  const pages = ['one', 'two', 'three'].map((name) => new Page(hub, name))
  for (const page of pages) {
    await page.waitFor('hub')
    page.ask('doc:notes')
    page.ask('crdt:likes', { id: 2, kind: COUNTER })
  }
  release()
  for (const page of pages) await until(() => heardOf(page, 1).includes('opened') && heardOf(page, 2).includes('opened'), `${page.name} has both`)
  assert.deepEqual(asked.sort(), ['laniakea-client-part-documents.wasm', 'laniakea-client-part-objects.wasm'])
  await hub.end()
})

test('a part that cannot be loaded is tried again, and what was said meanwhile is done then', async () => {
  gate = Promise.resolve()
  isGone = true
  asked.length = 0
  const { hub } = await begin({ core: await coreInParts() })
  const page = new Page(hub, 'one')
  await page.waitFor('hub')
  const [update] = (await typed(7, ['x'])) as [Bytes]
  page.ask('doc:notes')
  page.change(1, update, true)
  await until(() => asked.length === 1, 'it is asked for')
  isGone = false
  await until(() => heardOf(page, 1).includes('saved'), 'it is there when it can be')
  assert.ok(!heardOf(page, 1).includes('failed'))
  await hub.end()
})

test('a core that has no such part says so, and one of another build is none', async () => {
  const { documents: _, ...rest } = (await coreInParts()).parts as { documents: string; objects: string }
  const lacking = await begin({ core: { module: await moduleOf('laniakea-client-base'), parts: rest } })
  const there = new Page(lacking.hub, 'one')
  await there.waitFor('hub')
  there.ask('doc:notes')
  await until(() => heardOf(there, 1).includes('failed'), 'it is told')
  assert.equal(there.heard.find((message) => message.t === 'failed')?.code, 'LK_ERR_UNSUPPORTED')

  isForeign = true
  const { hub } = await begin({ core: await coreInParts() })
  const page = new Page(hub, 'one')
  await page.waitFor('hub')
  page.ask('doc:notes')
  await until(() => heardOf(page, 1).includes('failed'), 'it is told')
  assert.equal(page.heard.find((message) => message.t === 'failed')?.code, 'LK_ERR_VERSION')
  isForeign = false
  page.ask('doc:notes', { id: 3 })
  await until(() => heardOf(page, 3).includes('opened'), 'the right one is loaded then')
  await Promise.all([hub.end(), lacking.hub.end()])
})

test('what waits for a part is bounded, and a page is told so', async () => {
  const release = hold()
  const { hub } = await begin({ core: await coreInParts() })
  const page = new Page(hub, 'one')
  await page.waitFor('hub')
  const [update] = (await typed(7, ['much'])) as [Bytes]
  page.ask('doc:notes')
  for (let n = 1; n <= 5000; n++) page.change(n, update, true)
  assert.deepEqual(heardOf(page, 1), ['failed'])
  assert.equal(page.heard.find((message) => message.t === 'failed')?.code, 'LK_ERR_BACKLOG')
  for (let id = 10; id < 5000; id++) page.ask(`doc:${id}`, { id })
  assert.deepEqual(heardOf(page, 4999), ['failed'])
  release()
  await settled()
  assert.deepEqual(heardOf(page, 1), ['failed'], 'it is not opened behind its back')
  page.ask('doc:notes', { id: 2 })
  await until(() => heardOf(page, 2).includes('opened'), 'it may try again')
  await hub.end()
})

test('who says hello again says everything again, and what makes no sense costs nothing else', async () => {
  const release = hold()
  const { hub } = await begin({ core: await coreInParts() })
  const one = new Page(hub, 'one')
  await one.waitFor('hub')
  const [update] = (await typed(7, ['sense'])) as [Bytes]
  one.say({ t: 'open', id: 1, topic: 'doc:notes', kind: KIND_DOC, isKept: true, seat: 'seat', version: new Uint8Array() })
  const again = new Page(hub, 'one')
  await again.waitFor('hub')
  again.say({ t: 'open', id: 1, topic: 'doc:notes', kind: KIND_DOC, isKept: true, seat: 'seat', version: new Uint8Array() })
  again.say({ t: 'change', id: 1 } as never)
  again.change(1, update, true)
  release()
  await until(() => heardOf(again, 1).includes('saved'), `it is kept: ${JSON.stringify(again.heard)}`)
  assert.deepEqual(heardOf(one, 1), [])
  assert.equal(await find(new Page(hub, 'other'), 'doc:notes'), 'sense')
  await hub.end()
})

test('what is kept has kinds of which nobody spoke: the hub loads them, or says why there is none', async () => {
  const files = new HeldFiles()
  const before = await begin({ files })
  const page = new Page(before.hub, 'one')
  await page.open('doc:notes')
  const [update] = (await typed(7, ['kept'])) as [Bytes]
  page.change(1, update, true)
  await page.waitFor('saved')
  await before.hub.end()
  const kept = new Map([...files.files].map(([name, bytes]) => [name, bytes.slice()]))

  isGone = true
  const errors: string[] = []
  const lost = await begin({ core: await coreInParts(), files, onEnd: ({ code }) => void errors.push(code) })
  await until(() => errors.length > 0, 'it ends')
  assert.deepEqual(errors, ['LK_ERR_NOT_FOUND'])
  await lost.hub.end() // though a part may be on its way
  for (const [name, bytes] of kept) assert.deepEqual(files.files.get(name)?.slice(0, bytes.length), bytes, name)

  isGone = false
  asked.length = 0
  const { hub } = await begin({ core: await coreInParts(), files })
  const next = new Page(hub, 'next')
  await next.waitFor('hub')
  const status = (): unknown => next.heard.findLast((message) => message.t === 'status')
  await until(() => (status() as { status: { pending: number } } | undefined)?.status.pending === 1, `${JSON.stringify(status())}`)
  assert.equal(await find(new Page(hub, 'other'), 'doc:notes'), 'kept')
  assert.deepEqual(asked, ['laniakea-client-part-documents.wasm'])
  await hub.end()
})
