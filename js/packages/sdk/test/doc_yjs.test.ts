// Documents beside Yjs itself, where it is installed: the one that tests/conformance/doc has.
//
// Goal: what people do with the SDK gives the bytes that it gives with Yjs, and each reads the other's.
// Method: the same random calls on both, every update compared; then two of each in one session.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createDocs, createUpdates, type ArrayNode, type Doc, type MapNode, type TextNode } from '@laniakea/sdk'

const place = new URL('../../../../tests/conformance/doc/node_modules/yjs/dist/yjs.mjs', import.meta.url)
const skip = existsSync(place) ? false : 'npm ci in tests/conformance/doc'
// Its types are not installed with the SDK's.
const Y = (skip === false ? await import(place.href) : undefined) as any

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const NARROW = ['a', 'b', ' ', 'word', 'é', '€', 'x'.repeat(70), '\n', 'ü'.repeat(200)]
const PIECES = [...NARROW, '😀']
const VALUES = [1, -7, 2.5, 'text', true, null, { a: [1, { b: 'c' }] }, [1, 2], new Uint8Array([1, 2, 3])]

interface Both {
  readonly text: TextNode
  readonly array: ArrayNode
  readonly map: MapNode
}

/** One random step: the calls have the same names on both sides but for nodes, which Yjs makes beforehand. */
function step(next: (below: number) => number, length: number, items: number, pieces = PIECES): (self: Both, isYjs: boolean) => void {
  const what = next(20)
  const at = next(length + 1)
  const piece = pieces[next(pieces.length)]!
  const value = VALUES[next(VALUES.length)]!
  const place = next(items + 1)
  const count = Math.min(1 + next(6), length - at)
  const em = next(2) === 0 ? null : { level: 1 }
  if (what < 8) return ({ text }) => text.insert(at, piece)
  if (what < 11) return ({ text }) => void (count > 0 && text.delete(at, count))
  if (what < 12) return ({ text }) => text.insert(at, piece, { bold: true })
  if (what < 13) return ({ text }) => void (count > 0 && text.format(at, count, { em }))
  if (what < 15) return ({ map }) => map.set(`key ${value}`, value)
  if (what < 16) return ({ map }) => map.delete('key 1')
  if (what < 18) return ({ array }) => array.insert(place, [value, 'more', value])
  if (what < 19) return ({ array }) => void (place < items && array.delete(place, 1))
  return ({ array }, isYjs) => {
    if (isYjs) (array as unknown as { insert(at: number, nodes: unknown[]): void }).insert(place, [new Y.Text('in')])
    else array.doc.transact(() => array.insertNode(place, 'text').insert(0, 'in'))
  }
}

const partsOf = (doc: any): Both => ({ text: doc.getText('text'), array: doc.getArray('array'), map: doc.getMap('map') })

test('the same calls give the same updates, states and deltas', { skip }, async () => {
  const docs = await createDocs()
  const work = await createUpdates()
  for (let seed = 1; seed <= 60; seed++) {
    const ours = docs.open({ client: seed })
    const theirs = new Y.Doc()
    theirs.clientID = seed
    const updates: [string[], string[]] = [[], []]
    const updates2: [string[], string[]] = [[], []]
    ours.onUpdate((update) => updates[0].push(hex(update)))
    theirs.on('update', (update: Uint8Array) => updates[1].push(hex(update)))
    if (seed % 2 === 0) {
      ours.onUpdate((update) => updates2[0].push(hex(update)), 2)
      theirs.on('updateV2', (update: Uint8Array) => updates2[1].push(hex(update)))
    }
    const [a, b] = [partsOf(ours), partsOf(theirs)]
    const next = random(seed * 7919)
    for (let i = 0; i < 80; i++) {
      const act = step(next, a.text.length, a.array.length)
      act(a, false)
      act(b, true)
    }
    assert.deepEqual(updates[0], updates[1], `seed ${seed}`)
    assert.deepEqual(updates2[0], updates2[1], `seed ${seed}`)
    assert.equal(hex(ours.encode()), hex(Y.encodeStateAsUpdate(theirs)))
    assert.equal(hex(ours.encode(undefined, 2)), hex(Y.encodeStateAsUpdateV2(theirs)))
    assert.equal(hex(ours.stateVector()), hex(Y.encodeStateVector(theirs)))
    assert.deepEqual(a.text.toDelta(), b.text.toDelta())
    assert.equal(a.text.toString(), b.text.toString())
    const merged = updates[0].map((update) => Buffer.from(update, 'hex'))
    assert.equal(hex(work.merge(merged)), hex(Y.mergeUpdates(merged)))
    ours.close()
  }
  docs.close()
})

/* Goal: what observers are told is what Yjs tells, in its order. Method: the same random calls on both, and those of another
 * replica from time to time; all that events say is put down, also by observers that change the document themselves. */
test('events say what those of Yjs say', { skip }, async () => {
  const docs = await createDocs()
  for (let seed = 1; seed <= 60; seed++) {
    const ours = docs.open({ client: 1 })
    const far = docs.open({ client: 9 })
    const theirs = new Y.Doc()
    theirs.clientID = 1
    const told: [unknown[], unknown[]] = [[], []]
    const [a, b] = [partsOf(ours), partsOf(theirs)]
    for (const [list, parts] of [[told[0], a], [told[1], b]] as const) watch(list, parts, seed % 3 === 0)
    const next = random(seed * 15485863)
    const others = partsOf(far)
    for (let i = 0; i < 60; i++) {
      if (next(8) === 0) {
        far.apply(ours.encode())
        for (let j = next(5); j >= 0; j--) step(next, others.text.length, others.array.length, NARROW)(others, false)
        const update = far.encode(ours.stateVector())
        ours.apply(update, 'net')
        Y.applyUpdate(theirs, update, 'net')
      } else {
        const act = step(next, a.text.length, a.array.length)
        act(a, false)
        act(b, true)
      }
      assert.deepEqual(told[0].splice(0), told[1].splice(0), `seed ${seed}, step ${i}`)
    }
    assert.equal(hex(ours.encode()), hex(Y.encodeStateAsUpdate(theirs)))
    ours.close()
    far.close()
  }
  docs.close()
})

function watch(told: unknown[], { text, array, map }: Both, changes: boolean): void {
  const say = (what: string) => (event: any) => {
    const { path, delta, keys } = event.changes === undefined ? event : { path: event.path, delta: event.delta, keys: event.keys }
    const changed = [...keys].map(([key, { action, oldValue }]: [string, any]) => [key, action, plain(oldValue)])
    told.push([what, path, plain(delta.map(content)), changed.sort(([x], [y]) => (x < y ? -1 : 1))])
  }
  text.observe(say('text') as any)
  array.observe(say('array') as any)
  map.observe(say('map') as any)
  array.observeDeep((events: readonly any[]) => events.forEach(say('in array')))
  if (changes) text.observe(() => void (map.size % 5 !== 4 && map.set(`from text ${map.size}`, text.length)))
}

/** Of an operation of Yjs, as ours: what is inserted as JSON. */
function content(operation: any): unknown {
  const json = (value: any): unknown => (value?.toJSON === undefined ? value : value.toJSON())
  const { insert } = operation
  if (insert === undefined) return operation
  return { ...operation, insert: Array.isArray(insert) ? insert.map(json) : json(insert) }
}

test('two of ours and two of Yjs write together and end alike', { skip }, async () => {
  const docs = await createDocs()
  for (let seed = 1; seed <= 25; seed++) {
    const ours: Doc[] = [docs.open({ client: 1 }), docs.open({ client: 2 })]
        const theirs: any[] = [3, 4].map((client) => Object.assign(new Y.Doc(), { clientID: client }))
    const inboxes: Uint8Array[][] = [[], [], [], []]
    const send = (from: number) => (update: Uint8Array, origin: unknown) => {
      if (origin !== 'net') inboxes.forEach((inbox, to) => to !== from && inbox.push(update))
    }
    ours.forEach((doc, i) => doc.onUpdate(send(i)))
    theirs.forEach((doc, i) => doc.on('update', send(i + 2)))
    const all = [...ours, ...theirs].map(partsOf)
    const take = (at: number, count: number): void => {
      const updates = inboxes[at]!.splice(0, count)
      if (at < 2) ours[at]!.applyAll(updates, 'net')
      else for (const update of updates) Y.applyUpdate(theirs[at - 2], update, 'net')
    }
    const next = random(seed * 104729)
    for (let i = 0; i < 200; i++) {
      const at = next(4)
      const self = all[at]!
      if (next(3) === 0) take(at, next(20))
      // No pairs: where one is cut, not even two of Yjs end alike.
      else step(next, self.text.length, self.array.length, NARROW)(self, at >= 2)
    }
    for (let at = 0; at < 4; at++) take(at, Infinity)
    for (let at = 0; at < 4; at++) take(at, Infinity) // clean-ups of formats are updates, too
    const wanted = all[3]!
    for (const [i, { text, array, map }] of all.entries()) {
      assert.equal(text.toString(), wanted.text.toString(), `seed ${seed}, replica ${i}`)
      assert.deepEqual(text.toDelta(), wanted.text.toDelta())
      assert.equal(array.length, wanted.array.length)
      assert.equal(JSON.stringify(plain(map.toJSON())), JSON.stringify(plain(wanted.map.toJSON())))
    }
    for (const doc of ours) doc.close()
  }
  docs.close()
})

/** Keys in one order, bytes as ours writes them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, plain(item)]))
}
