// tests/conformance/doc/session.mjs -- a session of several clients, played by the real Yjs and written down as records.
//
// Each session has a few clients that edit, receive what others did (late, twice, in another order,
// merged, by state vectors, in either format) and in the end all of it. What they do, what they send
// and what their documents then read and encode as is in the records: stream.h says how. Where Yjs'
// own clients end with different documents, the header says so: that happens where pairs are cut, and where
// structs stay pending although nothing is missing.
//
// What a client does is decided in act(): here it draws operations, in editors/ an editor is at work.
import { writeSync } from 'node:fs'
import * as Y from 'yjs'
import { canonical, execute, jsonOf, makeClient, makeOp, ordered, PROFILES, rootOf, stateOf, statesOf, stringOf } from './model.mjs'
import { Random } from './random.mjs'
import { bytes, list, record, str } from './stream.mjs'

const FRESH = 4000000000 // the client id of replicas that only read
const OF_CLIENTS = [...'LV'].map((tag) => tag.charCodeAt(0)) // records that say what clients do

/** Small ids now and then, since their varuints are short, and some that take more than 32 bits. */
function clientIds(random, count) {
  const ids = new Set()
  while (ids.size < count) ids.add(random.weighted([[6, random.u32()], [3, random.range(1, 300)], [1, 2 ** 32 + random.u32() * 2 ** 20]]))
  return [...ids]
}

/** A document that is given all that `doc` has, waiting things included, at once: itself where nothing waits. */
function healed(doc, roots) {
  if (doc.store.pendingStructs === null && doc.store.pendingDs === null) return doc
  const copy = new Y.Doc({ gc: doc.gc, guid: 'main' })
  copy.clientID = FRESH + 3
  for (const root of roots) rootOf(copy, root)
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc))
  return copy
}

/** Whether a struct waits in `doc` although all that it needs is there: Yjs 13.6 does not always look again. */
export function isStuck({ store }) {
  if (store.pendingStructs === null) return false
  const isHere = (id) => !id || id.client === undefined || id.clock < Y.getState(store, id.client)
  return Y.decodeUpdateV2(store.pendingStructs.update).structs.some(({ id, length, origin, rightOrigin, parent }) => {
    const next = Y.getState(store, id.client)
    const needs = [origin, rightOrigin, parent].filter((other) => other?.client !== id.client)
    return id.clock <= next && id.clock + length > next && needs.every(isHere)
  })
}

export class Session {
  #stuck = false
  #random
  #out = []
  #updates = [] // { client, v1, v2 }
  #said = [] // by clients, and not written down yet
  #clients = []
  #known = new Map() // how a root read, and under which label that was written down
  #docs = 0
  replies = false // clients may answer an update with changes of their own

  constructor(seed, index, profileName, steps, profiles = PROFILES) {
    this.#random = new Random(seed, index)
    this.index = index
    this.name = profileName
    this.gc = this.#random.chance(0.6)
    this.profile = { ...profiles[profileName], guid: () => `doc-${index}-${++this.#docs}` }
    this.roots = this.profile.roots
    const count = this.#random.weighted([[1, 1], [4, 2], [4, 3], [2, 4], [1, 5]])
    const drawn = this.#random.range(8, 40)
    this.steps = steps ?? drawn
    this.#clients = clientIds(this.#random, count).map((id, i) => ({
      index: i,
      inbox: [],
      ...this.makeClient(id, (said) => this.#said.push({ index: i, ...said })),
    }))
  }

  /** A client's document. `say` is called with each update that it sends out, { v1, v2 }. A client with a will of its
   * own says before that what it does, { ops }, and what its observers are told, { root, delta }. */
  makeClient(id, say) {
    return makeClient(id, this.gc, this.profile, (v1, v2) => say({ v1, v2 }))
  }

  /** Whether all that clients did is written down as operations. */
  get isScripted() {
    return true
  }

  /** Whether documents may read otherwise where Yjs was stuck on the way: when it cuts a pair or looks for needless
   * formatting decides what it finds. */
  get #readsOtherwise() {
    return Boolean(this.profile.formats || this.profile.split)
  }

  /** Or, if not that, have other structs: what is collected in one transaction becomes one. */
  get #leavesTraces() {
    return this.#readsOtherwise || Boolean(this.gc && this.profile.nested)
  }

  get clients() {
    return this.#clients
  }

  get random() {
    return this.#random
  }

  /** The records of the whole session. */
  play() {
    this.#drain()
    for (let step = 0; step < this.steps; step++) this.#step(this.#random.pick(this.#clients))
    this.#exchangeAll()
    this.#clients.forEach((client) => this.#checkpoint(client))
    const endings = new Random(this.#random.u32(), this.index)
    this.#checkReplicas(endings)
    if (this.#updates.length > 0) this.#checkBytes(endings)
    if (!this.gc && this.#updates.length > 0 && endings.chance(0.5)) this.#snapshot(endings)
    if (endings.chance(0.3)) this.#positions(endings)
    this.#checkFinal()
    this.#record('Z')
    return [this.#header(), ...this.#out.filter(([tag]) => this.isScripted || !OF_CLIENTS.includes(tag))]
  }

  /** Comes first, and says how it ends. */
  #header() {
    const [first, ...others] = this.#clients.map(({ doc }) => statesOf(doc, this.roots))
    const diverged = this.#stuck || this.#clients.some(({ inbox }) => inbox.length > 0) || others.some((states) => states !== first)
    const clients = this.#clients.map(({ id }) => id)
    const { index: session, name: profile, gc, roots } = this
    const undo = this.isScripted ? Boolean(this.profile.undo) : undefined
    const { asks } = this.profile
    return record('S', str(JSON.stringify({ session, profile, gc, clients, roots, undo, asks, diverged })))
  }

  #record(tag, ...parts) {
    this.#out.push(record(tag, ...parts))
  }

  // ---- a step: somebody receives something, and does something

  #step(client) {
    const random = this.#random
    if (client.inbox.length > 0 && random.chance(0.5)) this.#receive(client)
    if (random.chance(0.04)) this.#synchronize(client, random.pick(this.#clients))
    this.act(client)
    this.#drain()
    if (random.chance(0.06)) this.#checkpoint(client)
  }

  /** Something that the client does of its own accord. */
  act(client) {
    const random = this.#random
    const ops = []
    if (this.profile.undo && random.chance(0.25)) {
      ops.push([random.chance(0.65) ? 'undo' : 'redo'])
      execute(client.doc, this.roots, ops[0], client.undoManager)
    } else {
      const count = random.chance(0.7) ? 1 : random.range(2, 4)
      client.doc.transact(() => {
        for (let i = 0; i < count; i++) {
          const op = makeOp(random, this.profile, client.doc, this.roots)
          if (op === null) continue
          ops.push(op)
          execute(client.doc, this.roots, JSON_COPY(op), client.undoManager)
        }
      }, 'local')
    }
    this.#record('L', client.index, str(ordered(ops)))
  }

  /** Some of what has come: in another order, twice, or several as one. */
  #receive(client) {
    const random = this.#random
    const ids = client.inbox.splice(0, random.range(1, client.inbox.length))
    if (random.chance(0.3)) random.shuffle(ids)
    if (random.chance(0.2)) ids.push(random.pick(ids))
    const updates = ids.map((id) => this.#updates[id])
    switch (random.weighted([[6, 'one by one'], [1, 'merged'], [1, 'merged v2']])) {
      case 'merged': return this.#deliver(client, 1, Y.mergeUpdates(updates.map(({ v1 }) => v1)))
      case 'merged v2': return this.#deliver(client, 2, Y.mergeUpdatesV2(updates.map(({ v2 }) => v2)))
    }
    this.#receiveAll(client, ids)
  }

  /** One by one where the client may have something to say to each. */
  #receiveAll(client, ids) {
    for (const some of this.replies ? ids.map((id) => [id]) : [ids]) {
      this.#apply(client, 1, some.map((id) => this.#updates[id].v1))
      this.#record('I', client.index, list(some))
      this.#drain()
    }
  }

  #apply({ doc }, version, updates) {
    this.#stuck = this.#applyAll(doc, version, updates) || this.#stuck
  }

  /** A document receives an update. */
  take(doc, version, update) {
    if (version === 1) Y.applyUpdate(doc, update, 'remote')
    else Y.applyUpdateV2(doc, update, 'remote')
  }

  /** True where Yjs was stuck on the way in a manner that leaves traces. Else only what it is stuck with in the end
   * matters. */
  #applyAll(doc, version, updates) {
    let stuck = false
    for (const update of updates) {
      this.take(doc, version, update)
      if (this.#leavesTraces && !stuck) stuck = isStuck(doc)
    }
    return stuck || isStuck(doc)
  }

  /** What `other` has and `client` has not, as their state vectors tell. */
  #synchronize(client, other) {
    if (client === other) return
    const sv = Y.encodeStateVector(client.doc)
    if (this.#random.chance(0.5)) this.#deliver(client, 1, Y.encodeStateAsUpdate(other.doc, sv))
    else this.#deliver(client, 2, Y.encodeStateAsUpdateV2(other.doc, sv))
  }

  #deliver(client, version, update) {
    this.#apply(client, version, [update])
    this.#record('B', client.index, version, bytes(update))
    this.#drain()
  }

  /** Writes down what was said since the last time, and sends updates to the others. */
  #drain() {
    for (const { index, ops, root, delta, v1, v2 } of this.#said.splice(0)) {
      if (ops) this.#record('L', index, str(ordered(ops)))
      if (delta) this.#record('V', index, str(root), str(canonical(delta)))
      if (!v1) continue
      const id = this.#updates.push({ client: index, v1, v2 }) - 1
      this.#record('U', index, id, bytes(v1), bytes(v2))
      for (const client of this.#clients) if (client.index !== index) client.inbox.push(id)
    }
  }

  /** Clean-ups of formatting are updates too, so this takes a few rounds. */
  #exchangeAll() {
    for (let round = 0; round < 10 && this.#clients.some(({ inbox }) => inbox.length > 0); round++) {
      for (const client of this.#clients) {
        const ids = this.#random.shuffle(client.inbox.splice(0))
        if (ids.length === 0) continue
        this.#receiveAll(client, ids)
      }
    }
  }

  // ---- what is so now

  #checkpoint({ doc, index }) {
    this.#record('K', index, bytes(Y.encodeStateVector(doc)), str(statesOf(doc, this.roots)))
  }

  #state(label, doc) {
    for (const root of this.roots) {
      const type = rootOf(doc, root)
      const texts = [stateOf(type), stringOf(type), jsonOf(type)]
      const key = JSON.stringify([root[0], ...texts])
      if (this.#known.has(key)) {
        this.#record('Y', str(label), str(root[0]), str(this.#known.get(key)))
      } else {
        this.#known.set(key, label)
        this.#record('X', str(label), str(root[0]), ...texts.map(str))
      }
    }
  }

  /** A replica that applies `ids`, one by one or merged; it asks for its roots before or after that. */
  #replica(label, version, ids) {
    const { doc } = label.startsWith('late') ? { doc: new Y.Doc({ gc: this.gc, guid: 'main' }) } : makeClient(FRESH, this.gc, this.profile)
    doc.clientID = FRESH
    if (this.#applyAll(doc, version, ids.map((id) => this.#updates[id][`v${version}`]))) {
      this.#record('R', str(`stuck ${label}`), version, list(ids))
      if (!this.#readsOtherwise) this.#state(`stuck ${label}`, healed(doc, this.roots))
      return
    }
    this.#record('R', str(label), version, list(ids))
    this.#record('E', str(label), bytes(Y.encodeStateAsUpdate(doc)), bytes(Y.encodeStateAsUpdateV2(doc)), bytes(Y.encodeStateVector(doc)))
    this.#state(label, doc)
  }

  #checkReplicas(random) {
    const ids = this.#updates.map((_, id) => id)
    if (random.chance(0.5)) this.#replica('in order', 1, ids)
    if (random.chance(0.5)) this.#replica('late roots', random.range(1, 2), ids)
    this.#replica('shuffled', 1, random.shuffle([...ids, ...ids.filter(() => random.chance(0.15))]))
    if (random.chance(0.5)) this.#replica('shuffled v2', 2, random.shuffle([...ids]))
    if (ids.length > 3 && random.chance(0.6)) this.#pending(random, ids)
  }

  /** A replica that some updates have not reached. */
  #pending(random, all) {
    const missing = random.shuffle([...all]).slice(0, random.weighted([[3, 1], [1, 2], [1, 1 + (all.length >> 2)]])).sort((a, b) => a - b)
    const doc = makeClient(FRESH + 1, this.gc, this.profile).doc
    const received = all.filter((id) => !missing.includes(id))
    if (this.#applyAll(doc, 1, received.map((id) => this.#updates[id].v1))) return
    const { pendingStructs, pendingDs } = doc.store
    this.#record('P', list(missing), bytes(Y.encodeStateVector(doc)), bytes(Y.encodeStateAsUpdate(doc)), pendingStructs ? 1 : 0, pendingDs ? 1 : 0)
    this.#state('pending', doc)
  }

  /** What needs no document: merged, cut and converted updates. */
  #checkBytes(random) {
    const ids = this.#updates.map((_, id) => id)
    const [m1, m2] = this.#merge(random.chance(0.5) ? ids : random.shuffle([...ids]))
    const some = ids.filter(() => random.chance(0.5))
    if (some.length > 0) this.#merge(some)
    const doc = new Y.Doc({ gc: this.gc, guid: 'main' })
    for (const id of ids.slice(0, random.below(ids.length))) Y.applyUpdate(doc, this.#updates[id].v1)
    const sv = Y.encodeStateVector(doc)
    const own = this.#clients[0].doc
    this.#record('D', bytes(sv), bytes(Y.diffUpdate(m1, sv)), bytes(Y.diffUpdateV2(m2, sv)), bytes(Y.encodeStateAsUpdate(own, sv)),
      bytes(Y.encodeStateAsUpdateV2(own, sv)))
    const v1 = random.chance(0.5) ? Y.encodeStateAsUpdate(own) : m1
    const v2 = Y.convertUpdateFormatV1ToV2(v1)
    this.#record('C', bytes(v1), bytes(v2), bytes(Y.convertUpdateFormatV2ToV1(v2)))
  }

  /** The document as it was when it had received the first updates. */
  #snapshot(random) {
    const { doc } = makeClient(FRESH + 2, this.gc, this.profile)
    const at = random.below(this.#updates.length)
    let snapshot
    this.#updates.forEach(({ v1 }, id) => {
      Y.applyUpdate(doc, v1)
      if (id === at) snapshot = Y.snapshot(doc)
    })
    this.#record('N', at, bytes(Y.encodeSnapshot(snapshot)), bytes(Y.encodeSnapshotV2(snapshot)))
    this.#state('snapshot', Y.createDocFromSnapshot(doc, snapshot, new Y.Doc({ gc: false, guid: 'main' })))
  }

  /** Places in client 0's document that move along with what is around them. */
  #positions(random) {
    const { doc } = this.#clients[0]
    for (const root of this.roots) {
      if (root[1] !== 'text' && root[1] !== 'array') continue
      for (let i = 0; i < 3; i++) {
        const type = rootOf(doc, root)
        const index = random.below(type.length + 1)
        const before = random.chance(0.5)
        const position = Y.createRelativePositionFromTypeIndex(type, index, before ? -1 : 0)
        const found = Y.createAbsolutePositionFromRelativePosition(position, doc)
        this.#record('Q', str(root[0]), index, before ? 1 : 0, bytes(Y.encodeRelativePosition(position)),
          str(canonical(Y.relativePositionToJSON(position))), found ? found.index : 0xffffffff)
      }
    }
  }

  #merge(ids) {
    const m1 = Y.mergeUpdates(ids.map((id) => this.#updates[id].v1))
    const m2 = Y.mergeUpdatesV2(ids.map((id) => this.#updates[id].v2))
    this.#record('M', list(ids), bytes(m1), bytes(m2), bytes(Y.encodeStateVectorFromUpdate(m1)))
    return [m1, m2]
  }

  #checkFinal() {
    const { doc } = this.#clients[0]
    this.#record('F', 0, bytes(Y.encodeStateAsUpdate(doc)), bytes(Y.encodeStateAsUpdateV2(doc)), bytes(Y.encodeStateVector(doc)))
    this.#state('final', doc)
  }
}

/** What Yjs is given must not be what is written down: it keeps objects, and may change them. */
const JSON_COPY = structuredClone

/** Waits until the reader has taken it; false where he is gone. */
export function write(buffer) {
  for (let at = 0; at < buffer.length; ) {
    try {
      at += writeSync(1, buffer, at)
    } catch (error) {
      if (error.code === 'EPIPE') return false
      if (error.code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
  return true
}
