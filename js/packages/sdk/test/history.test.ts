// Positions, snapshots and versions of documents, beside Yjs itself.
//
// Goal: what Yjs wrote is read here, and the reverse, to the byte; and both mean the same by it.
// Method: the same random edits on both, and of each the same question; bytes that nobody wrote.
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import {
  createDocs, createHistory, LaniakeaError, loadCore, RelativePosition, Snapshot, type ArrayNode, type Doc, type DocHistory, type Docs, type TextNode, type UpdateFormat,
} from '@laniakea/sdk'

const docs: Docs = await createDocs()
const history: DocHistory = await createHistory()
after(() => {
  docs.close()
  history.close()
})

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

type Random = (below: number) => number

function random(seed: number): Random {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** One of ours and one of Yjs to which the same is done: a text, an array of texts, a map. */
class Pair {
  readonly ours: Doc
  readonly theirs: Y.Doc
  readonly text: TextNode
  readonly array: ArrayNode

  constructor(client: number, keepDeleted: boolean) {
    this.ours = docs.open({ client, keepDeleted })
    this.theirs = new Y.Doc({ gc: !keepDeleted })
    this.theirs.clientID = client
    this.text = this.ours.getText('text')
    this.array = this.ours.getArray('array')
  }

  get theirText(): Y.Text {
    return this.theirs.getText('text')
  }

  get theirArray(): Y.Array<unknown> {
    return this.theirs.getArray('array')
  }

  /** The texts that there are, ours and theirs. */
  texts(): [TextNode, Y.Text][] {
    const nested = this.theirArray.toArray().map((theirs, i) => [this.array.get(i), theirs] as [TextNode, Y.Text])
    return [[this.text, this.theirText], ...nested]
  }

  edit(next: Random): void {
    const what = next(12)
    const place = next(this.array.length + 1)
    if (what === 0) {
      this.ours.transact(() => this.array.insertNode(place, 'text').insert(0, 'nested'))
      this.theirArray.insert(place, [new Y.Text('nested')])
    } else if (what === 1 && place < this.array.length) {
      this.array.delete(place, 1)
      this.theirArray.delete(place, 1)
    } else if (what === 2) {
      this.ours.getMap('map').set('key', place)
      this.theirs.getMap('map').set('key', place)
    } else {
      this.#editText(next, what)
    }
  }

  #editText(next: Random, what: number): void {
    const texts = this.texts()
    const [ours, theirs] = texts[next(texts.length)]!
    const at = next(ours.length + 1)
    const count = Math.min(1 + next(5), ours.length - at)
    if (what < 8) {
      const piece = ['a', 'word', 'ü', '€ and more'][next(4)]!
      ours.insert(at, piece)
      theirs.insert(at, piece)
    } else if (count > 0 && what < 11) {
      ours.delete(at, count)
      theirs.delete(at, count)
    } else if (count > 0) {
      ours.format(at, count, { bold: true })
      theirs.format(at, count, { bold: true })
    }
  }

  /** Both take in what somebody else wrote, whose client is behind theirs. */
  receive(next: Random): void {
    const far = docs.open({ client: 1_000_000 + next(1_000_000) })
    far.apply(this.ours.encode())
    const text = far.getText('text')
    for (let i = next(4); i >= 0; i--) text.insert(next(text.length + 1), 'far')
    if (text.length > 3) text.delete(next(text.length - 2), 2)
    const update = far.encode(this.ours.stateVector())
    this.ours.apply(update)
    Y.applyUpdate(this.theirs, update)
    far.close()
  }
}

// ---- positions ----

test('positions are the bytes and the JSON of Yjs, and are where Yjs has them, whatever comes', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const pair = new Pair(seed, seed % 3 === 0)
    const next = random(seed * 7919)
    const positions: [RelativePosition, Y.RelativePosition][] = []
    for (let i = 0; i < 60; i++) {
      if (next(6) === 0) pair.receive(next)
      else pair.edit(next)
      const texts = pair.texts()
      const [ours, theirs] = next(8) === 0 ? ([pair.array, pair.theirArray] as const) : texts[next(texts.length)]!
      const at = next(ours.length + 1)
      const assoc = next(4) - 2
      const position = ours.position(at, assoc)
      const wanted = Y.createRelativePositionFromTypeIndex(theirs as Y.Text, at, assoc)
      assert.equal(hex(position.encode()), hex(Y.encodeRelativePosition(wanted)), `seed ${seed}, step ${i}`)
      assert.equal(JSON.stringify(position), JSON.stringify(Y.relativePositionToJSON(wanted)))
      positions.push([position, wanted])
    }
    for (const [position, theirs] of positions) checkResolved(pair, position, theirs, `seed ${seed}`)
    pair.ours.close()
  }
})

function checkResolved({ ours, theirs }: Pair, position: RelativePosition, relative: Y.RelativePosition, message: string): void {
  const wanted = Y.createAbsolutePositionFromRelativePosition(relative, theirs)
  const fromBytes = RelativePosition.decode(Y.encodeRelativePosition(relative))
  const fromJson = RelativePosition.fromJSON(JSON.parse(JSON.stringify(Y.relativePositionToJSON(relative))))
  for (const form of [position, fromBytes, fromJson]) {
    const place = ours.resolve(form)
    // In a node that was deleted Yjs has a place, too, where there is nothing to see.
    if (wanted === null || wanted.type._item?.deleted) assert.equal(place, undefined, message)
    else assert.deepEqual([place?.index, place?.node.toJSON()], [wanted.index, wanted.type.toJSON()], message)
  }
  // What is ours is good enough for Yjs as it is.
  assert.deepEqual(Y.createAbsolutePositionFromRelativePosition(position, theirs)?.index, wanted?.index)
}

test('a position follows what an undo manager brings back', () => {
  const pair = new Pair(1, false)
  const undo = pair.ours.undo(pair.text, { captureTimeout: 0 })
  const theirUndo = new Y.UndoManager(pair.theirText, { captureTimeout: 0 })
  pair.text.insert(0, 'abcdef')
  pair.theirText.insert(0, 'abcdef')
  const position = pair.text.position(4)
  const theirs = Y.createRelativePositionFromTypeIndex(pair.theirText, 4)
  pair.text.delete(2, 3)
  pair.theirText.delete(2, 3)
  assert.equal(pair.ours.resolve(position)?.index, 2)
  undo.undo()
  theirUndo.undo()
  assert.equal(pair.text.toString(), 'abcdef')
  assert.equal(pair.ours.resolve(position)?.index, 4)
  assert.equal(Y.createAbsolutePositionFromRelativePosition(theirs, pair.theirs)?.index, 4)
})

test('a position is in a node that is there, and not behind its end', () => {
  const doc = docs.open({ client: 5 })
  const text = doc.getText('t')
  text.insert(0, 'ab')
  assert.throws(() => text.position(3), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.position(4, -1), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.position(-1), hasCode('LK_ERR_RANGE'))
  assert.equal(text.position(2, -1).item?.clock, 1)
  const inner = doc.getArray('a').insertNode(0, 'text')
  const position = inner.position(0)
  assert.deepEqual(position.toJSON(), { type: { client: 5, clock: 2 }, assoc: 0 })
  assert.equal(doc.resolve(position)?.node, inner)
  doc.getArray('a').delete(0)
  assert.equal(doc.resolve(position), undefined)
  assert.throws(() => inner.position(0), hasCode('LK_ERR_NOT_FOUND'))
  assert.equal(doc.getMap('m').position(0).tname, 'm')
  assert.equal(doc.resolve(new RelativePosition({ tname: 'nobody' })), undefined)
  assert.equal(doc.roots.length, 3)
  assert.equal(doc.resolve(new RelativePosition({ item: { client: 77, clock: 0 } })), undefined)
  assert.equal(doc.resolve(new RelativePosition({ item: { client: 5, clock: 2 ** 52 } })), undefined)
  assert.equal(doc.resolve(new RelativePosition({ type: { client: 5, clock: 0 } })), undefined, 'a character is no node')
})

test('positions that mean the same are equal, whichever node they name', () => {
  const text = docs.open({ client: 1 }).getText('t')
  text.insert(0, 'abc')
  const position = text.position(1)
  assert.ok(position.equals(RelativePosition.decode(position.encode())))
  for (const other of [text.position(2), text.position(1, -1), text.position(3)]) assert.ok(!position.equals(other))
  assert.ok(!text.position(3).equals(text.position(0, -1)))
})

test('what is no position is refused', () => {
  const refused: [string, string][] = [['', 'TRUNCATED'], ['03', 'CORRUPT'], ['00', 'TRUNCATED'], ['0001', 'TRUNCATED'], ['0105', 'TRUNCATED'], ['0101ff00', 'UTF8'], ['00010100ff', 'TRAILING'], ['00ffffffffffffffff7f01', 'RANGE']]
  for (const [bytes, code] of refused) assert.throws(() => RelativePosition.decode(bytesOf(bytes)), hasCode(`LK_ERR_${code}`), bytes)
  for (const json of [null, 5, {}, { item: 5 }, { item: { client: 1 } }, { item: { client: -1, clock: 0 } }, { tname: 7 }, { tname: 'a', assoc: 'b' }, { type: { client: '1', clock: 0 } }]) {
    assert.throws(() => RelativePosition.fromJSON(json), hasCode('LK_ERR_CORRUPT'), JSON.stringify(json))
  }
  assert.equal(RelativePosition.decode(bytesOf('000102')).assoc, 0, 'as the first versions of Yjs wrote it')
})

// ---- snapshots ----

test('snapshots are the bytes of Yjs in both formats, and each reads what the other one wrote', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const pair = new Pair(seed, seed % 2 === 0)
    const next = random(seed * 104729)
    let before = pair.ours.snapshot()
    let theirsBefore = Y.snapshot(pair.theirs)
    for (let i = 0; i < 40; i++) {
      if (next(5) === 0) pair.receive(next)
      else pair.edit(next)
      const ours = pair.ours.snapshot()
      const theirs = Y.snapshot(pair.theirs)
      assert.equal(hex(ours.encode()), hex(Y.encodeSnapshot(theirs)), `seed ${seed}, step ${i}`)
      assert.equal(hex(ours.encode(2)), hex(Y.encodeSnapshotV2(theirs)))
      for (const read of [Snapshot.decode(Y.encodeSnapshot(theirs)), Snapshot.decode(Y.encodeSnapshotV2(theirs), 2)]) assert.ok(read.equals(ours))
      assert.ok(Y.equalSnapshots(Y.decodeSnapshotV2(ours.encode(2)), theirs))
      assert.equal(ours.equals(before), Y.equalSnapshots(theirs, theirsBefore))
      before = ours
      theirsBefore = theirs
    }
    pair.ours.close()
  }
})

test('what waits for other updates is in no snapshot', () => {
  const [author, ours] = [docs.open({ client: 1 }), docs.open({ client: 2 })]
  const theirs = new Y.Doc()
  theirs.clientID = 2
  const updates: Uint8Array[] = []
  author.onUpdate((update) => updates.push(update))
  author.getText('t').insert(0, 'one')
  author.getText('t').insert(3, 'two')
  author.getText('t').delete(1, 4)
  ours.getText('t').insert(0, 'here')
  theirs.getText('t').insert(0, 'here')
  ours.getText('t').delete(0, 2)
  theirs.getText('t').delete(0, 2)
  for (const update of updates.slice(1)) {
    ours.apply(update)
    Y.applyUpdate(theirs, update)
  }
  assert.ok(ours.size.pending.structs > 0 && ours.size.pending.deleteRanges > 0)
  assert.equal(hex(ours.snapshot().encode()), hex(Y.encodeSnapshot(Y.snapshot(theirs))))
})

test('a snapshot says the same however it was written, and what is none is refused', () => {
  // Ranges in disorder, overlapping, empty; a client twice; a clock of 0.
  const odd = Snapshot.decode(bytesOf('02' + '0103' + '0502' + '0103' + '0900' + '0101' + '0308' + '03' + '010a' + '0107' + '0200'))
  assert.deepEqual([...odd.deletes], [[1, [[1, 10]]]])
  assert.deepEqual([...odd.states], [[1, 10]])
  assert.ok(odd.equals(Snapshot.decode(bytesOf('010101010a' + '01010a'))))
  assert.ok(!odd.equals(Snapshot.decode(bytesOf('010101010a' + '01010b'))))
  const refused: [string, string][] = [['', 'TRUNCATED'], ['00', 'TRUNCATED'], ['000000', 'TRAILING'], ['ffffffff0f', 'TRUNCATED'], ['0101ffffffff0f', 'TRUNCATED'], ['010101ffffffffffffff0f0100', 'RANGE']]
  for (const [bytes, code] of refused) assert.throws(() => Snapshot.decode(bytesOf(bytes)), hasCode(`LK_ERR_${code}`), bytes)
})

function unlessRefused<T>(body: () => T): T | undefined {
  try {
    return body()
  } catch (error) {
    if (error instanceof LaniakeaError) return undefined
    throw error
  }
}

/* Goal: whatever comes is refused by name, or means something that can be written again and asked about.
 * Method: good bytes of which some are others, cut off or doubled, with large numbers in them. */
test('bytes that nobody wrote do no harm', () => {
  const next = random(4711)
  const doc = docs.open({ client: 1 })
  doc.getText('t').insert(0, 'abcdefghij')
  for (const at of [1, 2, 3]) doc.getText('t').delete(at, 1)
  const place = doc.getText('t').position(1).encode()
  const state = doc.snapshot()
  let taken = 0
  for (let i = 0; i < 20_000; i++) {
    const spoil = (bytes: Uint8Array): Uint8Array => {
      const spoilt = [...bytes, ...bytes].slice(0, 1 + next(2 * bytes.length))
      for (let j = next(3); j >= 0; j--) spoilt[next(spoilt.length)] = next(2) === 0 ? next(256) : next(4)
      if (next(3) === 0) spoilt.splice(next(spoilt.length), 0, ...new Array<number>(5 + next(4)).fill(255)) // a large number
      return Uint8Array.from(spoilt)
    }
    const position = unlessRefused(() => RelativePosition.decode(spoil(place)))
    if (position !== undefined) {
      assert.ok(RelativePosition.decode(position.encode()).equals(position))
      doc.resolve(position)
    }
    const format = (1 + next(2)) as UpdateFormat
    const snapshot = unlessRefused(() => Snapshot.decode(spoil(state.encode(format)), format))
    if (snapshot !== undefined) assert.ok(Snapshot.decode(snapshot.encode(2), 2).equals(snapshot))
    taken += Number(position !== undefined) + Number(snapshot !== undefined)
  }
  assert.ok(taken > 1000, `${taken} of them mean something`)
  assert.equal(doc.getText('t').toString(), 'aceghij')
})

// ---- history ----

test('a document is seen as it was, as Yjs sees it', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new Pair(seed, true)
    const next = random(seed * 15485863)
    const versions: [Snapshot, Y.Snapshot][] = []
    for (let i = 0; i < 50; i++) {
      if (next(6) === 0) pair.receive(next)
      else pair.edit(next)
      if (next(8) === 0) versions.push([pair.ours.snapshot(), Y.snapshot(pair.theirs)])
    }
    for (const [i, [snapshot, theirs]] of versions.entries()) {
      const format: UpdateFormat = i % 2 === 0 ? 1 : 2
      const then = docs.open()
      then.apply(history.at(pair.ours.encode(undefined, format), snapshot, format), undefined, format)
      const wanted = Y.createDocFromSnapshot(pair.theirs, theirs)
      assert.deepEqual(then.getText('text').toDelta(), wanted.getText('text').toDelta(), `seed ${seed}`)
      assert.deepEqual(then.getArray('array').toJSON(), wanted.getArray('array').toJSON())
      assert.deepEqual(then.getMap('map').toJSON(), wanted.getMap('map').toJSON())
      then.close()
    }
    pair.ours.close()
  }
})

test('what was collected cannot be seen any more, nor what never came', async () => {
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  text.insert(0, 'one two')
  const snapshot = doc.snapshot()
  text.insert(7, ' three')
  assert.equal(docOf(history.at(doc.encode(), snapshot)).getText('t').toString(), 'one two', 'nothing of it is gone')
  text.delete(0, 4)
  assert.throws(() => history.at(doc.encode(), snapshot), hasCode('LK_ERR_COLLECTED'))
  assert.throws(() => history.at(docs.open().encode(), snapshot), hasCode('LK_ERR_NOT_FOUND'))
  assert.throws(() => history.at(bytesOf('ff'), snapshot), hasCode('LK_ERR_TRUNCATED'))
})

function docOf(update: Uint8Array): Doc {
  const doc = docs.open()
  doc.apply(update)
  return doc
}

test('snapshots are compared in a document that can show them', () => {
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  text.insert(0, 'Hello world')
  const before = doc.snapshot()
  text.delete(0, 6)
  assert.throws(() => history.compareSnapshots(doc.encode(), before), hasCode('LK_ERR_COLLECTED'))
  assert.throws(() => history.compareSnapshots(docs.open().encode(), before), LaniakeaError)
})

test('a number without an end is refused', () => {
  const endless = new Uint8Array([1, 1, 1, ...new Array(150).fill(0x80), 0, 5, 0])
  assert.throws(() => Snapshot.decode(endless), hasCode('LK_ERR_RANGE'))
})

test('two versions are compared, and it is told who wrote what', async () => {
  const [ada, ben] = [docs.open({ client: 1, keepDeleted: true }), docs.open({ client: 2 })]
  ada.getText('t').insert(0, 'one two')
  const [before, snapshot] = [ada.encode(), ada.snapshot()]
  ben.apply(before)
  ben.getText('t').insert(3, ',')
  ben.getText('t').delete(4, 4)
  ben.getText('t').format(0, 2, { bold: true })
  ben.getMap('m').set('k', [1, 'ä'])
  ada.getText('t').insert(7, '!')
  ada.apply(ben.encode(ada.stateVector()))
  const userOf = (client: number): string | undefined => (client < 3 ? ['nobody', 'Ada', 'Ben'][client] : undefined)
  const changes = history.compare(before, ada.encode(), { userOf })
  assert.deepEqual(changes, {
    clients: [
      { client: 1, user: 'Ada', added: 1, deleted: 4, formats: 0 },
      { client: 2, user: 'Ben', added: 2, deleted: 0, formats: 2 },
    ],
    users: [
      { user: 'Ada', added: 1, deleted: 4, formats: 0 },
      { user: 'Ben', added: 2, deleted: 0, formats: 2 },
    ],
    roots: {
      t: [{
        path: [],
        kind: 'text',
        delta: [
          { retain: 2, formats: { bold: { new: true, client: 2 } } },
          { retain: 1 },
          { insert: ',', client: 2 },
          { delete: ' two', client: 1 },
          { insert: '!', client: 1 },
        ],
      }],
      m: [{ path: [], kind: 'map', entries: { k: { action: 'add', new: [1, 'ä'], client: 2 } } }],
    },
  })
  assert.deepEqual(history.compareSnapshots(ada.encode(), snapshot, undefined, { userOf }), changes)
  assert.deepEqual(history.compareSnapshots(ada.encode(undefined, 2), snapshot, ada.snapshot(), { userOf, format: 2 }), changes)
  const one = history.compare(before, ada.encode(), { userOf: () => 'one' })
  assert.deepEqual(one.users, [{ user: 'one', added: 3, deleted: 4, formats: 2 }])
  assert.deepEqual(history.compareSnapshots(ada.encode(), undefined, snapshot).clients, [{ client: 1, added: 7, deleted: 0, formats: 0 }])
  assert.deepEqual(history.compare(before, before), { clients: [], users: [], roots: {} })
})

test('history is a module of its own, which refuses what is none and ends once', async () => {
  const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])
  await assert.rejects(createHistory({ core: { module: new WebAssembly.Module(empty) } }), hasCode('LK_ERR_UNSUPPORTED'))
  await assert.rejects(loadCore({ bytes: empty }), hasCode('LK_ERR_VERSION'))
  const other = await createHistory()
  other.close()
  assert.throws(() => other.compare(bytesOf('0000'), bytesOf('0000')), hasCode('LK_ERR_STATE'))
})
