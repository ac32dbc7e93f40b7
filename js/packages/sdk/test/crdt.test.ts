// The catalogue as its users see it: methods and values with types, listeners, batches, lifetimes.
import { afterEach, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createCrdts, LaniakeaError, type Crdt, type CrdtReplica, type Crdts, type CrdtType, type Json } from '@laniakea/sdk'
import { crdtTypes } from '../dist/internal/crdt_types.gen.js'

const hasCode = (code: string) => (error: unknown) => error instanceof LaniakeaError && error.code === code

const opened: Crdts[] = []

async function open(): Promise<Crdts> {
  const crdts = await createCrdts()
  opened.push(crdts)
  return crdts
}

afterEach(() => {
  for (const crdts of opened.splice(0)) crdts.close()
})

// ---- every type, by the shared cases ----

interface Step {
  readonly on: string
  readonly op?: string
  readonly args?: string
  readonly path?: readonly (readonly [CrdtType, string])[]
  readonly now?: number
  readonly error?: string
  readonly merge?: string
  readonly delta?: number
}
interface Case {
  readonly type: CrdtType
  readonly name: string
  readonly steps: readonly Step[]
  readonly value: string
  readonly bytes: string
  readonly digest: string
  readonly json: string
}
type Methods = Record<string, (...args: unknown[]) => Uint8Array>

const file = new URL('../../../../tests/vectors/crdt.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }

/** Integers that no double holds become bigints. */
function argumentsOf(text: string): unknown[] {
  if (/^\[-?\d{16,}\]$/.test(text)) return [BigInt(text.slice(1, -1))]
  return JSON.parse(text) as unknown[]
}

/** What code points count, in units. */
function toUnits(text: string, op: string, [index, second]: unknown[]): unknown[] {
  const points = [...text]
  const units = (end: number): number => points.slice(0, end).join('').length + Math.max(0, end - points.length)
  const at = units(index as number)
  return op === 'delete' ? [at, units((index as number) + (second as number)) - at] : [at, second]
}

/** Values with bigints as the text that the core wrote. */
const textOf = (value: unknown): string => {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${textOf(item)}`).join()}}`
}

class Scene {
  readonly replicas = new Map<string, Crdt<CrdtType>>()
  readonly deltas: (Uint8Array | null)[] = []
  readonly #crdts: Crdts
  readonly #type: CrdtType
  #now = 0

  constructor(crdts: Crdts, type: CrdtType) {
    this.#crdts = crdts
    this.#type = type
  }

  replica(actor: string): Crdt<CrdtType> {
    let replica = this.replicas.get(actor)
    replica ??= this.#crdts.create(this.#type, { actor, now: () => this.#now })
    this.replicas.set(actor, replica)
    return replica
  }

  take(step: Step): void {
    const self = this.replica(step.on)
    if (step.merge !== undefined) self.merge(this.replica(step.merge).encode())
    if (step.delta !== undefined) self.merge(this.deltas[step.delta]!)
    this.deltas.push(step.op === undefined ? null : this.#operate(self, step))
  }

  #operate(self: Crdt<CrdtType>, { op = '', args = '[]', path = [], now = 0, error }: Step): Uint8Array | null {
    this.#now = now
    const before = self.digest()
    const run = (): Uint8Array => {
      let target: unknown = self
      for (const [type, key] of path) target = (target as Crdt<'ormap'>).at(key, type)
      const { type, value } = target as Crdt<CrdtType>
      if (!Object.hasOwn(crdtTypes[type].operations, op)) throw new LaniakeaError('LK_ERR_UNKNOWN_OP')
      const given = argumentsOf(args)
      return (target as Methods)[op]!(...(type === 'text' ? toUnits(value as string, op, given) : given))
    }
    if (error === undefined) return run()
    // What the core calls a wrong payload, or a map where none is, is told from the arguments here.
    const codes = error === 'LK_ERR_PAYLOAD' ? ['LK_ERR_RANGE'] : [error]
    assert.throws(run, (thrown) => codes.some((code) => hasCode(code)(thrown)), `${op}${args}`)
    assert.equal(self.digest(), before)
    return null
  }
}

// What cannot be said here: a number as a string, nothing where the default counts, a path through what is no map.
const unsayable = new Set(['what is no such operation', 'an object of another type is not found below it'])

for (const type of Object.keys(crdtTypes) as CrdtType[]) {
  test(`crdt.json: ${type}`, async () => {
    const crdts = await open()
    for (const one of cases.filter((c) => c.type === type && !unsayable.has(c.name))) {
      const scene = new Scene(crdts, type)
      for (const step of one.steps) scene.take(step)
      const all = [...scene.replicas.values()]
      for (const a of all) for (const b of all) a.merge(b.encode())
      const fresh = crdts.create(type)
      for (const delta of scene.deltas.toReversed()) if (delta) fresh.merge(delta)
      for (const replica of [...all, fresh]) {
        assert.equal(textOf(replica.value), type === 'ormap' ? textOf(JSON.parse(one.value)) : one.value, one.name)
        assert.equal(Buffer.from(replica.encode()).toString('hex'), one.bytes, one.name)
        assert.equal(replica.digest(), one.digest)
        assert.equal(replica.encodeJson(), one.json)
        assert.equal(replica.compare(fresh), 'equal')
      }
    }
  })
}

// ---- types ----

test('methods and values have the types of the table', async () => {
  const crdts = await open()
  const counter = crdts.create('pncounter')
  const delta: Uint8Array<ArrayBuffer> = counter.increment()
  const value: bigint = counter.value
  assert.equal(value, 1n)
  assert.ok(delta.length > 0)
  const words: readonly Json[] = crdts.create('orset').value
  assert.deepEqual(words, [])
  const map = crdts.create('ormap')
  const seats = map.at('hall', 'ormap').at('seats', 'bcounter')
  seats.increment(5n)
  const rights: Readonly<Record<string, bigint>> = seats.value.rights
  assert.deepEqual(rights, { [map.actor]: 5n })
  // @ts-expect-error A set does not count.
  assert.throws(() => crdts.create('gset').increment(), TypeError)
  // @ts-expect-error Only maps have something below a key.
  assert.throws(() => crdts.create('lww').at('x', 'lww'), TypeError)
  // @ts-expect-error There is no such type.
  assert.throws(() => crdts.create('qcounter'), hasCode('LK_ERR_UNKNOWN_TYPE'))
  // @ts-expect-error A key that all objects have is no type either.
  assert.throws(() => map.at('x', 'constructor'), hasCode('LK_ERR_UNKNOWN_TYPE'))
})

test('counters are exact beyond what a number holds', async () => {
  const crdts = await open()
  const counter = crdts.create('gcounter')
  counter.increment(2n ** 64n - 1n)
  assert.equal(counter.value, 18446744073709551615n)
  assert.throws(() => counter.increment(), hasCode('LK_ERR_OVERFLOW'))
  const down = crdts.create('pncounter')
  down.decrement(2n ** 53n + 1n)
  assert.equal(down.value, -9007199254740993n)
  const rights = crdts.create('bcounter', { actor: '__proto__' })
  rights.increment(2n ** 53n + 1n)
  assert.deepEqual(Object.entries(rights.value.rights), [['__proto__', 9007199254740993n]])
  assert.equal(rights.value.value, 9007199254740993n)
  const names = crdts.create('bcounter', { actor: '"7\\' })
  names.increment(7)
  assert.deepEqual(Object.entries(names.value.rights), [['"7\\', 7n]])
})

test('what is no amount, index, string or JSON is refused and changes nothing', async () => {
  const crdts = await open()
  const counter = crdts.create('pncounter')
  for (const amount of [0, -1, 1.5, NaN, Infinity, 2 ** 60, 0n, -5n, 2n ** 64n, '1', null]) {
    assert.throws(() => counter.increment(amount as number), hasCode('LK_ERR_RANGE'), String(amount))
    counter.batch(() => assert.throws(() => counter.decrement(amount as number), hasCode('LK_ERR_RANGE'), String(amount)))
  }
  assert.equal(counter.value, 0n)
  const list = crdts.create('list')
  for (const index of [-1, 0.5, NaN, 2 ** 32, 1, '0', undefined]) {
    assert.throws(() => list.insert(index as number, 'x'), hasCode('LK_ERR_RANGE'), String(index))
  }
  const cycle: unknown[] = []
  cycle.push(cycle)
  for (const [value, code] of [[undefined, 'TYPE'], [() => 1, 'TYPE'], [1n, 'TYPE'], [cycle, 'TYPE'], [NaN, 'RANGE'], [{ a: [Infinity] }, 'RANGE'], ['\ud800', 'UTF8']]) {
    assert.throws(() => list.insert(0, value as Json), hasCode(`LK_ERR_${String(code)}`))
  }
  assert.deepEqual(list.value, [])
  const map = crdts.create('ormap')
  assert.throws(() => map.at('\udc00', 'gset'), hasCode('LK_ERR_UTF8'))
  assert.throws(() => map.remove(1 as unknown as string), hasCode('LK_ERR_TYPE'))
  assert.throws(() => map.at('x', 'bcounter').transfer('', 1), hasCode('LK_ERR_ACTOR'))
})

test('an actor is 1 to 64 bytes, and random where none is given', async () => {
  const crdts = await open()
  for (const actor of ['', 'x'.repeat(65), 'é'.repeat(33), '\ud800', 7]) {
    assert.throws(() => crdts.create('gset', { actor: actor as string }), hasCode('LK_ERR_ACTOR'), String(actor))
  }
  assert.equal(crdts.create('gset', { actor: 'é'.repeat(32) }).actor, 'é'.repeat(32))
  const [one, other] = [crdts.create('gset'), crdts.create('gset')]
  assert.match(one.actor, /^[0-9a-f]{32}$/)
  assert.notEqual(one.actor, other.actor)
})

// ---- text ----

test('indexes of text are those of strings, and do not cut a pair', async () => {
  const crdts = await open()
  const text = crdts.create('text')
  let expected = ''
  const insert = (index: number, more: string): void => {
    text.insert(index, more)
    expected = expected.slice(0, index) + more + expected.slice(index)
    assert.equal(text.value, expected)
  }
  insert(0, 'a😀b')
  insert(3, 'é😀')
  insert(7, '!')
  insert(0, '😀')
  text.delete(2, 3)
  assert.equal(text.value, '😀é😀b!')
  assert.throws(() => text.insert(1, 'x'), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.delete(0, 1), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.delete(1, 1), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.insert(8, 'x'), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.delete(6, 2), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.delete(0, -1), hasCode('LK_ERR_RANGE'))
  assert.throws(() => text.insert(0, '\ud83d'), hasCode('LK_ERR_UTF8'))
  assert.equal(text.value, '😀é😀b!')
  const map = crdts.create('ormap')
  map.at('t', 'text').insert(0, '😀')
  map.at('t', 'text').insert(2, '.')
  assert.deepEqual(map.value, { t: '😀.' })
})

// ---- exchanging ----

test('deltas and states bring replicas together, and what they know compares', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('orset'), crdts.create('orset')]
  const delta = a.add('x')
  assert.equal(b.compare(a), 'before')
  assert.equal(b.merge(delta), true)
  assert.equal(b.merge(delta), false)
  assert.equal(a.compare(b), 'equal')
  a.add('y')
  assert.equal(a.compare(b), 'after')
  b.remove('x')
  assert.equal(a.compare(b), 'concurrent')
  const version = b.version()
  assert.equal(b.merge(a.diffSince(version)), true)
  assert.equal(a.merge(b.diff(a)), true)
  assert.deepEqual([a.value, b.value], [['y'], ['y']])
  assert.equal(a.digest(), b.digest())
  assert.deepEqual(a.encode(), b.encode())
  const copy = crdts.create('orset')
  assert.equal(copy.mergeJson(a.encodeJson()), true)
  assert.equal(copy.digest(), a.digest())
  assert.deepEqual({ ...copy.size, bytes: 0 }, { entries: 1, ranges: 1, actors: 1, bytes: 0 })
  assert.ok(copy.size.bytes > 0)
})

test('a delta is a copy, which later calls do not touch', async () => {
  const crdts = await open()
  const set = crdts.create('gset')
  const delta = set.add('first')
  const before = delta.slice()
  for (let i = 0; i < 100; i++) set.add(i)
  assert.deepEqual(delta, before)
})

test('bytes that are none, or of another type or catalogue, are refused as a whole', async () => {
  const crdts = await open()
  const [counter, set] = [crdts.create('gcounter'), crdts.create('gset')]
  set.add(1)
  assert.throws(() => counter.merge(new Uint8Array([1, 2, 3])), LaniakeaError)
  assert.throws(() => counter.merge(new Uint8Array()), hasCode('LK_ERR_TRUNCATED'))
  assert.throws(() => counter.merge(set.encode()), hasCode('LK_ERR_TYPE'))
  assert.throws(() => counter.diff(set), hasCode('LK_ERR_TYPE'))
  assert.throws(() => counter.mergeJson('{"counts"'), hasCode('LK_ERR_TRUNCATED'))
  const elsewhere = (await open()).create('gcounter')
  assert.throws(() => counter.compare(elsewhere), hasCode('LK_ERR_INVALID'))
  assert.equal(counter.value, 0n)
})

// ---- listeners ----

test('listeners hear of changes of the value, here and by merges, until they leave', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('orset'), crdts.create('orset')]
  const heard: (readonly Json[])[] = []
  const leave = a.subscribe((value) => heard.push(value))
  assert.equal(a.value, a.value, 'the same object until something changes')
  a.add('x')
  a.add('x') // another dot, the same value
  const delta = b.add('y')
  a.merge(delta)
  a.merge(delta)
  a.remove('nothing')
  assert.deepEqual(heard, [['x'], ['x', 'y']])
  assert.equal(heard[1], a.value)
  leave()
  leave()
  a.add('z')
  assert.equal(heard.length, 2)
  const again: unknown[] = []
  a.subscribe((value) => again.push(value))
  a.add('z')
  assert.deepEqual(again, [], 'that value was there already')
})

test('a listener that throws is reported, and harms neither others nor the change', async () => {
  const counter = (await open()).create('gcounter')
  const reported: unknown[] = []
  const seen: bigint[] = []
  const mistake = new Error('of the listener')
  process.setUncaughtExceptionCaptureCallback((error) => reported.push(error))
  try {
    const leave = counter.subscribe(() => {
      leave()
      leaveToo()
      throw mistake
    })
    const leaveToo = counter.subscribe(() => seen.push(-1n))
    counter.subscribe((value) => seen.push(value))
    assert.ok(counter.increment(2).length > 0)
    await new Promise((resolve) => setTimeout(resolve, 5))
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
  assert.deepEqual(reported, [mistake])
  assert.deepEqual(seen, [2n])
})

test('a listener may change the object, and all hear the values in order', async () => {
  const counter = (await open()).create('gcounter')
  const first: bigint[] = []
  const second: bigint[] = []
  counter.subscribe((value) => {
    first.push(value)
    if (value < 3n) counter.increment()
  })
  counter.subscribe((value) => second.push(value))
  counter.increment()
  assert.deepEqual([first, second], [[1n, 2n, 3n], [1n, 2n, 3n]])
})

test('an object in a map has its own value and listeners, and deltas of the whole', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('ormap'), crdts.create('ormap')]
  const likes = a.at('post', 'ormap').at('likes', 'pncounter')
  const heard: unknown[] = []
  likes.subscribe((value) => heard.push(value))
  b.at('post', 'ormap').subscribe((value) => heard.push(value))
  assert.equal(likes.value, 0n)
  b.merge(likes.increment(2))
  b.merge(a.at('tags', 'gset').add('new')) // somewhere else: nobody is told
  a.merge(b.at('post', 'ormap').at('likes', 'pncounter').decrement(5))
  assert.deepEqual(heard, [2n, { likes: 2 }, { likes: -3 }, -3n])
  a.merge(b.remove('post'))
  assert.equal(likes.value, 0n)
  assert.deepEqual(a.value, { tags: ['new'] })
})

test('a key may be any text', async () => {
  const map = (await open()).create('ormap')
  const keys = ['', '__proto__', 'x'.repeat(300), '😀', '"\\\u0000']
  for (const key of keys) map.at(key, 'ewflag').enable()
  assert.deepEqual(Object.keys(map.value).sort(), [...keys].sort())
})

test('time is that of the options', async () => {
  const crdts = await open()
  let now = 5000
  const [a, b] = [crdts.create('lww', { now: () => now }), crdts.create('lww', { now: () => 4000 })]
  a.set('late')
  b.set('early')
  b.merge(a.encode())
  assert.equal(b.value, 'late')
  now = 1
  a.set('later, by knowledge')
  b.merge(a.encode())
  assert.equal(b.value, 'later, by knowledge')
})

// ---- batches ----

test('a batch gives one delta and tells listeners once', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('ormap'), crdts.create('ormap')]
  const heard: unknown[] = []
  a.subscribe((value) => heard.push(value))
  const hits = a.at('hits', 'gcounter')
  const list = a.at('list', 'list')
  const delta = a.batch(() => {
    for (let i = 0; i < 10; i++) {
      assert.equal(hits.increment(i + 1).length, 0)
      list.insert(list.value.length, Number(hits.value))
    }
    assert.equal(a.batch(() => list.delete(0)).length, 0, 'one within another')
    hits.increment()
  })
  assert.equal(b.merge(delta), true)
  assert.deepEqual(b.value, { hits: 56, list: [3, 6, 10, 15, 21, 28, 36, 45, 55] })
  assert.equal(b.digest(), a.digest())
  assert.deepEqual(heard, [a.value])
  const nothing = a.batch(() => {})
  assert.equal(b.merge(nothing), false)
  assert.equal(heard.length, 1)
})

test('increments in a batch count as if each was alone', async () => {
  const crdts = await open()
  const [a, b, c] = ['a', 'a', 'c'].map((actor) => crdts.create('pncounter', { actor })) as [Crdt<'pncounter'>, Crdt<'pncounter'>, Crdt<'pncounter'>]
  const amounts = [1, 2n, 2 ** 53 - 1, 2 ** 53 - 1, 3, 2n ** 60n, 1]
  const delta = a.batch(() => {
    for (const amount of amounts) a.increment(amount)
    a.decrement(4)
    a.decrement()
    a.increment(7)
  })
  for (const amount of amounts) b.increment(amount)
  b.decrement(5)
  b.increment(7)
  c.merge(delta)
  assert.equal(a.value, b.value)
  assert.equal(c.value, b.value)
  assert.equal(c.value, amounts.reduce<bigint>((sum, amount) => sum + BigInt(amount), 2n))
})

test('objects of one map are counted apart', async () => {
  const map = (await open()).create('ormap')
  map.batch(() => {
    for (let i = 0; i < 10; i++) map.at(`k${i % 2}`, i < 5 ? 'gcounter' : 'pncounter').increment(i + 1)
  })
  assert.deepEqual([map.at('k0', 'gcounter').value, map.at('k1', 'gcounter').value, map.at('k0', 'pncounter').value, map.at('k1', 'pncounter').value], [9n, 6n, 16n, 24n])
})

test('inside a batch values, states and others see what was counted', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('gcounter'), crdts.create('gcounter')]
  const seen: unknown[] = []
  a.batch(() => {
    a.increment(2)
    seen.push(a.value)
    a.increment(3)
    b.merge(a.encode())
    seen.push(b.value)
    a.increment()
    seen.push(b.compare(a), a.compare(b), a.size.entries)
  })
  assert.deepEqual(seen, [2n, 5n, 'before', 'after', 1])
})

test('what a batch that throws had changed stays, and is in the next delta', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('bcounter', { actor: 'a' }), crdts.create('bcounter')]
  const heard: bigint[] = []
  a.subscribe(({ value }) => heard.push(value))
  const failing = (): void => {
    a.increment(5)
    a.decrement(6)
  }
  assert.throws(() => a.batch(failing), hasCode('LK_ERR_RIGHTS'))
  assert.deepEqual(heard, [5n])
  b.merge(a.increment(1))
  assert.deepEqual(b.value, { value: 6n, rights: { a: 6n } })
  b.merge(a.increment(1))
  assert.equal(b.digest(), a.digest())
})

/* Goal: no change is missing from all deltas. Method: a listener changes the object before the delta of what it heard of is
 * given, and keeps its own. */
test('what a listener changes has a delta of its own', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('gcounter'), crdts.create('gcounter')]
  const deltas: Uint8Array[] = []
  let active = true
  a.subscribe((value) => {
    if (active && value % 2n === 1n) deltas.push(a.increment())
  })
  const failing = (): void => {
    a.increment()
    throw new Error('on the way')
  }
  b.merge(a.batch(() => void a.increment()))
  assert.equal(b.value, 1n)
  assert.throws(() => a.batch(failing), /on the way/)
  b.merge(a.increment())
  assert.equal(a.value, 6n)
  active = false
  assert.throws(() => a.batch(failing), /on the way/)
  active = true
  for (const delta of deltas.splice(0)) b.merge(delta)
  b.merge(a.increment(2))
  assert.deepEqual([a.value, b.value, deltas.length], [10n, 9n, 1])
  b.merge(deltas[0]!)
  assert.equal(b.digest(), a.digest())
})

test('a sum that overflows is not counted, and the rest of the batch is', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('gcounter'), crdts.create('gcounter')]
  assert.throws(() => a.batch(() => {
    a.increment(2n ** 64n - 10n)
    a.increment(9)
    a.increment(9)
  }), hasCode('LK_ERR_OVERFLOW'))
  assert.equal(a.value, 2n ** 64n - 10n)
  b.merge(a.increment(3))
  assert.equal(b.value, 2n ** 64n - 7n)
})

// ---- lifetimes ----

test('after close() an object throws, the others do not, and memory is given back', async () => {
  const crdts = await open()
  const [a, b] = [crdts.create('ormap'), crdts.create('ormap')]
  const nested = a.at('x', 'gset')
  nested.subscribe(() => {})
  a.close()
  a.close()
  for (const use of [() => a.value, () => nested.value, () => nested.add(1), () => a.batch(() => {}), () => a.merge(b.encode()), () => b.compare(a), () => a.subscribe(() => {})]) {
    assert.throws(use, hasCode('LK_ERR_STATE'))
  }
  b.at('x', 'gset').add(1)
  assert.deepEqual(b.value, { x: [1] })
  const disposed = crdts.create('gcounter')
  disposed[Symbol.dispose]()
  assert.throws(() => disposed.increment(), hasCode('LK_ERR_STATE'))
  crdts.close()
  assert.throws(() => b.value, hasCode('LK_ERR_STATE'))
  assert.throws(() => crdts.create('gset'), hasCode('LK_ERR_STATE'))
  b.close()
})

test('an object that closes in the middle of its batch or its news does no harm', async () => {
  const crdts = await open()
  const counter = crdts.create('gcounter')
  assert.throws(() => counter.batch(() => {
    counter.increment()
    counter.close()
  }), hasCode('LK_ERR_STATE'))
  const map = crdts.create('ormap')
  map.subscribe(() => map.close())
  map.at('x', 'gset').subscribe(() => assert.fail('it is closed'))
  assert.ok(map.at('x', 'gset').add(1).length > 0)
})

/* Goal: forgotten objects do not fill the catalogue. Method: make more than there is room for, a part at a time, and let
 * the collector run between the parts. */
test('objects that nobody holds are given back', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const crdts = await open()
  const kept = crdts.create('gset')
  kept.add('kept')
  for (let part = 0; part < 3; part++) {
    for (let i = 0; i < 30_000; i++) crdts.create('gcounter')
    collect()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.deepEqual(kept.value, ['kept'])
})

// ---- traps ----

test('when the core traps every object says so', async () => {
  const { instantiate } = WebAssembly
  let traps = false
  const patched = async (module: WebAssembly.Module): Promise<WebAssembly.Instance> => {
    const { exports } = await instantiate(module)
    const original = exports['crdt_apply'] as (...args: unknown[]) => unknown
    const trapping = (...args: unknown[]): unknown => {
      if (traps) throw new WebAssembly.RuntimeError('unreachable')
      return original(...args)
    }
    return { exports: { ...exports, crdt_apply: trapping } }
  }
  WebAssembly.instantiate = patched as unknown as typeof instantiate
  let crdts: Crdts
  try {
    crdts = await open()
  } finally {
    WebAssembly.instantiate = instantiate
  }
  const [a, b]: (Crdt<'gset'> & CrdtReplica)[] = [crdts.create('gset'), crdts.create('gset')] as [Crdt<'gset'>, Crdt<'gset'>]
  a!.add(1)
  traps = true
  assert.throws(() => a!.add(2), hasCode('LK_ERR_TRAP'))
  for (const use of [() => a!.value, () => b!.encode(), () => b!.add(1), () => crdts.create('gset')]) assert.throws(use, hasCode('LK_ERR_TRAP'))
  a!.close()
})

// ---- what is promised elsewhere ----

test("the README's example runs", async (t) => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = [...readme.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code!).find((code) => code.includes('createCrdts'))!
  const said: unknown[] = []
  t.mock.method(console, 'log', (value: unknown) => said.push(value))
  const code = example.replace("'@laniakea/sdk'", JSON.stringify(import.meta.resolve('@laniakea/sdk')))
  await import(`data:text/javascript,${encodeURIComponent(code)}`)
  assert.deepEqual(said.slice(-2), [998n, 'equal'])
  assert.deepEqual(said.slice(0, -2), [{ tags: ['new'] }, { likes: 1000, tags: ['new'], title: 'Hello' }, { likes: 998, tags: ['new'], title: 'Hello' }])
})
