// tests/e2e/versions.test.mjs -- versions of documents, as phoenix.js, Yjs and HTTP meet them.
//
// Goal: a version reads what Yjs itself reads at its snapshot; going back reaches everybody in their own way, and all agree; what was
// answered is there after any death. Method: unmodified clients against the program, of which one keeps what is deleted
// and so can ask Yjs' createDocFromSnapshot; random edits. LK_SEED repeats a run.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Socket } from 'phoenix'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const seed = Number(process.env.LK_SEED ?? Date.now() % 1_000_000)
let state = seed
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / (1 << 24)
const below = (n) => Math.floor(random() * n)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const program = new Program('--edges', '2', '--rooms', '2', '--versions', 'doc:auto-*=300ms/3,doc:off-*=saved,doc:v*=saved')
const open = new Set()
before(() => program.start())
beforeEach((t) => {
  t.after(() => {
    for (const close of open) close()
    open.clear()
  })
})
after(() => program.dispose())

async function until(what, done, millis = 10_000) {
  const end = Date.now() + millis
  while (!done()) {
    if (Date.now() > end) assert.fail(`waited until ${what} (LK_SEED=${seed})`)
    await sleep(5)
  }
}

/** phoenix.js and Yjs, keeping what is deleted. `ask` resolves with the reply, or rejects with what was refused. */
class Member {
  doc = new Y.Doc({ gc: false })
  unanswered = 0
  constructor(name) {
    this.socket = new Socket(`${program.url.replace('http', 'ws')}/socket`, { transport: WebSocket, reconnectAfterMs: () => 50, rejoinAfterMs: () => 50, vsn: '2.0.0' })
    this.socket.connect()
    this.channel = this.socket.channel(`doc:${name}`, { encoding: 'binary' })
    this.channel.on('server_update', (bytes) => Y.applyUpdate(this.doc, new Uint8Array(bytes), this))
    this.doc.on('update', (update, origin) => {
      if (origin === this) return
      this.unanswered++
      this.channel.push('client_update', update.slice().buffer).receive('ok', () => this.unanswered--)
    })
    open.add(() => this.socket.disconnect())
  }
  join() {
    return new Promise((resolve, reject) => this.channel.join().receive('ok', resolve).receive('error', reject))
  }
  ask(event, payload = {}) {
    return new Promise((resolve, reject) => this.channel.push(event, payload).receive('ok', resolve).receive('error', reject).receive('timeout', () => reject(new Error('timeout'))))
  }
  settle() {
    return until('all is answered', () => this.unanswered === 0)
  }
}

function websocketDoc(name, options = {}) {
  const doc = new Y.Doc(options)
  const provider = new WebsocketProvider(`${program.url.replace('http', 'ws')}/y`, name, doc, { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 200 })
  open.add(() => { provider.destroy(); doc.destroy() })
  return doc
}

/** All that a document says; formatting too. */
function reading(doc) {
  const deep = (value) => {
    if (value instanceof Y.Map) return Object.fromEntries([...value.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, deep(v)]))
    if (value instanceof Y.Array) return value.toArray().map(deep)
    if (value instanceof Y.XmlText || value instanceof Y.Text) return value.toDelta().map((op) => ({ ...op, insert: deep(op.insert) }))
    if (value instanceof Y.XmlElement || value instanceof Y.XmlFragment) {
      const attributes = value instanceof Y.XmlElement ? Object.entries(value.getAttributes()).sort(([a], [b]) => (a < b ? -1 : 1)) : []
      return [value.nodeName ?? '', attributes, value.toArray().map(deep)]
    }
    return value
  }
  return { text: deep(doc.getText('text')), map: deep(doc.getMap('map')), list: deep(doc.getArray('list')), xml: deep(doc.getXmlFragment('xml')) }
}

/** Something somewhere, of every kind. */
function change(doc) {
  const text = doc.getText('text'), map = doc.getMap('map'), list = doc.getArray('list'), xml = doc.getXmlFragment('xml')
  const some = (length) => { const at = below(length + 1); return [at, below(Math.min(length - at, 4) + 1)] }
  const typed = (into) => {
    const [at, len] = some(into.length)
    const kind = below(4)
    if (kind === 0) into.delete(at, len)
    else if (kind === 1) into.format(at, len, { [random() < 0.5 ? 'bold' : 'link']: random() < 0.3 ? null : below(3) })
    else into.insert(at, ['word ', 'é', '€', 'x'][below(4)])
  }
  const inner = list.length > 0 ? list.get(below(list.length)) : null
  switch (below(9)) {
    case 0: case 1: case 2: typed(text); break
    case 3: map.set(['a', 'b'][below(2)], [below(9), { deep: [1, 'x'] }, new Uint8Array([1, 2])][below(3)]); break
    case 4: random() < 0.4 ? map.delete('a') : map.set('node', random() < 0.5 ? new Y.Text('in a map') : new Y.Array()); break
    case 5: list.insert(below(list.length + 1), [random() < 0.5 ? below(9) : new Y.Text('in a list')]); break
    case 6: if (list.length > 0) list.delete(below(list.length), 1); break
    case 7: inner instanceof Y.Text ? typed(inner) : list.push([new Y.Map([['k', below(5)]])]); break
    default: {
      const element = xml.length > 0 && random() < 0.6 ? xml.get(below(xml.length)) : null
      if (element === null) { const p = new Y.XmlElement('p'); p.insert(0, [new Y.XmlText('prose')]); xml.insert(below(xml.length + 1), [p]) }
      else if (random() < 0.3) element.setAttribute('level', String(below(4)))
      else if (random() < 0.3) xml.delete(0, 1)
      else if (element.get(0) instanceof Y.XmlText) typed(element.get(0))
    }
  }
}

const api = (path, options = {}) => fetch(`${program.url}/api/topics/${path}`, options)
const json = (body, headers = {}) => ({ method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })


/** Kills the processes that hold rooms. */
function killRooms() {
  const stats = readdirSync('/proc').filter((each) => /^\d+$/.test(each)).map((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return { pid: Number(pid), isRoom: stat.includes('(laniakea-room)'), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }
    } catch {
      return { isRoom: false }
    }
  })
  const rooms = stats.filter(({ isRoom, parent }) => isRoom && parent === program.pid)
  assert.ok(rooms.length > 0)
  for (const { pid } of rooms) process.kill(pid, 'SIGKILL')
}

/** What a version says: read by an update, and by Yjs itself, in a document that has kept everything. */
async function checkVersion(member, id, want) {
  const read = new Y.Doc()
  Y.applyUpdate(read, new Uint8Array(await member.ask('version_read', { id, as: 'update' })))
  const snapshot = Y.decodeSnapshotV2(new Uint8Array(await member.ask('version_read', { id, as: 'snapshot_v2' })))
  const theirs = Y.createDocFromSnapshot(member.doc, snapshot)
  assert.deepEqual(reading(read), reading(theirs), `LK_SEED=${seed}`)
  if (want !== undefined) assert.deepEqual(reading(read), want, `LK_SEED=${seed}`)
}

describe('versions of a document', () => {
  test('are told of to all members, whoever makes, restores or deletes one', async () => {
    const a = new Member('v-told'), b = new Member('v-told'), c = new Member('v-told')
    const heard = { a: [], b: [], c: [] }
    for (const [name, member] of Object.entries({ a, b, c })) member.channel.on('versions_changed', (news) => heard[name].push(news))
    await a.join()
    await b.join()
    await c.join()
    assert.equal((await c.ask('capabilities', { connection_type: 'cellular', effective_type: '3g' })).profile, 'constrained_client')
    const theirs = websocketDoc('v-told') // which knows no such message
    a.doc.getText('text').insert(0, 'one')
    await a.settle()
    const { id } = await a.ask('version_save', { name: 'draft' })
    await until('the others hear of it', () => heard.b.length > 0 && heard.c.length > 0 && heard.a.length > 0)
    for (const news of Object.values(heard)) assert.deepEqual([news[0].change, news[0].id, news[0].name, news[0].automatic], ['made', id, 'draft', false])
    a.doc.getText('text').insert(3, ' two')
    await a.settle()
    assert.equal((await api(`doc:v-told/versions/${id}/restore`, json({}))).status, 200)
    await until('all hear that it was restored', () => heard.b.some(({ change }) => change === 'restored'))
    assert.equal((await api(`doc:v-told/versions/${id}`, { method: 'DELETE' })).status, 204)
    await until('all hear that it is gone', () => heard.b.at(-1).change === 'deleted')
    assert.deepEqual(heard.b.at(-1), { change: 'deleted', id })
    await until('the others have the text', () => theirs.getText('text').toString() === 'one')
  })

  test('read what Yjs reads there, and all clients go back together', async () => {
    const a = new Member('v-all')
    const b = websocketDoc('v-all', { gc: true })
    await a.join()
    const seen = []
    const saved = []
    for (let v = 0; v < 4; v++) {
      for (let n = 0; n < 25; n++) change(random() < 0.6 ? a.doc : b)
      await a.settle()
      await until('both agree', () => Y.equalSnapshots(Y.snapshot(a.doc), Y.snapshot(b)))
      const { id, name, automatic } = await a.ask('version_save', { name: `number ${v}` })
      assert.deepEqual([name, automatic], [`number ${v}`, false])
      saved.push(id)
      seen.push(reading(a.doc))
    }
    for (let v = 0; v < 4; v++) await checkVersion(a, saved[v], seen[v])
    const late = new Member('v-all')
    for (const v of [1, 3, 0, 2]) {
      const { id } = await a.ask('version_restore', { id: saved[v] })
      assert.equal(id, saved[v])
      for (const doc of [a.doc, b]) await until(`all are back at ${v}`, () => JSON.stringify(reading(doc)) === JSON.stringify(seen[v]))
      assert.deepEqual(reading(b), seen[v], `LK_SEED=${seed}`)
      change(b)
      await until('both agree', () => Y.equalSnapshots(Y.snapshot(a.doc), Y.snapshot(b)))
    }
    await late.join()
    await a.settle()
    await until('who comes later agrees', () => JSON.stringify(reading(late.doc)) === JSON.stringify(reading(a.doc)))
    for (let v = 0; v < 4; v++) await checkVersion(a, saved[v], seen[v])
  })

  test('say what changed, and who wrote it', async () => {
    const a = new Member('v-who')
    await a.join()
    a.doc.getText('text').insert(0, 'one')
    const first = await a.ask('version_save')
    a.doc.getText('text').insert(3, ' two')
    a.doc.getText('text').delete(0, 1)
    await a.settle()
    const changes = await a.ask('version_compare', { from: first.id })
    assert.deepEqual(changes.clients, [{ client: a.doc.clientID, added: 4, deleted: 1, formats: 0 }])
    assert.deepEqual(changes.roots.text[0].delta, [{ delete: 'o', client: a.doc.clientID }, { retain: 2 }, { insert: ' two', client: a.doc.clientID }])
    assert.deepEqual(await (await api(`doc:v-who/versions/now/changes?from=${first.id}`)).json(), changes)
    await assert.rejects(a.ask('version_compare', { from: 99 }), { reason: 'LK_ERR_NOT_FOUND', field: 'from' })
  })

  test('come by themselves when somebody goes on after a while', async () => {
    const a = new Member('auto-a')
    await a.join()
    const text = a.doc.getText('text')
    for (let i = 0; i < 6; i++) {
      text.insert(text.length, String(i))
      await a.settle()
      await sleep(310)
    }
    const { versions, interval_ms } = await a.ask('versions')
    assert.equal(interval_ms, 300)
    assert.equal(versions.length, 3)
    assert.ok(versions.every(({ automatic, at }) => automatic && Math.abs(at - Date.now()) < 60_000))
    assert.equal(Buffer.from(await a.ask('version_read', { id: versions[0].id, as: 'text' })).toString(), '01234')
  })

  test('are there after every death, and nothing is done twice', async () => {
    const path = 'doc:v-deaths'
    await api(path, json({ b64: Buffer.from(Y.encodeStateAsUpdate(docOf('first'))).toString('base64') }))
    const save = () => api(`${path}/versions`, json({ name: 'kept' }, { 'idempotency-key': 'once' }))
    const one = await save()
    assert.equal(one.status, 201)
    const { id } = await one.json()
    killRooms()
    assert.deepEqual((await (await save()).json()).id, id)
    await program.stop('SIGKILL')
    await sleep(200)
    await program.start()
    assert.deepEqual((await (await save()).json()).id, id)
    const list = await (await api(`${path}/versions`)).json()
    assert.deepEqual(list.versions.map(({ id, name }) => [id, name]), [[id, 'kept']])
    await api(path, json({ b64: Buffer.from(Y.encodeStateAsUpdate(docOf(' more', 77))).toString('base64') }))
    const now = await (await api(`${path}?as=text`)).text()
    const back = await (await api(`${path}/versions/${id}/restore`, json({}, { 'idempotency-key': 'back' }))).json()
    assert.equal(await (await api(`${path}?as=text`)).text(), 'first')
    assert.equal(await (await api(`${path}/versions/${back.before}?as=text`)).text(), now)
    await api(`${path}/versions/${back.before}/restore`, json({}))
    killRooms()
    assert.equal((await (await api(`${path}/versions/${id}/restore`, json({}, { 'idempotency-key': 'back' }))).json()).before, back.before)
    assert.equal(await (await api(`${path}?as=text`)).text(), now)
  })

  test('are asked for by HTTP, with an answer to each mistake', async () => {
    const path = 'doc:v-http'
    assert.equal((await api(`${path}/versions`)).status, 404)
    await api(path, json({ b64: Buffer.from(Y.encodeStateAsUpdate(docOf('text'))).toString('base64') }))
    assert.equal((await api(`${path}/snapshot`, { method: 'POST' })).status, 201)
    const { versions, more } = await (await api(`${path}/versions?limit=1`)).json()
    assert.equal(more, false)
    const { id } = versions[0]
    const read = await api(`${path}/versions/${id}?as=text`)
    assert.equal(await read.text(), 'text')
    assert.equal((await api(`${path}/versions/${id}?as=text`, { headers: { 'if-none-match': read.headers.get('etag') } })).status, 304)
    assert.equal((await api(`${path}/versions/${id}?as=nix`)).status, 400)
    assert.equal((await api(`${path}/versions/${id + 1}`)).status, 404)
    assert.equal((await api(`${path}/versions?limit=0`)).status, 400)
    assert.equal((await api(`${path}/versions`, json({ name: 'n'.repeat(257) }))).status, 413)
    assert.equal((await api(`${path}/versions`, json([]))).status, 400)
    assert.equal((await api(`${path}/versions/${id}`, { method: 'PUT' })).status, 405)
    assert.equal((await api(`${path}/versions/${id}`, { method: 'DELETE' })).status, 204)
    assert.equal((await api(`${path}/versions/${id}`, { method: 'DELETE' })).status, 404)
    assert.equal((await api('doc:none/versions', json({}))).status, 501)
    assert.equal((await api('crdt:none/versions')).status, 501)
    const off = new Member('none')
    await off.join()
    await assert.rejects(off.ask('versions'), { reason: 'LK_ERR_UNSUPPORTED' })
  })
})

function docOf(text, client = 7) {
  const doc = new Y.Doc()
  doc.clientID = client
  doc.getText('text').insert(0, text)
  return doc
}
