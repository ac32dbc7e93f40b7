// tests/conformance/doc/interleave.mjs -- Yjs and our engine edit the same documents at the same time.
//
//   node interleave.mjs --seed 1 --count 200 build/release/doc_conformance --serve
//   node interleave.mjs --seed 1 --only 17 --verbose PROGRAM...
//   node interleave.mjs --seed 7 --count 1000000 --seconds 60 PROGRAM...
//
// Half of a session's clients are Yjs, here; the other half are replicas in the program, which is given
// commands through a pipe (serve.h). They edit, receive each other's updates late, twice and in another
// order, or what a state vector says that they lack. In the end they exchange everything. Then
//
//   - all of them read the same;
//   - a fresh Yjs that is given what ours encode reads the same, in either format, and the other way round;
//   - ours and Yjs know each other's state vectors, and have nothing more to tell each other.
//
// What our clients do is decided by looking at their twins: a Yjs that does and receives the same, and that no
// one hears. Where Yjs' clients and twins end differently among themselves, which pairs that were cut
// can make them do, the session says nothing: it is skipped and counted. So it is where a twin is stuck, and decides
// on something that is not what its client has.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { execute, makeClient, makeOp, ordered, PROFILES, statesOf } from './model.mjs'
import { Random } from './random.mjs'
import { isStuck } from './session.mjs'
import { bytes, Cursor, Cutter, record, str } from './stream.mjs'

const { values: options, positionals: program } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    only: { type: 'string' },
    seconds: { type: 'string', default: 'Infinity' },
    profile: { type: 'string' },
    verbose: { type: 'boolean' },
  },
  args: separated(process.argv.slice(2)),
})

/** The program's own options are not ours. */
function separated(args) {
  const at = args.findIndex((arg, i) => !arg.startsWith('--') && (i === 0 || !/^--(seed|count|only|profile|seconds)$/.test(args[i - 1])))
  return at < 0 ? args : [...args.slice(0, at), '--', ...args.slice(at)]
}

// ---- the program

class Engine {
  #child
  #cutter = new Cutter()
  #waiting = []
  #ended = null

  constructor([command, ...args]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdout.on('data', (piece) => {
      for (const [tag, payload] of this.#cutter.push(piece)) this.#waiting.shift()?.(tag, payload)
    })
    this.#child.stdin.on('error', () => {}) // said by 'exit'
    this.#child.on('error', (error) => this.#end(error.message))
    this.#child.on('exit', (code, signal) => this.#end(`it ended: ${signal ?? code}`))
  }

  #end(reason) {
    this.#ended ??= reason
    for (const answer of this.#waiting.splice(0)) answer('-', str(`the program has no answer: ${reason}`))
  }

  /** Resolves to a cursor over the answer; rejects where that is an error. */
  call(tag, ...parts) {
    return new Promise((resolve, reject) => {
      const answer = (sign, payload) => (sign === '+' ? resolve(payload) : reject(new Error(`${tag}: ${new Cursor(payload).str()}`)))
      if (this.#ended !== null) return answer('-', str(this.#ended))
      this.#waiting.push(answer)
      this.#child.stdin.write(record(tag, ...parts))
    })
  }

  close() {
    this.#child.stdin.end()
  }
}

class Stuck extends Error {}

// ---- clients of both kinds, with the same methods

class YjsClient {
  #sent = []

  constructor(id, gc, profile) {
    this.profile = profile
    this.viewed = makeClient(id, gc, profile, (v1, v2) => this.#sent.push({ v1, v2 })).doc
  }

  async edit(ops) {
    this.viewed.transact(() => { for (const op of ops()) execute(this.viewed, this.profile.roots, op) }, 'local')
    return this.#sent.splice(0)
  }

  async receive(version, update) {
    ;(version === 1 ? Y.applyUpdate : Y.applyUpdateV2)(this.viewed, update, 'remote')
    return this.#sent.splice(0)
  }

  async states() { return statesOf(this.viewed, this.profile.roots) }
  async vector() { return Y.encodeStateVector(this.viewed) }
  async encode(version, sv) { return (version === 1 ? Y.encodeStateAsUpdate : Y.encodeStateAsUpdateV2)(this.viewed, sv) }
}

class OurClient {
  #engine
  #index

  constructor(engine, index, profile) {
    this.#engine = engine
    this.#index = index
    this.profile = profile
  }

  async open(id, gc) {
    this.viewed = makeClient(id, gc, this.profile).doc
    await this.#engine.call('c', this.#index, id, gc ? 1 : 0, str(JSON.stringify(this.profile.roots)))
    return this
  }

  #sentIn(answer) {
    const cursor = new Cursor(answer)
    return Array.from({ length: cursor.varuint() }, () => ({ v1: cursor.bytes(), v2: cursor.bytes() }))
  }

  /** Each operation is decided when those before it are done, so each is a transaction here. */
  async edit(ops) {
    const sent = []
    for (const op of ops()) {
      this.viewed.transact(() => execute(this.viewed, this.profile.roots, op), 'local')
      const answer = this.#engine.call('l', this.#index, str(ordered([op])))
      sent.push(...this.#sentIn(await answer.catch((error) => { throw isStuck(this.viewed) ? new Stuck() : error })))
    }
    return sent
  }

  async receive(version, update) {
    ;(version === 1 ? Y.applyUpdate : Y.applyUpdateV2)(this.viewed, update, 'remote')
    return this.#sentIn(await this.#engine.call('a', this.#index, version, bytes(update)))
  }

  async states() { return (await this.#engine.call('s', this.#index)).toString() }
  async vector() { return new Uint8Array(await this.#engine.call('v', this.#index)) }
  async encode(version, sv = new Uint8Array()) { return new Uint8Array(await this.#engine.call('e', this.#index, version, bytes(sv))) }
  async close() { await this.#engine.call('d', this.#index) }
}

// ---- a session

class Difference extends Error {}

function expectSame(what, expected, got) {
  if (expected === got) return
  let at = 0
  while (expected[at] === got[at]) at++
  const from = Math.max(0, at - 60)
  throw new Difference(`${what}, from ${from}:\n  - ${expected.slice(from, from + 300)}\n  + ${got.slice(from, from + 300)}`)
}

class Session {
  constructor(engine, seed, index, profile) {
    this.random = new Random(seed, index, 2)
    this.engine = engine
    this.gc = this.random.chance(0.6)
    this.docs = 0
    this.profile = { ...profile, guid: () => `doc-${index}-${++this.docs}` }
  }

  async open() {
    const { random, engine, gc, profile } = this
    const half = random.range(1, 3)
    this.clients = []
    for (let i = 0; i < 2 * half; i++) {
      const id = random.range(1, 2 ** 32 - 1)
      const client = i % 2 === 0 ? new YjsClient(id, gc, profile) : await new OurClient(engine, i, profile).open(id, gc)
      this.clients.push(Object.assign(client, { inbox: [] }))
    }
  }

  #send(from, updates) {
    for (const client of this.clients) if (client !== from) client.inbox.push(...updates)
  }

  async #receive(client, updates) {
    for (const { v1, v2 } of updates) {
      const version = this.random.range(1, 2)
      this.#send(client, await client.receive(version, version === 1 ? v1 : v2))
    }
  }

  async step() {
    const { random } = this
    const client = random.pick(this.clients)
    if (client.inbox.length > 0 && random.chance(0.5)) {
      const updates = client.inbox.splice(0, random.range(1, client.inbox.length))
      if (random.chance(0.3)) random.shuffle(updates)
      if (random.chance(0.2)) updates.push(random.pick(updates))
      await this.#receive(client, updates)
    }
    if (random.chance(0.05)) await this.#synchronize(client, random.pick(this.clients))
    const profile = this.profile
    this.#send(client, await client.edit(function* () {
      for (let i = random.chance(0.7) ? 1 : random.range(2, 4); i > 0; i--) {
        const op = makeOp(random, profile, client.viewed, profile.roots)
        if (op !== null) yield structuredClone(op)
      }
    }))
  }

  async #synchronize(client, other) {
    if (client === other) return
    const version = this.random.range(1, 2)
    this.#send(client, await client.receive(version, await other.encode(version, await client.vector())))
  }

  async exchangeAll() {
    for (let round = 0; round < 10 && this.clients.some(({ inbox }) => inbox.length > 0); round++) {
      for (const client of this.clients) await this.#receive(client, this.random.shuffle(client.inbox.splice(0)))
    }
    return this.clients.every(({ inbox }) => inbox.length === 0)
  }

  /** False where Yjs does not agree with itself. */
  async check() {
    const { roots } = this.profile
    const views = this.clients.map(({ viewed }) => statesOf(viewed, roots))
    if (views.some((states) => states !== views[0])) return false
    for (const [i, client] of this.clients.entries()) {
      if (client instanceof OurClient) expectSame(`client ${i} reads otherwise`, views[0], await client.states())
    }
    const [yjs, ours] = this.clients
    for (const version of [1, 2]) {
      const fresh = new YjsClient(4000000000, this.gc, this.profile)
      await fresh.receive(version, await ours.encode(version))
      expectSame(`what ours encodes as V${version}, read by Yjs`, views[0], await fresh.states())
      const reader = await new OurClient(this.engine, 60, this.profile).open(4000000001, this.gc)
      await reader.receive(version, await yjs.encode(version))
      expectSame(`what Yjs encodes as V${version}, read by ours`, views[0], await reader.states())
      await reader.close()
    }
    expectSame('state vectors', String(sortedVector(await yjs.vector())), String(sortedVector(await ours.vector())))
    return true
  }

  async close() {
    for (const client of this.clients) if (client instanceof OurClient) await client.close()
  }
}

const sortedVector = (vector) => [...Y.decodeStateVector(vector)].sort(([a], [b]) => a - b)

/** Undo is not among the commands. */
const names = options.profile ? options.profile.split(',') : Object.keys(PROFILES).filter((name) => !PROFILES[name].undo)

/** False where the session says nothing. */
async function play(engine, seed, index) {
  const session = new Session(engine, seed, index, PROFILES[names[index % names.length]])
  await session.open()
  try {
    for (let steps = session.random.range(10, 40); steps > 0; steps--) await session.step()
    return (await session.exchangeAll()) && (await session.check())
  } catch (error) {
    if (!(error instanceof Stuck)) throw error
    return false
  } finally {
    await session.close()
  }
}

const seed = Number(options.seed)
const first = Number(options.only ?? 0)
const count = options.only === undefined ? Number(options.count) : 1
const tally = { passed: 0, failed: 0, skipped: 0 }
let engine = new Engine(program)
const end = performance.now() + 1000 * Number(options.seconds)
for (let i = first; i < first + count && performance.now() < end; i++) {
  try {
    tally[(await play(engine, seed, i)) ? 'passed' : 'skipped']++
  } catch (error) {
    tally.failed++
    console.log(`FAIL session ${i} (${names[i % names.length]}); again: --seed ${seed} --only ${i}\n  ${options.verbose ? error.stack : error.message}`)
    engine.close()
    if (tally.failed >= 20) break
    engine = new Engine(program)
  }
}
engine.close()
console.log(`${tally.skipped} skipped, in which Yjs differs from itself`)
console.log(`${tally.passed} passed, ${tally.failed} failed`)
process.exitCode = tally.failed === 0 ? 0 : 1
