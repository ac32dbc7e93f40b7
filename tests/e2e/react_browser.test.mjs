// tests/e2e/react_browser.test.mjs -- @laniakea/react in a real browser, over a real socket to the real program.
//
//   node --test tests/e2e/react_browser.test.mjs        after tools/build_js.mjs
//
// Goal: components show what there is, render when it changes and only then, and lose nothing: in StrictMode, in transitions, when
// they break, when they come and go. Method: a page with React's development build, bundled by esbuild; each test mounts a part of
// its own, and counts what was committed. Needs what browser.mjs says.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { createClient } from '@laniakea/sdk'
import { listen, openWindow, until } from './browser.mjs'
import { Program, root } from './program.mjs'

/** What can be mounted, by name. */
const PARTS = `
import { Activity, StrictMode, useEffect, useLayoutEffect, useState, useTransition } from 'react'
import {
  LaniakeaProvider, Supervised, useCounter, useCrdt, useDoc, useMap, usePresence, useSet, useStatus, useText, useTopicStatus, useValue,
} from '@laniakea/react'

/** How often each component was committed, and what the last ones of them gave. */
export const commits = {}
export const used = {}
export const torn = []
export const errors = []
let bombs = 0

function useCommits(name, given) {
  useLayoutEffect(() => {
    commits[name] = (commits[name] ?? 0) + 1
    used[name] = given
  })
}

function Counter({ topic, id = topic }) {
  const counter = useCounter(topic)
  useCommits(id, counter)
  return <button id={id} data-ready={counter.isReady} onClick={() => counter.increment()}>{String(counter.value)}</button>
}

function Tags({ topic }) {
  const tags = useSet(topic)
  useCommits(topic, tags)
  return <ul id={topic} data-ready={tags.isReady}>{tags.values.map((tag) => <li key={JSON.stringify(tag)}>{JSON.stringify(tag)}</li>)}</ul>
}

function State() {
  const state = useStatus(({ state }) => state)
  useCommits('state', state)
  return <output id="state">{state}</output>
}

function TopicState({ of, id = 'topic-state' }) {
  const { state, level } = useTopicStatus(of)
  useCommits(id, state)
  return <output id={id}>{state} {level}</output>
}

function Likes({ map }) {
  const value = useValue(map.at('likes', 'pncounter'))
  useCommits('entry', value)
  return <output id="entry">{String(value)}</output>
}

function Board({ topic }) {
  const map = useMap(topic)
  useCommits('board', map)
  return <pre id="board" data-ready={map.isReady}>{JSON.stringify(map.value)}</pre>
}

/** Only its entry is used, so that it renders only for that. */
function Entry({ topic }) {
  const [map, setMap] = useState()
  return <>{map === undefined ? <Once topic={topic} give={setMap} /> : <Likes map={map} />}</>
}

function Once({ topic, give }) {
  const map = useMap(topic)
  useEffect(() => give(map), [])
  return null
}

/** Changes before it knows anything. */
function Hasty({ topic }) {
  const list = useCrdt(topic, 'list')
  const [isAsked] = useState({ now: false })
  useCommits(topic, list)
  useLayoutEffect(() => {
    if (isAsked.now) return
    isAsked.now = true
    list.object.insert(0, 'a')
    list.object.insert(1, 'b')
    list.batch(() => {
      list.object.insert(2, 'c')
      list.object.delete(0)
    })
    list.object.insert(2, list.isReady ? 'late' : 'd')
  }, [])
  return <pre id={topic}>{JSON.stringify(list.value)}</pre>
}

function slow(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

function Reading({ topic, round }) {
  const { value } = useCounter(topic)
  slow(0.5)
  return <span className="reading" data-round={round}>{String(value)}</span>
}

/** Twenty readings that take their time, rendered in transitions while somebody counts. */
function Readings({ topic }) {
  const counter = useCounter(topic)
  const [round, setRound] = useState(0)
  const [isPending, startTransition] = useTransition()
  const [count] = useState(20)
  useLayoutEffect(() => {
    const seen = [...document.querySelectorAll('.reading')].map(({ textContent }) => textContent)
    if (new Set([String(counter.value), ...seen]).size > 1) torn.push(seen)
  })
  used.readings = { counter, again: () => startTransition(() => setRound((round) => round + 1)) }
  return <div id="readings" data-round={round} data-pending={isPending}>{Array.from({ length: count }, (_, i) => <Reading key={i} topic={topic} round={round} />)}</div>
}

function Fragile({ topic }) {
  const counter = useCounter(topic)
  useCommits('fragile', counter)
  if (bombs > 0) {
    bombs--
    throw new Error('boom ' + bombs)
  }
  return <button id="fragile" onClick={() => counter.increment()}>{String(counter.value)}</button>
}

export const explode = (times) => {
  bombs = times
  used.fragile.increment()
}

function Mistyped({ topic }) {
  useSet(topic)
  return <i>never</i>
}

function Note({ name }) {
  const { doc, isReady, topic } = useDoc(name)
  const text = useText(doc, 't')
  useCommits('note', doc)
  used.topic = topic
  return <pre id="note" data-ready={isReady}>{text}</pre>
}

function Room({ topic, name, color }) {
  const room = usePresence(topic, { key: name, meta: { color } })
  useCommits('room', room)
  const shown = Object.entries(room.present).map(([key, { metas }]) => key + ':' + metas.map(({ color }) => color).join('+'))
  return <output id="room">{shown.sort().join(' ')}</output>
}

function Liked({ topic, name }) {
  const likes = useCounter(topic)
  return <><Counter topic={topic} /><Room topic={likes} name={name} color="red" /><TopicState of={likes} /></>
}

function Switch({ children }) {
  const [mode, setMode] = useState('there')
  used.switch = setMode
  if (mode === 'gone') return null
  return <Activity mode={mode === 'hidden' ? 'hidden' : 'visible'}>{children}</Activity>
}

const parts = {
  counter: ({ topic }) => <><Counter topic={topic} /><State /></>,
  several: ({ topic }) => <><Counter topic={topic + '-1'} /><Counter topic={topic + '-2'} /><Tags topic={topic + '-tags'} /><State /></>,
  board: ({ topic }) => <><Board topic={topic} /><Entry topic={topic} /></>,
  hasty: ({ topic }) => <Hasty topic={topic} />,
  readings: ({ topic }) => <Readings topic={topic} />,
  fragile: ({ topic, escalates }) => (
    <Supervised intensity={escalates ? 1 : 2} period={60_000} onError={(error) => errors.push('outer ' + error.message)} fallback={({ error, retry }) => <button id="retry" onClick={retry}>{error.message}</button>}>
      {escalates
        ? <><Counter topic={topic} id="beside" /><Supervised intensity={1} period={60_000} onError={(error) => errors.push('inner ' + error.message)}><Fragile topic={topic} /></Supervised></>
        : <Fragile topic={topic} />}
    </Supervised>
  ),
  mistyped: ({ topic }) => (
    <><Counter topic={topic} /><Supervised intensity={1} fallback={({ error }) => <i id="mistyped">{error.code ?? String(error)}</i>}><Mistyped topic={topic} /></Supervised></>
  ),
  note: ({ topic }) => <><Note name={topic} /><TopicState of={'doc:' + topic} /></>,
  room: ({ topic, name, color }) => <Room topic={topic} name={name} color={color} />,
  liked: ({ topic, name }) => <Liked topic={topic} name={name} />,
  switch: ({ topic }) => <Switch><Counter topic={topic} /></Switch>,
}

export function Page({ part, options, client, isStrict = true, ...rest }) {
  const Part = parts[part]
  const page = (
    <Supervised intensity={0} fallback={({ error }) => <i id="broken">{error.code ?? String(error)}</i>}>
      <LaniakeaProvider {...(client === undefined ? { options } : { client })}><Part {...rest} /></LaniakeaProvider>
    </Supervised>
  )
  return isStrict ? <StrictMode>{page}</StrictMode> : page
}
`

const APP = `
import { version } from 'react'
import { createRoot, hydrateRoot } from 'react-dom/client'
import { createClient } from '@laniakea/sdk'
import * as parts from './parts.jsx'

let root
// Errors that a boundary took are no complaints.
const taken = { onCaughtError() {} }
const made = { workers: 0 }
window.Worker = class extends Worker {
  constructor(...given) {
    super(...given)
    made.workers++
  }
}
window.app = {
  ...parts, made, version,
  mount({ isOurs, ...given }) {
    if (isOurs) given = { ...given, client: window.app.client ??= createClient(given.options) }
    const at = document.getElementById('root')
    root = given.isHydrated ? hydrateRoot(at, <parts.Page {...given} />, taken) : createRoot(at, taken)
    if (!given.isHydrated) root.render(<parts.Page {...given} />)
  },
  update: (given) => root.render(<parts.Page {...given} />),
  unmount: () => root.unmount(),
}
`

const PAGE = (html) => `<!doctype html><meta charset="utf-8"><title>react</title><div id="root">${html}</div><script type="module" src="/app.js"></script>`
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' }

const folder = mkdtempSync(join(tmpdir(), 'laniakea-react-'))
const program = new Program()
const complaints = []
const bundled = join(root, 'build/e2e/react')
let browser
let html = ''
const pages = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://page')
  if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE(html))
  if (pathname === '/favicon.ico') return response.writeHead(204).end()
  try {
    const body = readFileSync(join(pathname.endsWith('.wasm') ? join(root, 'js/packages/sdk/dist') : join(bundled, 'www'), pathname))
    response.writeHead(200, { 'content-type': TYPES[extname(pathname)] }).end(body)
  } catch {
    response.writeHead(404).end()
  }
})

before(async () => {
  mkdirSync(bundled, { recursive: true })
  writeFileSync(join(bundled, 'parts.jsx'), PARTS)
  writeFileSync(join(bundled, 'app.jsx'), APP)
  const options = { bundle: true, format: 'esm', target: 'es2022', jsx: 'automatic', define: { 'process.env.NODE_ENV': '"development"' }, logLevel: 'error' }
  // The SDK looks for its worker and its modules beside itself: in one bundle, beside that.
  const entryPoints = { app: join(bundled, 'app.jsx'), worker: join(root, 'js/packages/sdk/dist/worker.js') }
  await build({ ...options, entryPoints, outdir: join(bundled, 'www'), conditions: ['browser'] })
  const older = (name) => join(root, 'tests/e2e/react-18/node_modules', name)
  await build({ ...options, entryPoints: { app18: join(bundled, 'app.jsx') }, outdir: join(bundled, 'www'), conditions: ['browser'], alias: { react: older('react'), 'react-dom': older('react-dom') } })
  await build({ ...options, entryPoints: [join(bundled, 'parts.jsx')], outfile: join(bundled, 'parts.mjs'), packages: 'external', platform: 'node' })
  const [, example] = /^```tsx\n([\s\S]*?)^```/m.exec(readFileSync(join(root, 'js/packages/react/README.md'), 'utf8'))
  const stdin = { contents: example.replace('http://127.0.0.1:4000', '/served'), loader: 'tsx', resolveDir: bundled }
  await build({ ...options, stdin, outfile: join(bundled, 'www/readme.js'), conditions: ['browser'] })
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  await program.start()
  browser = await openWindow(folder)
})
afterEach(async () => {
  html = ''
  for (const page of browser.pages().slice(1)) await page.close()
})
after(async () => {
  await browser?.close()
  pages.close()
  await program.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** The port is free again when the last of the processes that had it is gone. */
async function startAgain() {
  for (let left = 200; ; left--) {
    try {
      return await program.start()
    } catch (error) {
      if (left === 0 || !/is taken/.test(error.message)) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** A tab with a part, as Page is given it. */
async function tab(given, prepare = async () => {}) {
  const page = await browser.newPage()
  listen(page, given.part, complaints)
  await prepare(page)
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  await page.waitForFunction(() => window.app !== undefined)
  page.given = { ...given, options: { url: `${program.url}/socket`, name: given.topic, ...given.options } }
  await page.evaluate((given) => window.app.mount(given), page.given)
  return page
}

const textOf = (page, id) => page.evaluate((id) => document.getElementById(id)?.textContent, id)
const waitForText = async (page, id, text) => {
  await page.waitForFunction(([id, text]) => document.getElementById(id)?.textContent === text, [id, text]).catch(async () => assert.equal(await textOf(page, id), text))
}
const commits = (page, name) => page.evaluate((name) => window.app.commits[name], name)
const call = (page, name, method, ...given) => page.evaluate(([name, method, given]) => void window.app.used[name][method](...given), [name, method, given])
const frames = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))

/** Somebody else, who is not a tab. */
async function withClient(body) {
  const client = await createClient({ url: `${program.url}/socket` })
  try {
    return await body(client)
  } finally {
    await client.close()
  }
}

// ---- one client, one topic ----

test('two tabs in StrictMode count and agree, each with one client', async () => {
  const tabs = [await tab({ part: 'counter', topic: 'agree' }), await tab({ part: 'counter', topic: 'agree' })]
  for (const page of tabs) await waitForText(page, 'state', 'online')
  for (const page of tabs) {
    await page.bringToFront()
    for (let i = 0; i < 5; i++) await page.click('#agree')
  }
  for (const page of tabs) await waitForText(page, 'agree', '10')
  const workers = await Promise.all(tabs.map((page) => page.evaluate(() => window.app.made.workers)))
  assert.deepEqual(workers, [1, 1], 'one leads, the other one is ready to, and nobody opened two')
  await withClient(async (client) => {
    const seen = await client.crdt('crdt:agree', 'pncounter')
    await until(() => seen.object.value === 10n, () => `the server says 10, and not ${seen.object.value}`)
  })
  // Without a server, too.
  await program.stop('SIGKILL')
  for (const page of tabs) await page.click('#agree')
  for (const page of tabs) await waitForText(page, 'agree', '12')
  await startAgain()
})

test('a provider that is gone for good closes its client, and the next one begins where it ended', async () => {
  const page = await tab({ part: 'counter', topic: 'closed' })
  await page.waitForSelector('#closed[data-ready=true]')
  await page.click('#closed')
  const locks = () => page.evaluate(async () => (await navigator.locks.query()).held.filter(({ name }) => name.startsWith('laniakea hub') && name.endsWith(' closed')).length)
  assert.equal(await locks(), 1)
  await page.evaluate(() => window.app.unmount())
  await until(async () => await locks() === 0, () => 'the client is closed')
  await page.evaluate((given) => window.app.mount(given), page.given)
  await waitForText(page, 'closed', '1')
})

test('a client of ours is used while it is opened, and stays open', async () => {
  const page = await tab({ part: 'counter', topic: 'ours', isOurs: true })
  await waitForText(page, 'state', 'online')
  await page.click('#ours')
  await page.evaluate(() => window.app.unmount())
  assert.equal(await page.evaluate(async () => {
    const topic = await (await window.app.client).crdt('crdt:ours', 'pncounter')
    await new Promise((resolve) => setTimeout(resolve, 2_500)) // topic and provider are let go of
    topic.object.increment()
    return String(topic.object.value)
  }), '2')
  await page.evaluate((given) => window.app.mount(given), page.given)
  await waitForText(page, 'ours', '2')
  assert.equal(await page.evaluate(() => window.app.made.workers), 1)
})

test('who comes back soon finds the topic as it was: one join, and no leave before it is over', async () => {
  const sent = []
  const page = await tab({ part: 'switch', topic: 'back', options: { worker: false } }, async (page) => page.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => /crdt:back/.test(payload) && sent.push(/phx_join|phx_leave/.exec(payload)?.[0]))))
  const joined = () => sent.filter((event) => event !== undefined)
  await page.waitForSelector('#back[data-ready=true]')
  await page.click('#back')
  await until(() => joined().length > 0, () => 'it joins')
  for (let i = 0; i < 5; i++) {
    for (const mode of ['gone', 'there', 'hidden', 'there']) {
      await page.evaluate((mode) => window.app.used.switch(mode), mode)
      await frames(page)
    }
  }
  await waitForText(page, 'back', '1')
  assert.deepEqual(joined(), ['phx_join'])
  await page.evaluate(() => window.app.used.switch('gone'))
  await until(() => joined().length === 2, () => 'it leaves')
  assert.deepEqual(joined(), ['phx_join', 'phx_leave'])
  await page.evaluate(() => window.app.used.switch('there'))
  await waitForText(page, 'back', '1')
})

// ---- rendering ----

test('a component renders when what it shows changes, and only then', async () => {
  const page = await tab({ part: 'several', topic: 'once', isStrict: false })
  await waitForText(page, 'state', 'online')
  for (const name of ['once-1', 'once-2', 'once-tags']) await page.waitForSelector(`#${name}[data-ready=true]`, { state: 'attached' })
  const before = await page.evaluate(() => ({ ...window.app.commits }))
  assert.deepEqual([before['once-1'], before['once-2'], before['once-tags']], [2, 2, 2], 'empty, then ready')
  await page.evaluate(() => window.app.used['once-1'].topic.acknowledged())
  await call(page, 'once-1', 'increment')
  await waitForText(page, 'once-1', '1')
  await call(page, 'once-tags', 'add', { b: 1, a: [2] })
  await waitForText(page, 'once-tags', '{"a":[2],"b":1}')
  await page.evaluate(() => window.app.used['once-tags'].add({ a: [2], b: 1.0 })) // is there already
  await withClient(async (client) => { // from elsewhere
    const theirs = await client.crdt('crdt:once-1', 'pncounter')
    theirs.object.batch(() => {
      for (let i = 0; i < 100; i++) theirs.object.increment()
    })
    await theirs.acknowledged()
  })
  await waitForText(page, 'once-1', '101')
  await frames(page)
  const after = await page.evaluate(() => ({ ...window.app.commits }))
  const more = Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - before[name]]))
  assert.deepEqual(more, { 'once-1': 2, 'once-2': 0, 'once-tags': 1, state: 0 })
  assert.deepEqual(await page.evaluate(() => [{ a: [2], b: 1 }, { a: [3], b: 1 }].map((tag) => window.app.used['once-tags'].has(tag))), [true, false])
})

test('an entry of a map renders by itself', async () => {
  const page = await tab({ part: 'board', topic: 'board', isStrict: false })
  await page.waitForSelector('#board[data-ready=true]')
  await waitForText(page, 'entry', '0')
  const before = await page.evaluate(() => ({ ...window.app.commits }))
  await page.evaluate(() => {
    const { at, batch } = window.app.used.board
    batch(() => {
      at('title', 'lww').set('Notes')
      at('tags', 'orset').add('new')
    })
    at('inner', 'ormap').at('deep', 'text').insert(0, 'down here')
  })
  await waitForText(page, 'board', JSON.stringify({ inner: { deep: 'down here' }, tags: ['new'], title: 'Notes' }))
  assert.equal(await commits(page, 'entry'), before.entry)
  await page.evaluate(() => window.app.used.board.at('likes', 'pncounter').increment(2))
  await waitForText(page, 'entry', '2')
  assert.equal(await commits(page, 'entry'), before.entry + 1)
  await page.evaluate(() => window.app.used.board.remove('likes'))
  await waitForText(page, 'entry', '0')
  assert.equal(await page.evaluate(() => window.app.used.board.at('x', 'lww') === window.app.used.board.at('x', 'lww')), true)
})

test('what is changed before the topic is open is changed in order, and outlives the component', async () => {
  const page = await tab({ part: 'hasty', topic: 'hasty' })
  await waitForText(page, 'hasty', JSON.stringify(['b', 'c', 'd']))
  // Counted in the same turn in which all is unmounted.
  const other = await tab({ part: 'counter', topic: 'brief' })
  await other.evaluate(() => {
    window.app.used.brief.increment(7)
    window.app.unmount()
  })
  await withClient(async (client) => {
    const seen = await client.crdt('crdt:brief', 'pncounter')
    await until(() => seen.object.value === 7n, () => `it arrives; here is ${seen.object.value}`)
  })
})

test('nothing is torn when it changes in the middle of a transition', async () => {
  const page = await tab({ part: 'readings', topic: 'torn', isStrict: false })
  await page.waitForFunction(() => window.app.used.readings?.counter.isReady)
  await page.evaluate(async () => {
    // Now and then: each time the transition begins again, since all that shows the counter must show the new one at once.
    const pauses = [3, 80, 20, 150]
    let ticks = 0
    let timer = setTimeout(function tick() {
      window.app.used.readings.counter.increment()
      timer = setTimeout(tick, pauses[ticks++ % pauses.length])
    })
    for (let i = 1; i <= 20; i++) {
      window.app.used.readings.again()
      while (document.getElementById('readings').dataset.round !== String(i)) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    clearTimeout(timer)
  })
  await frames(page)
  assert.deepEqual(await page.evaluate(() => window.app.torn), [])
  assert.ok(await page.evaluate(() => window.app.used.readings.counter.value > 5n), 'somebody counted meanwhile')
})

test('what a server rendered is taken over, and shows what there is a moment later', async () => {
  await withClient(async (client) => {
    const theirs = await client.crdt('crdt:served', 'pncounter')
    theirs.object.increment(3)
    await theirs.acknowledged()
  })
  const { Page } = await import(pathToFileURL(join(bundled, 'parts.mjs')))
  const { renderToString } = await import('react-dom/server')
  const { createElement } = await import('react')
  html = renderToString(createElement(Page, { part: 'counter', topic: 'served', options: { url: 'http://127.0.0.1:1/socket' } }))
  assert.equal(html, '<button id="served" data-ready="false">0</button><output id="state">starting</output>')
  const page = await tab({ part: 'counter', topic: 'served', isHydrated: true })
  await waitForText(page, 'served', '3')
  await page.click('#served')
  await waitForText(page, 'served', '4')
})

// ---- what breaks ----

test('who throws is begun again, with the topic as it was; too often, and there is a fallback with a retry', async () => {
  const page = await tab({ part: 'fragile', topic: 'fragile' })
  await page.waitForSelector('#fragile')
  for (let i = 1; i <= 3; i++) {
    await page.click('#fragile')
    await waitForText(page, 'fragile', String(i))
  }
  // In development React renders a second time before it gives up.
  await page.evaluate(() => window.app.explode(4))
  await waitForText(page, 'fragile', '4')
  const failures = () => page.evaluate(() => window.app.errors.length)
  assert.equal(await failures(), 2, 'both of the restarts that there are were needed')
  await page.evaluate(() => window.app.explode(1_000_000))
  await page.waitForSelector('#retry')
  assert.equal(await failures(), 3)
  assert.match(await textOf(page, 'retry'), /^boom/)
  await page.evaluate(() => window.app.explode(0))
  await page.click('#retry')
  await waitForText(page, 'fragile', '6')
})

test('without a fallback the supervisor above begins more of the page again', async () => {
  const page = await tab({ part: 'fragile', topic: 'escalate', escalates: true })
  await waitForText(page, 'fragile', '0')
  await page.evaluate(() => window.app.explode(1_000_000))
  await page.waitForSelector('#retry')
  const errors = await page.evaluate(() => window.app.errors.map((error) => error.split(' ')[0]))
  assert.deepEqual(errors, ['inner', 'inner', 'outer', 'inner', 'inner', 'outer'])
  await page.evaluate(() => window.app.explode(0))
  await page.click('#retry')
  await waitForText(page, 'beside', '2')
  await waitForText(page, 'fragile', '2')
})

test('what cannot be opened is thrown to the next boundary: another type, an address that is none', async () => {
  const page = await tab({ part: 'mistyped', topic: 'typed' })
  await waitForText(page, 'mistyped', 'LK_ERR_TYPE')
  await page.click('#typed')
  await waitForText(page, 'typed', '1')
  const other = await tab({ part: 'counter', topic: 'nowhere', options: { url: 'ftp://nowhere' } })
  await waitForText(other, 'broken', 'LK_ERR_INVALID')
})

// ---- documents, and who is here ----

test('a document is shown as it is written, here and elsewhere', async () => {
  const tabs = [await tab({ part: 'note', topic: 'note' }), await tab({ part: 'note', topic: 'note' })]
  for (const page of tabs) await waitForText(page, 'topic-state', 'joined durable')
  const write = (page, index, text) => page.evaluate(([index, text]) => window.app.used.note.getText('t').insert(index, text), [index, text])
  await write(tabs[0], 0, 'Hello')
  for (const page of tabs) await waitForText(page, 'note', 'Hello')
  const before = await commits(tabs[1], 'note')
  await write(tabs[1], 5, ' world')
  for (const page of tabs) await waitForText(page, 'note', 'Hello world')
  assert.equal(await commits(tabs[1], 'note'), before + 1)
  // Another document in the place of the first one.
  await tabs[0].evaluate(async () => {
    window.app.before = window.app.used.note
    window.app.used.topic.startAnew()
  })
  await tabs[0].waitForFunction(() => window.app.used.note !== window.app.before)
  await waitForText(tabs[0], 'note', 'Hello world')
  await write(tabs[1], 0, 'Oh. ')
  await waitForText(tabs[0], 'note', 'Oh. Hello world')
})

test('people see each other come, change and go, beside an object, too', async () => {
  const [ada, ben] = [await tab({ part: 'room', topic: 'relay:lobby', name: 'ada', color: 'red' }), await tab({ part: 'room', topic: 'relay:lobby', name: 'ben', color: 'blue' })]
  for (const page of [ada, ben]) await waitForText(page, 'room', 'ada:red ben:blue')
  await ada.evaluate((given) => window.app.update({ ...given, color: 'green' }), ada.given)
  for (const page of [ada, ben]) await waitForText(page, 'room', 'ada:green ben:blue')
  await ben.evaluate(() => window.app.unmount())
  await waitForText(ada, 'room', 'ada:green')
  const [one, two] = [await tab({ part: 'liked', topic: 'liked', name: 'one' }), await tab({ part: 'liked', topic: 'liked', name: 'two' })]
  for (const page of [one, two]) await waitForText(page, 'room', 'one:red two:red')
  await one.click('#liked')
  for (const page of [one, two]) await waitForText(page, 'liked', '1')
  await waitForText(two, 'topic-state', 'joined durable')
})

test('React 18 shows the same', async () => {
  const page = await tab({ part: 'several', topic: 'old' }, (page) => page.route('**/app.js', (route) => route.fulfill({ path: join(bundled, 'www/app18.js') })))
  await waitForText(page, 'state', 'online')
  await page.click('#old-1')
  await call(page, 'old-tags', 'add', 'old')
  await waitForText(page, 'old-1', '1')
  await waitForText(page, 'old-tags', '"old"')
  assert.equal(await page.evaluate(() => window.app.version), '18.3.1')
})

test("the README's first example runs", async () => {
  const page = await browser.newPage()
  listen(page, 'readme', complaints)
  await page.route('**/app.js', async (route) => {
    const script = readFileSync(join(bundled, 'www/readme.js'), 'utf8')
    await route.fulfill({ contentType: 'text/javascript', body: script.replace('/served', program.url) })
  })
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  await page.waitForSelector('button[title=online]')
  await page.click('button')
  await page.waitForFunction(() => document.querySelector('button').textContent === '1 likes')
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
