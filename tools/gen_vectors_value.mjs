// tools/gen_vectors_value.mjs -- makes tests/vectors/doc_value.json with lib0 and JavaScript's own JSON.
//
//   node tools/gen_vectors_value.mjs           writes the file
//   node tools/gen_vectors_value.mjs --check   writes nothing; exits 1 if the file is stale
//
// lib0 is found as in gen_vectors_lib0.mjs. tests/vectors/README.md says what the fields mean.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/doc_value.json')
const require = createRequire(join(process.env.LK_MODULES ?? join(root, 'js'), 'package.json'))
const encoding = require('lib0/encoding')
const decoding = require('lib0/decoding')
const object = require('lib0/object')

const random = createRandom(0x7a1e)
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]
const repeat = (n, make) => Array.from({ length: n }, make)
const hexOf = (bytes) => Buffer.from(bytes).toString('hex')
const anyOf = (value) => hexOf(encoding.encode((e) => encoding.writeAny(e, value)))
const valueOf = (hex) => decoding.readAny(decoding.createDecoder(new Uint8Array(Buffer.from(hex, 'hex'))))

// JSON.stringify throws at a bigint; the core writes its digits.
BigInt.prototype.toJSON = function () { return JSON.rawJSON(String(this)) }

// ---- any, written otherwise than lib0 would ----

const byte = (n) => n.toString(16).padStart(2, '0')
const count = (n) => (n < 128 ? byte(n) : byte(0x80 | (n & 127)) + byte(n >> 7))
const text = (s) => count(Buffer.byteLength(s)) + hexOf(Buffer.from(s))
const string = (s) => '77' + text(s)
const array = (...values) => '75' + count(values.length) + values.join('')
/** Of [key, value, key, value, ...]. */
const pairs = (list) => '76' + count(list.length / 2) + list.map((part, i) => (i % 2 === 0 ? text(part) : part)).join('')
const float64 = (n) => { const bytes = Buffer.alloc(8); bytes.writeDoubleBE(n); return '7b' + hexOf(bytes) }
const float32 = (n) => { const bytes = Buffer.alloc(4); bytes.writeFloatBE(n); return '7c' + hexOf(bytes) }
const [undef, nil, no, yes, one, two, three] = ['7f', '7e', '79', '78', '7d01', '7d02', '7d03']
const proto = '__proto__'
const indexes = ['b', '4294967295', '4294967294', '10', '9', '01', '0', '-1', '4294967296', '1.5', '1e3', '', 'a']
const numbers = [0, -0, 1, -1, 63, 64, -64, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, 0.5, 0.1, 1e21, 16777217,
  Infinity, -Infinity, NaN, 5e-324, 2 ** -149]

const anyByHand = [
  undef, nil, no, yes, one, '7d40', '7d8000', '7dc000', '7d8001', '7d808000', '7dbf8000', '7dffffffff0f', '7d80808080808001',
  ...numbers.flatMap((n) => [float64(n), float32(n)]),
  '7bfff8000000000000', '7b7ff8000000000001', '7cffc00000', '7c7f800001', array(undef, '7c7fc00001'),
  '7a0000000000000005', string(''), string('é😀'), '778100' + '61', '748200' + '00ff', '758000', '768000', '768100' + text('a') + one, '7601810061' + one,
  string('x'.repeat(127)), string('x'.repeat(128)),
  pairs(indexes.flatMap((key, i) => [key, '7d' + byte(i)])), pairs(indexes.toReversed().flatMap((key, i) => [key, '7d' + byte(i)])),
  pairs(['0', one, '1', two, 'a', three]), pairs(['a', one, '0', two]), pairs(['1', one, '0', two]), pairs(['1', one, '1', two]),
  pairs(['a', one, 'b', two, 'a', three]), pairs(['a', pairs(['x', one]), 'b', two, 'a', array(nil)]),
  pairs(['b', one, '5', pairs(['z', one, 'z', two, '3', array(pairs(['k', one]), pairs(['2', one, '1', two]))]), 'b', nil]),
  array(pairs(['b', one, '2', two]), pairs([]), array(pairs(['c', one, '1', two]), array()), pairs(['d', one])),
  pairs([proto, one]), pairs([proto, one, 'a', two]), pairs([proto, pairs(['a', one]), 'b', two]), pairs([proto, array(one), 'length', two]),
  pairs([proto, nil]), pairs([proto, nil, proto, one]), pairs([proto, nil, proto, one, 'a', two, proto, three]),
  pairs([proto, pairs([proto, nil]), proto, one]), pairs([proto, pairs([proto, nil, proto, one]), 'a', two, proto, nil]),
  pairs([proto, pairs([proto, pairs([proto, nil])]), proto, one]), pairs([proto, nil, proto, nil, proto, pairs([proto, one])]),
  pairs([proto, nil, proto, pairs(['a', one]), 'b', two]), pairs(['a', pairs([proto, nil, proto, one]), proto, pairs(['b', one])]),
  pairs(['constructor', one, 'toString', two, 'toJSON', three]),
  pairs(repeat(70, (_, i) => ['k' + i, one]).flat()), pairs(repeat(70, (_, i) => ['k' + (i % 68), '7d' + byte(i % 64)]).flat()),
  pairs(repeat(150, (_, i) => [String(149 - i), one]).flat()), array(...repeat(130, () => one)), array(...repeat(130, () => '7d8000')),
]

const keys = ['a', 'b', 'c', '', '0', '1', '2', '10', '9', '01', '4294967294', '4294967295', 'é', '😀', proto]

function randomAny(depth) {
  const leaves = [
    () => pick([undef, nil, no, yes, one, '7d8000', '7d40']), () => float64(pick(numbers)), () => float32(pick(numbers)),
    () => string(pick(['', 'a', '€', '"\\\n\u001f'])), () => '7a00000000000000' + byte(below(256)),
  ]
  const inner = [
    () => array(...repeat(below(4), () => randomAny(depth - 1))),
    () => pairs(repeat(below(5), () => [pick(keys), randomAny(depth - 1)]).flat()),
  ]
  return pick(depth > 0 ? [...leaves, ...inner, ...inner, ...inner, ...inner] : leaves)()
}

const any = [...anyByHand, ...repeat(120, () => randomAny(4))].map((hex) => ({ hex, out: anyOf(valueOf(hex)) }))

// ---- JSON ----

const texts = ['true', 'false', 'null', ' true\n', '0', '-0', '1', '-1', '1.0', '1e0', '-0.0', '0e9', '1e20', '1e21', '1e-6', '1e-7', '1E5', '123.456',
  '1e999', '-1e999', '5e-324', '1e-400', '9007199254740992', '9007199254740993', '-9007199254740993', '12345678901234567890', '2147483648',
  '0.30000000000000004', '""', '"a"', '"é😀"', '"\\u0061\\/\\u00e9\\u2028\\u007f"', '"\u2028\u007f"', '"\\"\\\\\\b\\f\\n\\r\\t"', '"\\u0000\\u001f\\u001F\\u000a"',
  '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud800"', '"\\uD800"', '"\\udc00"', '"\\ude00\\ud83d"', '"\\ud83d\\ud83d\\ude00"', '"\\ud83dx\\ude00"', '"\\ud800\\u0041"',
  '"\\ufffd\\uffff"', '[]', '{}', '[ ]', '{ }', '[1, 2]', '[[],{},[{}]]', '{"a":[{"b":{"c":[]}}]}',
  '{"\\ud800":1,"\\ud801":2,"\\ud800":3}', '{"a":1,"\\u0061":2}', '{"\\u0030":1,"b":2}', '{"b":1,"\\u0030":2}', '{"a":1e999,"b":-0,"c":[-1e999]}',
  `{"${proto}":1,"a":2}`, `{"a":{"${proto}":null,"b":1,"${proto}":{"x":1}}}`, '{"toJSON":1,"constructor":2}',
  `{${indexes.map((key, i) => `"${key}":${i}`)}}`, `{${indexes.toReversed().map((key, i) => `"${key}":${i}`)}}`,
  '{"a":1,"b":2,"a":3}', '{"a":{"x":[1,2]},"b":{"z":0,"1":[{"y":1,"0":2}]},"a":[{"q":1},{"p":1,"p":2}]}',
  '[{"b":1,"2":2},{},[{"c":1,"1":2},[]],{"d":1}]', `{${repeat(70, (_, i) => `"k${i}":1`)}}`, `{${repeat(70, (_, i) => `"k${i % 68}":${i}`)}}`,
  `[${repeat(130, () => 1)}]`, `[${repeat(130, () => '[[1.0]]')}]`, `"${'x'.repeat(128)}"`, `{"${'k'.repeat(130)}":"${'\\n'.repeat(70)}"}`]

const space = () => pick(['', '', '', '', '', '', ' ', '\n', '\t\r'])
const spelled = () => pick(['a', 'b', '0', '1', 'é', '\\u0061', '\\u0030', '\\ud800', '\\ud83d', '\\ude00', '\\n', '\\u000a', '\\"', '\\/'])

function randomJson(depth) {
  const leaves = [() => pick(['true', 'null', '1.0', '-0', '1e999', '0.1', '12']), () => `"${repeat(below(4), spelled).join('')}"`]
  const inner = [
    () => `[${space()}${repeat(below(4), () => randomJson(depth - 1) + space()).join(',' + space())}]`,
    () => `{${space()}${repeat(below(5), () => `${below(2) ? JSON.stringify(pick(keys)) : `"${repeat(1 + below(2), spelled).join('')}"`}${space()}:${space()}${randomJson(depth - 1)}`).join(',' + space())}}`,
  ]
  return pick(depth > 0 ? [...leaves, ...inner, ...inner] : leaves)()
}

const json = [...texts, ...repeat(80, () => randomJson(4))].map((source) => {
  const value = JSON.parse(source)
  return { text: source, out: JSON.stringify(value), any: anyOf(value) }
})

// ---- JSON of any ----

const plain = [
  undefined, null, true, 1, -0, 0.1, 1e21, NaN, Infinity, -Infinity, 5n, -(2n ** 63n), '', 'é"\\\n\u001f\u2028😀', new Uint8Array(0), Uint8Array.of(0, 255),
  [], {}, [undefined, NaN, 1n], { a: undefined }, { a: undefined, b: 1, c: undefined }, { a: Uint8Array.of(7), b: [Uint8Array.of(1, 2)] },
  { 1: 'x', a: [{ b: undefined }, [undefined]], '': { '"': -Infinity } },
]
const settled = any.filter(({ out }) => anyOf(valueOf(out)) === out).slice(-100).map(({ out }) => out)
const jsonOfAny = [...plain.map(anyOf), ...settled].map((hex) => ({ hex, out: JSON.stringify(valueOf(hex)) ?? 'null' }))

// ---- equal ----

/** equalAttrs of Yjs' YText, which it does not export. */
const equalAttrs = (a, b) => a === b || (typeof a === 'object' && typeof b === 'object' && a && b && object.equalFlat(a, b)) || false
const sides = [
  undefined, null, true, false, 0, -0, 1, NaN, Infinity, 0.5, 1n, 2n, '', '1', 'a', [], {}, new Uint8Array(0), [1], [2], { 0: 1 }, { 0: 2 }, Uint8Array.of(1), [1n], ['1'],
  { a: 1 }, { a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1, b: 3 }, { a: 1, c: 2 }, { a: undefined }, { b: undefined }, [undefined], { a: -0 }, { a: 0 }, { a: NaN }, { a: null },
  { a: {} }, { a: [] }, { a: new Uint8Array(0) }, [[]], { a: 1, b: {} }, [1, 2], { 0: 1, 1: 2 }, Uint8Array.of(1, 2), [null], { a: 'é' }, { a: true, b: 'x', c: 1.5 }, { c: 1.5, b: 'x', a: true },
  -1, { a: -1 }, { x: [1, 2, 3], a: 1 }, { a: 1, x: 2 },
].map(anyOf)
// All against all, one line a side: bit i tells whether it is equal to side i.
const equal = sides.map((a) => ({ hex: a, equals: sides.map((b) => (equalAttrs(valueOf(a), valueOf(b)) ? 1 : 0)).join('') }))

// ---- what JavaScript refuses ----

const refusedAny = ['', '00', '73', '80', '7701', '7701ff', '77', '7502' + one, '7601', '760161', '7601' + '01ff' + one, '7401', '7b00', '7c00', '7a00', '7d80', array(one, '73'), '75ffffffff0f', '76ffffffff0f']
const refusedJson = ['', ' ', 'tru', 'truex', 'nul', '1 2', '[1,]', '[,1]', '[1', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', '{"a":1', '"', '"\\', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\ud800\\u12"', '01', '-', '1.', '.5',
  '+1', '1e', 'NaN', 'undefined', '"\n"', '\ufeff1', '[1}', '{"a":1]', ']', '"\\ud800', '[1 2]', '{"a" 1}', "'a'"]
const throws = (read, source) => { try { read(source) } catch { return true } throw new Error(`not refused: ${source}`) }
const refused = [
  ...refusedAny.map((hex) => throws(valueOf, hex) && { hex }),
  ...refusedJson.map((source) => throws(JSON.parse, source) && { text: source }),
]

const source = `lib0 ${require('lib0/package.json').version}`
const sections = { any, json, json_of_any: jsonOfAny, equal, refused }
const rendered = Object.entries(sections).map(([name, list]) => `  "${name}": [\n${list.map((c) => `    ${JSON.stringify(c)}`).join(',\n')}\n  ]`)
writeOrCheck(file, `{\n  "source": "${source}",\n${rendered.join(',\n')}\n}\n`, 'tools/gen_vectors_value.mjs')
