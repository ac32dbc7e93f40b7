// tests/e2e/bridge.test.mjs -- people of a document see each other, by awareness and by presence (docs/decisions/027).
//
//   node --test tests/e2e/bridge.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// Goal: editors with y-websocket and pages with the Presence of phoenix.js, which know nothing of each other's words, see who
// is there, once each, and no longer when they have gone. Method: unmodified clients of npm in one document, whose room's process is killed.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Presence, Socket } from 'phoenix'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { PhoenixChannelProvider } from 'y-phoenix-channel'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const server = new Program('--edges', '2', '--rooms', '1')
const open = new Set()
const ws = () => server.url.replace('http', 'ws')
before(() => server.start())
afterEach(() => {
  for (const close of open) close()
  open.clear()
})
after(async () => {
  const { output } = server
  const code = await server.stop()
  await server.dispose()
  assert.equal(code, 0, output)
})

async function until(what, isSo, ms = 5000) {
  for (const end = Date.now() + ms; !isSo(); await sleep(5))
    assert.ok(Date.now() < end, `it does not happen: ${typeof what === 'function' ? what() : what}`)
}

/** What awareness shows of others, by their names. */
function shown(awareness) {
  const others = [...awareness.getStates()].filter(([client]) => client !== awareness.clientID).map(([, state]) => state)
  return Object.fromEntries(others.map((state) => [state.user?.name, state]))
}
const names = (object) => Object.keys(object).sort().join()

/** An editor with y-websocket. */
function editor(name, user) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${ws()}/y`, name, doc, { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 100 })
  provider.on('connection-error', () => {})
  if (user !== undefined) provider.awareness.setLocalStateField('user', user)
  const close = () => {
    provider.destroy()
    doc.destroy()
    open.delete(close)
  }
  open.add(close)
  return { doc, provider, awareness: provider.awareness, close, sees: () => shown(provider.awareness) }
}

function connect() {
  const socket = new Socket(`${ws()}/socket`, { transport: WebSocket, reconnectAfterMs: () => 20, rejoinAfterMs: () => 20, timeout: 3000 })
  const close = () => {
    socket.disconnect()
    open.delete(close)
  }
  open.add(close)
  socket.connect()
  return { socket, close }
}

/** A page with phoenix.js and its Presence. */
async function page(name, key, meta) {
  const { socket, close } = connect()
  const channel = socket.channel(`doc:${name}`, { presence: key === undefined ? {} : { key, meta } })
  const presence = new Presence(channel)
  const heard = []
  channel.on('awareness', (payload) => heard.push(payload))
  await new Promise((resolve, reject) => channel.join().receive('ok', resolve).receive('error', (e) => reject(new Error(JSON.stringify(e)))))
  const sees = () => Object.fromEntries(presence.list((who, { metas }) => [who, metas]))
  return { channel, presence, close, heard, sees, metas: () => Object.values(sees()).flat() }
}

test('an editor is present to pages, with its name and cursor, until it goes', async () => {
  const ada = editor('a', { name: 'Ada', color: '#30bced' })
  const listener = await page('a')
  await until('she is seen', () => listener.metas().some(({ user }) => user?.name === 'Ada'))
  assert.deepEqual(names(listener.sees()), `client-${ada.doc.clientID}`)
  assert.deepEqual(listener.metas()[0].user, { name: 'Ada', color: '#30bced' })
  ada.awareness.setLocalStateField('cursor', { anchor: { item: 3 }, head: null })
  await until('the cursor is seen', () => listener.metas()[0].cursor?.anchor.item === 3)
  ada.awareness.setLocalStateField('cursor', null)
  await until('it goes', () => !('cursor' in listener.metas()[0]))
  const eve = editor('a', { name: 'Eve' })
  await until('another one is seen', () => listener.metas().map(({ user }) => user?.name).sort().join() === 'Ada,Eve')
  eve.awareness.setLocalState(null)
  await until('who shows nothing is not seen', () => listener.metas().length === 1)
  ada.provider.ws.terminate()
  ada.provider.shouldConnect = false
  await until('nobody is seen', () => listener.metas().length === 0)
})

test('pages are shown to editors, with their cursors, until they go', async () => {
  const ada = editor('b', { name: 'Ada' })
  const doc = new Y.Doc()
  const provider = new PhoenixChannelProvider(connect().socket, 'y_doc_room:b', doc, { disableBc: true })
  const bob = await page('b', 'bob', { name: 'Bob', color: 'red' })
  const cyd = await page('b', 'cyd', { user: { name: 'Cyd' }, away: true })
  const both = [() => ada.sees(), () => shown(provider.awareness)]
  await until(() => `both are seen: ${both.map((sees) => names(sees()))}`, () => both.every((sees) => 'Bob' in sees() && 'Cyd' in sees()))
  assert.deepEqual(ada.sees().Bob, { user: { name: 'Bob', color: 'red' }, presence: 'bob' })
  assert.deepEqual(ada.sees().Cyd, { user: { name: 'Cyd' }, presence: 'cyd' })
  bob.channel.push('cursor_pos', { x: 3 })
  await until('the cursor is seen', () => both.every((sees) => sees().Bob?.cursor_pos?.x === 3))
  bob.channel.push('presence.update', { key: 'bob', meta: {} })
  await until('without a name it is the key', () => both.every((sees) => names(sees()).includes('bob')))
  cyd.channel.push('presence.untrack', { key: 'cyd' })
  await until('who hides is not seen', () => both.every((sees) => !('Cyd' in sees())))
  bob.close()
  await until('who leaves is not seen', () => both.every((sees) => !('bob' in sees())))
  provider.destroy()
  doc.destroy()
})

test('everybody is there once, whoever comes first, and nothing goes round', async () => {
  const first = await page('c', 'bob', { name: 'Bob' })
  const ada = editor('c', { name: 'Ada' })
  const last = await page('c', 'cyd', { name: 'Cyd' })
  const all = () => [names(ada.sees()), ...[first, last].map(({ metas }) => metas().map(({ name, user }) => name ?? user?.name).sort().join())].join(' | ')
  await until(() => `all see all: ${all()}`, () => all() === 'Bob,Cyd | Ada,Bob,Cyd | Ada,Bob,Cyd')
  await sleep(300)
  assert.equal(all(), 'Bob,Cyd | Ada,Bob,Cyd | Ada,Bob,Cyd')
  const told = first.heard.length
  ada.awareness.setLocalStateField('at', 1)
  await until('one change is told', () => first.heard.length > told)
  await sleep(300)
  assert.equal(first.heard.length, told + 1)
  // One who speaks both ways is there once in each: with its own fields where it has some.
  const both = await page('c', 'eve', { user: { name: 'Evelyn' }, away: true })
  const state = Buffer.from('{"user":{"name":"Eve"},"cursor":7}')
  both.channel.push('awareness', { bin: [1, 9, 1, state.length, ...state] })
  await until('she is seen by editors', () => 'Eve' in ada.sees())
  await until('and by pages', () => first.sees().eve?.[0].cursor === 7)
  assert.equal(names(ada.sees()), 'Bob,Cyd,Eve')
  assert.equal(first.sees().eve.length, 1)
  assert.deepEqual(first.sees().eve[0].user, { name: 'Evelyn' })
})

/** The process that has the rooms. */
function roomProcess() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
    try {
      const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
      return name === 'laniakea-room' && Number(parent) === server.pid
    } catch {
      return false // gone meanwhile
    }
  })
}

test('when the process of a room dies, everybody is there again, and once', async () => {
  const [ada, eve] = ['Ada', 'Eve'].map((name) => editor('d', { name }))
  const bob = await page('d', 'bob', { name: 'Bob' })
  const people = () => bob.metas().map(({ name, user }) => name ?? user?.name).sort().join()
  await until('they see each other', () => [ada, eve].every(({ sees }) => 'Bob' in sees()) && people() === 'Ada,Bob,Eve')
  const ids = [...ada.awareness.getStates().keys()].sort()
  for (let i = 0; i < 8; i++) {
    bob.channel.push('cursor_pos', { i })
    await until('it is told', () => ada.sees().Bob?.cursor_pos?.i === i)
  }
  const pid = roomProcess()
  assert.ok(pid, 'there is one')
  const [updates, states] = [[], []]
  ada.awareness.on('update', (change) => updates.push(change))
  bob.channel.on('presence_state', (state) => states.push(state))
  process.kill(pid, 'SIGKILL')
  const isOther = (id) => id !== ada.doc.clientID && id !== eve.doc.clientID
  await until('she hears of him anew', () => updates.some(({ updated, added }) => [...updated, ...added].some(isOther)), 15_000)
  await until(() => `he is told anew, and sees all: ${people()}`, () => states.length > 0 && people() === 'Ada,Bob,Eve', 15_000)
  assert.deepEqual([...ada.awareness.getStates().keys()].sort(), ids, 'as the same client')
  bob.close()
  await until('he is seen to go', () => [ada, eve].every(({ sees }) => !('Bob' in sees())))
})

// Goal: who is served less often is told of somebody who moves less often, and shows the same in the end; two processes for edges.
test('presence is told to each at its pace, and comes to the same', async () => {
  const profiles = {
    full_client: {},
    constrained_client: { has_workers: true, memory_mb: 1024 },
    minimal_client: { has_workers: false },
  }
  const mover = await page('p', 'mover', {})
  const listeners = await Promise.all(Object.entries(profiles).map(async ([name, params]) => {
    const { socket } = connect()
    const channel = socket.channel('doc:p', { presence: {}, ...params })
    const presence = new Presence(channel), told = []
    channel.on('presence_diff', () => told.push(performance.now()))
    const { profile } = await new Promise((resolve, reject) => channel.join().receive('ok', resolve).receive('error', reject))
    assert.equal(profile, name)
    return { name, presence, told }
  }))
  const position = ({ presence }) => presence.state.mover?.metas[0]?.cursor_pos?.i
  await until('all know of the one', () => listeners.every(({ presence }) => presence.state.mover?.metas.length === 1))
  for (let i = 0; i <= 100; i++) {
    mover.channel.push('cursor_pos', { i })
    await sleep(25)
  }
  await until('all know where it is', () => listeners.every((one) => position(one) === 100))
  const metas = listeners.map(({ presence }) => JSON.stringify(presence.state.mover.metas.map(({ phx_ref: ref, cursor_pos: at }) => [ref, at])))
  assert.deepEqual(metas, metas.map(() => metas[0]), 'one meta, the same for all')
  const [full, constrained, minimal] = listeners.map(({ told }) => told.length)
  assert.ok(full > constrained && constrained > minimal, `${full}, ${constrained}, ${minimal}`)
  const [, { told: some }, { told: few }] = listeners
  const seconds = (told) => (told.at(-1) - told[0]) / 1000
  assert.ok(constrained <= seconds(some) * 10 + 2, `${constrained} in ${seconds(some)} s`)
  assert.ok(minimal <= seconds(few) + 2, `${minimal} in ${seconds(few)} s`)
})
