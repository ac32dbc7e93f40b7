// tests/e2e/yjs_moving.test.mjs -- what people need who come from y-websocket: its provider by ours.
//
//   node --test tests/e2e/yjs_moving.test.mjs        after tools/build_js.mjs
//
// Goal: one import is all that an application changes. Method: the same script with y-websocket's provider and with ours, whose
// events and properties must be the same; both in one document, over the server and between tabs. Documents that were kept
// elsewhere: yjs_import.test.mjs.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { join } from 'node:path'
import { build } from 'esbuild'
import { WebSocket } from 'ws'
import { WebsocketProvider as Theirs } from 'y-websocket'
import * as Y from 'yjs'
import { WebsocketProvider as Ours, memory } from '@laniakea/yjs'
import { Program, root } from './program.mjs'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const program = new Program()
const open = new Set()
before(() => program.start())
beforeEach((t) => t.after(() => {
  for (const doc of open) {
    doc.provider.destroy()
    doc.destroy()
  }
  open.clear()
}))
after(() => program.dispose())

async function until(what, done, millis = 15_000) {
  const end = Date.now() + millis
  while (!done()) {
    if (Date.now() > end) assert.fail(`waited ${millis} ms until ${typeof what === 'function' ? what() : what}`)
    await sleep(5)
  }
}

const address = () => `${program.url.replace('http', 'ws')}/y`

/** A document with a provider of that class; `events` has all that it tells. */
function person(Provider, name, options = {}) {
  const doc = new Y.Doc()
  const provider = new Provider(address(), name, doc, { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 100, ...options })
  const events = []
  for (const event of ['status', 'sync', 'synced', 'connection-close', 'connection-error', 'closed']) {
    provider.on(event, (value) => events.push(`${event} ${value?.status ?? value?.code ?? value?.type ?? value}`))
  }
  doc.provider = provider
  open.add(doc)
  return { doc, provider, events, text: doc.getText('t') }
}

/** What applications read of a provider. */
const look = ({ synced, wsconnected, wsconnecting, bcconnected, shouldConnect, roomname, ws, wsUnsuccessfulReconnects }) =>
  ({ synced, wsconnected, wsconnecting, bcconnected, shouldConnect, roomname, hasWs: ws !== null, wsUnsuccessfulReconnects })

async function script(Provider) {
  const { provider, events, text, doc } = person(Provider, 'script', { connect: false, params: { a: 'b c', d: '&' } })
  const looks = [look(provider), provider.url.replace(/^.*\/y/, '').replace('+', '%20'), provider.bcChannel.replace(/^.*\/y/, '')]
  const at = (what) => {
    events.push(`-- ${what}`)
    looks.push([what, look(provider)])
  }
  provider.connect()
  at('connecting')
  await until('synced', () => provider.synced)
  text.insert(0, 'x')
  at('synced')
  provider.connect()
  at('connected again')
  provider.disconnect()
  at('disconnected')
  text.insert(0, 'y')
  await sleep(300)
  provider.connect()
  await until('synced', () => provider.synced)
  at('synced again')
  const { ws } = provider
  ws.terminate()
  await until('lost', () => provider.ws !== ws && provider.synced)
  at('came back')
  provider.ws.send(Uint8Array.from([0, 2, 4, 1, 1, 255, 255])) // no update
  await until('closed', () => events.some((event) => event.startsWith('closed')))
  await sleep(300)
  at('closed')
  provider.connect()
  await until('synced', () => provider.synced)
  provider.destroy()
  at('destroyed')
  doc.destroy()
  return { looks, events }
}

test('the same script has the same events and properties with both providers', async () => {
  const [theirs, ours] = [await script(Theirs), await script(Ours)]
  assert.deepEqual(ours.events, theirs.events)
  assert.deepEqual(ours.looks, theirs.looks)
})

test('both providers meet in one document, and see who is there', async () => {
  const people = [person(Theirs, 'both'), person(Ours, 'both'), person(Ours, 'both')]
  people.forEach(({ provider }, i) => provider.awareness.setLocalStateField('user', `u${i}`))
  await until('all are there', () => people.every(({ provider }) => provider.synced && provider.awareness.getStates().size === 3))
  for (let i = 0; i < 300; i++) {
    const { text } = people[i % 3]
    if (i % 4 < 3 || text.length === 0) text.insert(i % (text.length + 1), `${i} `)
    else text.delete(i % text.length, 1)
    if (i % 10 === 0) await sleep(1)
    if (i % 60 === 59) people[(i / 60) % 3 | 0].provider.ws?.terminate()
  }
  await until(() => `all agree: ${people.map(({ text }) => text.length)}`, () => people.every(({ text, provider }) => provider.synced && text.toString() === people[0].text.toString()))
  // y-websocket's comes back with the clock that it left with, and is not seen before it does something.
  people[0].provider.awareness.setLocalStateField('user', 'again')
  await until('all are seen again', () => people.slice(1).every(({ provider }) => provider.awareness.getStates().size === 3))
  people[1].provider.disconnect()
  await until('one has gone', () => [people[0], people[2]].every(({ provider }) => provider.awareness.getStates().size === 2))
})

test('tabs without a server tell each other, whichever provider they have', async () => {
  const options = { disableBc: false, connect: true, WebSocketPolyfill: class { close() {} } }
  const people = [person(Ours, 'tabs', options), person(Ours, 'tabs', options), person(Theirs, 'tabs', options)]
  people.forEach(({ text, provider }, i) => {
    text.insert(0, `${i} `)
    provider.awareness.setLocalStateField('user', i) // y-protocols does not show what has not changed since it was made
  })
  await until(() => `all agree: ${people.map(({ text }) => text)}`, () => people.every(({ text }) => text.length === 6 && text.toString() === people[0].text.toString()))
  await until('all are seen', () => people.every(({ provider }) => provider.awareness.getStates().size === 3))
  assert.ok(people.every(({ provider }) => provider.bcconnected && !provider.synced))
  const [early, late] = [person(Ours, 'pair', options), person(Ours, 'pair', { ...options, connect: false })]
  early.provider.awareness.setLocalStateField('user', 'early')
  await sleep(20)
  late.provider.awareness.setLocalStateField('user', 'late')
  late.provider.connect()
  await until('both are seen', () => [early, late].every(({ provider }) => provider.awareness.getStates().size === 2), 5000)
  early.provider.awareness.setLocalStateField('user', 'moved')
  await until('it is seen to move', () => [...late.provider.awareness.getStates().values()].some(({ user }) => user === 'moved'))
  people[0].provider.destroy()
  await until('one has gone', () => people.slice(1).every(({ provider }) => provider.awareness.getStates().size === 2))
})

test('a server that is killed comes back to all that was written', { timeout: 60_000 }, async () => {
  const [a, b] = [person(Ours, 'killed'), person(Ours, 'killed')]
  await until('both are there', () => a.provider.synced && b.provider.synced)
  a.text.insert(0, 'before ')
  await until('it arrived', () => b.text.length === 7)
  await program.stop('SIGKILL')
  a.text.insert(7, 'offline a ')
  b.text.insert(7, 'offline b ')
  for (let left = 200; ; left--) {
    try {
      await program.start()
      break
    } catch (error) {
      if (left === 0) throw error
      await sleep(20)
    }
  }
  await until('both agree', () => a.text.length === 27 && a.text.toString() === b.text.toString())
})

test('a document that is kept is there before the connection', async () => {
  const place = memory()
  const first = person(Ours, 'kept', { persistence: place, connect: false })
  first.text.insert(0, 'offline')
  await first.provider.destroy()
  const second = person(Ours, 'kept', { persistence: place })
  assert.equal(second.provider.ws, null)
  await second.provider.whenLoaded
  assert.equal(second.text.toString(), 'offline')
  const other = person(Theirs, 'kept')
  await until('it arrived', () => other.text.toString() === 'offline')
})

// ---- what the guides say ----

/** The blocks of JavaScript in a document, by their first lines. */
const blocksOf = (path) => [...readFileSync(join(root, path), 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code)

test('what the guides and the README import is there', async () => {
  for (const path of ['js/packages/yjs/README.md', 'docs/guides/moving-from-y-websocket.md', 'docs/guides/moving-from-hocuspocus.md']) {
    const blocks = blocksOf(path)
    assert.ok(blocks.length > 0)
    for (const contents of blocks) {
      const { warnings } = await build({ stdin: { contents, resolveDir: root }, bundle: true, format: 'esm', target: 'es2022', platform: 'node', write: false, logLevel: 'silent' })
      assert.deepEqual(warnings, [], path)
    }
  }
})
