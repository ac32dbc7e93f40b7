// tests/e2e/client_node.test.mjs -- createClient() in Node, over a real socket to the real program.
//
//   node --test tests/e2e/client_node.test.mjs        after tools/build_js.mjs
//
// Goal: what is changed is kept and arrives once, whatever ends on the way: the connection, the server, the client, its folder's owner.
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { open as openFile } from 'node:fs/promises'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, LaniakeaError } from '@laniakea/sdk'
import { Program } from './program.mjs'

const PATIENCE_MS = 20_000
const server = new Program()
const folder = mkdtempSync(join(tmpdir(), 'laniakea-client-'))
const opened = []

before(() => server.start())
afterEach(() => Promise.all(opened.splice(0).map((client) => client.close())))
after(async () => {
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function open(options = {}) {
  const client = await createClient({ url: `${server.url}/socket`, ...options })
  opened.push(client)
  return client
}

const keptIn = (name) => ({ storage: { folder: join(folder, name) } })

async function until(what, isSo) {
  for (const end = Date.now() + PATIENCE_MS; !isSo(); await sleep(5)) if (Date.now() > end) assert.fail(`it does not happen: ${what}`)
}

const hasCode = (code) => (error) => error instanceof LaniakeaError && error.code === code

test('objects and documents are changed at once, and are seen by others', async () => {
  const [a, b] = [await open(), await open()]
  const [likes, theirs] = [await a.crdt('crdt:seen', 'pncounter'), await b.crdt('crdt:seen', 'pncounter')]
  likes.object.increment(3)
  assert.equal(likes.object.value, 3n)
  await until('b sees 3', () => theirs.object.value === 3n)
  await likes.acknowledged()
  assert.equal(likes.status.level, 'durable')
  assert.equal(a.status.state, 'online')

  const [notes, copy] = [await a.doc('doc:seen'), await b.doc('doc:seen')]
  notes.doc.getText('t').insert(0, 'Hello')
  await until('b reads it', () => copy.doc.getText('t').toString() === 'Hello')
  copy.doc.getText('t').insert(5, ' world')
  await until('a reads it', () => notes.doc.getText('t').toString() === 'Hello world')
})

test('who opens a topic twice has one object, and the last closing leaves it', async () => {
  const a = await open()
  const [one, two] = [await a.crdt('crdt:twice', 'orset'), await a.crdt('crdt:twice', 'orset')]
  assert.equal(one.object, two.object)
  await one.close()
  two.object.add('still')
  await two.acknowledged()
  await two.close()
  assert.throws(() => two.object.add('late'), hasCode('LK_ERR_STATE'))
  const again = await a.crdt('crdt:twice', 'orset')
  await until('it comes back', () => again.object.value.includes('still'))
})

test('a topic is of one type', async () => {
  const a = await open()
  await a.crdt('crdt:typed', 'orset')
  await assert.rejects(a.crdt('crdt:typed', 'pncounter'), hasCode('LK_ERR_TYPE'))
  await assert.rejects(a.crdt('crdt:typed2', 'nonsense'), hasCode('LK_ERR_UNKNOWN_TYPE'))
  await assert.rejects(a.crdt('', 'orset'), hasCode('LK_ERR_INVALID'))
})

test('what is changed offline, in a client that ends, arrives once from the next one', async () => {
  const first = await open(keptIn('offline'))
  const likes = await first.crdt('crdt:offline', 'gcounter')
  const notes = await first.doc('doc:offline')
  likes.object.increment(2)
  notes.doc.getText('t').insert(0, 'online. ')
  await Promise.all([likes.acknowledged(), notes.acknowledged()])
  await server.stop()
  for (let i = 0; i < 10; i++) likes.object.increment()
  notes.doc.getText('t').insert(8, 'offline.')
  await Promise.all([likes.saved(), notes.saved()])
  await first.close()

  const second = await open(keptIn('offline'))
  const [again, text] = [await second.crdt('crdt:offline', 'gcounter'), await second.doc('doc:offline')]
  assert.equal(again.object.value, 12n)
  assert.equal(text.doc.getText('t').toString(), 'online. offline.')
  again.object.increment()
  assert.equal(again.status.state, 'away')
  await server.start()
  await again.acknowledged()
  const other = await open()
  const [seen, read] = [await other.crdt('crdt:offline', 'gcounter'), await other.doc('doc:offline')]
  await until('13, once', () => seen.object.value === 13n)
  await until('all of the text, once', () => read.doc.getText('t').toString() === 'online. offline.')
  assert.equal(seen.object.size.actors, 1, 'the same name goes on')
})

test('who wants no connection has none, and sends what waited when it wants one again', async () => {
  const first = await open(keptIn('disconnected'))
  const other = await open()
  const [likes, theirs] = [await first.crdt('crdt:disconnected', 'gcounter'), await other.crdt('crdt:disconnected', 'gcounter')]
  likes.object.increment()
  await likes.acknowledged()
  await until('1 is seen', () => theirs.object.value === 1n)
  first.disconnect()
  await until('it is offline', () => first.status.state === 'offline')
  likes.object.increment(2)
  first.wake()
  await likes.saved()
  assert.equal(likes.status.pending, 1)
  await first.close()

  const second = await open({ ...keptIn('disconnected'), connect: false })
  const again = await second.crdt('crdt:disconnected', 'gcounter')
  assert.equal(again.object.value, 3n)
  again.object.increment(4)
  await again.saved()
  // What goes from here to there in the meantime would come on the same way.
  theirs.object.increment(10)
  await theirs.acknowledged()
  const third = await open()
  const read = await third.crdt('crdt:disconnected', 'gcounter')
  await until('others agree on 11', () => read.object.value === 11n)
  assert.deepEqual([second.status.state, again.object.value, theirs.object.value], ['offline', 7n, 11n])
  second.connect()
  await until('all agree', () => [again, theirs, read].every(({ object }) => object.value === 17n))
  assert.equal(again.status.pending, 0)
})

test('a folder belongs to one client, and to the next one when that is gone, however it went', async () => {
  const script = `
    import { createClient } from '@laniakea/sdk'
    const client = await createClient({ url: '${server.url}/socket', storage: { folder: ${JSON.stringify(join(folder, 'killed'))} } })
    const set = await client.crdt('crdt:killed', 'orset')
    set.object.add('before it was killed')
    await set.saved()
    console.log('saved')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  await assert.rejects(open(keptIn('killed')), hasCode('LK_ERR_EXISTS'))
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  const next = await open(keptIn('killed'))
  const set = await next.crdt('crdt:killed', 'orset')
  assert.deepEqual(set.object.value, ['before it was killed'])
  assert.equal(next.status.storage, 'files')
})

test('of two who want one folder at the same time, at most one has it', async () => {
  const where = keptIn('wanted')
  const tries = await Promise.allSettled([open(where), open(where), open(where)])
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const { status, reason } of tries) assert.ok(status === 'fulfilled' || hasCode('LK_ERR_EXISTS')(reason), String(reason))
  await opened.pop().close()
  const script = `
    import { createClient } from '@laniakea/sdk'
    try {
      await createClient({ url: '${server.url}/socket', storage: { folder: ${JSON.stringify(join(folder, 'wanted'))} } })
      console.log('has it')
    } catch (error) { console.log(error.code) }
    setInterval(() => {}, 1000)`
  const children = Array.from({ length: 4 }, () => spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] }))
  const said = await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once('data', (bytes) => resolve(String(bytes).trim())))))
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))))
  assert.ok(said.filter((word) => word === 'has it').length <= 1, said.join())
  assert.ok(said.every((word) => word === 'has it' || word === 'LK_ERR_EXISTS'), said.join())
  await open(where)
})

test('who begins an object anew without a server uses no name again', async () => {
  const a = await open(keptIn('begun'))
  const [likes, tags] = [await a.crdt('crdt:begun', 'gcounter'), await a.crdt('crdt:begun tags', 'orset')]
  likes.object.increment(5)
  tags.object.add('before')
  await Promise.all([likes.acknowledged(), tags.acknowledged()])
  await server.stop()
  await until('it is away', () => likes.status.state === 'away' && tags.status.state === 'away')
  likes.startAnew()
  tags.startAnew()
  await until('they are empty', () => likes.object.value === 0n && tags.object.value.length === 0)
  await Promise.all([likes.close(), tags.close()])
  const [more, others] = [await a.crdt('crdt:begun', 'gcounter'), await a.crdt('crdt:begun tags', 'orset')]
  more.object.increment(3)
  others.object.add('after')
  await Promise.all([more.saved(), others.saved()])
  await server.start()
  await until('all of it is there', () => more.object.value === 8n && others.object.value.length === 2)
  await Promise.all([more.acknowledged(), others.acknowledged()])
  assert.deepEqual([others.status.state, [...others.object.value].sort()], ['joined', ['after', 'before']])
})

test('who waits while another one begins anew is told that nothing comes of it', async () => {
  const a = await open({ connect: false })
  const likes = await a.crdt('crdt:waits', 'gcounter')
  likes.object.increment()
  await until('the hub has it', () => likes.status.pending === 1)
  const acknowledged = likes.acknowledged()
  likes.startAnew()
  await assert.rejects(acknowledged, hasCode('LK_ERR_STATE'))
})

for (const [how, spoil] of [['is broken', (path) => writeFileSync(path, readFileSync(path).map((byte) => byte ^ 0xff))], ['is gone', (path) => rmSync(path)]]) {
  test(`a diary that ${how} takes its names with it`, async () => {
    const name = `diary ${how}`
    const first = await open(keptIn(name))
    const likes = await first.crdt(`crdt:${name}`, 'gcounter')
    likes.object.increment(5)
    await likes.acknowledged()
    await first.close()
    for (const file of readdirSync(join(folder, name))) if (file.startsWith('diary')) spoil(join(folder, name, file))
    const second = await open({ ...keptIn(name), connect: false })
    const again = await second.crdt(`crdt:${name}`, 'gcounter')
    assert.equal(again.object.value, 0n)
    again.object.increment(3)
    second.connect()
    await until('8, each once', () => again.object.value === 8n)
    const other = await open()
    const seen = await other.crdt(`crdt:${name}`, 'gcounter')
    await until('others agree', () => seen.object.value === 8n)
  })
}

test('what is closed and opened in one turn is open', async () => {
  const a = await open()
  const first = await a.channel('relay:turn')
  const opening = a.channel('relay:turn')
  await first.close()
  const second = await opening
  await until('it is in', () => second.status.state === 'joined')
  const third = a.channel('relay:turn')
  await a.close()
  await assert.rejects(third.then(async (topic) => { if (topic.status.state === 'closed') throw new LaniakeaError('LK_ERR_STATE') }), hasCode('LK_ERR_STATE'))
})

test('beyond what may be pending, changes are refused, and none is lost', async () => {
  await server.stop()
  const a = await open({ pending: { count: 10 } })
  const likes = await a.crdt('crdt:full', 'gcounter')
  let counted = 0
  for (let i = 0; i < 100; i++) {
    try {
      likes.object.increment()
      counted++
    } catch (error) {
      assert.ok(hasCode('LK_ERR_BACKLOG')(error), String(error))
      break
    }
    await sleep(5)
  }
  assert.ok(counted >= 10 && counted < 30, `${counted} were taken`)
  assert.equal(a.status.isFull, true)
  await server.start()
  await likes.acknowledged()
  await until('there is room again', () => !a.status.isFull)
  likes.object.increment()
  const other = await open()
  const seen = await other.crdt('crdt:full', 'gcounter')
  await until('each once', () => seen.object.value === BigInt(counted + 1))
})

test('presence: everybody sees who is there, and who has gone', async () => {
  const [a, b] = [await open(), await open()]
  const [here, there] = [await a.channel('relay:presence'), await b.channel('relay:presence')]
  let seen = {}
  there.presence.subscribe((state) => (seen = state))
  here.presence.show('ada', { name: 'Ada' })
  await until('b sees Ada', () => seen.ada?.metas[0]?.name === 'Ada')
  here.presence.show('ada', { name: 'Ada', away: true })
  await until('she is away', () => seen.ada?.metas.length === 1 && seen.ada.metas[0].away === true)
  await server.stop()
  await server.start()
  await until('she comes back with the server', () => here.status.state === 'joined' && there.status.state === 'joined' && seen.ada?.metas.length === 1)
  await here.close()
  await until('she is gone', () => seen.ada === undefined)
})

test('messages are answered, and reach the others', async () => {
  const [a, b] = [await open(), await open()]
  const [here, there] = [await a.channel('relay:messages'), await b.channel('relay:messages')]
  await until('both are in', () => here.status.state === 'joined' && there.status.state === 'joined')
  const heard = []
  there.onMessage((event, payload) => heard.push([event, payload]))
  assert.equal((await here.push('ping', { n: 1 })).status, 'ok')
  await until('it is heard', () => heard.length === 1)
  assert.deepEqual(heard, [['ping', { n: 1 }]])
  await server.stop()
  await until('away', () => here.status.state === 'away')
  assert.deepEqual(await here.push('ping', { n: 2 }), { status: 'error', response: { reason: 'offline' } })
  await server.start()
})

test('awareness goes both ways, and goes with who showed it', async () => {
  const [a, b] = [await open(), await open()]
  const [here, there] = [await a.doc('doc:aware'), await b.doc('doc:aware')]
  here.awareness.setLocalStateField('user', { name: 'Ada' })
  const names = () => [...there.awareness.getStates().values()].map(({ user }) => user?.name).filter(Boolean)
  await until('b sees Ada', () => names().includes('Ada'))
  await here.close()
  await until('she is gone', () => !names().includes('Ada'))
})

test('a document that was begun again on the server is refused until somebody starts anew', async () => {
  const a = await open()
  const notes = await a.doc('doc:anew')
  notes.doc.getText('t').insert(0, 'mine')
  await notes.acknowledged()
  const first = notes.doc
  notes.awareness.setLocalStateField('user', { name: 'Ada' })
  notes.onReplaced((doc) => assert.notEqual(doc, first))
  notes.startAnew()
  await until('the server gives it back', () => notes.doc !== first && notes.doc.getText('t').toString() === 'mine')
  assert.equal(notes.awareness.clientID, notes.doc.client)
  assert.deepEqual(notes.awareness.getLocalState(), { user: { name: 'Ada' } })
  notes.doc.getText('t').insert(4, ' and ours')
  await notes.acknowledged()
})

/** Whether it is so within a moment. */
const isSoon = (promise) => Promise.race([promise.then(() => true), sleep(300, false)])

test('where a device keeps nothing, saved() waits for the server', async () => {
  await server.stop()
  const client = await open()
  const likes = await client.crdt('crdt:unkept', 'gcounter')
  likes.object.increment()
  const saved = likes.saved()
  assert.equal(await isSoon(saved), false)
  assert.equal(likes.status.unsaved, 1)
  await server.start()
  await saved
  assert.equal(likes.status.unsaved, 0)
})

test('what is longer than a record of the diary is kept in several', async () => {
  await server.stop()
  const long = 'x'.repeat(17 << 20)
  const first = await open(keptIn('long'))
  const notes = await first.doc('doc:long')
  notes.doc.getText('t').insert(0, long)
  await notes.saved()
  assert.equal(first.status.storageState, 'LK_OK')
  await first.close()
  const second = await open(keptIn('long'))
  assert.equal((await second.doc('doc:long')).doc.getText('t').toString(), long)
  await server.start()
})

/** From now on nothing that is written in this process becomes durable, until the function that it returns is called. */
async function breakStorage() {
  const file = await openFile(join(folder, 'any'), 'w')
  const kind = Object.getPrototypeOf(file)
  await file.close()
  const { sync, datasync } = kind
  kind.sync = kind.datasync = async () => { throw Object.assign(new Error('broken'), { code: 'EIO' }) }
  return () => Object.assign(kind, { sync, datasync })
}

// Goal: nobody waits for a storage that fails, but for what could be forgotten with it.
// Method: a change that is made before anybody knows of the trouble, and two behind it: one beside it, one elsewhere.
test('while the storage fails changes are made under a name that nothing waits for', async () => {
  const options = keptIn('broken')
  const first = await open(options)
  const [likes, views] = [await first.crdt('crdt:broken', 'gcounter'), await first.crdt('crdt:broken too', 'gcounter')]
  likes.object.increment(1)
  views.object.increment(1)
  await Promise.all([likes.acknowledged(), views.acknowledged()])
  const mend = await breakStorage()
  try {
    likes.object.increment(10)
    await until('the status says so', () => first.status.storageState !== 'LK_OK')
    await sleep(50)
    views.object.increment(10)
    await views.acknowledged()
    assert.equal(first.status.storageState === 'LK_OK', false)
    likes.object.increment(100)
    assert.equal(await isSoon(likes.acknowledged()), false)
    const watcher = await open()
    const seen = await watcher.crdt('crdt:broken', 'gcounter')
    await until('it is there', () => seen.status.state === 'joined')
    assert.equal(seen.object.value, 1n) // neither what may be forgotten, nor what may speak of it
  } finally {
    mend()
  }
  await likes.acknowledged()
  await until('it is well', () => first.status.storageState === 'LK_OK')
  await first.close()
  const second = await open(options)
  const [more, again] = [await second.crdt('crdt:broken', 'gcounter'), await second.crdt('crdt:broken too', 'gcounter')]
  more.object.increment(1000)
  again.object.increment(1000)
  await Promise.all([more.acknowledged(), again.acknowledged()])
  const other = await open()
  const [seen, too] = [await other.crdt('crdt:broken', 'gcounter'), await other.crdt('crdt:broken too', 'gcounter')]
  await until('each once', () => seen.object.value === 1111n && too.object.value === 1011n)
})

test('a client that nobody waits for ends at once, also where its device keeps nothing', async () => {
  await server.stop()
  const problems = []
  const client = await createClient({ url: `${server.url}/socket`, onError: ({ code }) => problems.push(code) })
  const likes = await client.crdt('crdt:ends', 'gcounter')
  likes.object.increment()
  const from = Date.now()
  await client.close()
  assert.ok(Date.now() - from < 1000)
  assert.deepEqual(problems, [])
  await server.start()
})
