// tests/e2e/client_poll.test.mjs -- createClient() where no WebSocket gets through.
//
//   node --test tests/e2e/client_poll.test.mjs        after tools/build_js.mjs
//
// Goal: what is changed arrives once, and whoever changes it need not know what is in the way: proxies that refuse upgrades, that never answer
// them, that answer them and pass nothing on; servers that end; answers that are lost; requests that hang.
// Method: the real program behind a proxy that does that, and beside the clients that poll one with a WebSocket. What takes long of itself
// begins with the file, and is looked at by its test.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@laniakea/sdk'
import { BlockingProxy } from './blocking_proxy.mjs'
import { Program } from './program.mjs'

const PATIENCE_MS = 60_000
const folder = mkdtempSync(join(tmpdir(), 'laniakea-client-poll-'))
const secret = randomBytes(32).toString('hex')
const keyFile = join(folder, 'jwt')
writeFileSync(keyFile, secret, { mode: 0o600 })
/** With two processes for connections, so that half of the polls travel from one to the other. */
const server = new Program('--edges', '2')
const strict = new Program('--token-jwt-secret-file', keyFile)
/** Nobody ends it. */
const calm = new Program()
const [proxy, hanging, returning, strictProxy] = [server, calm, calm, strict].map((program) => new BlockingProxy(() => program.url))
const opened = []
const lasting = []
let hung, mute, returned

before(async () => {
  await Promise.all([server.start(), strict.start(), calm.start()])
  await Promise.all([proxy, hanging, returning, strictProxy].map((one) => one.start()))
  hung = whatHangs()
  mute = whatIsMute()
  returned = whatReturns()
  for (const slow of [hung, mute, returned]) slow.catch(() => {})
})
afterEach(async () => {
  Object.assign(proxy, { upgrades: 'refuse', fate: () => 'pass' })
  await Promise.all(opened.splice(0).map((client) => client.close()))
})
after(async () => {
  await Promise.all(lasting.map((client) => client.close()))
  for (const one of [proxy, hanging, returning, strictProxy]) one.close()
  await Promise.all([server.dispose(), strict.dispose(), calm.dispose()])
  rmSync(folder, { recursive: true, force: true })
})

async function open(by, options = {}, list = opened) {
  const client = await createClient({ url: `${by.url}/socket`, ...options })
  list.push(client)
  return client
}

async function until(what, isSo) {
  for (const end = Date.now() + PATIENCE_MS; !(await isSo()); await sleep(5)) if (Date.now() > end) assert.fail(`it does not happen: ${what}`)
}

const online = async (client, transport) => {
  await until('it is online', () => client.status.state === 'online')
  assert.equal(client.status.transport, transport)
}

// ---- what takes long ----

/** From some moment on no poll is answered. */
async function whatHangs() {
  const client = await open(hanging, {}, lasting)
  const likes = await client.crdt('crdt:hangs', 'gcounter')
  likes.object.increment()
  await likes.acknowledged()
  const begun = Date.now()
  hanging.fate = ({ method }) => (method === 'GET' ? 'hang' : 'pass')
  likes.object.increment()
  await until('it is given up', () => client.status.state !== 'online')
  const took = Date.now() - begun
  hanging.fate = () => 'pass'
  await likes.acknowledged()
  return { took, value: likes.object.value, transport: client.status.transport }
}

/** Upgrades are answered, and that is all. */
async function whatIsMute() {
  const deaf = new BlockingProxy(() => calm.url)
  deaf.upgrades = 'mute'
  await deaf.start()
  try {
    const client = await open(deaf, {}, lasting)
    const likes = await client.crdt('crdt:mute', 'gcounter')
    likes.object.increment()
    await likes.acknowledged()
    return client.status.transport
  } finally {
    deaf.close()
  }
}

/** There are WebSockets again. */
async function whatReturns() {
  const client = await open(returning, {}, lasting)
  const likes = await client.crdt('crdt:returns', 'gcounter')
  likes.object.increment()
  await likes.acknowledged()
  const before = client.status.transport
  returning.upgrades = 'pass'
  const begun = Date.now()
  let count = 1
  for (; client.status.transport !== 'websocket' && Date.now() < begun + PATIENCE_MS; count++) {
    likes.object.increment()
    await sleep(20)
  }
  await likes.acknowledged()
  return { before, after: client.status.transport, count, value: Number(likes.object.value) }
}

// ---- ----

test('an upgrade that is refused: it polls, at once, and says so', async () => {
  const begun = Date.now()
  const polling = await open(proxy)
  const direct = await open(server)
  await online(polling, 'longpoll')
  assert.ok(Date.now() - begun < 3000, `${Date.now() - begun} ms`)
  await online(direct, 'websocket')
  const [likes, theirs] = [await polling.crdt('crdt:refused', 'pncounter'), await direct.crdt('crdt:refused', 'pncounter')]
  likes.object.increment(3)
  theirs.object.increment(4)
  for (const { object } of [likes, theirs]) await until('both read 7', () => object.value === 7n)
  const [notes, copy] = [await polling.doc('doc:refused'), await direct.doc('doc:refused')]
  notes.doc.getText('t').insert(0, 'Hello')
  await until('b reads it', () => copy.doc.getText('t').toString() === 'Hello')
  copy.doc.getText('t').insert(5, ' wörld 🌍')
  await until('a reads it', () => notes.doc.getText('t').toString() === 'Hello wörld 🌍')
  await until('it has measured', () => polling.status.roundTrip !== undefined)
})

test('an upgrade that is never answered: it polls after some seconds, and later connections begin with that', async () => {
  proxy.upgrades = 'swallow'
  const client = await open(proxy)
  const begun = Date.now()
  await online(client, 'longpoll')
  assert.ok(Date.now() - begun < 9000, `${Date.now() - begun} ms`)
  const { upgrades } = proxy.seen
  client.disconnect()
  await until('it is offline', () => client.status.state === 'offline')
  assert.equal(client.status.transport, undefined)
  const again = Date.now()
  client.connect()
  await online(client, 'longpoll')
  assert.ok(Date.now() - again < 2000, `${Date.now() - again} ms`)
  assert.equal(proxy.seen.upgrades, upgrades)
})

test('documents of a megabyte go both ways, and one of several comes', async () => {
  const [polling, direct] = [await open(proxy), await open(server)]
  const [mine, theirs] = [await polling.doc('doc:large'), await direct.doc('doc:large')]
  const text = (letter, length) => `${letter.repeat(length - 1)}\n`
  mine.doc.getText('t').insert(0, text('a', 1_000_000))
  await mine.acknowledged()
  await until('it is there', () => theirs.doc.getText('t').length === 1_000_000)
  for (let i = 0; i < 6; i++) {
    theirs.doc.getText('t').insert(0, text('b', 1_000_000))
    await theirs.acknowledged()
  }
  await until('it comes back', () => mine.doc.getText('t').length === 7_000_000)
  const late = await (await open(proxy)).doc('doc:large')
  await until('who comes late has it', () => late.doc.getText('t').length === 7_000_000)
  assert.equal(late.doc.getText('t').toString(), theirs.doc.getText('t').toString())
  late.doc.getText('t').insert(0, '!')
  await late.acknowledged()
})

test('messages, presence and awareness go through; who leaves is gone at once', async () => {
  const [polling, direct] = [await open(proxy), await open(server)]
  const [here, there] = [await polling.channel('relay:talk'), await direct.channel('relay:talk')]
  const heard = { here: [], there: [] }
  here.onMessage((event, payload) => heard.here.push([event, payload]))
  there.onMessage((event, payload) => heard.there.push([event, payload]))
  here.presence.show('ann', { name: 'Ann' })
  let present = {}
  there.presence.subscribe((state) => (present = state))
  await until('Ann is seen', () => Object.keys(present).length === 1)
  await until('both are in', () => [here, there].every(({ status }) => status.state === 'joined'))
  assert.equal((await here.push('say', { b64: 'AQI=' })).status, 'ok')
  assert.equal((await here.push('say', new Uint8Array([0, 255, 10]))).status, 'ok')
  assert.equal((await there.push('say', new Uint8Array([1, 2, 3]))).status, 'ok')
  await until('all is heard', () => heard.here.length === 1 && heard.there.length === 2)
  assert.deepEqual(heard.there, [['say', { b64: 'AQI=' }], ['say', new Uint8Array([0, 255, 10])]])
  assert.deepEqual(heard.here, [['say', new Uint8Array([1, 2, 3])]])
  const begun = Date.now()
  polling.disconnect()
  await until('Ann is gone', () => Object.keys(present).length === 0)
  assert.ok(Date.now() - begun < 5000, `${Date.now() - begun} ms`)
})

test('the server is killed and comes back, again and again: each change is there once', async () => {
  const [polling, direct] = [await open(proxy), await open(server)]
  const [mine, theirs] = [await polling.crdt('crdt:killed', 'gcounter'), await direct.crdt('crdt:killed', 'gcounter')]
  const notes = await polling.doc('doc:killed')
  let letters = ''
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 20; i++) {
      mine.object.increment()
      theirs.object.increment()
      notes.doc.getText('t').insert(letters.length, String.fromCharCode(97 + i))
      letters += String.fromCharCode(97 + i)
      await sleep(2)
    }
    await server.stop('SIGKILL')
    mine.object.increment()
    await sleep(50)
    await server.start()
    polling.wake()
    direct.wake()
    await Promise.all([mine, theirs, notes].map((topic) => topic.acknowledged()))
  }
  for (const { object } of [mine, theirs]) await until('all agree', () => object.value === 164n)
  const stranger = await open(server)
  const [read, text] = [await stranger.crdt('crdt:killed', 'gcounter'), await stranger.doc('doc:killed')]
  await until('a stranger reads 164', () => read.object.value === 164n)
  await until('and all of the text, once', () => text.doc.getText('t').toString() === letters)
})

test('requests fail on their way there, or on their way back: each change is there once', async () => {
  const client = await open(proxy)
  const likes = await client.crdt('crdt:lost', 'gcounter')
  const notes = await client.doc('doc:lost')
  likes.object.increment()
  await likes.acknowledged()
  const fates = ['pass', 'lose', 'pass', 'drop', 'pass', 'pass', 'lose']
  let met = 0
  proxy.fate = ({ method, headers }) => (method === 'POST' && headers['content-type'] !== undefined ? fates[met++ % fates.length] : 'pass')
  let letters = ''
  for (let i = 0; i < 60; i++) {
    likes.object.increment()
    notes.doc.getText('t').insert(i, String.fromCharCode(97 + (i % 26)))
    letters += String.fromCharCode(97 + (i % 26))
    if (i % 5 === 0) client.wake()
    await sleep(10)
  }
  await until('some were lost', () => met > 2 * fates.length)
  proxy.fate = () => 'pass'
  await Promise.all([likes.acknowledged(), notes.acknowledged()])
  const stranger = await open(server)
  const [read, text] = [await stranger.crdt('crdt:lost', 'gcounter'), await stranger.doc('doc:lost')]
  await until('61', () => read.object.value === 61n)
  await until('all of the text, once', () => text.doc.getText('t').toString() === letters)
})

test('a server that wants to be left alone is, and who cannot wait says so', async () => {
  const client = await open(proxy, { connect: false })
  const polls = []
  proxy.fate = ({ method }, response) => {
    if (method !== 'GET') return 'pass'
    polls.push(Date.now())
    if (polls.length > 1) return 'pass'
    response.writeHead(503, { 'retry-after': '3' }).end()
    return undefined
  }
  client.connect()
  await online(client, 'longpoll')
  assert.ok(polls[1] - polls[0] >= 3000, `${polls[1] - polls[0]} ms`)
  polls.length = 0
  proxy.cut()
  await until('it is told to wait', () => polls.length > 0)
  const begun = Date.now()
  await sleep(100)
  while (client.status.state !== 'online') {
    client.wake()
    await sleep(20)
  }
  assert.ok(Date.now() - begun < 2500, `${Date.now() - begun} ms`)
})

test('tokens are told, renewed and asked for again', async () => {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url')
  const jwt = (seconds, key = secret) => {
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'ann', topics: { 'crdt:*': 'write' }, exp: Math.floor(Date.now() / 1000) + seconds })}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  let asked = 0
  let upgrades = 0
  const token = () => {
    if (asked === 1) upgrades = strictProxy.seen.upgrades
    return asked++ === 0 ? jwt(600, 'another key') : jwt(4)
  }
  const client = await open(strictProxy, { token })
  const states = []
  const likes = await client.crdt('crdt:token', 'gcounter')
  likes.object.increment()
  await likes.acknowledged()
  assert.equal(client.status.transport, 'longpoll')
  assert.equal(asked, 2)
  assert.equal(upgrades, 1, 'the first poll told that the token is bad')
  client.onStatus(({ state }) => states.push(state))
  await until('a third token, and a fourth', () => asked >= 4)
  likes.object.increment()
  await likes.acknowledged()
  assert.ok(!states.includes('offline'), states.join())
})

test('who wants WebSockets alone does not poll', async () => {
  const { GET } = proxy.seen
  const client = await open(proxy, { longPoll: false })
  const { upgrades } = proxy.seen
  await until('some attempts', () => proxy.seen.upgrades > upgrades + 3)
  assert.equal(proxy.seen.GET, GET)
  assert.notEqual(client.status.state, 'online')
})

test('polls that hang are given up, and what waited behind them arrives', async () => {
  const { took, value, transport } = await hung
  assert.ok(took < 50_000, `${took} ms`)
  assert.equal(value, 2n)
  assert.equal(transport, 'longpoll')
})

test('a WebSocket that opens and carries nothing is given up, and it polls', async () => assert.equal(await mute, 'longpoll'))

test('when there are WebSockets again, one is used, and nothing is lost or counted twice', async () => {
  const { before, after, count, value } = await returned
  assert.deepEqual([before, after, value], ['longpoll', 'websocket', count])
})
