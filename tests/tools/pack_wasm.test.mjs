// Goal: what a packed module computes is what it computed before, and gzip makes less of it.
// Method: modules by hand, of functions that are alike but for their locals, called directly, through a table and as exports.
import assert from 'node:assert/strict'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from '../../tools/pack_wasm.mjs'

const [I32, I64] = [0x7f, 0x7e]
const leb = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >> 7)])
const bytes = (text) => [text.length, ...Buffer.from(text)]
const section = (id, items) => {
  const body = [...leb(items.length), ...items.flat()]
  return [id, ...leb(body.length), ...body]
}
const sized = (body) => [...leb(body.length), ...body]

const LOCALS = 6
/** (a, b) -> i32 with locals of two types. Its chain goes through locals in an order that `seed` gives, and there are two
 * families of them, in turns. */
function body(seed, callee) {
  const locals = [2, 3, 4, 5, 6, 7].map((_, i, all) => all[(i * (seed % 2 ? 5 : 1) + seed) % LOCALS])
  const code = [2, LOCALS, I32, 1, I64]
  let last = 0
  for (const [step, local] of locals.entries()) {
    code.push(0x20, last, 0x20, 1, seed % 2 ? 0x6a : 0x6b, 0x41, step * 7, seed % 2 ? 0x73 : 0x6a, 0x21, local)
    last = local
  }
  code.push(0x42, seed & 0x3f, 0x21, 8, 0x20, 8, 0xa7)
  for (const [step, local] of locals.entries()) code.push(0x20, local, 0x41, step, 0x77, 0x6a) // + local rotated by step
  if (callee !== undefined) code.push(0x20, 1, 0x10, ...leb(callee))
  return [...code, 0x0b]
}

const COUNT = 60
/** Imports a function; `f0` and up are exported, each but the first calls the one before; `at(i)` calls by table. */
function module({ custom = false } = {}) {
  const functions = Array.from({ length: COUNT }, (_, i) => sized(body(i * 13, i === 0 ? 0 : i)))
  const at = sized([0, 0x41, 3, 0x41, 4, 0x20, 0, 0x11, 0, 0, 0x0b])
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[0x60, 2, I32, I32, 1, I32], [0x60, 1, I32, 1, I32]]),
    ...section(2, [[...bytes('host'), ...bytes('sum'), 0, 0]]),
    ...section(3, [...functions.map(() => [0]), [1]]),
    ...section(4, [[0x70, 0, COUNT]]),
    ...section(7, [...functions.map((_, i) => [...bytes(`f${i}`), 0, ...leb(i + 1)]), [...bytes('at'), 0, ...leb(COUNT + 1)]]),
    ...section(9, [[0, 0x41, 0, 0x0b, ...leb(COUNT), ...functions.flatMap((_, i) => leb(COUNT - i))]]),
    ...section(10, [...functions, at]),
    ...(custom ? [0, 5, ...bytes('name')] : []),
  ])
}

function answers(wasm) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { host: { sum: (a, b) => a * 3 + b } })
  const direct = Array.from({ length: COUNT }, (_, i) => exports[`f${i}`](i, 1000 - i))
  return [...direct, ...direct.map((_, i) => exports.at(i))]
}

const sizeOf = (wasm) => gzipSync(wasm, { level: 9 }).length

test('a packed module answers as before, and gzip makes less of it', () => {
  const before = module()
  const after = pack(before)
  assert.equal(after.length, before.length)
  assert.deepEqual(answers(after), answers(before))
  assert.ok(sizeOf(after) < 0.85 * sizeOf(before), `${sizeOf(after)} bytes, ${sizeOf(before)} before`)
})

/** (at) -> i32: stores and loads with hints that differ, at addresses of any kind. */
function hinting() {
  const code = [0, 0x20, 0, 0x42, ...[0x85, 0x88, 0x8c, 0x20], 0x37, 3, 8, 0x20, 0, 0x29, 0, 8, 0xa7, 0x20, 0, 0x29, 3, 8, 0xa7, 0x6a,
    0x20, 0, 0x28, 0, 9, 0x6a, 0x20, 0, 0x28, 2, 9, 0x6a, 0x0b]
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[0x60, 1, I32, 1, I32]]),
    ...section(3, [[0]]),
    ...section(5, [[0, 1]]),
    ...section(7, [[...bytes('f'), 0, 0]]),
    ...section(10, [sized(code)]),
  ])
}

test('loads and stores of a kind give one hint, and do what they did at any address', () => {
  const [before, after] = [hinting(), pack(hinting())]
  const run = (wasm) => [0, 1, 2, 3, 8].map(new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports.f)
  assert.deepEqual(run(after), run(before))
  const hints = (op, off) => [...after].flatMap((byte, at) => (byte === op && after[at + 2] === off ? [after[at + 1]] : []))
  assert.deepEqual([hints(0x37, 8), hints(0x29, 8), hints(0x28, 9)], [[2], [2, 2], [2, 2]])
})

test('the same module in gives the same module out', () => {
  assert.deepEqual(pack(module()), pack(module()))
})

test('what would be wrong afterwards is refused', () => {
  assert.throws(() => pack(module({ custom: true })), /custom sections/)
  const simd = module()
  simd[simd.length - 4] = 0xfd
  assert.throws(() => pack(simd), /0xfd is not known/)
})
