// Documents as their users see them: typed nodes, transactions, listeners, undo, updates, lifetimes. What Yjs has to say to
// the same calls stands here as literals; doc_yjs.test.ts asks Yjs itself where it is installed.
import { afterEach, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { createDocs, createUpdates, LaniakeaError, loadCore, Subdocument, type Content, type Doc, type DocEvent, type DocOptions, type Docs, type TextNode, type Value } from '@laniakea/sdk'

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

const opened: Docs[] = []

async function open(): Promise<Docs> {
  const docs = await createDocs()
  opened.push(docs)
  return docs
}

async function openDoc(options: DocOptions = { client: 1 }): Promise<Doc> {
  return (await open()).open(options)
}

afterEach(() => {
  for (const docs of opened.splice(0)) docs.close()
})

// ---- text ----

test('a text is edited by units of UTF-16 and gives the updates of Yjs', async () => {
  const doc = await openDoc()
  const updates: string[] = []
  doc.onUpdate((update) => updates.push(hex(update)))
  const text = doc.getText('text')
  text.insert(0, 'ab')
  text.insert(2, 'c')
  text.insert(1, '😀é')
  text.delete(0, 1)
  assert.equal(text.toString(), '😀ébc')
  assert.equal(text.length, 5)
  assert.deepEqual(updates, ['01010100040104746578740261620' + '0', '0101010284010101630' + '0', '01010103c40100010106f09f9880c3a90' + '0', '000101010001'])
})

/* Goal: nothing of the way that text takes into the core can be seen.
 * Method: texts of all lengths around the limits of the ways, of one to three bytes a unit, alone and behind others. */
test('texts of every length and width come back as they went in', async () => {
  const doc = await openDoc()
  const text = doc.getText('text')
  let expected = ''
  for (const unit of ['a', 'é', '€', '😀', '\ufeff', '\0']) {
    for (const count of [1, 2, 21, 63, 64, 65, 1000]) {
      const piece = unit.repeat(count)
      const at = Math.floor(expected.length / 2) & ~1
      text.insert(at, piece)
      expected = expected.slice(0, at) + piece + expected.slice(at)
      if (expected.length % 2 === 1) {
        text.insert(expected.length, '.')
        expected += '.'
      }
    }
  }
  assert.equal(text.toString(), expected)
  assert.equal(text.length, expected.length)
  const long = 'ü'.repeat(2 ** 20 + 1)
  text.insert(0, long)
  assert.equal(text.toString(), long + expected)
})

test('half of a surrogate pair alone becomes U+FFFD, however it comes', async () => {
  const doc = await openDoc()
  const text = doc.getText('text')
  text.insert(0, '\ud83d')
  text.insert(1, 'x\ude00y')
  assert.equal(text.toString(), '\ufffdx\ufffdy')
})

test('formatted text is read as a delta', async () => {
  const doc = await openDoc()
  const text = doc.getText('text')
  text.insert(0, 'plain')
  text.insert(5, ' bold', { bold: true })
  text.format(0, 2, { link: { href: 'x' } })
  text.insertEmbed(0, { image: 'a.png' }, { width: 3 })
  text.format(6, 5, { bold: null })
  assert.deepEqual(text.toDelta(), [
    { insert: { image: 'a.png' }, attributes: { width: 3 } },
    { insert: 'pl', attributes: { link: { href: 'x' } } },
    { insert: 'ain bold' },
  ])
  const other = doc.getText('other')
  other.applyDelta([{ insert: 'abc' }, { insert: 'd', attributes: { em: 1 } }])
  other.applyDelta([{ retain: 1 }, { delete: 1 }, { retain: 1, attributes: { em: 2 } }])
  assert.deepEqual(other.toDelta(), [{ insert: 'a' }, { insert: 'c', attributes: { em: 2 } }, { insert: 'd', attributes: { em: 1 } }])
  text.setAttribute('indent', 2)
  assert.deepEqual(text.attributes(), { indent: 2 })
})

// ---- arrays, maps, XML ----

const VALUES: readonly Value[] = [
  null, true, false, 0, -0, 1, -1, 63, 64, -64, 127, 128, 2 ** 31 - 1, -(2 ** 31) + 1, 2 ** 31, 2 ** 53 - 1, 0.5, 0.1, -1e300, Infinity, NaN,
  '', 'text', 'é'.repeat(60), 'x'.repeat(300), '\ufeff', [], [1, [2, ['three']]], {}, { a: { b: [null, undefined] }, c: undefined }, { b: 1n, a: new Uint8Array([1]) },
  new Uint8Array(), new Uint8Array([0, 255]),
]

test('values come back as what they were', async () => {
  const docs = await open()
  const doc = docs.open()
  const map = doc.getMap('map')
  const array = doc.getArray('array')
  const keyed: readonly Value[] = [...VALUES, undefined, 2n ** 63n - 1n, -(2n ** 63n), 0n]
  keyed.forEach((value, i) => map.set(`key ${i}`, value))
  array.insert(0, VALUES)
  const copy = docs.open()
  copy.apply(doc.encode())
  for (const one of [doc, copy]) {
    assert.deepEqual(one.getArray('array').toArray(), VALUES)
    assert.deepEqual([...one.getArray('array')], VALUES)
    keyed.forEach((value, i) => assert.deepEqual(one.getMap('map').get(`key ${i}`), value))
    assert.deepEqual(one.getMap('map').entries(), keyed.map((value, i) => [`key ${i}`, value]))
    VALUES.forEach((value, i) => assert.deepEqual(one.getArray('array').get(i), value))
  }
})

/* Goal: what formats and embeds hold is JSON in updates of the first version, whose numbers the module has us print and read.
 * Method: the ends of all doubles, there and back, and the bytes between. */
/* Goal: nobody can see that many numbers take a way of their own.
 * Method: in both modules, at once and in handfuls too small for it, from one text to the same text of bytes. */
test('many numbers at once are those of a few at a time', async () => {
  const numbers = [0, -0, 1, -1, 63, 64, -64, 8191, 2 ** 30, 2 ** 31 - 1, -(2 ** 31), 2 ** 32, 2 ** 53, 0.5, 0.1, -1e300, NaN, Infinity, -Infinity, 5e-324]
  for (const name of ['laniakea-doc.wasm', 'laniakea-doc-fast.wasm']) {
    const bytes = readFileSync(new URL(import.meta.resolve(`@laniakea/sdk/${name}`)))
    const docs = await createDocs({ core: await loadCore({ bytes: new Uint8Array(bytes) }) })
    const [once, pieces] = [docs.open({ client: 1 }), docs.open({ client: 1 })]
    const list = once.getArray('l')
    list.push(numbers)
    for (let at = 0; at < numbers.length; at += 5) pieces.getArray('l').push(numbers.slice(at, at + 5))
    assert.deepEqual(list.toArray(), numbers)
    assert.equal(hex(once.encode()), hex(pieces.encode()))
    list.insert(1, [...numbers, 'text', null])
    assert.deepEqual(list.toArray().slice(1, 23), [...numbers, 'text', null])
    const before = hex(once.encode())
    for (const wrong of [undefined, 1n, () => 1]) assert.throws(() => list.insert(0, [...numbers, wrong as never]), LaniakeaError)
    assert.throws(() => list.insert(1000, numbers), hasCode('LK_ERR_RANGE'))
    assert.throws(() => docs.open().getText('t').insert(0, numbers as never), hasCode('LK_ERR_TYPE'))
    assert.equal(hex(once.encode()), before)
    docs.close()
  }
})

test('numbers go through JSON as JavaScript prints and reads them', async () => {
  const docs = await open()
  const numbers = [0.1, -1.5, 1e21, 1e-7, 5e-324, 2.2250738585072014e-308, Number.MAX_VALUE, 2 ** 53 + 2, 123456789.125, 1 / 3]
  const here = docs.open()
  here.getText('t').insert(0, 'ab', { n: numbers })
  here.getText('t').insertEmbed(1, { n: 0.30000000000000004 })
  const update = here.encode()
  const bytes = Buffer.from(update).toString('latin1')
  assert.ok(bytes.includes(JSON.stringify(numbers)) && bytes.includes('{"n":0.30000000000000004}'))
  const there = docs.open()
  there.apply(update)
  assert.deepEqual(there.getText('t').toDelta(), [
    { insert: 'a', attributes: { n: numbers } },
    { insert: { n: 0.30000000000000004 } },
    { insert: 'b', attributes: { n: numbers } },
  ])
  const other = docs.open()
  other.apply(new Uint8Array(Buffer.from(bytes.replace('0.30000000000000004', '3.00000000000004e-1'), 'latin1')))
  assert.ok(Buffer.from(other.encode()).toString('latin1').includes('{"n":0.300000000000004}'))
})

test('a key __proto__ is no prototype, and what Yjs drops of it is dropped', async () => {
  const doc = await openDoc()
  doc.getMap('m').set('v', JSON.parse('{"__proto__":{"x":1},"y":2}') as Value)
  const value = doc.getMap('m').get('v') as { x?: unknown; y: unknown }
  assert.equal(value.y, 2)
  assert.equal(value.x, undefined)
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
})

test('what a document cannot hold is refused and changes nothing', async () => {
  const doc = await openDoc()
  const map = doc.getMap('map')
  const array = doc.getArray('array')
  const cycle: unknown[] = []
  cycle.push(cycle)
  for (const [value, code] of [[() => 1, 'TYPE'], [Symbol('x'), 'TYPE'], [new Date(), 'TYPE'], [new Map(), 'TYPE'], [2n ** 63n, 'RANGE'], [cycle, 'DEPTH']]) {
    assert.throws(() => map.set('x', value as Value), hasCode(`LK_ERR_${String(code)}`))
    assert.throws(() => array.push([1, value as Value]), hasCode(`LK_ERR_${String(code)}`))
  }
  for (const value of [undefined, 1n]) assert.throws(() => array.push([value]), hasCode('LK_ERR_INVALID'))
  const node = array as unknown as Value // what people who know Yjs try
  for (const value of [node, [node], { node }]) assert.throws(() => map.set('x', value), /insertNode\(\) or setNode\(\)/)
  assert.deepEqual(doc.toJSON(), { map: {}, array: [] })
  assert.equal(doc.encode().length, 2)
})

test('indexes that are none are refused', async () => {
  const doc = await openDoc()
  const text = doc.getText('text')
  const array = doc.getArray('array')
  text.insert(0, 'abc')
  array.push([1, 2])
  for (const index of [-1, 0.5, NaN, 2 ** 32, 2 ** 32 + 1, 4, '0', undefined]) {
    const at = index as number
    for (const call of [() => text.insert(at, 'x'), () => text.insert(at, 'xy'), () => text.delete(at, 1), () => text.delete(0, at), () => array.insert(at, [1]), () => array.delete(at), () => array.get(at)]) {
      assert.throws(call, hasCode('LK_ERR_RANGE'), String(index))
    }
  }
  assert.throws(() => text.insert(0, 5 as unknown as string), hasCode('LK_ERR_TYPE'))
  assert.deepEqual(doc.toJSON(), { text: 'abc', array: [1, 2] })
})

test('nodes lie in nodes, and there is one object for each', async () => {
  const doc = await openDoc()
  const array = doc.getArray('array')
  const map = array.insertNode(0, 'map')
  const text: TextNode = map.setNode('text', 'text')
  text.insert(0, 'inside')
  array.push([1])
  assert.equal(array.get(0), map)
  assert.equal(map.get('text'), text)
  assert.equal(text.parent, map)
  assert.equal(map.parent, array)
  assert.equal(array.parent, undefined)
  assert.equal(doc.getArray('array'), array)
  assert.equal(map.has('text'), true)
  assert.equal(map.size, 1)
  assert.deepEqual(array.toJSON(), [{ text: 'inside' }, 1])
  array.delete(0)
  assert.equal(text.exists, false)
  for (const use of [() => text.insert(0, 'x'), () => text.toString(), () => map.get('text'), () => map.has('text'), () => map.parent]) assert.throws(use, hasCode('LK_ERR_NOT_FOUND'))
  assert.deepEqual(doc.toJSON(), { array: [1] })
})

test('XML has elements, texts and attributes', async () => {
  const doc = await openDoc()
  const xml = doc.getXml('xml')
  const paragraph = xml.insertElement(0, 'p')
  paragraph.setAttribute('align', 'left')
  const text = paragraph.insertText(0)
  text.insert(0, 'a<b')
  text.format(0, 1, { em: {} })
  const hook = xml.insertNode(1, 'xml-hook', 'widget')
  hook.set('x', 1)
  assert.equal(hook.name, 'widget')
  assert.equal(paragraph.name, 'p')
  assert.equal(text.toString(), '<em>a</em><b')
  xml.delete(1)
  assert.equal(xml.toString(), '<p align="left"><em>a</em><b</p>')
  assert.deepEqual(xml.children(), [paragraph])
  assert.equal(paragraph.get(0), text)
  paragraph.removeAttribute('align')
  assert.equal(paragraph.getAttribute('align'), undefined)
  assert.deepEqual(paragraph.attributes(), {})
})

test('a subdocument is a name and options', async () => {
  const docs = await open()
  const doc = docs.open()
  doc.getMap('map').set('sub', new Subdocument('guid', { autoLoad: true }))
  const copy = docs.open()
  copy.apply(doc.encode())
  assert.deepEqual(copy.getMap('map').get('sub'), new Subdocument('guid', { autoLoad: true }))
})

test('a root has one kind', async () => {
  const doc = await openDoc()
  doc.getText('a').insert(0, 'x')
  assert.throws(() => doc.getMap('a'), hasCode('LK_ERR_TYPE'))
  assert.throws(() => doc.get('b', 'unknown' as 'text'), hasCode('LK_ERR_TYPE'))
  assert.deepEqual(doc.roots, [{ name: 'a', kind: 'text' }])
  const value: Content = doc.getMap('m').get('nothing')
  assert.equal(value, undefined)
})

// ---- transactions and updates ----

test('a transaction is one update, with its origin', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const told: unknown[] = []
  doc.onUpdate((update, origin, local) => told.push([update.length, origin, local]))
  const origin = { who: 'me' }
  const result = doc.transact(() => {
    doc.getText('t').insert(0, 'x')
    doc.transact(() => doc.getMap('m').set('k', 1), 'inner')
    return 5
  }, origin)
  assert.equal(result, 5)
  assert.equal(told.length, 1)
  assert.deepEqual((told[0] as unknown[]).slice(1), [origin, true])
  assert.equal((told[0] as unknown[])[1], origin)
  const other = docs.open()
  other.getText('t').insert(0, 'y')
  doc.apply(other.encode(), 'net')
  assert.deepEqual((told[1] as unknown[]).slice(1), ['net', false])
  doc.getText('t').insert(0, 'z')
  assert.deepEqual((told[2] as unknown[]).slice(1), [null, true])
})

test('what a transaction changed before it threw stays', async () => {
  const doc = await openDoc()
  let updates = 0
  doc.onUpdate(() => updates++)
  assert.throws(() => doc.transact(() => {
    doc.getText('t').insert(0, 'x')
    throw new Error('mine')
  }), /mine/)
  assert.equal(doc.getText('t').toString(), 'x')
  assert.equal(updates, 1)
  doc.getText('t').insert(0, 'y')
  assert.equal(updates, 2)
})

test('updates in shared buffers are the same ones, and stay as they are', async () => {
  const docs = await open()
  const [a, b] = [docs.open({ client: 1 }), docs.open({ client: 1 })]
  const shared: Uint8Array[] = []
  const own: Uint8Array[] = []
  a.onUpdate((update) => shared.push(update), { shared: true })
  b.onUpdate((update) => own.push(update), { format: 1 })
  for (const doc of [a, b]) {
    const text = doc.getText('t')
    for (let i = 0; i < 6000; i++) text.insert(i === 3000 ? 5 : text.length, String(i % 10).repeat(i % 1000 === 7 ? 2000 : 1 + (i % 70)))
  }
  assert.equal(shared.length, 6000)
  assert.deepEqual(shared.map(hex), own.map(hex))
  const buffers = new Set(shared.map(({ buffer }) => buffer))
  assert.ok(buffers.size > 6 && buffers.size < 20, `${buffers.size} buffers`) // of 64 KiB, and of the long ones each has its own
  assert.ok(own.every(({ buffer, length }) => buffer.byteLength === length))
  // Whoever wants buffers of their own has them, also where somebody else does without.
  const alone: Uint8Array[] = []
  const off = a.onUpdate((update) => alone.push(update))
  a.getText('t').insert(0, 'x')
  assert.equal(shared.at(-1)?.buffer.byteLength, shared.at(-1)?.length)
  off()
  off()
  a.getText('t').insert(0, 'y')
  assert.ok((shared.at(-1)?.buffer.byteLength ?? 0) > 1000)
  assert.equal(alone.length, 1)
})

test('updates go both ways, in both formats, in any order, and wait for each other', async () => {
  const docs = await open()
  const a = docs.open({ client: 1 })
  const forms: Uint8Array[][] = [[], []]
  const off = a.onUpdate((update) => forms[0]!.push(update))
  a.onUpdate((update) => forms[1]!.push(update), 2)
  const text = a.getText('t')
  for (let i = 0; i < 50; i++) text.insert(Math.floor(i / 2), String(i % 10))
  text.delete(3, 5)
  off()
  off()
  text.insert(0, 'not told')
  text.delete(0, 8)
  const work = await createUpdates()
  for (const [i, updates] of forms.entries()) {
    const format = i === 0 ? 1 : 2
    const b = docs.open()
    b.applyAll(updates.slice(0, 51).toReversed(), 'o', format)
    assert.equal(b.getText('t').toString(), text.toString())
    const c = docs.open()
    for (const update of updates) c.apply(update, undefined, format)
    assert.equal(c.getText('t').toString(), text.toString())
    const d = docs.open()
    d.apply(work.merge(updates, format), undefined, format)
    d.apply(work.compact(updates, format), undefined, format)
    assert.equal(d.getText('t').toString(), text.toString())
  }
  assert.equal(forms[0]!.length, 51)
  const early = docs.open()
  early.apply(forms[0]![1]!)
  assert.equal(early.size.pending.structs > 0, true)
  early.apply(forms[0]![0]!)
  assert.equal(early.size.pending.structs, 0)
})

test('a state vector tells what somebody lacks', async () => {
  const docs = await open()
  const a = docs.open({ client: 1 })
  const b = docs.open({ client: 2 })
  a.getText('t').insert(0, 'one')
  b.apply(a.encode())
  a.getText('t').insert(3, ' two')
  const missing = a.encode(b.stateVector())
  assert.ok(missing.length < a.encode().length)
  const work = await createUpdates()
  assert.equal(hex(work.diff(a.encode(), b.stateVector())), hex(missing))
  b.apply(missing)
  assert.equal(hex(a.encode()), hex(b.encode()))
  assert.equal(hex(work.stateVectorOf(a.encode())), hex(a.stateVector()))
  assert.equal(hex(work.convert(a.encode(), 1, 2)), hex(a.encode(undefined, 2)))
  assert.equal(hex(work.convert(a.encode(undefined, 2), 2, 1)), hex(a.encode()))
})

test('bytes that are no update are refused as a whole, and those before them are taken', async () => {
  const docs = await open()
  const a = docs.open({ client: 1 })
  const updates: Uint8Array[] = []
  a.onUpdate((update) => updates.push(update))
  a.getText('t').insert(0, 'a')
  a.getText('t').insert(1, 'b')
  const b = docs.open()
  for (const bytes of ['', 'ff', '0101']) assert.throws(() => b.apply(bytesOf(bytes)), hasCode('LK_ERR_TRUNCATED'))
  assert.throws(() => b.apply(bytesOf('000000')), hasCode('LK_ERR_TRAILING'))
  assert.throws(() => b.applyAll([updates[0]!, bytesOf('ff'), updates[1]!]), hasCode('LK_ERR_TRUNCATED'))
  assert.equal(b.getText('t').toString(), 'a')
})

/* Goal: an ArrayBuffer, as sockets hand out, or text in base64 is told by its name and not taken for other bytes. */
test('bytes are those of a Uint8Array, whoever made it', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  doc.getText('t').insert(0, 'a')
  const update = doc.encode()
  const [work, other] = [await createUpdates(), docs.open()]
  for (const wrong of [update.buffer, 'AAA=', [...update], new Uint16Array(update), new DataView(update.buffer), null, undefined]) {
    const given = wrong as unknown as Uint8Array
    assert.throws(() => other.apply(given), hasCode('LK_ERR_TYPE'))
    assert.throws(() => other.applyAll([given]), hasCode('LK_ERR_TYPE'))
    assert.throws(() => other.applyAll([update, given]), hasCode('LK_ERR_TYPE'))
    if (given) assert.throws(() => other.encode(given), hasCode('LK_ERR_TYPE'))
    assert.throws(() => work.merge([update, given]), hasCode('LK_ERR_TYPE'))
  }
  assert.throws(() => work.stateVectorOf('AAA=' as unknown as Uint8Array), hasCode('LK_ERR_TYPE'))
  other.apply(runInNewContext('new Uint8Array(bytes)', { bytes: [...update] }))
  docs.open().apply(Buffer.from(update))
  assert.equal(other.getText('t').toString(), 'a')
  work.close()
})

test('work on updates is a module of its own, which refuses what is none and ends once', async () => {
  const work = await createUpdates()
  assert.throws(() => work.merge([bytesOf('ff')]), hasCode('LK_ERR_TRUNCATED'))
  assert.equal(hex(work.merge([])), '0000')
  work.close()
  work.close()
  assert.throws(() => work.merge([]), hasCode('LK_ERR_STATE'))
  const other = readFileSync(new URL(import.meta.resolve('@laniakea/sdk/laniakea-doc.wasm')))
  await assert.rejects(createUpdates({ core: await loadCore({ bytes: new Uint8Array(other) }) }), hasCode('LK_ERR_UNSUPPORTED'))
})

// ---- listeners ----

test('a listener may change the document, and every one is told of everything in its order', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const told: string[] = []
  doc.onUpdate(() => {
    told.push('first')
    if (text.length < 3) text.insert(0, 'more')
  })
  doc.onUpdate(() => told.push('second'))
  text.insert(0, 'x')
  assert.equal(text.toString(), 'morex')
  assert.deepEqual(told, ['first', 'second', 'first', 'second'])
})

test('one listener alone may change the document, too, and throw', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  let count = 0
  doc.onUpdate(() => {
    count++
    if (text.length < 3) text.insert(0, 'm')
    if (count === 1) throw new Error('mine')
  })
  assert.throws(() => text.insert(0, 'x'), /mine/)
  assert.deepEqual([text.toString(), count], ['mmx', 3])
})

test('an error of a listener comes out, and the others are told', async () => {
  const doc = await openDoc()
  let count = 0
  const off = doc.onUpdate(() => { throw new Error('mine') })
  assert.throws(() => doc.getText('t').insert(0, 'a'), /mine/)
  doc.onUpdate(() => count++)
  assert.throws(() => doc.getText('t').insert(0, 'b'), /mine/)
  off()
  doc.getText('t').insert(0, 'c')
  assert.equal(count, 2)
  assert.equal(doc.getText('t').toString(), 'cba')
})

test('what a listener throws stops none of many updates, and comes out behind them', async () => {
  const docs = await open()
  const [a, b] = [docs.open({ client: 1 }), docs.open({ client: 2 })]
  const updates: Uint8Array[] = []
  a.onUpdate((update) => updates.push(update))
  for (const letter of 'abc') a.getText('t').insert(0, letter)
  let count = 0
  b.onUpdate((_, origin) => {
    count++
    assert.equal(origin, 'net')
    throw new Error('mine')
  })
  assert.throws(() => b.applyAll(updates, 'net'), /mine/)
  assert.deepEqual([b.getText('t').toString(), count], ['cba', 3])
})

test('two documents may answer each other from within listeners', async () => {
  const docs = await open()
  const [a, b] = [docs.open({ client: 1 }), docs.open({ client: 2 })]
  a.onUpdate((update, origin) => void (origin === b || b.apply(update, a)))
  b.onUpdate((update, origin) => void (origin === a || a.apply(update, b)))
  for (let i = 0; i < 100; i++) (i % 3 === 0 ? a : b).getText('t').insert(i, String(i % 10))
  b.getMap('m').set('k', [1])
  assert.deepEqual(a.toJSON(), b.toJSON())
  assert.equal(a.getText('t').length, 100)
})

test('an update is bytes of its own', async () => {
  const doc = await openDoc()
  const updates: Uint8Array[] = []
  doc.onUpdate((update) => updates.push(update))
  doc.getText('t').insert(0, 'abc')
  const before = hex(updates[0]!)
  doc.getText('t').insert(0, 'x'.repeat(100000))
  assert.equal(hex(updates[0]!), before)
  updates[0]!.fill(0)
  assert.equal(updates[0]!.buffer.byteLength, updates[0]!.length)
})

// ---- events ----

const plain = ({ path, delta, keys, local }: DocEvent): unknown => ({ path, delta, keys: Object.fromEntries(keys), local })

test('events tell what happened to a node', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  const events: unknown[] = []
  const off = text.observe((event) => {
    assert.equal(event.target, text)
    assert.equal(event.currentTarget, text)
    events.push(plain(event))
  })
  text.insert(0, 'hello')
  doc.transact(() => {
    text.delete(0, 1)
    text.insert(4, '!', { bold: true })
  })
  off()
  text.insert(0, 'quiet')
  assert.deepEqual(events, [
    { path: [], delta: [{ insert: 'hello' }], keys: {}, local: true },
    { path: [], delta: [{ delete: 1 }, { retain: 4 }, { insert: '!', attributes: { bold: true } }], keys: {}, local: true },
  ])
})

test('deep events have paths, and those of maps keys', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const map = doc.getMap('m')
  const events: unknown[] = []
  map.observeDeep((list) => events.push(list.map(plain)))
  const array = map.setNode('list', 'array')
  doc.transact(() => {
    array.push([1, 'two'])
    map.set('key', 1)
  })
  map.set('key', { a: 2 })
  map.delete('key')
  const other = docs.open()
  other.apply(doc.encode())
  other.getMap('m').set('far', true)
  doc.apply(other.encode())
  assert.deepEqual(events, [
    [{ path: [], delta: [], keys: { list: { action: 'add', oldValue: undefined } }, local: true }],
    [
      { path: [], delta: [], keys: { key: { action: 'add', oldValue: undefined } }, local: true },
      { path: ['list'], delta: [{ insert: [1, 'two'] }], keys: {}, local: true },
    ],
    [{ path: [], delta: [], keys: { key: { action: 'update', oldValue: 1 } }, local: true }],
    [{ path: [], delta: [], keys: { key: { action: 'delete', oldValue: { a: 2 } } }, local: true }],
    [{ path: [], delta: [], keys: { far: { action: 'add', oldValue: undefined } }, local: false }],
  ])
})

// ---- events that are asked ----

/* Goal: an event says what it knows while its listener is called, and keeps what it said; behind that it says so. */
test('an event can be asked while its listener is called, and keeps what it said', async () => {
  const doc = await openDoc()
  const [text, map] = [doc.getText('t'), doc.getMap('m')]
  const events: DocEvent[] = []
  const read: unknown[] = []
  text.observe((event) => {
    events.push(event)
    if (events.length === 1) read.push(event.path, event.delta, event.keys, event.listChanged)
  })
  map.observeDeep((all) => events.push(...all))
  text.insert(0, 'a')
  text.insert(1, 'b')
  map.setNode('in', 'array').push([1])
  const [asked, late, , deep] = events as [DocEvent, DocEvent, DocEvent, DocEvent]
  assert.deepEqual(read, [[], [{ insert: 'a' }], new Map(), true])
  assert.deepEqual([asked.path, asked.delta, asked.keys], read.slice(0, 3))
  for (const ask of [() => late.path, () => late.delta, () => late.keys, () => late.listChanged, () => asked.listChanged, () => deep.keys]) {
    assert.throws(ask, /LaniakeaError: .*only while its listener is called/)
    assert.throws(ask, hasCode('LK_ERR_STATE'))
  }
  assert.deepEqual([late.target, late.currentTarget, late.origin, late.local], [text, text, null, true])
  assert.deepEqual([deep.target, deep.currentTarget], [map.get('in'), map])
})

test('an event says what was there before: neighbours that were joined, values that are gone', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const [text, map] = [doc.getText('t'), doc.getMap('m')]
  const deltas: unknown[] = []
  const keys: unknown[] = []
  text.observe(({ delta }) => deltas.push(delta))
  map.observe((event) => keys.push(...event.keys))
  for (const [i, letter] of [...'abc'].entries()) text.insert(i, letter)
  text.format(1, 2, { bold: true })
  text.format(1, 2, { bold: null })
  text.delete(1, 1)
  map.set('k', { deep: ['long'.repeat(20)] })
  map.delete('k')
  assert.deepEqual(deltas, [
    [{ insert: 'a' }], [{ retain: 1 }, { insert: 'b' }], [{ retain: 2 }, { insert: 'c' }],
    [{ retain: 1 }, { retain: 2, attributes: { bold: true } }], [{ retain: 1 }, { retain: 2, attributes: { bold: null } }], [{ retain: 1 }, { delete: 1 }],
  ])
  assert.deepEqual(keys, [['k', { action: 'add', oldValue: undefined }], ['k', { action: 'delete', oldValue: { deep: ['long'.repeat(20)] } }]])
})

test('observers are called before listeners of updates, and what they change is told behind', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const told: unknown[] = []
  doc.onUpdate((update, origin) => told.push(['update', update.length > 0, origin]))
  doc.getMap('m').observe(({ keys }) => told.push(['map', ...keys.keys()]))
  text.observe(({ delta, origin }) => {
    told.push(['text', delta, origin])
    doc.getMap('m').set('length', text.length)
    if (text.length < 3) doc.transact(() => text.insert(text.length, '!'), 'inner')
  })
  text.observeDeep((events) => told.push(['deep', events.length]))
  doc.transact(() => text.insert(0, 'a'), 'outer')
  assert.deepEqual(told.map((each) => (each as unknown[])[0]), ['text', 'deep', 'map', 'text', 'deep', 'map', 'text', 'deep', 'map', 'update', 'update', 'update', 'update', 'update', 'update'])
  assert.deepEqual(told.filter((each) => (each as unknown[])[0] === 'update').map((each) => (each as unknown[])[2]), ['outer', null, 'inner', null, 'inner', null])
  assert.equal(text.toString(), 'a!!')
  const other = (await open()).open()
  other.apply(doc.encode())
  assert.deepEqual(other.toJSON(), doc.toJSON())
})

test('what an observer throws comes out behind the call, and everybody else is told', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const told: string[] = []
  const off = text.observe(() => { throw new Error('first') })
  text.observe(() => { throw new Error('second') })
  text.observeDeep(() => told.push('deep'))
  const undo = doc.undo(text, { captureTimeout: 0 })
  for (const act of [() => text.insert(0, 'a'), () => text.insert(1, 'bc'), () => text.delete(0, 1), () => doc.transact(() => text.insert(0, 'x')), () => undo.undo()]) {
    told.length = 0
    assert.throws(act, /first/)
    assert.deepEqual(told, ['deep'])
  }
  off()
  doc.onUpdate(() => told.push('update'))
  assert.throws(() => text.insert(0, 'a'), /second/)
  assert.deepEqual(told, ['deep', 'deep', 'update'])
  const other = (await open()).open()
  other.getText('t').insert(0, 'far')
  assert.throws(() => doc.apply(other.encode(), 'net'), /second/)
  other.getText('t').insert(0, 'and ')
  other.getMap('m').set('k', 1)
  const updates = [other.encode(), bytesOf('ff')]
  assert.throws(() => doc.applyAll(updates), /second/)
  assert.equal(doc.getMap('m').get('k'), 1)
})

/* Goal: updates that wait in the core belong to the document that made them. Method: an observer of one document, in the middle of
 * whose call another document makes updates; three deep. */
test('observers may change other documents, whose listeners are told at once', async () => {
  const docs = await open()
  const [a, b, c] = [docs.open({ client: 1 }), docs.open({ client: 2 }), docs.open({ client: 3 })]
  const told: unknown[] = []
  for (const [name, doc] of Object.entries({ a, b, c })) doc.onUpdate((_, origin) => told.push([name, origin]))
  a.getText('t').observe((event) => {
    if (a.getMap('m').size === 0) a.getMap('m').set('again', true)
    b.transact(() => b.getText('t').insert(0, 'b'), 'from a')
    assert.deepEqual(event.delta, [{ insert: 'a' }])
  })
  a.getText('t').observe((event) => told.push(event.target === a.getText('t')))
  a.getMap('m').observe((event) => {
    told.push('map')
    b.getText('t').insert(0, 'map')
    assert.deepEqual([...event.keys.keys()], ['again'])
    throw new Error('a throws')
  })
  b.getText('t').observe((event) => {
    c.getText('t').insert(0, 'c')
    assert.equal(event.delta.length, 1)
  })
  assert.throws(() => a.transact(() => a.getText('t').insert(0, 'a'), 'mine'), /a throws/)
  assert.deepEqual(told, [['c', null], ['b', 'from a'], true, 'map', ['c', null], ['b', null], ['a', 'mine'], ['a', null]])
  assert.deepEqual([a, b, c].map((doc) => doc.getText('t').toString()), ['a', 'mapb', 'cc'])
})

test('observers come and go while they are called', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const told: string[] = []
  const off: (() => void)[] = []
  off.push(text.observe(() => {
    told.push('first')
    off[1]?.()
    if (off.length === 2) off.push(text.observe(() => told.push('third')))
  }))
  off.push(text.observe(() => told.push('second')))
  text.insert(0, 'a')
  text.insert(0, 'b')
  for (const leave of off) leave()
  text.insert(0, 'c')
  assert.deepEqual(told, ['first', 'first', 'third'])
})

test('an observer may close its document and undo managers, in the middle of what they do', async () => {
  const docs = await open()
  for (let round = 0; round < 30; round++) {
    const doc = docs.open({ client: 1 })
    const text = doc.getText('t')
    const undo = doc.undo(text, { captureTimeout: 0 })
    const off = text.observe(() => {})
    text.insert(0, 'abc')
    text.insert(3, 'd')
    off()
    text.observe(() => undo.close())
    assert.equal(undo.undo(), true)
    await null
    assert.throws(() => undo.undo(), hasCode('LK_ERR_INVALID'))
    const closing = text.observe(({ delta }) => {
      doc.close()
      assert.equal(delta.length > 0, true)
      assert.throws(() => text.insert(0, 'x'), hasCode('LK_ERR_STATE'))
    })
    text.observe(() => assert.fail('it is closed'))
    text.insert(1, 'x'.repeat(1000))
    closing()
    assert.throws(() => text.length, hasCode('LK_ERR_STATE'))
    await null
  }
  assert.equal(docs.open().getText('t').length, 0)
})

test('an observer that ends all documents ends them', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  text.observe(() => docs.close())
  text.observe(() => assert.fail('all are closed'))
  doc.onUpdate(() => {})
  text.insert(0, 'a')
  assert.throws(() => text.insert(0, 'a'), hasCode('LK_ERR_STATE'))
})

test('the memory may grow under an observer', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  let bytes = 0
  doc.onUpdate((update) => (bytes += update.length))
  text.observe((event) => {
    const large = docs.open()
    large.getText('t').insert(0, 'x'.repeat(3_000_000))
    assert.deepEqual(event.delta, [{ insert: 'a' }])
    if (text.length < 3) text.insert(0, 'a')
  })
  text.insert(0, 'a')
  assert.equal(text.length, 3)
  assert.ok(bytes > 10)
  const other = docs.open()
  other.getText('t').observe(() => {
    docs.open().getText('t').insert(0, 'x'.repeat(12_000_000))
    throw new Error('mine')
  })
  assert.throws(() => other.getText('t').insert(0, 'a'), /mine/)
})

test('an undo manager asks for the time only when something was done, and joins by it', async (t) => {
  const doc = await openDoc()
  const text = doc.getText('t')
  let now = 5000
  let asked = 0
  t.mock.method(Date, 'now', () => (asked++, now))
  const undo = doc.undo(text)
  for (const wait of [0, 499, 499, 501, 10]) {
    now += wait
    text.insert(0, 'a')
  }
  assert.deepEqual([undo.undoCount, asked], [2, 5])
  doc.transact(() => text.insert(0, 'far'), 'elsewhere')
  assert.equal(asked, 5)
})

// ---- undo ----

test('an undo manager takes back what was done here', async () => {
  const docs = await open()
  const doc = docs.open({ client: 1 })
  const text = doc.getText('t')
  const undo = doc.undo(text)
  const items: unknown[] = []
  undo.onItem(({ kind, popped, meta }) => {
    items.push([kind, popped, meta.get('cursor')])
    meta.set('cursor', text.length)
  })
  text.insert(0, 'abc')
  undo.stopCapturing()
  text.insert(3, 'd')
  text.insert(4, 'e')
  const other = docs.open({ client: 2 })
  other.getText('t').insert(0, 'far ')
  doc.apply(other.encode(), 'net')
  assert.equal(undo.undoCount, 2)
  assert.equal(undo.undo(), true)
  assert.deepEqual([text.toString().replace('far ', ''), undo.undoCount, undo.redoCount], ['abc', 1, 1])
  assert.equal(undo.redo(), true)
  assert.equal(text.toString().replace('far ', ''), 'abcde')
  undo.undo()
  undo.undo()
  assert.equal(text.toString(), 'far ')
  assert.equal(undo.undo(), false)
  assert.deepEqual(items[0], ['undo', false, undefined])
  undo.clear()
  assert.equal(undo.redo(), false)
  undo.close()
  undo.close()
  text.insert(0, 'x')
})

test('no node to undo in is not the whole document', async () => {
  const doc = await openDoc()
  assert.throws(() => doc.undo([]), hasCode('LK_ERR_INVALID'))
  const undo = doc.undo(undefined, { captureTimeout: 0 })
  doc.getText('t').insert(0, 'a')
  doc.getArray('a').push([1])
  assert.equal(undo.undoCount, 2)
})

test('an undo manager counts the origins that it is given, and is one', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const mine = { mine: true }
  const undo = doc.undo([text], { trackedOrigins: [mine], captureTimeout: 0 })
  const origins: unknown[] = []
  doc.onUpdate((_, origin) => origins.push(origin))
  text.insert(0, 'a')
  doc.transact(() => text.insert(1, 'b'), mine)
  doc.transact(() => text.insert(2, 'c'), { mine: true })
  doc.transact(() => text.insert(3, 'd'), mine)
  assert.equal(undo.undoCount, 2)
  undo.undo()
  assert.equal(text.toString(), 'abc')
  undo.undo()
  assert.equal(text.toString(), 'ac')
  assert.deepEqual([origins[1], origins[4]], [mine, undo])
  undo.track('late')
  undo.untrack(mine)
  doc.transact(() => text.insert(0, 'x'), mine)
  doc.transact(() => text.insert(0, 'y'), 'late')
  undo.undo()
  assert.equal(text.toString(), 'xac')
  assert.throws(() => doc.undo((null as unknown) as TextNode), hasCode('LK_ERR_INVALID'))
})

test('an origin counts from when it is tracked on, and as often as it comes', async () => {
  const doc = await openDoc()
  const text = doc.getText('t')
  const undo = doc.undo(text, { captureTimeout: 0 })
  const change = (origin: string): void => doc.transact(() => text.insert(0, origin), origin)
  const origins: unknown[] = []
  doc.onUpdate((_, origin) => origins.push(origin))
  change('x')
  change('x')
  undo.track('x')
  change('x')
  change('x')
  change('y')
  change('x')
  assert.equal(undo.undoCount, 3)
  undo.untrack('x')
  change('x')
  assert.equal(undo.undoCount, 3)
  assert.equal(origins.join(''), 'xxxxyxx')
})

// ---- lifetimes ----

test('a closed document throws LK_ERR_STATE, and its memory is given back', async () => {
  const docs = await open()
  const doc = docs.open()
  const text = doc.getText('t')
  doc.onUpdate(() => {})
  const undo = doc.undo(text)
  text.insert(0, 'x')
  doc.close()
  doc.close()
  for (const use of [() => text.insert(0, 'x'), () => text.insert(0, 'xy'), () => text.delete(0, 1), () => text.toString(), () => doc.getText('t'), () => doc.apply(new Uint8Array(2)),
    () => doc.encode(), () => doc.transact(() => 1), () => doc.toJSON(), () => doc.client, () => undo.undo(), () => text.observe(() => {})]) {
    assert.throws(use, hasCode('LK_ERR_STATE'), String(use))
  }
  undo.close()
  const next = docs.open()
  assert.equal(next.getText('t').toString(), '')
  docs.close()
  assert.throws(() => next.getText('t').insert(0, 'x'), hasCode('LK_ERR_STATE'))
  assert.throws(() => docs.open(), hasCode('LK_ERR_STATE'))
  next.close()
})

test('documents are disposable', async () => {
  const docs = await open()
  const doc = docs.open()
  const text = doc.getText('t')
  doc[Symbol.dispose]()
  assert.throws(() => text.length, hasCode('LK_ERR_STATE'))
})

test('a client is an integer below 2^53', async () => {
  const docs = await open()
  for (const client of [-1, 0.5, 2 ** 53, NaN, Infinity]) assert.throws(() => docs.open({ client }), hasCode('LK_ERR_RANGE'))
  assert.equal(docs.open({ client: 2 ** 53 - 1 }).client, 2 ** 53 - 1)
  assert.notEqual(docs.open().client, docs.open().client)
})

test('many large documents grow the memory under the hands of everybody', async () => {
  const docs = await open()
  const all = Array.from({ length: 40 }, () => docs.open())
  let bytes = 0
  for (const doc of all) {
    doc.onUpdate((update) => (bytes += update.length))
    for (let i = 0; i < 20; i++) doc.getText('t').insert(0, `${i}`.repeat(5000))
    doc.getText('t').insert(0, '!')
  }
  assert.ok(bytes > 40 * 20 * 5000)
  for (const doc of all) assert.equal(doc.getText('t').toString()[0], '!')
})

test('a core without documents is refused', async () => {
  const bytes = readFileSync(new URL(import.meta.resolve('@laniakea/sdk/laniakea.wasm')))
  const core = await loadCore({ bytes: new Uint8Array(bytes) })
  await assert.rejects(createDocs({ core }), hasCode('LK_ERR_UNSUPPORTED'))
})

/* Goal: the module of pages has one way for everything, that of Node has short ones as well, and nobody can tell.
 * Method: one session on each, of typing here and there, replacing, lists, maps, undo and a peer who takes each update in. */
test('both modules of documents say the same bytes', async () => {
  const streams: string[][] = []
  for (const name of ['laniakea-doc.wasm', 'laniakea-doc-fast.wasm']) {
    const bytes = readFileSync(new URL(import.meta.resolve(`@laniakea/sdk/${name}`)))
    const docs = await createDocs({ core: await loadCore({ bytes: new Uint8Array(bytes) }) })
    const [own, peer] = [docs.open({ client: 1 }), docs.open({ client: 2 })]
    const said: string[] = []
    for (const format of [1, 2] as const) own.onUpdate((update) => void said.push(Buffer.from(update).toString('base64')), format)
    own.onUpdate((update) => peer.apply(update, 'network'))
    peer.onUpdate((update, origin) => void (origin === null && own.apply(update, 'network')))
    const [text, list, map] = [own.getText('t'), own.getArray('l'), own.getMap('m')]
    let state = 12345
    const below = (count: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % count
    }
    let undo: ReturnType<typeof own.undo> | undefined
    for (let i = 0; i < 1500; i++) {
      const [at, kind] = [below(text.length + 1), below(10)]
      if (i === 700) undo = own.undo(text)
      if (kind < 4) for (let n = 1 + below(6); n > 0; n--) text.insert(at, 'abcdefé'.charAt(below(7)))
      else if (kind < 6) text.delete(at, Math.min(1 + below(9), text.length - at))
      else if (kind === 6) own.transact(() => { text.delete(at, Math.min(2, text.length - at)); text.insert(at, 'xy') })
      else if (kind === 7) list.insert(below(list.length + 1), [below(1000)])
      else if (kind === 8) map.set('abc'.charAt(below(3)), below(100))
      else if (i % 3 === 0) peer.getText('t').insert(below(peer.getText('t').length + 1), 'p')
      else undo?.undo()
    }
    assert.equal(text.toString(), peer.getText('t').toString())
    assert.deepEqual(list.toArray(), peer.getArray('l').toArray())
    const again = docs.open()
    again.apply(own.encode())
    assert.equal(again.getText('t').toString(), text.toString())
    said.push(text.toString(), Buffer.from(own.encode()).toString('base64'), Buffer.from(own.encode(undefined, 2)).toString('base64'))
    streams.push(said)
  }
  const [small, fast] = streams as [string[], string[]]
  assert.ok(small.length > 2000)
  assert.equal(small.length, fast.length)
  for (const [i, update] of small.entries()) assert.equal(update, fast[i], `update ${i}`)
})

test('a text is the same where there is no Buffer', async () => {
  const program = `
    delete globalThis.Buffer
    const { createDocs } = await import('@laniakea/sdk')
    const doc = (await createDocs()).open({ client: 1 })
    const text = doc.getText('t')
    for (const piece of ['plain', 'é', '😀', 'x'.repeat(100)]) {
      text.insert(0, piece)
      if (text.toString() !== doc.toJSON().t) throw new Error(text.toString())
    }
    console.log(escape(text.toString().slice(100)))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { cwd: import.meta.dirname })
  assert.equal(unescape(stdout.trim()), '😀éplain')
})

/* Goal: no call follows one that trapped.
 * Method: the real module, of whose exports one does what a trap does. */
test('a trap surfaces as LK_ERR_TRAP, and so does everything behind it', async (t) => {
  const bytes = readFileSync(new URL(import.meta.resolve('@laniakea/sdk/laniakea-doc.wasm')))
  const core = await loadCore({ bytes: new Uint8Array(bytes) })
  const real = WebAssembly.instantiate as (module: WebAssembly.Module, imports: WebAssembly.Imports) => Promise<WebAssembly.Instance>
  t.mock.method(WebAssembly, 'instantiate', async (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
    const instance = await real(module, imports)
    return { exports: { ...instance.exports, doc_text_delete: () => { throw new WebAssembly.RuntimeError('unreachable') } } }
  })
  const docs = await createDocs({ core })
  const doc = docs.open()
  const text = doc.getText('t')
  text.insert(0, 'abc')
  assert.throws(() => text.delete(0, 1), hasCode('LK_ERR_TRAP'))
  for (const use of [() => text.insert(0, 'x'), () => text.toString(), () => doc.encode(), () => docs.open(), () => doc.transact(() => 1)]) assert.throws(use, hasCode('LK_ERR_TRAP'))
  doc.close()
})

test('a trap under an observer ends the call that the observer was called from', async (t) => {
  const bytes = readFileSync(new URL(import.meta.resolve('@laniakea/sdk/laniakea-doc.wasm')))
  const core = await loadCore({ bytes: new Uint8Array(bytes) })
  const real = WebAssembly.instantiate as (module: WebAssembly.Module, imports: WebAssembly.Imports) => Promise<WebAssembly.Instance>
  t.mock.method(WebAssembly, 'instantiate', async (module: WebAssembly.Module, imports: WebAssembly.Imports) => {
    const instance = await real(module, imports)
    return { exports: { ...instance.exports, doc_text_delete: () => { throw new WebAssembly.RuntimeError('unreachable') } } }
  })
  const docs = await createDocs({ core })
  const text = docs.open().getText('t')
  let calls = 0
  for (let i = 0; i < 2; i++) {
    text.observe(() => {
      calls++
      assert.throws(() => text.delete(0, 1), hasCode('LK_ERR_TRAP'))
    })
  }
  assert.throws(() => text.insert(0, 'abc'), hasCode('LK_ERR_TRAP'))
  assert.equal(calls, 1)
  assert.throws(() => text.insert(0, 'x'), hasCode('LK_ERR_TRAP'))
})

// ---- what is promised elsewhere ----

test("the README's examples run", async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const examples = [...readme.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code!).filter((code) => code.includes('createDocs'))
  const said: unknown[] = []
  t.mock.method(console, 'log', (...values: unknown[]) => said.push(...values))
  const expected = [
    [[{ insert: 'Hello' }], 'Hello', { title: 'Notes', items: ['one', { done: true }] }, 'Hello', ''],
    ['Ada', 10, false],
    ['Hello', [{ user: 'Ada', added: 1, deleted: 4, formats: 0 }], [{ retain: 1 }, { delete: 'ello', client: 1 }, { insert: 'i', client: 1 }]],
    [1, 0, 0, 1, ['guid of the notes']],
  ]
  for (const example of examples) {
    const code = example.replace("'@laniakea/sdk'", JSON.stringify(import.meta.resolve('@laniakea/sdk')))
    await import(`data:text/javascript,${encodeURIComponent(code)}`)
    assert.deepEqual(said.splice(0), expected.shift())
  }
  assert.deepEqual(expected, [])
})
