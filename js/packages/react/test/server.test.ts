// On a server: nothing is touched, nothing is opened, and everything has a value.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createElement as h, StrictMode, type ReactElement, type ReactNode } from 'react'
import { renderToString } from 'react-dom/server'
import {
  LaniakeaProvider, Supervised, useClient, useCounter, useCrdt, useDoc, useMap, usePresence, useSet, useStatus, useText, useTopicStatus, useValue,
} from '@laniakea/react'
import type { Client } from '@laniakea/sdk'

/** A client that is not to be asked for anything. */
const untouchable = new Proxy({} as Client, {
  get(_, name) {
    throw new Error(`the client was asked for ${String(name)}`)
  },
})

const render = (part: () => ReactNode): string =>
  renderToString(h(StrictMode, {}, h(LaniakeaProvider, { client: untouchable }, h(Supervised, {}, h(part)))))

test('on a server every hook gives what there is of an empty topic', () => {
  const seen: unknown[] = []
  const html = render(function Page(): ReactElement {
    const counter = useCounter('likes')
    const tags = useSet<string>('tags')
    const board = useMap('board')
    const note = useDoc('note')
    const room = usePresence('relay:lobby', { key: 'ada', meta: {} })
    seen.push(
      counter.value, tags.values, tags.has('a'), board.value, board.at('a', 'list').value, useValue(board.at('b', 'bcounter')), note.doc, note.awareness,
      useText(note.doc), room.present, useCrdt('flag', 'ewflag').value, useStatus(({ state }) => state), useTopicStatus(counter).state,
      useTopicStatus('doc:note', ({ state }) => state), useClient(), [counter, tags, board, note, room].some(({ isReady }) => isReady),
    )
    return h('p', {}, String(counter.value))
  })
  assert.equal(html, '<p>0</p>')
  assert.deepEqual(seen.slice(0, 16), [0n, [], false, {}, [], { value: 0n, rights: {} }, undefined, undefined, '', {}, false, 'starting', 'opening', 'opening', undefined, false])
})

test('all types have an empty value, and methods that are the same in each render', () => {
  const types = ['gcounter', 'pncounter', 'bcounter', 'gset', 'orset', 'rwset', 'ewflag', 'dwflag', 'lww', 'mvreg', 'ormap', 'list', 'text'] as const
  render(function Page() {
    for (const type of types) {
      const [one, two] = [useCrdt(`x-${type}`, type), useCrdt(`x-${type}`, type)]
      assert.notEqual(one.value, undefined, type)
      assert.equal(one.object, two.object)
      assert.equal(one.value, two.object.value)
      assert.equal(one.object.subscribe, two.object.subscribe)
      assert.equal(one.object.type, type)
    }
    const map = useMap('map')
    assert.equal(map.at('a', 'list').insert, map.at('a', 'list').insert)
    assert.notEqual(map.at('a', 'list'), map.at('a', 'text'))
    return null
  })
})

test('mistakes are named, with what to do', () => {
  const renderBare = (part: () => ReactNode): string => renderToString(h(part))
  assert.throws(() => renderBare(() => String(useCounter('likes').value)), /useCounter\(\) needs a <LaniakeaProvider>/)
  assert.throws(() => render(() => useTopicStatus('crdt:likes').state), /give it what useCounter\(\)/)
  assert.throws(() => render(() => usePresence('lobby' as 'relay:lobby').isReady), /'relay:lobby'/)
  assert.throws(() => render(() => useTopicStatus({ ...useCounter('likes') }).state), /as it was given/)
})

/** Runs a module in a Node of its own, which has React and no page. */
function run(script: string): string {
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, encoding: 'utf8', timeout: 60_000 })
  assert.equal(done.status, 0, done.stderr)
  return done.stdout.trim()
}

test('importing it touches nothing of a browser and of Node, and rendering with options loads no engine', () => {
  const said = run(`
    import { registerHooks } from 'node:module'
    import { createElement } from 'react'
    import { renderToString } from 'react-dom/server'
    const asked = []
    const names = ['window', 'document', 'navigator', 'location', 'localStorage', 'indexedDB', 'Worker', 'SharedWorker', 'WebSocket', 'BroadcastChannel', 'fetch', 'WebAssembly', 'process']
    for (const name of names) {
      const value = globalThis[name]
      Object.defineProperty(globalThis, name, { configurable: true, get: () => (asked.push(name), value) })
    }
    registerHooks({ resolve(name, context, next) {
      if (/sdk|^node:/.test(name)) asked.push(name)
      return next(name, context)
    } })
    const { LaniakeaProvider, useCounter } = await import('@laniakea/react')
    const imported = asked.splice(0)
    const Likes = () => String(useCounter('likes').value)
    const html = renderToString(createElement(LaniakeaProvider, { options: { url: '/socket' } }, createElement(Likes)))
    const rendered = asked.filter((name) => /sdk|Worker|Socket|Web|fetch/.test(name))
    console.log(JSON.stringify([imported, html, rendered]))`)
  assert.deepEqual(JSON.parse(said), [[], '0', []])
})
