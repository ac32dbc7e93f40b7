// bench/doc/shared/engines.mjs -- libraries for documents that several people edit, each behind the same few calls.
//
//   make(id, listen)        a document; `listen`, if given, receives each change as bytes
//   edit(doc, at, n, text)  deletes n units and inserts text as one change
//   apply(doc, bytes)       takes in what `listen` got elsewhere
//   encode(doc), load(bytes), text(doc), free(doc)
//
// and where a library has it: encode2/load2 (its other format), merge (changes put together without a document),
// watch (an observer and an undo manager on the text, which do nothing with what they are told), applyFrom (apply with an
// origin, which an undo manager leaves alone), push (a number into an array), insertAt, set (a key of a map),
// makeOwning (make, with a buffer for each change where they are views of larger ones otherwise; isOwning where they never are),
// applyAll (many at once, for which some have a faster way). `short` has the number of edits for tasks that take too
// long with all of a session's; `without` names the parts (parts.mjs) and shapes that take minutes even then; `turns`
// is how often a slow one runs.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../package.json', import.meta.url))
const nothing = () => {}

async function yjs() {
  const Y = await import('yjs')
  const open = () => {
    const doc = new Y.Doc()
    return { doc, text: doc.getText('text'), list: doc.getArray('list'), map: doc.getMap('map') }
  }
  const load = (apply) => (bytes) => {
    const self = open()
    apply(self.doc, bytes)
    return self
  }
  return {
    title: 'yjs',
    isOwning: true,
    turns: 3,
    short: { merge: 8_000 },
    make(id, listen, format = 1) {
      const self = open()
      self.doc.clientID = id
      if (listen) self.doc.on(format === 1 ? 'update' : 'updateV2', listen)
      return self
    },
    edit({ doc, text }, at, count, inserted) {
      if (count > 0 && inserted) {
        Y.transact(doc, () => {
          text.delete(at, count)
          text.insert(at, inserted)
        })
      } else if (count > 0) text.delete(at, count)
      else if (inserted) text.insert(at, inserted)
    },
    watch(self) {
      self.text.observe(nothing)
      self.undo = new Y.UndoManager(self.text)
    },
    text: ({ text }) => text.toString(),
    apply: ({ doc }, bytes) => Y.applyUpdate(doc, bytes),
    applyFrom: ({ doc }, bytes, origin) => Y.applyUpdate(doc, bytes, origin),
    apply2: ({ doc }, bytes) => Y.applyUpdateV2(doc, bytes),
    encode: ({ doc }) => Y.encodeStateAsUpdate(doc),
    encode2: ({ doc }) => Y.encodeStateAsUpdateV2(doc),
    load: load(Y.applyUpdate),
    load2: load(Y.applyUpdateV2),
    merge: Y.mergeUpdates,
    push: ({ list }, values) => list.push(values),
    insertAt: ({ list }, at, values) => list.insert(at, values),
    set: ({ map }, key, value) => map.set(key, value),
    free: ({ doc }) => doc.destroy(),
  }
}

/** y-crdt compiled to WASM. */
async function ywasm() {
  const Y = require('ywasm')
  const open = (options) => {
    const doc = new Y.YDoc(options)
    return { doc, text: doc.getText('text'), list: doc.getArray('list'), map: doc.getMap('map') }
  }
  const load = (apply) => (bytes) => {
    const self = open({})
    apply(self.doc, bytes)
    return self
  }
  return {
    title: 'ywasm',
    turns: 1,
    short: { local: 8_000, localUpdates: 8_000, watched: 2_000 },
    make(id, listen, format = 1) {
      const self = open({ clientID: id })
      if (listen && format === 1) self.doc.onUpdate(listen)
      else if (listen) self.doc.onUpdateV2(listen)
      return self
    },
    edit({ doc, text }, at, count, inserted) {
      if (count > 0 && inserted) {
        const transaction = doc.beginTransaction()
        text.delete(at, count, transaction)
        text.insert(at, inserted, undefined, transaction)
        transaction.commit()
        transaction.free()
      } else if (count > 0) text.delete(at, count)
      else if (inserted) text.insert(at, inserted)
    },
    watch(self) {
      self.observer = self.text.observe(nothing)
      self.undo = new Y.YUndoManager(self.doc, self.text, {})
    },
    text: ({ text }) => text.toString(),
    apply: ({ doc }, bytes) => Y.applyUpdate(doc, bytes),
    apply2: ({ doc }, bytes) => Y.applyUpdateV2(doc, bytes),
    applyFrom: ({ doc }, bytes, origin) => Y.applyUpdate(doc, bytes, origin),
    encode: ({ doc }) => Y.encodeStateAsUpdate(doc),
    encode2: ({ doc }) => Y.encodeStateAsUpdateV2(doc),
    load: load(Y.applyUpdate),
    load2: load(Y.applyUpdateV2),
    push: ({ list }, values) => list.push(values),
    insertAt: ({ list }, at, values) => list.insert(at, values),
    set: ({ map }, key, value) => map.set(key, value),
    free({ doc, text, list, map, observer, undo }) {
      for (const each of [undo, observer, text, list, map, doc]) each?.free()
    },
  }
}

async function loro() {
  const { LoroDoc, UndoManager } = require('loro-crdt')
  const open = (doc) => ({ doc, text: doc.getText('text'), list: doc.getList('list'), map: doc.getMap('map') })
  const load = (bytes) => {
    const doc = new LoroDoc()
    doc.import(bytes)
    return open(doc)
  }
  const change = (act) => (self, ...args) => {
    act(self, ...args)
    self.doc.commit()
  }
  return {
    title: 'loro-crdt',
    turns: 1,
    short: { watched: 8_000 },
    make(id, listen) {
      const doc = new LoroDoc()
      doc.setPeerId(BigInt(id))
      if (listen) doc.subscribeLocalUpdates(listen)
      return open(doc)
    },
    edit: change(({ text }, at, count, inserted) => {
      if (count > 0) text.delete(at, count)
      if (inserted) text.insert(at, inserted)
    }),
    watch(self) {
      self.text.subscribe(nothing)
      self.undo = new UndoManager(self.doc, { mergeInterval: 500 })
    },
    text: ({ text }) => text.toString(),
    apply: ({ doc }, bytes) => doc.import(bytes),
    applyAll: ({ doc }, updates) => doc.importBatch(updates),
    encode: ({ doc }) => doc.export({ mode: 'snapshot' }),
    load,
    push: change(({ list }, values) => values.forEach((value) => list.push(value))),
    insertAt: change(({ list }, at, values) => values.forEach((value, i) => list.insert(at + i, value))),
    set: change(({ map }, key, value) => map.set(key, value)),
    free({ doc, text, list, map, undo }) {
      for (const each of [undo, text, list, map, doc]) each?.free()
    },
  }
}

async function automerge() {
  const A = await import('@automerge/automerge')
  const actor = (id) => id.toString(16).padStart(32, '0')
  const first = A.change(A.init(actor(0)), { time: 0 }, (doc) => Object.assign(doc, { text: '', list: [], map: {} }))
  const bytes = A.save(first)
  const change = (act) => (self, ...args) => {
    self.doc = A.change(self.doc, { time: 0 }, (doc) => act(doc, ...args))
    if (self.listen) self.listen(A.getLastLocalChange(self.doc))
  }
  return {
    title: 'automerge',
    turns: 1,
    short: { local: 2_000, localUpdates: 2_000, remote: 2_000, state: 2_000 },
    without: ['append', 'shapes', 'concurrent'],
    make: (id, listen) => ({ doc: A.load(bytes, { actor: actor(id) }), listen }),
    edit: change((doc, at, count, inserted) => A.splice(doc, ['text'], at, count, inserted)),
    text: ({ doc }) => doc.text,
    apply(self, update) {
      self.doc = A.applyChanges(self.doc, [update])[0]
    },
    encode: ({ doc }) => A.save(doc),
    load: (saved) => ({ doc: A.load(saved) }),
    push: change((doc, values) => doc.list.push(...values)),
    insertAt: change((doc, at, values) => doc.list.insertAt(at, ...values)),
    set: change((doc, key, value) => {
      doc.map[key] = value
    }),
    free: ({ doc }) => A.free(doc),
  }
}

async function jsonJoy() {
  const { Model } = require('json-joy/lib/json-crdt/index.js')
  const { Patch } = require('json-joy/lib/json-crdt-patch/index.js')
  const FIRST = 65_536
  const root = Model.create(undefined, FIRST)
  root.api.root({ text: '', list: [], map: {} })
  root.api.flush()
  const bytes = root.toBinary()
  const open = (model, listen) => ({ model, listen, text: model.api.str(['text']), list: model.api.arr(['list']), map: model.api.obj(['map']) })
  const change = (act) => (self, ...args) => {
    act(self, ...args)
    const patch = self.model.api.flush()
    if (self.listen) self.listen(patch.toBinary())
  }
  return {
    title: 'json-joy',
    short: {},
    make: (id, listen) => open(Model.fromBinary(bytes).fork(FIRST + id), listen),
    edit: change(({ text }, at, count, inserted) => {
      if (count > 0) text.del(at, count)
      if (inserted) text.ins(at, inserted)
    }),
    text: ({ text }) => text.view(),
    apply: ({ model }, patch) => model.applyPatch(Patch.fromBinary(patch)),
    encode: ({ model }) => model.toBinary(),
    load: (saved) => open(Model.fromBinary(saved)),
    push: change(({ list }, values) => list.ins(list.length(), values)),
    insertAt: change(({ list }, at, values) => list.ins(at, values)),
    set: change(({ map }, key, value) => map.set({ [key]: value })),
    free: nothing,
  }
}

/** Counts characters where the others count UTF-16 units, so it gets no text beyond ASCII here. */
async function diamondTypes() {
  const { Doc } = require('diamond-types-node')
  return {
    title: 'diamond-types',
    isAsciiOnly: true,
    short: {},
    without: ['B2.2', 'B2.3', 'B2.4'],
    make(id, listen) {
      const doc = new Doc(`agent-${id}`)
      return { doc, listen, seen: listen && doc.getLocalVersion() }
    },
    edit(self, at, count, inserted) {
      if (count > 0) self.doc.del(at, count)
      if (inserted) self.doc.ins(at, inserted)
      if (!self.listen) return
      self.listen(self.doc.getPatchSince(self.seen))
      self.seen = self.doc.getLocalVersion()
    },
    text: ({ doc }) => doc.get(),
    apply: ({ doc }, bytes) => doc.mergeBytes(bytes),
    encode: ({ doc }) => doc.toBytes(),
    load: (bytes) => ({ doc: Doc.fromBytes(bytes) }),
    free: ({ doc }) => doc.free(),
  }
}

export const peers = { yjs, ywasm, loro, automerge, jsonJoy, diamondTypes }
