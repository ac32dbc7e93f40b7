// tests/vectors/crdt.test.mjs -- the cases of crdt.json through WebAssembly, and the border that they cross.
//
//   node --test tests/vectors/crdt.test.mjs         after `ninja -C build/wasm`
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openCatalogue } from './crdt_cases.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const module = new WebAssembly.Module(readFileSync(new URL('../../build/laniakea.wasm', import.meta.url)))
const { cases } = JSON.parse(readFileSync(new URL('crdt.json', import.meta.url), 'utf8'))
const create = () => openCatalogue(module, root)

for (const type of new Set(cases.map(({ type }) => type))) {
  test(`crdt.json: ${type}`, () => {
    const catalogue = create()
    for (const { name, steps, ...expected } of cases.filter((c) => c.type === type)) {
      const { replicas, fresh } = catalogue.run({ type, steps })
      for (const replica of [...replicas, fresh]) assert.deepEqual({ type, ...catalogue.seen(replica) }, expected, name)
    }
  })
}

test('every type and every operation has cases', () => {
  const { operations } = readTypes()
  const used = new Set(cases.flatMap(({ type, steps }) => steps.filter(({ op, error }) => op && !error).map(({ op, path }) => `${path?.at(-1)[0] ?? type} ${op}`)))
  assert.deepEqual(operations.filter((operation) => !used.has(operation)), [])
})

/** "orset add", ...: read again, not through what makes the other tables. */
function readTypes() {
  const lines = readFileSync(new URL('../../src/crdt/types.def', import.meta.url), 'utf8').matchAll(/^CRDT_TYPE\((\w+), \d+, \w+, "([^"]*)"/gm)
  return { operations: [...lines].flatMap(([, type, operations]) => [...operations.matchAll(/(\w+)\(/g)].map(([, name]) => `${type} ${name}`)) }
}

// ---- handles ----

test('a handle that was freed reaches nothing, nor does one that was made up', () => {
  const { exports, open, close, result } = create()
  const stale = open('gcounter')
  close(stale)
  close(stale)
  const handle = open('gcounter')
  assert.notEqual(handle, stale)
  for (const wrong of [stale, 0, 1, 0xffffffff, handle + 1, handle + (1 << 16)]) {
    assert.equal(result(exports.crdt_encode(wrong)), 'LK_ERR_INVALID', String(wrong))
    assert.equal(result(exports.crdt_apply(wrong, 0, 0, 0, 0, 0)), 'LK_ERR_INVALID')
    assert.equal(result(exports.crdt_compare(handle, wrong)), 'LK_ERR_INVALID')
  }
  assert.equal(result(exports.crdt_new(0)), 'LK_ERR_UNKNOWN_TYPE')
  assert.equal(result(exports.crdt_new(99)), 'LK_ERR_UNKNOWN_TYPE')
})

/* Goal: a slot whose generations are used up is left alone. Method: free and take one slot until they are. */
test('no handle comes twice', () => {
  const { exports } = create()
  const first = openRaw(exports)
  let last = first
  for (let i = 0; i < 0xffff; i++) {
    exports.crdt_free(last)
    last = openRaw(exports)
    if (last === first) assert.fail(`again after ${i}`)
  }
  assert.notEqual(last & 0xffff, first & 0xffff)
})

function openRaw(exports) {
  assert.equal(exports.crdt_new(1), 0)
  return exports.out_ptr()
}

test('65,536 objects at once, and no more', () => {
  const { exports, result } = create()
  const handles = Array.from({ length: 65_536 }, () => openRaw(exports))
  assert.equal(new Set(handles).size, 65_536)
  assert.equal(result(exports.crdt_new(1)), 'LK_ERR_LIMIT')
  exports.crdt_free(handles[777])
  assert.equal(openRaw(exports) & 0xffff, 777)
})

test('what was freed leaves nothing allocated', () => {
  const { exports, open, close, apply, merge, encode } = create()
  const round = () => {
    const [a, b] = [open('ormap'), open('ormap')]
    for (let i = 0; i < 50; i++) apply(a, 'a', { path: [['list', `k${i % 7}`]], op: 'insert', args: `[0,"${'x'.repeat(i)}"]` })
    merge(b, encode(a))
    exports.crdt_hold(a)
    for (const key of ['k1', 'k2']) apply(a, 'a', { op: 'remove', args: `["${key}"]` })
    exports.crdt_release(a)
    exports.crdt_hold(a)
    apply(a, 'a', { op: 'remove', args: '["k3"]' })
    merge(b, encode(b)) // a result of one byte
    close(a)
    close(b)
    return exports.memory_used()
  }
  const before = round()
  for (let i = 0; i < 20; i++) assert.equal(round(), before)
})

test('lengths beyond what was written are refused', () => {
  const { exports, open, result, write } = create()
  const handle = open('gcounter')
  write(Buffer.from('a'))
  for (const lengths of [[2, 0, 0, 0], [0xffffffff, 1, 0, 0], [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]]) {
    assert.equal(result(exports.crdt_apply(handle, ...lengths, 0)), 'LK_ERR_INVALID')
  }
  for (const name of ['crdt_merge', 'crdt_merge_json', 'crdt_value', 'crdt_diff_since']) assert.equal(result(exports[name](handle, 2)), 'LK_ERR_INVALID', name)
  assert.equal(result(exports.crdt_batch(handle, 1, 0xffffffff, 0)), 'LK_ERR_INVALID')
})

test('objects of two types are not compared', () => {
  const { exports, open, result } = create()
  const [counter, set] = [open('gcounter'), open('gset')]
  assert.equal(result(exports.crdt_compare(counter, set)), 'LK_ERR_TYPE')
  assert.equal(result(exports.crdt_diff(counter, set)), 'LK_ERR_TYPE')
})

// ---- batches ----

const record = (pathOf, { path = [], op, args }) => {
  const parts = [pathOf(path), Buffer.from(op), Buffer.from(args)]
  const head = Buffer.alloc(12)
  parts.forEach((part, i) => head.writeUInt32LE(part.length, 4 * i))
  return Buffer.concat([head, ...parts])
}

test('a batch gives one delta, which is what its deltas are together', () => {
  const { exports, open, apply, merge, encode, result, write, pathOf } = create()
  const [one, other, fromBatch, fromDeltas] = Array.from({ length: 4 }, () => open('ormap'))
  const steps = Array.from({ length: 30 }, (_, i) => ({ path: [['orset', `k${i % 3}`]], op: i % 5 === 4 ? 'remove' : 'add', args: `[${i % 4}]` }))
  for (const handle of [one, other, fromBatch, fromDeltas]) merge(handle, apply(open('ormap'), 'z', { path: [['orset', 'k0']], op: 'add', args: '[0]' }))
  const lengths = write(Buffer.from('a'), Buffer.concat(steps.map((step) => record(pathOf, step))))
  const delta = result(exports.crdt_batch(one, ...lengths, 0))
  assert.equal(exports.crdt_batch_done(), 30)
  merge(fromBatch, delta)
  for (const step of steps) merge(fromDeltas, apply(other, 'a', step))
  const wanted = encode(other).toString('hex')
  for (const handle of [one, fromBatch, fromDeltas]) assert.equal(encode(handle).toString('hex'), wanted)
})

test('a batch stops at the first operation that fails, and gives the delta of those before', () => {
  const { exports, open, merge, result, seen, write, pathOf } = create()
  const handle = open('bcounter')
  const steps = [{ op: 'increment', args: '[3]' }, { op: 'decrement', args: '[1]' }, { op: 'decrement', args: '[9]' }, { op: 'increment', args: '[100]' }]
  const lengths = write(Buffer.from('a'), Buffer.concat(steps.map((step) => record(pathOf, step))))
  assert.equal(result(exports.crdt_batch(handle, ...lengths, 0)), 'LK_ERR_RIGHTS')
  assert.equal(exports.crdt_batch_done(), 2)
  const delta = result(0)
  const other = open('bcounter')
  merge(other, delta)
  assert.equal(seen(other).value, '{"rights":{"a":2},"value":2}')
  assert.deepEqual(seen(handle), seen(other))
})

test('records that are cut off are refused', () => {
  const { exports, open, result, write, pathOf } = create()
  const whole = record(pathOf, { op: 'increment', args: '[1]' })
  for (let length = 1; length < whole.length; length++) {
    const lengths = write(Buffer.from('a'), whole.subarray(0, length))
    assert.equal(result(exports.crdt_batch(open('gcounter'), ...lengths, 0)), 'LK_ERR_TRUNCATED')
    assert.equal(exports.crdt_batch_done(), 0)
  }
  const handle = open('gcounter')
  assert.equal(exports.crdt_batch(handle, ...write(Buffer.from('a'), whole), 0), 0)
  assert.equal(exports.crdt_batch_done(), 1)
  assert.equal(result(exports.crdt_batch(0, 0, 0, 0)), 'LK_ERR_INVALID')
  assert.equal(exports.crdt_batch_done(), 0)
})

test('while an object holds, deltas come together at its release', () => {
  const { exports, open, apply, merge, result, seen, write, pathOf } = create()
  const [one, other] = [open('text'), open('text')]
  assert.equal(result(exports.crdt_release(one)), 'LK_ERR_STATE')
  assert.equal(exports.crdt_hold(one), 0)
  assert.equal(apply(one, 'a', { op: 'insert', args: '[0,"hello"]' }).length, 0)
  assert.equal(exports.crdt_hold(one), 0) // again: nothing is forgotten
  const lengths = write(Buffer.from('a'), record(pathOf, { op: 'delete', args: '[0,1]' }))
  assert.equal(result(exports.crdt_batch(one, ...lengths, 0)).length, 0)
  assert.equal(apply(one, 'a', { op: 'insert', args: '[9,"beyond"]' }), 'LK_ERR_RANGE')
  merge(other, result(exports.crdt_release(one)))
  assert.equal(seen(other).value, '"ello"')
  assert.deepEqual(seen(one), seen(other))
  assert.equal(exports.crdt_hold(one), 0)
  const nothing = result(exports.crdt_release(one))
  assert.deepEqual([...merge(other, nothing)], [0])
})
