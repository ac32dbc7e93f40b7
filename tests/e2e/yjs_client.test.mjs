// tests/e2e/yjs_client.test.mjs -- YjsProvider: Y.Docs over clients of @laniakea/sdk, beside y-websocket as it is.
//
//   node --test tests/e2e/yjs_client.test.mjs        after tools/build_js.mjs
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as Y from 'yjs'
import { WebsocketProvider as OriginalProvider } from 'y-websocket'
import { createClient } from '@laniakea/sdk'
import { YjsProvider } from '@laniakea/yjs'
import { Program } from './program.mjs'

const server = new Program()
const folder = mkdtempSync(join(tmpdir(), 'laniakea-yjs-client-'))
const ends = []

before(() => server.start())
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
after(async () => {
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function until(what, isSo) {
  for (const end = Date.now() + 20_000; !isSo(); await sleep(5)) if (Date.now() > end) assert.fail(`it does not happen: ${what()}`)
}

async function openClient(options = {}) {
  const client = await createClient({ url: `${server.url}/socket`, ...options })
  ends.push(() => client.close())
  return client
}

function openDoc(client, name) {
  const doc = new Y.Doc()
  const provider = new YjsProvider(doc, `doc:${name}`, client)
  const events = []
  for (const event of ['sync', 'status', 'pending', 'refused', 'connection-close']) provider.on(event, (what) => events.push([event, what?.status ?? what?.reason ?? what]))
  ends.push(() => provider.destroy())
  return { doc, provider, events, text: doc.getText('t') }
}

function openOriginal(name) {
  const doc = new Y.Doc()
  const provider = new OriginalProvider(`${server.url.replace('http', 'ws')}/y`, name, doc, { disableBc: true })
  ends.push(() => {
    provider.destroy()
    doc.destroy()
  })
  return { doc, provider, text: doc.getText('t') }
}

const agree = (text, ...all) => until(() => `${text}: ${all.map((one) => one.text.toString()).join(' | ')}`, () => all.every((one) => one.text.toString() === text))

test('two clients and an unmodified y-websocket write one document, and see each other', async () => {
  const [a, b, c] = [openDoc(await openClient(), 'three'), openDoc(await openClient(), 'three'), openOriginal('three')]
  a.text.insert(0, 'A')
  await agree('A', a, b, c)
  c.text.insert(1, 'C')
  b.text.insert(0, 'B')
  await agree('BAC', a, b, c)
  await until(() => JSON.stringify(a.events), () => a.provider.synced && !a.provider.pending && a.provider.status === 'connected')
  const names = ({ provider }) => [...provider.awareness.getStates().values()].map(({ user }) => user?.name).sort().join()
  for (const [one, name] of [[a, 'Ada'], [b, 'Ben'], [c, 'Cai']]) one.provider.awareness.setLocalStateField('user', { name })
  await until(() => [a, b, c].map(names).join(' | '), () => [a, b, c].every((one) => names(one) === 'Ada,Ben,Cai'))
  b.provider.destroy()
  await until(() => [a, c].map(names).join(' | '), () => [a, c].every((one) => names(one) === 'Ada,Cai'))
})

test('two documents of one client are tabs of one device: they agree without a server', async () => {
  await server.stop()
  const client = await openClient()
  const [a, b] = [openDoc(client, 'tabs'), openDoc(client, 'tabs')]
  await Promise.all([a.provider.whenLoaded, b.provider.whenLoaded])
  a.text.insert(0, 'offline')
  await agree('offline', a, b)
  b.text.insert(7, '!')
  await agree('offline!', a, b)
  assert.equal(a.provider.status, 'connecting')
  assert.equal(a.provider.pending, true)
  await server.start()
  await until(() => JSON.stringify(a.events), () => !a.provider.pending && a.provider.synced)
  await agree('offline!', openOriginal('tabs'))
})

test('what was written offline, in a process that ends, is sent by the next one', async () => {
  const storage = { folder: join(folder, 'kept') }
  await server.stop()
  const first = await openClient({ storage })
  const a = openDoc(first, 'kept')
  a.text.insert(0, 'kept')
  await a.provider.saved()
  a.provider.destroy()
  await first.close()
  const b = openDoc(await openClient({ storage }), 'kept')
  await b.provider.whenLoaded
  assert.equal(b.text.toString(), 'kept')
  await server.start()
  await until(() => JSON.stringify(b.events), () => !b.provider.pending && b.provider.synced)
  await agree('kept', openOriginal('kept'))
})

test('what is there before the provider is goes with it, and so does what is written before it is loaded', async () => {
  const client = await openClient()
  const doc = new Y.Doc()
  doc.getText('t').insert(0, 'before ')
  const provider = new YjsProvider(doc, 'doc:before', client)
  ends.push(() => provider.destroy())
  doc.getText('t').insert(7, 'meanwhile ')
  await provider.whenLoaded
  doc.getText('t').insert(17, 'after')
  await agree('before meanwhile after', openOriginal('before'))
})

test('what a document came with is saved when that is said', async () => {
  const script = `
    import * as Y from 'yjs'
    import { createClient } from '@laniakea/sdk'
    import { YjsProvider } from '@laniakea/yjs'
    const client = await createClient({ url: '${server.url}/socket', connect: false, storage: { folder: ${JSON.stringify(join(folder, 'content'))} } })
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'content '.repeat(100_000))
    await new YjsProvider(doc, 'doc:content', client).saved()
    process.kill(process.pid, 'SIGKILL')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
  await new Promise((resolve) => child.once('exit', resolve))
  const { provider, text } = openDoc(await openClient({ connect: false, storage: { folder: join(folder, 'content') } }), 'content')
  await provider.whenLoaded
  assert.equal(text.length, 800_000)
})

test('the server is killed and comes back: nobody has to do anything', async () => {
  const [a, b] = [openDoc(await openClient(), 'killed'), openDoc(await openClient(), 'killed')]
  a.text.insert(0, '1')
  await agree('1', a, b)
  await server.stop('SIGKILL')
  await until(() => JSON.stringify(a.events), () => a.events.some(([event]) => event === 'connection-close'))
  a.text.insert(1, '2')
  b.text.insert(0, '0')
  await server.start()
  await agree('012', a, b)
  await until(() => JSON.stringify(a.events), () => a.provider.synced)
})
