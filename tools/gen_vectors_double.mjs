// tools/gen_vectors_double.mjs -- makes tests/vectors/double.json: doubles as JavaScript reads and prints them.
//
//   node tools/gen_vectors_double.mjs           writes the file
//   node tools/gen_vectors_double.mjs --check   writes nothing; exits 1 if the file is stale
//
// |print| has bit patterns and String(x); |parse| has texts and the bits that JavaScript reads them as.
// The middles between neighbouring doubles are made exactly, with BigInt, and a little above and below.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/double.json')

const view = new DataView(new ArrayBuffer(8))
function bitsOf(x) {
  view.setFloat64(0, x)
  return view.getBigUint64(0)
}
function ofBits(bits) {
  view.setBigUint64(0, bits)
  return view.getFloat64(0)
}
const hex = (bits) => bits.toString(16).padStart(16, '0')

/** The same random numbers each time (splitmix64). */
let seed = 1n
function random() {
  seed = BigInt.asUintN(64, seed + 0x9e3779b97f4a7c15n)
  let z = seed
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return z ^ (z >> 31n)
}

function printed() {
  const bits = new Set()
  const add = (x) => bits.add(bitsOf(x))
  for (const x of [0, -0, 1, -1, 0.1, 0.2, 0.3, 0.1 + 0.2, 1 / 3, Math.PI, Math.E, 123.456, NaN, Infinity, -Infinity]) add(x)
  for (const x of [Number.MAX_VALUE, Number.MIN_VALUE, -Number.MIN_VALUE, Number.EPSILON, 2 ** 53, 2 ** 53 - 1, 2 ** 53 + 2, 2 ** 63, 2 ** 64]) add(x)
  for (const x of [1e20, 1e21, 999999999999999900000, 1e22, 1e23, 1e-5, 1e-6, 1e-7, 9.999999e-7, 1.5e-7, 123e-20, 1.5e300, 2e-323, 1e-323]) add(x)
  for (const b of [0x0010000000000000n, 0x000fffffffffffffn, 0x0008000000000000n, 0x0000000000000003n, 0x7fefffffffffffffn]) bits.add(b)
  for (let e = 1n; e < 2047n; e += 37n) for (const d of [-1n, 0n, 1n]) bits.add((e << 52n) + d) // powers of two: uneven neighbours
  for (let e = -323; e <= 308; e += 13) for (const d of [-1n, 0n, 1n]) bits.add(bitsOf(Number(`1e${e}`)) + d)
  for (let e = 53; e <= 70; e++) for (const x of [2 ** e - 2 ** (e - 53), 2 ** e, 3 * 2 ** e]) add(x) // integers that lose digits
  for (const x of onMiddles()) add(x) // the short text is an end of the interval
  for (let m = 16385; m < 16425; m += 2) add(m / 2 ** 18) // two texts of 16 digits are equally near
  for (let i = 0; i < 100; i++) {
    const b = random()
    if (Number.isFinite(ofBits(b))) bits.add(b)
  }
  for (let i = 0; i < 60; i++) add(Number(random() % 1000000n) / 10 ** Number(random() % 9n))
  return [...bits].map((b) => [hex(b), String(ofBits(b))])
}

/** Multiples of powers of ten that are exactly in the middle between two doubles: 54 bits are needed. */
function onMiddles() {
  const middles = []
  for (let m = 18n; m <= 23n; m++) {
    const power = 5n ** m
    const least = (1n << 53n) / power + 1n
    for (let d = least | 1n; d * power < 1n << 54n && d < least + 20n; d += 2n) middles.push(Number(`${d}e${m}`))
  }
  return middles
}

/** The exact decimal text of n * 2^e. */
function exactText(n, e) {
  if (e >= 0) return `${n << BigInt(e)}`
  const digits = (n * 5n ** BigInt(-e)).toString().padStart(-e + 1, '0')
  return `${digits.slice(0, e)}.${digits.slice(e)}`
}

/** The middle between the double of |bits| and the next one, and its closest surroundings. */
function aroundMiddle(bits) {
  const biased = Number(bits >> 52n)
  const fraction = bits & 0xfffffffffffffn
  const mantissa = biased > 0 ? fraction | (1n << 52n) : fraction
  const middle = exactText(2n * mantissa + 1n, (biased > 0 ? biased : 1) - 1076)
  const pointed = middle.includes('.') ? middle : `${middle}.0`
  const below = middle.includes('.') ? `${middle.slice(0, -1)}49999` : `${BigInt(middle) - 1n}.99999` // ends in 5
  return [pointed, `${pointed}000`, `${pointed}000000001`, below]
}

function parsed() {
  const texts = new Set([
    '0', '-0', '0.0', '-0.0', '0e5', '-0e-5', '1', '-1', '1.5', '0.1', '1e5', '1E5', '1e+5', '1e-5', '123456789', '0.000123',
    '9007199254740991', '9007199254740992', '9007199254740993', '9007199254740994', '9007199254740995', '-9007199254740993',
    '9007199254740993.0', '9007199254740992.999999999999999999999', '9007199254740993.000000000000000000001', '18014398509481985', '18014398509481987',
    '1.7976931348623157e308', '1.7976931348623158e308', '179769313486231570000e288', '1.797693134862315807e308', '1.7976931348623158079e308',
    '2.2250738585072014e-308', '2.2250738585072011e-308', '2.2250738585072012e-308', '2.225073858507201136057409796709131975934819546351645648e-308',
    '5e-324', '4.9406564584124654e-324', '2.4703282292062327e-324', '2.4703282292062328e-324', '2.470328229206232720e-324', '7.4109846876186981e-324', '7.4109846876186982e-324', '1e-324', '1e-400', '-1e-400',
    '1e22', '1e23', '7e22', '1e-22', '1e-23', '1e308', '1e305', '17e307', '1e301', '-123e306', '9007199254740992e22', '9007199254740993e22', '9007199254740991e-22', '123456789012345678e-10', '8.98846567431158e307',
    `12345678901234567890.${'0'.repeat(34)}${'9876543210123456789'.repeat(12)}`,
    '7.2057594037927933e16', '5.72e-15', '4503599627370496.5', '4503599627370497.5', '0.00000000000000000000000000000000000000000000000000000000001', '100000000000000000000000000000000000000000000000000000000000', '1.0000000000000000000000000000000000000000000000000000000000000', '1e0000000000000000000000001', '0.0000000000000000000000000000000000000001e40',
  ])
  for (const b of [0n, 1n, 2n, 0x0010000000000000n, 0x000fffffffffffffn, 0x7feffffffffffffen, bitsOf(1), bitsOf(2 ** 53), bitsOf(1e23), bitsOf(0.1), bitsOf(1e-300)]) {
    for (const text of aroundMiddle(b)) texts.add(text)
  }
  for (let i = 0; i < 20; i++) {
    const e = 1023n - 80n + (random() % 160n)
    for (const text of aroundMiddle((e << 52n) | (random() >> 12n))) texts.add(text)
  }
  for (let i = 0; i < 60; i++) { // 17 to 20 digits: on both sides of what fits 64 bits
    const digits = String(random()).padStart(20, '1').slice(0, 17 + (i % 4))
    texts.add(`${digits}e${Number(random() % 600n) - 310}`)
  }
  return [...texts].filter((text) => Number.isFinite(Number(text))).map((text) => [text, hex(bitsOf(Number(text)))])
}

const row = (pair) => `    ${JSON.stringify(pair)}`
const text = `{
  "about": "made by tools/gen_vectors_double.mjs; do not edit",
  "print": [
${printed().map(row).join(',\n')}
  ],
  "parse": [
${parsed().map(row).join(',\n')}
  ]
}
`
if (process.argv.includes('--check')) {
  let now = null
  try {
    now = readFileSync(file, 'utf8')
  } catch {
    // Not there yet: stale.
  }
  if (now !== text) {
    console.log('tests/vectors/double.json is stale: run `node tools/gen_vectors_double.mjs` and commit what it changes')
    process.exit(1)
  }
} else {
  writeFileSync(file, text)
  console.log('wrote tests/vectors/double.json')
}
