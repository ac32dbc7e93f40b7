// What was acknowledged, against what is there, while processes are killed at random.
//
// Goal: nothing acknowledged is lost and nothing is counted twice, whichever process dies at whichever moment.
// Method: clients write a ledger: what they asked for, and what was acknowledged. Room and edge processes are killed with
// SIGKILL under load, each kind as often as its supervisor allows. At any time the room must show at least what was
// acknowledged before it was asked; in the end, exactly what was asked for. Then the server is started again, where its
// topics are on disk. All of it for both levels: on disk, and in the memory of the supervisor.
// LK_SEED and LK_LEDGER_MS repeat a run and prolong it: LK_LEDGER_MS=600000 node --test tests/e2e/ledger.test.mjs
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { after, test } from 'node:test'
import { Program } from './program.mjs'

const seed = Number(process.env.LK_SEED ?? Date.now() % 1_000_000)
const millis = Number(process.env.LK_LEDGER_MS ?? 9_000) // for each level
const repeat = `repeat: LK_SEED=${seed} node --test tests/e2e/ledger.test.mjs`
// At most ten deaths of a kind in ten seconds are forgiven.
const KILL_EVERY = 1250

let state = seed
const random = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8) / (1 << 24)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// The one that is tested; clients and killers look here.
let program
const programs = { durable: new Program(), memory: new Program({ data: false }, '--ephemeral') }
after(() => Promise.all(Object.values(programs).map((one) => one.dispose())))

/** Process ids of the server's processes of a kind, by their names. */
function processesOf(kind) {
  const found = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === program.pid) found.push(Number(pid))
    } catch { /* it has ended */ }
  }
  return found
}

/** A Phoenix client in thirty lines: it joins, pushes, and begins again when its connection is lost. */
class Client {
  #ref = 0
  #socket
  #joined = Promise.resolve()
  #waiting = new Map()
  lost = 0

  constructor(topic) {
    this.topic = topic
    this.#connect()
  }

  #connect() {
    const socket = new WebSocket(`${program.url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
    this.#socket = socket
    this.#joined = new Promise((resolve) => {
      socket.onopen = async () => {
        await this.#send('phx_join', {}).catch(() => {})
        resolve()
      }
    })
    socket.onmessage = ({ data }) => {
      const [, ref, , event, payload] = JSON.parse(data)
      if (event === 'phx_error') this.#send('phx_join', {}).catch(() => {})
      if (event !== 'phx_reply') return
      this.#waiting.get(ref)?.resolve(payload)
      this.#waiting.delete(ref)
    }
    socket.onerror = () => {}
    socket.onclose = async () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the connection is lost'))
      this.#waiting.clear()
      if (this.ended) return
      this.lost++
      await sleep(20)
      if (!this.ended) this.#connect()
    }
  }

  #send(event, payload) {
    const ref = String(++this.#ref)
    if (event === 'phx_join') this.joinRef = ref
    return new Promise((resolve, reject) => {
      if (this.#socket.readyState !== WebSocket.OPEN) return reject(new Error('not connected'))
      this.#waiting.set(ref, { resolve, reject })
      this.#socket.send(JSON.stringify([this.joinRef, ref, this.topic, event, payload]))
    })
  }

  /** The response, or undefined where nobody can know whether it was done. */
  async ask(event, payload) {
    await Promise.race([this.#joined, sleep(3000)])
    try {
      const { status, response } = await this.#send(event, payload)
      return status === 'ok' ? response : undefined
    } catch {
      return undefined
    }
  }

  end() {
    this.ended = true
    this.#socket.close()
  }
}

/** One replica: its count only grows, so that saying it again does no harm. */
async function writer(client, actor, ledger, until) {
  while (Date.now() < until) {
    const asked = (ledger.asked[actor] ?? 0) + 1 + Math.floor(random() * 3)
    ledger.asked[actor] = asked
    const response = await client.ask('crdt.merge', { counts: { [actor]: asked } })
    if (response !== undefined) ledger.acknowledged[actor] = asked
    if (response !== undefined) ledger.levels.add(response.level)
    else await sleep(10)
  }
}

async function reader(client, ledger, until) {
  while (Date.now() < until) {
    const before = { ...ledger.acknowledged }
    const response = await client.ask('crdt.get', {})
    if (response !== undefined) {
      for (const [actor, count] of Object.entries(before))
        assert.ok((response.counts[actor] ?? 0) >= count, `${actor}: ${count} acknowledged, ${response.counts[actor]} shown; ${repeat}`)
      ledger.readings++
    }
    await sleep(15)
  }
}

async function killer(kind, ledger, until) {
  while (Date.now() < until) {
    await sleep(KILL_EVERY * (0.9 + random() * 0.4))
    const [pid] = processesOf(kind)
    if (pid === undefined) continue
    process.kill(pid, 'SIGKILL')
    ledger.kills[kind]++
  }
}

async function countsOf(topic) {
  const client = new Client(topic)
  let response
  for (let i = 0; i < 100 && response === undefined; i++) {
    response = await client.ask('crdt.get', {})
    if (response === undefined) await sleep(50)
  }
  client.end()
  return response
}

for (const level of Object.keys(programs)) {

test(`nothing acknowledged is lost when edge and room processes are killed under load: ${level}`, { timeout: millis + 60_000 }, async (t) => {
  program = programs[level]
  const ledger = { asked: {}, acknowledged: {}, readings: 0, kills: { room: 0, edge: 0 } }
  const topics = ['crdt:one', 'crdt:two', 'crdt:three']
  await program.start()
  const until = Date.now() + millis
  const clients = Array.from({ length: 12 }, (_, i) => new Client(topics[i % 3]))
  const ledgers = topics.map(() => ({ asked: {}, acknowledged: {}, readings: 0, levels: new Set() }))
  await Promise.all([
    ...clients.map((client, i) => (i < 9 ? writer(client, `writer${i}`, ledgers[i % 3], until) : reader(client, ledgers[i % 3], until))),
    killer('room', ledger, until),
    killer('edge', ledger, until),
  ])
  // What is still open is asked for until it is acknowledged.
  for (const [i, client] of clients.slice(0, 9).entries()) {
    const { asked, acknowledged } = ledgers[i % 3]
    const actor = `writer${i}`
    for (let tries = 0; tries < 100 && acknowledged[actor] !== asked[actor]; tries++) {
      if (await client.ask('crdt.merge', { counts: { [actor]: asked[actor] } })) acknowledged[actor] = asked[actor]
      else await sleep(50)
    }
  }
  for (const [i, topic] of topics.entries())
    assert.deepEqual({ ...(await countsOf(topic)).counts }, ledgers[i].asked, `${topic}; ${repeat}`)
  const acknowledgements = ledgers.reduce((sum, { acknowledged }) => sum + Object.keys(acknowledged).length, 0)
  assert.equal(acknowledgements, 9)
  for (const { levels } of ledgers) assert.deepEqual([...levels], [level])
  assert.ok(ledger.kills.room >= millis / 3000 && ledger.kills.edge >= millis / 3000, `killed ${JSON.stringify(ledger.kills)}`)
  const total = ledgers.flatMap(({ asked }) => Object.values(asked)).reduce((a, b) => a + b, 0)
  const lost = clients.reduce((sum, client) => sum + client.lost, 0)
  t.diagnostic(`seed ${seed}: ${total} counted, ${ledger.kills.room} room and ${ledger.kills.edge} edge processes killed, ${lost} connections lost`)
  for (const client of clients) client.end()

  // And after the server has been stopped as well, once as it should be and once not; memory goes with it.
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    await program.stop(signal)
    await sleep(100)
    await program.start()
    for (const [i, topic] of topics.entries())
      assert.deepEqual({ ...(await countsOf(topic)).counts }, level === 'durable' ? ledgers[i].asked : {}, `${topic} after ${signal}; ${repeat}`)
  }
})

test(`a change that is not idempotent is made once when room processes are killed under load: ${level}`, { timeout: 30_000 }, async (t) => {
  const client = new Client('crdt:increments')
  const began = Date.now()
  let asked = 0, kills = 0
  const answers = []
  while (Date.now() - began < 4000) {
    for (let i = 0; i < 20; i++, asked++) answers.push(client.ask('crdt.increment', { payload: { amount: 1 } }))
    await sleep(5)
    if (Date.now() - began < (kills + 1) * 450) continue
    const [pid] = processesOf('room')
    if (pid === undefined) continue
    process.kill(pid, 'SIGKILL')
    kills++
  }
  const responses = await Promise.all(answers)
  const made = responses.filter((response) => response !== undefined).length
  assert.equal(made, asked, 'an increment was not acknowledged')
  assert.equal(client.lost, 0, 'the connection was lost with the room process')
  assert.equal((await client.ask('crdt.get', {})).value, asked)
  t.diagnostic(`${asked} increments, ${kills} room processes killed`)
  client.end()
})

}
