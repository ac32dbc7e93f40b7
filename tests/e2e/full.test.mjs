// A disk, a file or the memory that is full: a change that cannot be kept is refused by name, and everything else goes on.
//
// Goal: nothing acknowledged is lost, nobody hears of what was refused, rooms go on to be read and joined, and when there is
// space again changes are taken, without a restart.
// Method: memory of the least size; a small disk of its own, where the system lets us mount one; a limit for the size of files.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const cleanups = []
after(async () => {
  for (const clean of cleanups.reverse()) await clean()
})

async function start(...args) {
  const program = new Program(...args, '--rooms', '1')
  cleanups.push(() => program.dispose())
  await program.start()
  return program
}

async function until(what, message, ms = 8000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(30)) if (await what()) return
  assert.fail(message)
}

function processOf(program, kind) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === program.pid) return Number(pid)
    } catch { /* it has ended */ }
  }
}

/** A client of one topic. `heard` are the events that came unasked. */
async function client(program, topic, params = {}) {
  const socket = new WebSocket(`${program.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
  const waiting = new Map()
  const heard = []
  let ref = 0
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') return
    const [, id, , event, payload] = JSON.parse(data)
    if (event === 'phx_reply') waiting.get(id)?.(payload)
    else heard.push([event, payload])
  }
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  const ask = (event, payload) =>
    new Promise((resolve) => {
      waiting.set(String(++ref), resolve)
      socket.send(JSON.stringify(['1', String(ref), topic, event, payload]))
    })
  const joined = await ask('phx_join', params)
  return { ask, joined, heard, end: () => socket.close(), count: (event) => heard.filter(([name]) => name === event).length }
}

/** Writes into a document until that is refused: what it is told then. */
async function fill(writer, count, length) {
  const doc = new Y.Doc()
  const updates = []
  doc.on('update', (update) => updates.push(update))
  for (let i = 0; i < count; i++) doc.getText('t').insert(0, 'x'.repeat(length))
  for (const update of updates) {
    const { status, response } = await writer.ask('client_update', { b64: Buffer.from(update).toString('base64') })
    if (status !== 'ok') return response
    assert.ok(['durable', 'memory'].includes(response.level ?? response.durability ?? 'durable'))
  }
}

const textOf = async (program, topic) => (await fetch(`${program.url}/api/topics/${topic}?root=t&as=text`)).text()
const merge = (name, count) => ({ counts: { [name]: count } })
const number = async (program, name) => Number(new RegExp(`^laniakea_${name} (\\d+)`, 'm').exec(await (await fetch(`${program.url}/metrics`)).text())?.[1])
const ready = async (program) => (await fetch(`${program.url}/readyz`)).status

test('memory that is full refuses changes, and takes them when topics are gone', async () => {
  const program = await start({ data: false }, '--ephemeral', '--memory', '1M')
  const kept = await client(program, 'crdt:kept')
  assert.equal((await kept.ask('crdt.merge', merge('a', 7))).response.value, 7)
  let filled = 0, refusal
  for (; refusal === undefined && filled < 20; filled++) {
    const filler = await client(program, `doc:fill-${filled}`, { encoding: 'base64' })
    refusal = await fill(filler, 20, 8000)
    filler.end()
  }
  assert.equal(refusal?.reason, 'storage_full')
  assert.match(refusal.message, /free some/)
  const { status, response } = await kept.ask('crdt.merge', merge('a', 8))
  assert.deepEqual([status, response.reason], ['error', 'storage_full'])
  const other = await client(program, 'crdt:kept')
  assert.equal(other.joined.response.value, 7)
  assert.equal((await other.ask('crdt.get', {})).response.value, 7)
  assert.equal(kept.count('state_updated'), 1)
  assert.equal(kept.count('phx_error'), 0)
  assert.equal(await ready(program), 200)
  assert.equal(await number(program, 'storage_full'), 1)
  assert.ok((await number(program, 'changes_refused_total')) >= 2)
  for (let i = 0; i < 20; i++) await fetch(`${program.url}/api/topics/doc:fill-${i}`, { method: 'DELETE' })
  await until(async () => (await number(program, 'storage_full')) === 0, 'there is no space again')
  // Its replica has what was refused: it is asked to join again.
  await until(() => kept.count('phx_error') === 1, 'who is behind is not told')
  assert.deepEqual(kept.heard.find(([event]) => event === 'phx_error')[1], { reason: 'storage_full' })
  assert.equal((await other.ask('crdt.merge', merge('a', 8))).response.value, 8)
})

/** A small disk. */
function mountDisk(size) {
  const folder = mkdtempSync(join(tmpdir(), 'laniakea-disk-'))
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', folder]).status !== 0) {
    rmSync(folder, { recursive: true })
    return null
  }
  cleanups.push(() => {
    execFileSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true })
  })
  return folder
}

test('a disk that is full refuses changes before anybody sees them, and takes them when there is space', async (t) => {
  const disk = mountDisk('4m')
  if (disk === null) return t.skip('no disk can be mounted here')
  const program = await start({ data: false }, '--data', disk)
  const doc = new Y.Doc()
  doc.getText('t').insert(0, 'kept')
  const writer = await client(program, 'doc:d', { encoding: 'base64' })
  const counter = await client(program, 'crdt:c')
  assert.equal((await writer.ask('client_update', { b64: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64') })).status, 'ok')
  assert.equal((await counter.ask('crdt.increment', { payload: { amount: 1 } })).response.value, 1)
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(join(disk, 'filler'), Buffer.alloc(Number(bavail) * Number(bsize)))
  // What was reserved is good for some.
  const refusal = await fill(await client(program, 'doc:fill', { encoding: 'base64' }), 1000, 4000)
  assert.equal(refusal?.reason, 'storage_full')
  const before = Y.encodeStateVector(doc)
  doc.getText('t').insert(4, ' and refused')
  const refused = await writer.ask('client_update', { b64: Buffer.from(Y.encodeStateAsUpdate(doc, before)).toString('base64') })
  assert.deepEqual([refused.status, refused.response.reason, refused.response.error], ['error', 'storage_full', 'LK_ERR_NO_SPACE'])
  const asked = await fetch(`${program.url}/api/topics/crdt:c`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"type":"crdt.increment","payload":{"amount":1}}' })
  assert.deepEqual([asked.status, (await asked.json()).reason], [507, 'storage_full'])
  assert.equal(await textOf(program, 'doc:d'), 'kept')
  const reader = await client(program, 'doc:d', { encoding: 'base64' })
  assert.equal(reader.joined.status, 'ok')
  assert.equal((await client(program, 'crdt:new')).joined.status, 'ok')
  assert.equal(writer.count('phx_error') + counter.count('phx_error') + reader.count('server_update'), 0)
  assert.equal(await ready(program), 200)
  assert.equal(await number(program, 'rooms_dropped_total'), 0)
  rmSync(join(disk, 'filler'))
  await until(() => writer.count('phx_error') === 1, 'the writer is not called again')
  const again = await client(program, 'doc:d', { encoding: 'base64' })
  assert.equal((await again.ask('client_update', { b64: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64') })).status, 'ok')
  await until(() => reader.count('server_update') === 1, 'the others do not hear of it')
  assert.equal((await (await client(program, 'crdt:c')).ask('crdt.increment', { payload: { amount: 1 } })).status, 'ok')
  await program.stop()
  await program.start()
  assert.equal(await textOf(program, 'doc:d'), 'kept and refused')
})

test('a file that may not grow is a disk that is full: what was made is taken back', async (t) => {
  const program = await start()
  const limit = (value) => spawnSync('prlimit', [`--pid=${processOf(program, 'room')}`, `--fsize=${value}:`]).status
  if (limit('unlimited') !== 0) return t.skip('no limits can be set here')
  const one = await client(program, 'crdt:c')
  const idle = await client(program, 'crdt:idle')
  assert.equal((await one.ask('crdt.increment', { payload: { amount: 1 } })).response.value, 1)
  limit(0)
  const { status, response } = await one.ask('crdt.increment', { payload: { amount: 1 } })
  assert.deepEqual([status, response.reason], ['error', 'storage_full'])
  await until(() => one.count('phx_error') === 1, 'its room is not opened anew')
  const two = await client(program, 'crdt:c')
  assert.equal(two.joined.response.value, 1)
  const refused = await two.ask('crdt.increment', { payload: { amount: 1 } })
  assert.deepEqual([refused.status, refused.response.reason, two.count('phx_error')], ['error', 'storage_full', 0])
  assert.equal((await two.ask('crdt.get', {})).response.value, 1)
  assert.equal(idle.count('phx_error'), 0)
  assert.equal(await ready(program), 200)
  limit('unlimited')
  await until(async () => (await number(program, 'storage_full')) === 0, 'there is no space again')
  assert.equal((await two.ask('crdt.increment', { payload: { amount: 1 } })).response.value, 2)
  await program.stop('SIGKILL')
  await program.start()
  assert.equal((await client(program, 'crdt:c')).joined.response.value, 2)
})
