// tests/conformance/doc/editors/recorder.mjs -- writes down what an editor does to its document, as operations.
//
// Bindings call methods of Yjs' types: insert(), applyDelta(), setAttribute(). All of them are wrapped here, once for
// the process; calls within a local transaction of a watched document become operations of model.mjs, which any
// engine can carry out. Two things need care:
//
//   new types   come into the document filled already, and a list may get several at once. Each is an operation
//               when Yjs integrates it, and so is, right behind, what Yjs then puts into it
//   deletions   y-prosemirror also deletes items behind the types' backs
//
// What cannot be said in operations makes the recording `broken`; the session is then played without.
import * as Y from 'yjs'
import { ordered } from '../model.mjs'

const watched = new WeakMap() // documents, and their recorders
let busy = 0 // calls of Yjs' methods, in which items are deleted for a reason that is known

const live = (item) => !item.deleted && item.countable

/** How many units stand before an item in its list. */
function indexOf(item) {
  let index = 0
  for (let at = item.parent._start; at !== item; at = at.right) if (live(at)) index += at.length
  return index
}

function pathOf(type) {
  const steps = []
  for (; type._item !== null; type = type._item.parent) {
    if (type._item.deleted) throw new Error('a type that is deleted is changed')
    if (type._item.parent instanceof Y.Text) throw new Error('a type in a text')
    steps.unshift(type._item.parentSub === null ? indexOf(type._item) : `k:${type._item.parentSub}`)
  }
  const [name] = [...type.doc.share].find(([, root]) => root === type)
  return [name, ...steps]
}

function told(type) {
  if (type instanceof Y.XmlText) return ['xtext', '']
  if (type instanceof Y.XmlHook) return ['hook', type.hookName]
  if (type instanceof Y.XmlElement) return ['elem', type.nodeName]
  if (type instanceof Y.Text) return ['text', '']
  if (type instanceof Y.Array) return ['array']
  if (type instanceof Y.Map) return ['map']
  throw new Error(`a type that cannot be made: ${type.constructor.name}`)
}

/** Texts that are cut within a pair cannot be written down. */
const hasHalves = (value) => (typeof value === 'string' ? !value.isWellFormed() : value !== null && typeof value === 'object' && Object.values(value).some(hasHalves))

const copy = (value) => {
  if (ordered(value).includes('"$')) throw new Error('a value that a delta has no word for')
  return JSON.parse(JSON.stringify(value))
}
const attributesOf = (attributes) => (attributes ? [copy(attributes)] : [])
const values = (content) => {
  const types = content.filter((value) => value instanceof Y.AbstractType).length
  if (types !== 0 && types !== content.length) throw new Error('types among values')
  return types === 0
}

/** What each method is as operations; an empty list for what others say. */
const methods = [
  [Y.Text, 'insert', (path, index, text, attributes) => (text.length > 0 ? [['t.ins', path(), index, text, ...attributesOf(attributes)]] : [])],
  [Y.Text, 'delete', (path, index, length) => (length > 0 ? [['t.del', path(), index, length]] : [])],
  [Y.Text, 'format', (path, index, length, attributes) => (length > 0 ? [['t.fmt', path(), index, length, ...attributesOf(attributes)]] : [])],
  [Y.Text, 'insertEmbed', (path, index, value, attributes) => [['t.emb', path(), index, copy(value), attributes ? copy(attributes) : null]]],
  [Y.Text, 'applyDelta', (path, delta, { sanitize = true } = {}) => [['t.delta', path(), copy(delta), ...(sanitize ? [] : [false])]]],
  [Y.Text, 'setAttribute', (path, name, value) => [['x.attr', path(), name, value]]],
  [Y.Text, 'removeAttribute', (path, name) => [['x.unattr', path(), name]]],
  [Y.XmlFragment, 'insert', () => []],
  [Y.XmlFragment, 'insertAfter', () => []],
  [Y.XmlFragment, 'delete', (path, index, length = 1) => (length > 0 ? [['x.del', path(), index, length]] : [])],
  [Y.XmlElement, 'setAttribute', (path, name, value) => [['x.attr', path(), name, value]]],
  [Y.XmlElement, 'removeAttribute', (path, name) => [['x.unattr', path(), name]]],
  [Y.Array, 'insert', (path, index, content) => (values(content) ? [['a.ins', path(), index, content]] : [])],
  [Y.Array, 'push', (path, content) => (values(content) ? [['a.push', path(), content]] : [])],
  [Y.Array, 'delete', (path, index, length = 1) => (length > 0 ? [['a.del', path(), index, length]] : [])],
  [Y.Map, 'set', (path, key, value) => (value instanceof Y.AbstractType ? [] : [['m.set', path(), key, value]])],
  [Y.Map, 'delete', (path, key) => [['m.del', path(), key]]],
]

/** The recorder of a document in which something local happens. */
function recorderAt(doc) {
  const recorder = doc ? watched.get(doc) : undefined
  if (recorder === undefined || recorder.undoes || doc._transaction?.local === false) return undefined
  return recorder
}

function wrap(type, name, tell) {
  const original = type.prototype[name]
  type.prototype[name] = function (...args) {
    const recorder = recorderAt(this.doc)
    const call = () => {
      recorder?.add(() => tell(() => pathOf(this), ...args))
      busy++
      try {
        return original.apply(this, args)
      } finally {
        busy--
      }
    }
    return recorder && !this.doc._transaction ? this.doc.transact(call) : call()
  }
}

function made(type) {
  const { parent, parentSub } = type._item ?? {}
  if (parent === undefined) return []
  if (parent instanceof Y.Text) throw new Error('a type in a text')
  if (parentSub !== null) return [['m.type', pathOf(parent), parentSub, told(type)]]
  return [[parent instanceof Y.Array ? 'a.type' : 'x.ins', pathOf(parent), indexOf(type._item), told(type)]]
}

function wrapIntegration(type) {
  const original = type.prototype._integrate
  type.prototype._integrate = function (doc, item) {
    if (this._item === null && item !== null) {
      this._item = item
      recorderAt(doc)?.add(() => made(this))
    }
    original.call(this, doc, item)
  }
}

/** Formatting that goes is Yjs cleaning up. */
function wrapItems() {
  const original = Y.Item.prototype.delete
  Y.Item.prototype.delete = function (transaction) {
    const recorder = recorderAt(transaction.doc)
    const isOwn = recorder && busy === 0 && !this.deleted && !(this.content instanceof Y.ContentFormat)
    if (isOwn) {
      recorder.add(() => {
        const { parent, parentSub } = this
        if (parentSub !== null) return [['m.del', pathOf(parent), parentSub]]
        return [[parent instanceof Y.Text ? 't.del' : 'x.del', pathOf(parent), indexOf(this), this.length]]
      })
    }
    busy++
    try {
      original.call(this, transaction)
    } finally {
      busy--
    }
  }
}

for (const [type, name, tell] of methods) wrap(type, name, tell)
for (const type of [Y.Text, Y.XmlText, Y.XmlFragment, Y.XmlElement, Y.XmlHook, Y.Array, Y.Map]) {
  if (Object.hasOwn(type.prototype, '_integrate')) wrapIntegration(type)
}
wrapItems()

export class Recorder {
  #ops = new Map() // of transactions that are not over
  undoes = false // what is done now is undoing, which is one operation
  broken = null // why not all is written down

  /** `does` is called with the operations of each local transaction, before its update is sent out. */
  constructor(doc, does) {
    this.doc = doc
    watched.set(doc, this)
    doc.on('afterTransaction', (transaction) => {
      const ops = this.#ops.get(transaction)
      this.#ops.delete(transaction)
      if (ops) does(ops, transaction.origin)
      const says = transaction.deleteSet.clients.size > 0 || transaction.afterState.get(doc.clientID) !== transaction.beforeState.get(doc.clientID)
      if (this.undoes && says && !(transaction.origin instanceof Y.UndoManager)) this.broken ??= 'an answer to an undo, which Yjs takes for part of it'
    })
  }

  add(tell) {
    try {
      const ops = tell().map((op) => structuredClone(op))
      const transaction = this.doc._transaction
      if (hasHalves(ops)) throw new Error('half a pair')
      if (ops.length > 0) this.#ops.set(transaction, [...(this.#ops.get(transaction) ?? []), ...ops])
    } catch (error) {
      this.broken ??= error.message
    }
  }
}
