// tests/vectors/client.test.mjs -- laniakea-client.wasm as a browser's worker drives it, and as its pages do.
//
//   node --test tests/vectors/client.test.mjs       after `ninja -C build/wasm`
//
// The client itself is tested in C, against a real hub. Here is what exists in WebAssembly only: handles, the queue of what a watcher
// is told, and a storage that is the host's. The server is a few lines that answer joins and take what is sent; what it has are
// objects and documents of one more instance of the same module.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { defEntries } from '../../tools/lib.mjs'

const at = (path) => new URL(`../../${path}`, import.meta.url)
const moduleOf = (name) => new WebAssembly.Module(readFileSync(at(`build/${name}`)))
const module = moduleOf('laniakea-client.wasm')
/** The same in parts, of which one is missing, and of which none is. */
const base = moduleOf('laniakea-client-base.wasm')
const [documents, objects] = ['documents', 'objects'].map((part, index) => ({ bit: 1 << index, module: moduleOf(`laniakea-client-part-${part}.wasm`) }))
const [docsAlone, objectsAlone, inParts] = [[base, documents], [base, objects], [base, objects, documents]]
const entriesOf = (path) => defEntries(readFileSync(at(path), 'utf8'))
const numbersOf = (macro) =>
  Object.fromEntries(entriesOf('wasm/client.def').filter((entry) => entry.macro === macro).map(({ args: [name, number] }) => [name, Number(number)]))
const EVENT = numbersOf('CLIENT_EVENT')
const NEWS = numbersOf('CLIENT_NEWS')
const IO = numbersOf('IO')
const ERR = Object.fromEntries(entriesOf('src/base/errors.def').map(({ args: [name, number] }) => [name, Number(number)]))
const nameOf = (numbers, number) => Object.keys(numbers).find((name) => numbers[name] === number)
const [GCOUNTER, ORSET, DOCUMENT, PLAIN] = [1, 5, 0, 255]

// ---- an instance ----

function instantiate(core = module) {
  const memory = () => Buffer.from(exports.memory.buffer)
  const host = {
    tell: () => {},
    now: () => 0,
    read_number: (text, len) => Number(memory().toString('latin1', text, text + len)),
    print_number: (value, out) => memory().write(String(value), out, 'latin1'),
  }
  const [whole, ...parts] = Array.isArray(core) ? core : [core]
  let { exports } = new WebAssembly.Instance(whole, { host })
  for (const { bit, module } of parts) {
    exports = { ...exports, ...new WebAssembly.Instance(module, { host, core: exports }).exports }
    exports.client_has(bit)
  }
  const self = {
    exports,
    memory,
    /** Puts parts into the scratch buffer. */
    give(...parts) {
      const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)))
      const scratch = exports.scratch(bytes.length)
      memory().set(bytes, scratch)
    },
    out: () => Buffer.from(memory().subarray(exports.out_ptr(), exports.out_ptr() + exports.out_len())),
    /** Calls what gives an lk_err, and gives what it hands out. */
    ask(name, ...args) {
      const err = exports[name](...args)
      if (err !== 0) throw new Error(nameOf(ERR, err))
      return self.out()
    },
    /** The same for what hands out a number. */
    count: (name, ...args) => Number(self.ask(name, ...args).readBigUInt64LE()),
    made: (name, ...args) => (self.ask(name, ...args), exports.out_ptr()),
  }
  return self
}

/** What a page has: a replica of its own. */
function makePage(instance, actor) {
  const { exports } = instance
  const doc = instance.made('doc_new', BigInt(actor), 1n, 2n, 0)
  const counter = instance.made('crdt_new', GCOUNTER)
  return {
    doc,
    counter,
    increment(amount) {
      const [name, args, by] = ['increment', `[${amount}]`, `page${actor}`]
      instance.give(by, name, args)
      return instance.ask('crdt_apply', counter, by.length, 0, name.length, args.length, 1)
    },
    takeDelta(bytes) {
      instance.give(bytes)
      instance.ask('crdt_merge', counter, bytes.length)
    },
    get value() {
      return instance.ask('crdt_value', counter, 0).toString()
    },
    write(text) {
      const before = this.vector()
      const [slot, check] = this.root()
      instance.give(text)
      instance.ask('doc_text_insert', doc, slot, check, 0, Buffer.byteLength(text))
      return this.since(before)
    },
    root() {
      instance.give('t')
      instance.ask('doc_root', doc, 1, 2)
      const board = exports.doc_board_at()
      return [instance.memory().readUInt32LE(board + 12), instance.memory().readUInt32LE(board + 16)]
    },
    vector: () => instance.ask('doc_read', doc, 0, 0, 4, 0, 0),
    since(vector) {
      instance.give(vector)
      return instance.ask('doc_read', doc, 0, 0, 5, 1, vector.length)
    },
    takeUpdate(bytes) {
      instance.give(bytes)
      instance.ask('doc_apply', doc, 1, bytes.length, 0)
    },
    get text() {
      return instance.ask('doc_read', doc, ...this.root(), 9, 0, 0).toString()
    },
  }
}

// ---- files ----

function makeFiles() {
  const files = new Map()
  const answers = {
    OPEN({ bytes, create }) {
      const name = bytes.toString()
      if (!files.has(name)) {
        if (!create) return { err: 'NOT_FOUND' }
        files.set(name, Buffer.alloc(0))
      }
      opened.push(name)
      return { done: opened.length - 1 }
    },
    CLOSE: () => ({}),
    READ({ file, off, into }) {
      const part = files.get(opened[file]).subarray(off, off + into.length)
      into.set(part)
      return { done: part.length }
    },
    WRITE({ file, off, bytes }) {
      const old = files.get(opened[file])
      const grown = Buffer.alloc(Math.max(old.length, off + bytes.length))
      grown.set(old)
      grown.set(bytes, off)
      files.set(opened[file], grown)
      return { done: bytes.length }
    },
    SYNC: () => ({}),
    TRUNCATE({ file, off }) {
      const cut = Buffer.alloc(off)
      cut.set(files.get(opened[file]).subarray(0, off))
      files.set(opened[file], cut)
      return {}
    },
    SIZE: ({ file }) => ({ off: files.get(opened[file]).length }),
    RENAME({ bytes, into }) {
      files.set(into.toString(), files.get(bytes.toString()))
      files.delete(bytes.toString())
      return {}
    },
    REMOVE: ({ bytes }) => (files.delete(bytes.toString()) ? {} : { err: 'NOT_FOUND' }),
    LIST({ bytes, into }) {
      let done = 0
      for (const name of [...files.keys()].sort()) {
        if (name <= bytes.toString() || done + name.length + 1 > into.length) continue
        done += into.write(`${name}\n`, done)
      }
      return { done }
    },
  }
  const opened = []
  return { files, answer: (kind, operation) => answers[kind]?.(operation) ?? { err: 'UNSUPPORTED' } }
}

// ---- a server ----

/** Knows crdt:likes and doc:notes, and answers whatever else is said with ok. */
function makeServer() {
  const instance = instantiate()
  const page = makePage(instance, 99)
  const encoded = { 'crdt:likes': () => instance.ask('crdt_encode', page.counter).toString('base64') }
  const joins = {
    'crdt:likes': () => ({ type: 'gcounter', state: encoded['crdt:likes'](), level: 'durable' }),
    'doc:notes': () => ({
      history: [], state_vector: page.vector().toString('base64'), generation: '00ff', access: 'write', durability: 'durable', encoding: 'binary',
    }),
    'relay:lobby': () => ({}),
  }
  const server = {
    page,
    heard: [],
    joined: {},
    send: null,
    broadcast(topic, event, payload) {
      if (Buffer.isBuffer(payload)) server.send(Buffer.concat([Buffer.from([2, topic.length, event.length]), Buffer.from(topic + event), payload]))
      else server.send(JSON.stringify([null, null, topic, event, payload]))
    },
    reply(joinRef, ref, topic, response) {
      server.send(JSON.stringify([joinRef, ref, topic, 'phx_reply', { status: 'ok', response }]))
    },
    text(bytes) {
      const [joinRef, ref, topic, event, payload] = JSON.parse(bytes)
      server.heard.push([topic, event, payload])
      if (event === 'phx_leave') return
      server.reply(joinRef, ref, topic, event === 'phx_join' ? joins[topic]() : event === 'capabilities' ? { profile: 'minimal_client' } : {})
      if (event !== 'phx_join' || topic !== 'doc:notes') return
      server.joined = payload
      const news = page.since(Buffer.from(payload.state_vector, 'base64'))
      if (page.text !== '') server.broadcast(topic, 'server_update', news)
    },
    frame(bytes) {
      const lens = [...bytes.subarray(1, 5)]
      const names = lens.map((len, i) => bytes.toString('utf8', 5 + lens.slice(0, i).reduce((a, b) => a + b, 0)).slice(0, len))
      const [joinRef, ref, topic, event] = names
      const payload = bytes.subarray(5 + lens.reduce((a, b) => a + b, 0))
      server.heard.push([topic, event, payload])
      if (event === 'crdt.merge') page.takeDelta(payload)
      if (event === 'client_update') page.takeUpdate(payload)
      server.reply(joinRef, ref, topic, { level: 'durable' })
    },
  }
  return server
}

// ---- a worker ----

function makeHub({ files = null, server = null, token = null, core = module } = {}) {
  const instance = instantiate(core)
  const { exports } = instance
  let now = 1000
  const inbox = []
  const news = []
  const events = []
  const capabilities = '{"memory_mb":512}'
  instance.give(capabilities)
  const err = exports.client_open(1n, BigInt(Math.floor(Math.random() * 1e9)), files === null ? 0 : 1, token === null ? 0 : 1, 0, 0, capabilities.length, now)
  assert.equal(err, 0)

  function carryOut() {
    let done = 0
    for (let number; (number = exports.client_io()) !== 0; done++) {
      const memory = instance.memory()
      const word = (index) => memory.readUInt32LE(exports.client_io_board() + 4 * index)
      const [kind, file, create, low, high] = [0, 1, 2, 3, 4].map(word)
      const operation = {
        file, create: create !== 0, off: high * 2 ** 32 + low, bytes: memory.subarray(word(5), word(5) + word(6)), into: memory.subarray(word(7), word(7) + word(8)),
      }
      const answer = files.answer(nameOf(IO, kind), operation)
      exports.client_io_done(number, ERR[answer.err] ?? 0, answer.done ?? 0, answer.off ?? 0)
      exports.client_stored(now)
    }
    return done > 0
  }
  const handlers = {
    TOKEN: () => (instance.give(token), exports.client_set_token(token.length, 0, now)),
    CONNECT(bytes) {
      events.push(`CONNECT ${bytes}`)
      if (server === null) return exports.client_closed(0, 0, now)
      server.send = (message) => inbox.push(message)
      exports.client_opened(now)
    },
    SEND_TEXT: (bytes) => server.text(bytes),
    SEND_BINARY: (bytes) => server.frame(bytes),
    HANG_UP: () => {},
    READY: () => events.push('READY'),
    CHANGED: () => events.push(`CHANGED ${exports.client_topic()}`),
    STATUS: () => {},
  }
  const hub = {
    instance,
    exports,
    news,
    events,
    get now() {
      return now
    },
    settle() {
      for (let busy = true; busy; ) {
        busy = files !== null && carryOut()
        for (let event; (event = exports.client_poll()) !== 0; busy = true) handlers[nameOf(EVENT, event)](instance.out())
        for (let what; (what = exports.client_news()) !== 0; ) news.push({ what: nameOf(NEWS, what), topic: exports.client_topic(), bytes: instance.out() })
        for (const message of inbox.splice(0)) {
          instance.give(message)
          assert.equal(exports.client_receive(Buffer.byteLength(message), Buffer.isBuffer(message) ? 1 : 0, now), 0)
          busy = true
        }
      }
    },
    wait(ms) {
      for (const end = now + ms; exports.client_deadline() <= end; hub.settle()) {
        now = Math.max(now, exports.client_deadline())
        exports.client_tick(now)
      }
      hub.settle()
    },
    open(kind, name, { kept = true, presence = false } = {}) {
      instance.give(name)
      const topic = instance.made('topic_open', kind, kept ? 1 : 0, presence ? 1 : 0, name.length, now)
      hub.settle()
      return topic
    },
    merge(topic, bytes, waits = false) {
      instance.give(bytes)
      return instance.count('topic_merge', topic, bytes.length, waits ? 1 : 0, now)
    },
    push(topic, event, payload) {
      instance.give(event, payload)
      return instance.count('topic_push', topic, event.length, payload.length, Buffer.isBuffer(payload) ? 1 : 0, now)
    },
    since(topic, version = Buffer.alloc(0)) {
      instance.give(version)
      return instance.ask('topic_since', topic, version.length)
    },
    status: (topic) => JSON.parse(topic === undefined ? instance.ask('client_status') : instance.ask('topic_status', topic)),
    close() {
      for (let tries = 0; exports.client_close() !== 0; tries++) {
        assert.ok(tries < 100)
        carryOut()
      }
    },
  }
  hub.settle()
  return hub
}

/** ref, whether the payload is bytes, status or event, payload. */
function readMessage(bytes) {
  let [at, ref] = [0, 0]
  for (let shift = 0; ; shift += 7) {
    ref += (bytes[at] & 127) * 2 ** shift
    if (bytes[at++] < 128) break
  }
  const isBinary = bytes[at++] === 1
  const len = bytes[at++]
  const payload = bytes.subarray(at + len)
  return { ref, word: bytes.toString('utf8', at, at + len), payload: isBinary ? payload : JSON.parse(payload) }
}

// ---- what is there ----

test('laniakea-client.wasm exports what client.def and doc.def say, objects, and what all modules have', () => {
  const names = ['wasm/exports.def', 'wasm/doc.def', 'wasm/client.def'].flatMap(entriesOf).filter(({ macro }) => macro === 'EXPORT').map(({ args }) => args[0])
  const expected = names.filter((name) => !name.startsWith('peer_'))
  assert.deepEqual(WebAssembly.Module.exports(module).map(({ name }) => name).sort(), ['memory', ...expected].sort())
  const wanted = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`).sort()
  assert.deepEqual(wanted, ['host.now', 'host.print_number', 'host.read_number', 'host.tell'])
})

test('a base and its parts export what the module does that has it all', () => {
  const exportsOf = (core) => WebAssembly.Module.exports(core).map(({ name }) => name).filter((name) => !/^(\w{1,2}|table .*|global\d+)$/.test(name)).sort()
  const all = exportsOf(module)
  const isOf = (prefix) => all.filter((name) => name.startsWith(prefix))
  assert.deepEqual(exportsOf(base), all.filter((name) => !/^(doc|crdt)_/.test(name)))
  assert.deepEqual(exportsOf(documents.module), isOf('doc_'))
  assert.deepEqual(exportsOf(objects.module), isOf('crdt_'))
  for (const part of [documents, objects]) {
    const wanted = WebAssembly.Module.imports(part.module).filter(({ module }) => module === 'core').map(({ name }) => name)
    const there = new Set(WebAssembly.Module.exports(base).map(({ name }) => name))
    assert.deepEqual(wanted.filter((name) => !there.has(name)), [])
  }
  const importsOf = (core) => WebAssembly.Module.imports(core).filter(({ module }) => module !== 'core').map(({ module, name }) => `${module}.${name}`)
  const offered = importsOf(module)
  for (const core of [base, documents.module, objects.module]) assert.deepEqual(importsOf(core).filter((name) => !offered.includes(name)), [])
})

// ---- changes ----

test('changes of pages are kept over a restart, and then sent', () => {
  const files = makeFiles()
  const pages = instantiate()
  const page = makePage(pages, 7)
  const hub = makeHub({ files })
  assert.deepEqual(hub.events, ['READY'])
  const likes = hub.open(GCOUNTER, 'crdt:likes')
  const notes = hub.open(DOCUMENT, 'doc:notes')
  const delta = page.increment(3)
  assert.equal(hub.merge(likes, delta, true), 1)
  assert.equal(hub.merge(likes, delta, true), 0)
  assert.deepEqual([hub.status(likes).recorded, hub.status(likes).changes], [0, 1])
  assert.equal(hub.status().unsaved, 1)
  assert.equal(hub.merge(notes, page.write('hello ')), 1)
  hub.settle()
  const { series, ...counted } = hub.status(likes)
  assert.match(series, /^[0-9a-f]{16}$/)
  assert.deepEqual(counted, {
    state: 'away', reason: '', pending: 1, level: '', profile: '', readOnly: false, changes: 1, recorded: 1, acknowledged: 0, kept: true,
  })
  const { pending, unsaved, storage, state, full, acknowledgedAt } = hub.status()
  assert.deepEqual({ pending, unsaved, storage, state, full, acknowledgedAt }, { pending: 2, unsaved: 0, storage: 0, state: 'offline', full: false, acknowledgedAt: null })
  hub.close()

  const server = makeServer()
  const next = makeHub({ files, server })
  next.exports.client_connect(next.now)
  next.wait(1000)
  assert.equal(server.page.value, '3')
  assert.equal(server.page.text, 'hello ')
  assert.equal(next.status().pending, 0)
  assert.equal(next.status().state, 'online')
  const again = next.open(GCOUNTER, 'crdt:likes')
  const fresh = makePage(pages, 8)
  fresh.takeDelta(next.since(again))
  assert.equal(fresh.value, '3')
  assert.equal(next.since(again, next.instance.ask('topic_version', again)).length < next.since(again).length, true)
  assert.deepEqual([next.status(again).changes, next.status(again).acknowledged], [1, 1])
  next.close()
})

test('what others change comes as news, of an object and of a document', () => {
  const server = makeServer()
  const hub = makeHub({ server })
  const page = makePage(instantiate(), 7)
  server.page.increment(2)
  server.page.write('from afar')
  hub.exports.client_connect(hub.now)
  const likes = hub.open(GCOUNTER, 'crdt:likes')
  const notes = hub.open(DOCUMENT, 'doc:notes')
  hub.wait(1000)
  assert.equal(hub.status(likes).state, 'joined')
  assert.deepEqual(hub.news.map(({ what, topic }) => [what, topic]), [['NEWS', likes], ['NEWS', notes]])
  page.takeDelta(hub.news[0].bytes)
  page.takeUpdate(hub.news[1].bytes)
  assert.equal(page.value, '2')
  assert.equal(page.text, 'from afar')
  assert.ok(hub.events.includes(`CHANGED ${notes}`))

  hub.news.length = 0
  server.broadcast('crdt:likes', 'state_updated', { value: 5, delta: server.page.increment(3).toString('base64') })
  hub.settle()
  page.takeDelta(hub.news[0].bytes)
  assert.equal(page.value, '5')

  // What a page changes is no news.
  hub.news.length = 0
  const number = hub.merge(notes, page.write('me: '))
  hub.settle()
  assert.equal(server.page.text, 'me: from afar')
  assert.deepEqual(hub.news, [])
  assert.equal(hub.status(notes).acknowledged, number)
  assert.equal(hub.status(notes).kept, false)
  hub.close()
})

// ---- what is said beside replicas ----

test('pushes have replies, and the server is heard', () => {
  const server = makeServer()
  const hub = makeHub({ server })
  const lobby = hub.open(PLAIN, 'relay:lobby')
  hub.instance.give('hey', '{}')
  assert.equal(hub.exports.topic_push(lobby, 3, 2, 0, hub.now), ERR.STATE)
  hub.exports.client_connect(hub.now)
  hub.settle()
  const ref = hub.push(lobby, 'hey', '{"a":1}')
  const bin = hub.push(lobby, 'hoi', Buffer.from([1, 2]))
  hub.settle()
  assert.deepEqual(server.heard.slice(-2), [['relay:lobby', 'hey', { a: 1 }], ['relay:lobby', 'hoi', Buffer.from([1, 2])]])
  const refs = hub.news.map(({ what, topic, bytes }) => [what, topic, readMessage(bytes)])
  assert.deepEqual(refs, [['REPLY', lobby, { ref, word: 'ok', payload: {} }], ['REPLY', lobby, { ref: bin, word: 'ok', payload: { level: 'durable' } }]])

  hub.news.length = 0
  server.broadcast('relay:lobby', 'presence_diff', { joins: {}, leaves: {} })
  server.broadcast('relay:lobby', 'awareness', Buffer.from([7]))
  hub.settle()
  const said = hub.news.map(({ what, bytes }) => [what, readMessage(bytes)])
  assert.deepEqual(said, [['MESSAGE', { ref: 0, word: 'presence_diff', payload: { joins: {}, leaves: {} } }], ['MESSAGE', { ref: 0, word: 'awareness', payload: Buffer.from([7]) }]])

  hub.instance.give('x')
  for (const name of ['topic_merge', 'topic_since']) assert.equal(hub.exports[name](lobby, 1, 0, hub.now), ERR.TYPE)
  hub.close()
})

test('presence and capabilities are told to the server', () => {
  const server = makeServer()
  const hub = makeHub({ server, token: 'secret' })
  hub.exports.client_connect(hub.now)
  const notes = hub.open(DOCUMENT, 'doc:notes')
  assert.deepEqual(hub.events.slice(0, 2), ['READY', 'CONNECT secret'])
  assert.deepEqual(server.joined.capabilities, { memory_mb: 512 })
  assert.equal(server.joined.presence, undefined)
  hub.exports.topic_hear_presence(notes, hub.now)
  hub.wait(1000)
  assert.deepEqual(server.joined.presence, {})
  // Asked for at once, it is in the first join.
  hub.open(PLAIN, 'relay:lobby', { presence: true })
  assert.deepEqual(server.heard.at(-1), ['relay:lobby', 'phx_join', { presence: {}, capabilities: { memory_mb: 512 } }])
  hub.instance.give('{"memory_mb":1}')
  assert.equal(hub.exports.client_set_capabilities(15, hub.now), 0)
  hub.settle()
  assert.deepEqual(server.heard.slice(-2), ['doc:notes', 'relay:lobby'].map((topic) => [topic, 'capabilities', { memory_mb: 1 }]))
  assert.equal(hub.status(notes).profile, 'minimal_client')
  hub.close()
})

// ---- handles ----

test('a topic has one handle, which ends with its last holder', () => {
  const hub = makeHub()
  const first = hub.open(ORSET, 'crdt:tags')
  assert.equal(hub.open(ORSET, 'crdt:tags'), first)
  assert.throws(() => hub.open(GCOUNTER, 'crdt:tags'), /TYPE/)
  assert.throws(() => hub.open(GCOUNTER, ''), /INVALID/)
  assert.throws(() => hub.open(77, 'crdt:x'), /UNKNOWN_TYPE/)
  hub.exports.topic_close(first, hub.now)
  assert.equal(hub.status(first).state, 'away')
  hub.exports.topic_close(first, hub.now)
  assert.equal(hub.exports.topic_status(first), ERR.INVALID)
  hub.exports.topic_close(first, hub.now)
  const second = hub.open(ORSET, 'crdt:tags')
  assert.notEqual(second, first)
  for (let i = 0; i < 100; i++) hub.open(GCOUNTER, `crdt:${i}`)
  assert.equal(hub.status(second).changes, 0)
  for (const name of ['topic_status', 'topic_version', 'topic_start_anew']) assert.equal(hub.exports[name](12345, 0), ERR.INVALID)
  hub.close()
  assert.equal(hub.exports.client_status(), ERR.INVALID)
  assert.equal(hub.exports.topic_status(second), ERR.INVALID)
  assert.equal(hub.exports.client_poll(), 0)
  assert.equal(hub.exports.client_deadline(), Infinity)
  const left = hub.exports.memory_used()
  hub.instance.give('')
  assert.equal(hub.exports.client_open(1n, 2n, 0, 0, 0, 0, 0, 5), 0)
  assert.equal(hub.exports.client_open(1n, 2n, 0, 0, 0, 0, 0, 5), ERR.STATE)
  assert.equal(hub.exports.client_close(), 0)
  assert.equal(hub.exports.memory_used() <= left + 64, true)
})

// ---- storage ----

test('a storage that fails is told of, and nothing waits for it', () => {
  const files = makeFiles()
  const { answer } = files
  let isBroken = false
  files.answer = (kind, operation) => (isBroken && kind === 'WRITE' ? { err: 'IO' } : answer(kind, operation))
  const hub = makeHub({ files })
  const page = makePage(instantiate(), 7)
  const likes = hub.open(GCOUNTER, 'crdt:likes')
  assert.equal(hub.status(likes).kept, true)
  isBroken = true
  hub.merge(likes, page.increment(1))
  hub.settle()
  assert.equal(hub.status().storage, ERR.IO)
  assert.deepEqual([hub.status(likes).kept, hub.status(likes).recorded], [false, 1])
  isBroken = false
  hub.wait(60000)
  assert.equal(hub.status().storage, 0)
  assert.deepEqual([hub.status(likes).kept, hub.status(likes).recorded], [true, 1])
  hub.close()
})

test('a client does not close while its storage is busy, and completions that fit nothing are ignored', () => {
  const hub = makeHub({ files: { answer: () => ({ err: 'NOT_FOUND' }) } })
  const { exports } = hub
  hub.close()
  hub.instance.give('')
  assert.equal(exports.client_open(1n, 2n, 1, 0, 0, 0, 0, 5), 0)
  exports.client_io_done(1, 0, 0, 0)
  const number = exports.client_io()
  assert.ok(number > 0)
  assert.equal(exports.client_io(), 0)
  assert.equal(exports.client_close(), 1)
  exports.client_io_done(number + 1, 0, 0, 0)
  exports.client_stored(6)
  assert.equal(exports.client_close(), 1)
  exports.client_io_done(number, ERR.CANCELED, 0, 0)
  exports.client_io_done(number, ERR.CANCELED, 0, 0)
  exports.client_stored(6)
  while (exports.client_close() !== 0) {
    for (let next; (next = exports.client_io()) !== 0; exports.client_stored(6)) exports.client_io_done(next, ERR.CANCELED, 0, 0)
  }
})

// ---- a core in parts ----

test('what a core lacks it says, and does the rest', () => {
  for (const [core, kind, name, other, otherName] of [[docsAlone, DOCUMENT, 'doc:notes', GCOUNTER, 'crdt:likes'], [objectsAlone, GCOUNTER, 'crdt:likes', DOCUMENT, 'doc:notes']]) {
    const server = makeServer()
    server.page.increment(2)
    server.page.write('from afar')
    const hub = makeHub({ core, server, files: makeFiles() })
    assert.throws(() => hub.open(other, otherName), { message: 'UNSUPPORTED' })
    const topic = hub.open(kind, name)
    const lobby = hub.open(PLAIN, 'relay:lobby')
    hub.exports.client_connect(hub.now)
    hub.wait(1000)
    assert.deepEqual([hub.status(topic).state, hub.status(lobby).state], ['joined', 'joined'])
    const page = makePage(instantiate(), 7)
    if (kind === DOCUMENT) {
      page.takeUpdate(hub.since(topic))
      assert.equal(page.text, 'from afar')
      assert.ok(hub.merge(topic, page.write('me: ')) > 0)
    } else {
      page.takeDelta(hub.since(topic))
      assert.equal(page.value, '2')
      assert.ok(hub.merge(topic, page.increment(3)) > 0)
    }
    hub.wait(1000)
    assert.equal(kind === DOCUMENT ? server.page.text : server.page.value, kind === DOCUMENT ? 'me: from afar' : '5')
    hub.close()
  }
})

test('what is kept with more kinds is left as it is by a core with fewer, and read by one that has them', () => {
  const files = makeFiles()
  const pages = instantiate()
  const page = makePage(pages, 7)
  const before = makeHub({ files })
  before.merge(before.open(GCOUNTER, 'crdt:likes'), page.increment(3))
  before.merge(before.open(DOCUMENT, 'doc:notes'), page.write('hello'))
  before.settle()
  before.close()
  const kept = new Map([...files.files].map(([name, bytes]) => [name, Buffer.from(bytes)]))

  for (const core of [docsAlone, objectsAlone]) {
    const hub = makeHub({ files, core })
    assert.deepEqual(hub.events, ['READY'])
    assert.equal(hub.status().storage, ERR.UNSUPPORTED)
    const topic = hub.open(core === docsAlone ? DOCUMENT : GCOUNTER, 'new')
    assert.equal(hub.status(topic).kept, false)
    hub.settle()
    hub.close()
    for (const [name, bytes] of kept) assert.ok(files.files.get(name).subarray(0, bytes.length).equals(bytes), name)
  }

  for (const core of [inParts, module]) {
    const after = makeHub({ files, core })
    assert.equal(after.status().storage, 0)
    const fresh = makePage(instantiate(core), 8)
    fresh.takeDelta(after.since(after.open(GCOUNTER, 'crdt:likes')))
    fresh.takeUpdate(after.since(after.open(DOCUMENT, 'doc:notes')))
    assert.deepEqual([fresh.value, fresh.text], ['3', 'hello'])
    after.close()
  }
})

test('a part that comes later is there for what is opened then', () => {
  const hub = makeHub({ core: [base], files: makeFiles() })
  const lobby = hub.open(PLAIN, 'relay:lobby')
  assert.throws(() => hub.open(200, 'crdt:later'), { message: 'UNKNOWN_TYPE' }) // no part has it
  assert.equal(hub.exports.client_lacks(), 0)
  for (const [{ bit, module }, kind, name] of [[objects, GCOUNTER, 'crdt:likes'], [documents, DOCUMENT, 'doc:notes']]) {
    assert.throws(() => hub.open(kind, name), { message: 'UNSUPPORTED' })
    assert.equal(hub.exports.client_lacks(), bit)
    const { exports } = new WebAssembly.Instance(module, { host: { tell() {}, now: () => 0, read_number: () => 0, print_number: () => 0 }, core: hub.exports })
    assert.ok(Object.keys(exports).length > 0)
    hub.exports.client_has(bit)
    assert.equal(hub.exports.client_lacks(), 0)
    const page = makePage(instantiate(), 7)
    const topic = hub.open(kind, name)
    assert.ok(hub.merge(topic, kind === DOCUMENT ? page.write('hello') : page.increment(3)) > 0)
    hub.settle()
    assert.equal(hub.status(topic).kept, true)
  }
  assert.equal(hub.status(lobby).state, 'away')
  hub.close()
})

test('what was kept with one kind is read by one that has both', () => {
  for (const core of [docsAlone, objectsAlone]) {
    const files = makeFiles()
    const page = makePage(instantiate(), 7)
    const before = makeHub({ files, core })
    const [kind, name, change] = core === docsAlone ? [DOCUMENT, 'doc:notes', page.write('hello')] : [GCOUNTER, 'crdt:likes', page.increment(3)]
    before.merge(before.open(kind, name), change)
    before.settle()
    before.close()
    const after = makeHub({ files })
    const fresh = makePage(instantiate(), 8)
    const bytes = after.since(after.open(kind, name))
    if (core === docsAlone) fresh.takeUpdate(bytes)
    else fresh.takeDelta(bytes)
    assert.equal(core === docsAlone ? fresh.text : fresh.value, core === docsAlone ? 'hello' : '3')
    assert.equal(after.status().pending, 1)
    after.close()
  }
})
