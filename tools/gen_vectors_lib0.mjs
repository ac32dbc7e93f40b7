// tools/gen_vectors_lib0.mjs -- makes tests/vectors/lib0.json with lib0 itself.
//
//   node tools/gen_vectors_lib0.mjs           writes the file
//   node tools/gen_vectors_lib0.mjs --check   writes nothing; exits 1 if the file is stale
//
// lib0 is a development dependency of js/; LK_MODULES names another folder with a package.json from
// which to resolve it. tests/vectors/README.md says what the fields mean.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/lib0.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'js'), 'package.json'))
const encoding = require('lib0/encoding')
const decoding = require('lib0/decoding')

const random = createRandom(0x1ab0)
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const utf16 = (text) => [...Array(text.length).keys()].map((i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join('')
const encode = (write) => encoding.encode(write)
const decoder = (bytes) => decoding.createDecoder(bytes)

/** Around each power of two that changes a length or a type. */
const edges = [...new Set([0, 1, 5, 6, 7, 8, 13, 14, 20, 21, 27, 28, 30, 31, 32, 34, 35, 41, 42, 48, 49, 52, 53]
  .flatMap((bits) => [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]))].filter(Number.isSafeInteger).sort((a, b) => a - b)

const texts = ['', 'a', 'hello', 'é', '€', '😀', '\u0000', '\ufeffbom', 'x'.repeat(127), 'y'.repeat(128), 'ä😀z', '\uffff', '\u{10ffff}']

// ---- single values ----

const varuint = edges.map((value) => ({ value, hex: hex(encode((e) => encoding.writeVarUint(e, value))), canonical: true }))
for (const [value, text] of [[0, '8000'], [0, '808000'], [1, '8100'], [127, 'ff00'], [300, 'ac8200'], [300, 'ac82808000'], [0, '80808080808080808000']]) {
  varuint.push({ value, hex: text, canonical: false })
}

const varint = edges.flatMap((magnitude) => [magnitude, -magnitude]).map((value) => ({
  magnitude: Math.abs(value),
  negative: value < 0 || Object.is(value, -0),
  hex: hex(encode((e) => encoding.writeVarInt(e, value))),
  canonical: true,
}))
for (const [magnitude, negative, text] of [[0, false, '8000'], [0, true, 'c000'], [5, true, 'c58000'], [64, false, '808100']]) {
  varint.push({ magnitude, negative, hex: text, canonical: false })
}

const string = texts.map((text) => ({ text: hex(Buffer.from(text)), hex: hex(encode((e) => encoding.writeVarString(e, text))) }))
const bytes = [0, 1, 127, 128, 200].map((n) => {
  const value = Uint8Array.from({ length: n }, () => below(256))
  return { bytes: hex(value), hex: hex(encode((e) => encoding.writeVarUint8Array(e, value))) }
})

const floats = [0, -0, 1, -1, 0.1, Math.PI, 1.5, Infinity, -Infinity, NaN, 5e-324, Number.MAX_VALUE, 3.4028234663852886e38, 2 ** -149, 2 ** -150]
const bits64 = (value) => hex(encode((e) => encoding.writeFloat64(e, value)))
const f64 = floats.map((value) => ({ value: String(value), bits: bits64(value) }))
const f32 = floats.map((value) => ({ wide: bits64(Math.fround(value)), hex: hex(encode((e) => encoding.writeFloat32(e, value))) }))

const bigints = [0n, 1n, -1n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]
const bigint64 = bigints.map((value) => ({ value: String(value), hex: hex(encode((e) => encoding.writeBigInt64(e, value))) }))

// ---- any ----

/** The items that a reader of the stream gives, one word each, in order. */
function itemsOf(value) {
  if (value === undefined) return ['undefined']
  if (value === null) return ['null']
  if (typeof value === 'boolean') return [String(value)]
  if (typeof value === 'number') return [`number ${bits64(value)}`]
  if (typeof value === 'bigint') return [`bigint ${value}`]
  if (typeof value === 'string') return [`string ${hex(Buffer.from(value))}`]
  if (value instanceof Uint8Array) return [`bytes ${hex(value)}`]
  if (Array.isArray(value)) return [`array ${value.length}`, ...value.flatMap(itemsOf), 'end']
  const keys = Object.keys(value)
  return [`object ${keys.length}`, ...keys.flatMap((key) => [`key ${hex(Buffer.from(key))}`, ...itemsOf(value[key])]), 'end']
}

const numbers = [...edges, ...edges.map((n) => -n), ...floats, 2147483646.5, 16777216, 16777217, 4294967295, 4294967296, 2 ** 53 + 2, 1e21]

function randomAny(depth) {
  const leaves = [
    () => undefined, () => null, () => below(2) === 0, () => pick(numbers), () => below(1000) - 500, () => random() * 1e6,
    () => pick(bigints), () => pick(texts), () => Uint8Array.from({ length: below(5) }, () => below(256)),
  ]
  const inner = [
    () => Array.from({ length: below(5) }, () => randomAny(depth - 1)),
    () => Object.fromEntries(Array.from({ length: below(5) }, (_, i) => [`k${i}${pick(['', 'é', '😀'])}`, randomAny(depth - 1)])),
  ]
  return pick(depth > 0 ? [...leaves, ...inner, ...inner, ...inner] : leaves)()
}

const anyValues = [
  undefined, null, true, false, ...numbers, ...bigints, ...texts, new Uint8Array(0), Uint8Array.of(0, 255), [], {},
  [[]], [[[[]]]], { a: { b: { c: [] } } }, [undefined, null], { '': 0 }, ...Array.from({ length: 120 }, () => randomAny(4)),
]
const any = anyValues.map((value) => {
  const written = encode((e) => encoding.writeAny(e, value))
  return { items: itemsOf(value).join(';'), hex: hex(written), canonical: true }
})
/** Read by lib0, but not what it would write. */
for (const text of ['7c3f800000', '7b3ff0000000000000', '7d8000', '7d8080808010', '758000', '768000', '748000', '7c7fc00000']) {
  const input = Buffer.from(text, 'hex')
  any.push({ items: itemsOf(decoding.readAny(decoder(input))).join(';'), hex: text, canonical: false })
}

// ---- columns ----

const kinds = {
  rle: {
    encoder: () => new encoding.RleEncoder(encoding.writeUint8),
    decoder: (b) => new decoding.RleDecoder(b, decoding.readUint8),
    values: () => runs(() => pick([0, 1, 127, 128, 255, below(256)])),
  },
  uint: {
    encoder: () => new encoding.UintOptRleEncoder(),
    decoder: (b) => new decoding.UintOptRleDecoder(b),
    values: () => runs(() => pick([0, 0, 1, 63, 64, below(1000), pick(edges)])),
  },
  inc: {
    encoder: () => new encoding.IncUintOptRleEncoder(),
    decoder: (b) => new decoding.IncUintOptRleDecoder(b),
    values: () => steps(() => pick([0, 1, 1, 1, 2]), (n) => n >= 0),
  },
  diff: {
    encoder: () => new encoding.IntDiffOptRleEncoder(),
    decoder: (b) => new decoding.IntDiffOptRleDecoder(b),
    values: () => steps(() => pick([0, 1, 1, 3, -1, -7, below(100000), -below(100000), 2 ** 40]), () => true),
  },
  delta: {
    start: () => pick([0, 5, -5, 2 ** 40]),
    encoder: (start) => new encoding.IntDiffEncoder(start),
    decoder: (b, start) => new decoding.IntDiffDecoder(b, start),
    values: () => steps(() => pick([0, 1, -1, 63, -64, below(100000)]), () => true),
  },
  rledelta: {
    start: () => pick([0, 5, -5, 2 ** 40]),
    encoder: (start) => new encoding.RleIntDiffEncoder(start),
    decoder: (b, start) => new decoding.RleIntDiffDecoder(b, start),
    values: () => steps(() => pick([0, 0, 0, 1, -1, 1000]), () => true),
  },
  text: {
    encoder: () => new encoding.StringEncoder(),
    decoder: (b) => new decoding.StringDecoder(b),
    values: () => Array.from({ length: below(12) }, () => pick(texts)).flatMap(cutSomewhere),
  },
}

function runs(value) {
  return Array.from({ length: below(8) }, () => Array(1 + (below(3) ? 0 : below(200))).fill(value())).flat()
}

function steps(step, allowed) {
  const values = []
  let last = 0
  for (let run = below(8); run > 0; run--) {
    const by = step()
    for (let n = 1 + (below(2) ? 0 : below(100)); n > 0 && allowed(last + by); n--) values.push((last += by))
  }
  return values
}

/** A text in two parts now and then, also between the halves of a pair. */
function cutSomewhere(text) {
  if (below(2) === 0) return [text]
  const at = below(text.length + 1)
  return [text.slice(0, at), text.slice(at)]
}

const fixed = {
  rle: [[], [5], [5, 5, 5, 7, 7, 7], [0, 0]],
  uint: [[], [0], [0, 0], [0, 0, 0], [5], [5, 5], [5, 5, 5, 0, 0], [2 ** 53 - 1, 2 ** 53 - 1]],
  inc: [[], [0], [0, 1, 2], [5, 6, 7, 7, 8], [2 ** 53 - 2, 2 ** 53 - 1]],
  diff: [[], [0], [0, 0], [3], [3, 6, 9], [-1, -2, -3], [-1, -1, -1], [2 ** 51, 2 ** 52 - 1, 0]],
  delta: [[], [0], [5, 5]],
  rledelta: [[], [0], [5], [5, 5, 5], [0, 0, 1, 1]],
  text: [[], [''], ['', ''], ['a', 'b'], ['\ud83d', '\ude00'], ['\ud83d', '', '\ude00'], ['\ud83d'], ['\ude00'], ['a\ud83d', '\ude00b'], ['\ud83d', 'x'], ['\ud83d', '\ud83d', '\ude00'], ['\ude00', '\ude00'], ['\ude00\ud83d', '\ude00']],
}

const columns = Object.entries(kinds).flatMap(([kind, of]) =>
  [...fixed[kind], ...Array.from({ length: 25 }, of.values)].map((values) => {
    const start = of.start?.() ?? 0
    const encoder = of.encoder(start)
    for (const value of values) encoder.write(value)
    const column = encoder.toUint8Array?.() ?? encoding.toUint8Array(encoder)
    const reader = of.decoder(column, start)
    const back = values.map(() => reader.read())
    // A half that stayed alone became U+FFFD, which is what reading must give.
    if (kind !== 'text' && JSON.stringify(back) !== JSON.stringify(values)) throw new Error(`${kind} does not round-trip: ${values}`)
    const shown = (list) => (kind === 'text' ? list.map(utf16) : list)
    return { kind, start, values: shown(values), read: kind === 'text' ? shown(back) : undefined, hex: hex(column) }
  }),
)

// ---- what lib0 refuses ----

const refused = [
  ['varuint', ['', '80', 'ffff', 'ffffffffffffffff', 'ffffffffffffffffff01']],
  ['varint', ['80', 'ff', 'ffffffffffffffffff01']],
  ['string', ['01', '0261', '01ff', '02c080', '03eda080', '04f4908080', '02e282']],
  ['bytes', ['01', '0500', 'ffffffff0f']],
  ['any', ['73', '00', '80', '7c0000', '7b00000000000000', '7a', '77', '7701', '7501', '7601', '760161', '7405', '7701ff', '75ffffffff0f']],
].flatMap(([kind, list]) => list.map((text) => ({ kind, hex: text })))
const readers = {
  varuint: decoding.readVarUint, varint: decoding.readVarInt, string: decoding.readVarString,
  bytes: decoding.readVarUint8Array, any: decoding.readAny,
}
for (const { kind, hex: text } of refused) {
  let result
  try {
    result = readers[kind](decoder(Buffer.from(text, 'hex')))
  } catch {
    continue
  }
  throw new Error(`lib0 accepts ${kind} ${text} as ${String(result)}`)
}

const source = `lib0 ${require('lib0/package.json').version}`
const sections = { varuint, varint, string, bytes, f64, f32, bigint64, any, columns, refused }
const rendered = Object.entries(sections).map(([name, list]) => `  "${name}": [\n${list.map((c) => `    ${JSON.stringify(c)}`).join(',\n')}\n  ]`)
const text = `{\n  "source": "${source}",\n${rendered.join(',\n')}\n}\n`

writeOrCheck(file, text, 'tools/gen_vectors_lib0.mjs')
