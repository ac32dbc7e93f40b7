// Topics of level memory and of level durable in one server, and what remains of those that are erased.
//
// Goal: nothing of a topic in memory is found anywhere when it has been idle: neither in the memory of the room process,
// which held it, nor in that of the supervisor, which lent it, nor on the disk.
// Method: words that occur nowhere else are written; then all memory that /proc shows and all files are searched for them.
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as Y from 'yjs'
import { Program } from './program.mjs'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const programs = []
after(() => Promise.all(programs.map((program) => program.dispose())))

async function start(...args) {
  const program = new Program(...args, '--memory', '8M')
  programs.push(program)
  await program.start()
  return program
}

function processOf(program, kind) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === program.pid) return Number(pid)
    } catch { /* it has ended */ }
  }
}

/** How often `text` occurs in what `pid` can read, and where. */
function search(pid, text) {
  const found = []
  const wanted = Buffer.from(text)
  const piece = Buffer.alloc(4 << 20)
  const mem = openSync(`/proc/${pid}/mem`, 'r')
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n')) {
    const [, from, to, rights, name] = /^(\w+)-(\w+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line)
    if (!rights.startsWith('r') || name === '[vvar]' || name === '[vsyscall]' || name.includes('vvar')) continue
    if (BigInt(`0x${to}`) - BigInt(`0x${from}`) > 1n << 30n) continue // what a sanitizer keeps for itself
    for (let at = BigInt(`0x${from}`), end = BigInt(`0x${to}`); at < end; at += BigInt(piece.length - wanted.length)) {
      let count = 0
      try {
        count = readSync(mem, piece, 0, Math.min(piece.length, Number(end - at)), at)
      } catch { break } // nothing is there
      const place = piece.subarray(0, count).indexOf(wanted)
      if (place >= 0) found.push(`${name || 'anonymous'} ${rights} at 0x${(at + BigInt(place)).toString(16)}`)
    }
  }
  closeSync(mem)
  return found
}

const searchFiles = (folder, text) => readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(text))

/** A client of one topic, without a library: its answers go away with it. */
async function client(program, topic) {
  const socket = new WebSocket(`${program.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
  const waiting = new Map()
  let ref = 0
  socket.onmessage = ({ data }) => {
    const [, id, , event, payload] = JSON.parse(data)
    if (event === 'phx_reply') waiting.get(id)?.(payload)
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
  const joined = await ask('phx_join', {})
  return { ask, joined, end: () => socket.close() }
}

const merge = (name, count) => ({ counts: { [name]: count } })

/** The metric that `pattern` finds. */
const measure = async (program, pattern) => Number(pattern.exec(await (await fetch(`${program.url}/metrics`)).text())?.[1])
const roomsOf = (program) => measure(program, /^laniakea_rooms (\d+)/m)
const membersOf = (program) => measure(program, /^laniakea_members (\d+)/m)

async function until(what, message, ms = 20_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(30)) if (await what()) return
  assert.fail(message)
}

test('a document that is in memory says in the reply to a join when it is erased', async () => {
  const program = await start('--ephemeral=doc:live-*', '--room-idle', '7m', '--room-idle-for', 'doc:live-b*=90s')
  const joined = async (topic) => {
    const one = await client(program, topic)
    return [one.joined.response.durability, one.joined.response.idle_ms]
  }
  assert.deepEqual(await joined('doc:live-a'), ['memory', 420_000])
  assert.deepEqual(await joined('doc:live-b'), ['memory', 90_000])
  assert.deepEqual(await joined('doc:kept'), ['durable', undefined])
})

test('nothing remains of an idle topic in memory: in no process, and on no disk', async () => {
  const program = await start('--ephemeral=crdt:secret-*', '--room-idle', '400ms', '--room-idle-for', 'crdt:other=1h')
  const room = processOf(program, 'room')
  const words = ['a-word-of-the-first-record', 'a-word-of-some-later-record', 'a-word-in-the-topics-name']
  const one = await client(program, `crdt:secret-${words[2]}`)
  for (const word of words.slice(0, 2)) {
    const { status, response } = await one.ask('crdt.merge', merge(word, 5))
    assert.deepEqual([status, response.level], ['ok', 'memory'])
    for (let i = 0; i < 200; i++) await one.ask('crdt.merge', merge(`${word}-${i}-${'x'.repeat(100)}`, 1)) // many records, and snapshots
  }
  const other = await client(program, 'crdt:other')
  assert.equal((await other.ask('crdt.merge', merge('durable-word', 1))).response.level, 'durable')
  for (const word of words) {
    assert.ok(search(room, word).length > 0, `${word} is there while it is in use`)
    assert.deepEqual(searchFiles(program.data, word), [])
  }
  assert.equal(await roomsOf(program), 2)
  one.end()
  await until(async () => (await roomsOf(program)) === 1, 'the topic is not put away')
  for (const word of words) {
    assert.deepEqual(search(room, word), [], `${word} in the room process`)
    assert.deepEqual(search(program.pid, word), [], `${word} in the supervisor`)
    assert.deepEqual(searchFiles(program.data, word), [])
  }
  assert.ok(searchFiles(program.data, 'durable-word').length > 0, 'the search finds what is there')
  const again = await client(program, `crdt:secret-${words[2]}`)
  assert.deepEqual(again.joined.response.counts, {})
  again.end()
  other.end()
})

test('nothing remains of an idle document in memory', async () => {
  const program = await start({ data: false }, '--room-idle', '400ms')
  const word = 'a-word-in-a-document'
  const one = await client(program, 'doc:secret')
  const doc = new Y.Doc()
  for (let i = 0; i < 100; i++) {
    const before = Y.encodeStateVector(doc)
    doc.getText('t').insert(i * 3, `${word} ${i} `)
    doc.getMap('m').set(`${word}-${i}`, { word })
    const { status } = await one.ask('client_update', { bin: [...Y.encodeStateAsUpdate(doc, before)] })
    assert.equal(status, 'ok')
  }
  assert.ok(search(processOf(program, 'room'), word).length > 0)
  one.end()
  await until(async () => (await roomsOf(program)) === 0, 'the document is not put away')
  assert.deepEqual(search(processOf(program, 'room'), word), [])
  assert.deepEqual(search(program.pid, word), [])
})

/** Ends the process with the rooms, and resolves to the one that follows when it serves them. */
async function replaceRooms(program) {
  const before = processOf(program, 'room')
  const isReady = async () => (await fetch(`${program.url}/readyz`)).status === 200
  process.kill(before, 'SIGKILL')
  await until(() => ![before, undefined].includes(processOf(program, 'room')), 'no process with rooms follows')
  await until(isReady, 'the process that follows does not serve')
  return processOf(program, 'room')
}

/* Goal: the time that a topic is idle begins again with its process, and somebody is not needed for it to end. */
test('a topic in memory survives its process, and is erased also when nobody was in it by then', async () => {
  const program = await start({ data: false }, '--ephemeral', '--room-idle', '3s')
  const one = await client(program, 'crdt:kept')
  await one.ask('crdt.merge', merge('a-word-that-survives', 7))
  process.kill(processOf(program, 'room'), 'SIGKILL')
  assert.equal((await one.ask('crdt.get', {})).response.counts['a-word-that-survives'], 7)
  one.end()
  await until(async () => (await membersOf(program)) === 0, 'its only member is still there')
  const room = await replaceRooms(program)
  await until(() => search(room, 'a-word-that-survives').length > 0, 'it does not survive')
  await until(async () => (await roomsOf(program)) === 0, 'the topic is not put away')
  assert.deepEqual(search(room, 'a-word-that-survives'), [])
  assert.deepEqual(search(program.pid, 'a-word-that-survives'), [])
})

test('a durable topic leaves memory and comes back', async () => {
  const program = await start('--room-idle', '300ms')
  const one = await client(program, 'crdt:kept')
  assert.equal((await one.ask('crdt.merge', merge('someone', 3))).response.level, 'durable')
  one.end()
  await until(async () => (await roomsOf(program)) === 0, 'the topic is not put away')
  const again = await client(program, 'crdt:kept')
  assert.equal(again.joined.response.counts.someone, 3)
  again.end()
})
