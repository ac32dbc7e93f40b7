// Documents in documents: which there are, who wants what they hold, and who is told. Beside Yjs, where it says the same.
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import * as Y from 'yjs'
import { createDocs, LaniakeaError, Subdocument, type Doc, type Docs, type SubdocumentEvent } from '@laniakea/sdk'

const docs: Docs = await createDocs()
after(() => docs.close())

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code
const guids = (subdocuments: Iterable<{ readonly guid: string }>): string[] => [...subdocuments].map(({ guid }) => guid).sort()

function listen(doc: Doc): SubdocumentEvent[] {
  const told: SubdocumentEvent[] = []
  doc.onSubdocuments((event) => told.push(event))
  return told
}

/* Goal: who receives what somebody with Yjs does hears of the same documents as Yjs.
 * Method: documents in arrays, in maps, in nodes in them, put and taken away at random, several in a transaction. */
test('documents come and go as in Yjs', () => {
  for (let seed = 1; seed <= 20; seed++) {
    let state = seed * 7919
    const next = (below: number): number => ((state = (state * 48271) % 2147483647) >> 4) % below
    const author = new Y.Doc()
    const theirs = new Y.Doc()
    const ours = docs.open()
    const told = listen(ours)
    const expected: string[][][] = []
    const gone = new Set<string>()
    theirs.on('subdocs', ({ added, removed, loaded }) => {
      const isAgain = added.size + loaded.size === 0 && guids(removed).every((guid) => gone.has(guid)) // destroy() tells it once more
      for (const guid of guids(removed)) gone.add(guid)
      if (!isAgain) expected.push([guids(added), guids(removed), guids(loaded)])
    })
    author.on('update', (update: Uint8Array) => {
      Y.applyUpdate(theirs, update)
      ours.apply(update)
    })
    const array = author.getArray<unknown>('a')
    const map = author.getMap<unknown>('m')
    for (let i = 0; i < 40; i++) {
      author.transact(() => {
        for (let j = next(3); j >= 0; j--) {
          const doc = new Y.Doc({ guid: `${i}.${j}`, autoLoad: next(3) === 0, gc: next(2) === 0 })
          const what = next(5)
          if (what === 0) array.insert(next(array.length + 1), [doc])
          else if (what === 1) map.set(`key ${next(4)}`, doc)
          else if (what === 2) array.insert(0, [new Y.Map([['in', doc]])])
          else if (what === 3 && array.length > 0) array.delete(next(array.length), 1)
          else map.delete(`key ${next(4)}`)
        }
      })
      assert.deepEqual(told.splice(0).map(({ added, removed, loaded }) => [guids(added), guids(removed), guids(loaded)]), expected.splice(0), `seed ${seed}, step ${i}`)
      assert.deepEqual(guids(ours.subdocuments()), guids(theirs.getSubdocs()))
    }
    ours.close()
  }
})

test('a document in a document is loaded once, told, and has a life of its own', () => {
  const doc = docs.open()
  doc.getMap('map').set('sub', new Subdocument('guid', { gc: false }))
  const told = listen(doc)
  const sub = doc.load('guid')
  assert.equal(doc.load('guid'), sub)
  assert.deepEqual(told, [{ added: [], removed: [], loaded: [new Subdocument('guid', { gc: false })] }])
  sub.getText('t').insert(0, 'abc')
  sub.getText('t').delete(0, 3)
  assert.ok(Buffer.from(sub.encode()).includes('abc'), 'it keeps what is deleted')
  sub.close()
  assert.deepEqual(doc.load('guid').toJSON(), {}, 'who closed it gets another one')
  assert.throws(() => doc.load('another'), hasCode('LK_ERR_NOT_FOUND'))
})

test('a document that is removed is closed when everybody was told, unless it lies somewhere else, too', () => {
  const doc = docs.open()
  const map = doc.getMap('map')
  map.set('one', new Subdocument('guid'))
  map.set('two', new Subdocument('guid'))
  const sub = doc.load('guid')
  const seen: boolean[] = []
  doc.onSubdocuments(({ removed }) => seen.push(removed.length === 1 && sub.stateVector().length === 1))
  map.delete('one')
  assert.equal(sub.toJSON() !== undefined, true)
  map.delete('two')
  assert.deepEqual(seen, [true, true])
  assert.throws(() => sub.toJSON(), hasCode('LK_ERR_STATE'))
  assert.throws(() => doc.load('guid'), hasCode('LK_ERR_NOT_FOUND'))
  map.set('one', new Subdocument('guid'))
  assert.notEqual(doc.load('guid'), sub)
})

test('documents in a document end with it', () => {
  const doc = docs.open()
  doc.getArray('a').push([new Subdocument('guid')])
  const sub = doc.load('guid')
  doc.close()
  assert.throws(() => sub.toJSON(), hasCode('LK_ERR_STATE'))
  assert.throws(() => doc.load('guid'), hasCode('LK_ERR_STATE'))
  assert.throws(() => doc.subdocuments(), hasCode('LK_ERR_STATE'))
})

test('listeners come and go, may change the document, and what one throws comes out', () => {
  const doc = docs.open()
  const array = doc.getArray('a')
  const told: string[] = []
  const off = doc.onSubdocuments(({ added }) => {
    told.push(...guids(added))
    if (added[0]?.guid === 'first') array.push([new Subdocument('second', { autoLoad: true })])
    throw new Error('mine')
  })
  const both: string[][] = []
  doc.onSubdocuments(({ loaded }) => both.push(guids(loaded)))
  assert.throws(() => array.push([new Subdocument('first')]), /mine/)
  assert.deepEqual(told, ['first', 'second'])
  assert.deepEqual(both, [[], ['second']])
  off()
  array.push([new Subdocument('third')])
  assert.deepEqual(told, ['first', 'second'])
  assert.equal(both.length, 3)
})
