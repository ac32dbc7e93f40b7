// tools/gen_vectors_jcs.mjs -- makes tests/vectors/jcs.json with JavaScript's own JSON, numbers and sort.
//
//   node tools/gen_vectors_jcs.mjs           writes the file
//   node tools/gen_vectors_jcs.mjs --check   writes nothing; exits 1 if the file is stale
//
// RFC 8785 says "as JavaScript does" of numbers, escapes and the order of names, so that JavaScript is its
// definition: see canonical().
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/jcs.json')

const random = createRandom(0x8785)
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]

/** Objects are put together by hand: JSON.stringify would put names that are indices first. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

// ---- by hand ----

const texts = [
  // RFC 8785 in small: numbers and escapes (3.2.2), order (3.2.3), and what its text speaks about.
  '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"literals":[null,true,false]}',
  '{"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/"}',
  '{"\\u20ac":"euro","\\r":"return","\\ufb33":"dalet","1":"one","\\ud83d\\ude00":"face","\\u0080":"control","\\u00f6":"o"}',
  '{ "peach" : "a" , "p\\u00e9ch\\u00e9" : "b" , "p\\u00eache" : "c" , "sin" : "d" }',
  '{"1":{"f":{"f":"hi","F":5},"\\n":56.0},"10":{},"":"empty","a":{},"111":[{"e":"yes","E":"no"}],"A":{}}',
  // Order.
  '{"\\ufb33":1,"\\ud83d\\ude00":2}', '{"\\ud83d\\ude00":2,"\\ufb33":1}', '{"\ufb33":1,"😀":2}', '{"😀":2,"\ufb33":1}',
  '{"\\ue000":0,"\\uffff":1,"\\ud7ff":2,"\\ud800\\udc00":3,"\\udbff\\udfff":4}',
  '{"😁":1,"😀":2,"😀a":3,"😀\ue000":4,"😀😀":5}', '{"same🀀":1,"same\uffff":2,"samé":3,"same":4}',
  '{"b":1,"a":2}', '{"a":1,"b":2}', '{"aa":1,"a":2,"":3}', '{"":1,"a":2,"aa":3}', '{"9":1,"10":2,"1":3}', '{"a":1,"B":2,"_":3,"Z":4,"z":5}',
  '{"\\u0062":1,"\\u0061":2}', '{"a\\u0000":1,"a":2,"a\\u0001":3}', '{"\\"":1,"!":2,"#":3,"\\\\":4,"[":5,"]":6}',
  '{"abcdefgh2":1,"abcdefgh1":2}', '{"abcdefg€":1,"abcdefg₭":2,"abcdefg":3,"abcdefgé":4}', '{"__proto__":1,"constructor":2}',
  // The escapes, and what has none.
  '"\\u0000\\u0001\\u0007\\u0008\\u0009\\u000A\\u000b\\u000C\\u000D\\u000e\\u001F\\u0020\\u007F\\u0080"', '"\\b\\t\\n\\f\\r\\u0000\\u000b\\u001f"',
  '"\\u000B"', '"\\u1001"', '"\\u0101"', '"\\u0021"', '"\\u001F"', '"\\/"', '"/"', '"\\u002f"', '"\\u0022\\u005C"', '"\\"\\\\"', '"\\u2028\\u2029"', '"\u2028\u2029\u007f"', '"</script>"',
  '"\\u00e9\\u20ac\\ud83D\\uDe00"', '"é€😀"', '""', '"\\u0061"', '"a long text without any escape, in which nothing has to change"',
  // Numbers.
  '0', '-0', '0.0', '-0.0e5', '1.0', '1', '-1', '10', '1e1', '1E+2', '100', '1.5', '1.50', '-1.25e-3', '1e21', '1e+21', '1e20', '100000000000000000000',
  '1000000000000000000000', '0.000001', '1e-6', '1e-7', '0.0000001', '9007199254740991', '9007199254740992', '9007199254740993', '-9007199254740993',
  '9007199254740994', '18446744073709551615', '18446744073709552000', '0.1', '0.10000000000000001', '5e-324', '2e-324', '1.7976931348623157e308',
  '1.7976931348623157e+308', '123456789012345678901234567890', '333333333.3333333', '4.35', '1e23', '9.999999999999999e22', '295147905179352830000',
  // Spaces and nesting.
  ' null', 'null ', 'true', 'false', '\t{ }\n', '{}', '[]', '[ ]', '[[],{}]', '[ 1 , 2 ]', '[1,2]', '{"a" :1}', '{"a": 1}', '{"a":[{"b":{"c":[]}}]}',
  '[{"b":1,"a":2},{"d":{"z":1,"y":[{"n":1,"m":2}]},"c":3},{"e":4}]', '{"b":{"b":{"b":1,"a":2},"a":{"b":3,"a":4}},"a":[{"b":5,"a":6},{},{"b":7,"a":8}]}',
]
const refused = [
  ['', 'TRUNCATED'], [' ', 'TRUNCATED'], ['[1', 'TRUNCATED'], ['"a', 'TRUNCATED'], ['{"a":1', 'TRUNCATED'], ['{"a"', 'TRUNCATED'], ['{"a":', 'TRUNCATED'], ['-', 'TRUNCATED'],
  ['"\\u00', 'TRUNCATED'], ['"\\', 'TRUNCATED'], ['[1,]', 'SYNTAX'], ['{"a":1,}', 'SYNTAX'], ['{,}', 'SYNTAX'], ['{a:1}', 'SYNTAX'], ['[1}', 'SYNTAX'], ['{"a":1]', 'SYNTAX'],
  ['"\\x"', 'SYNTAX'], ['"\n"', 'SYNTAX'], ['01', 'SYNTAX'], ['+1', 'SYNTAX'], ['.5', 'SYNTAX'], ['NaN', 'SYNTAX'], ['{"a";1}', 'SYNTAX'], ['{"a" 1}', 'SYNTAX'],
  ['1 2', 'TRAILING'], ['{}{}', 'TRAILING'], ['"a"b', 'TRAILING'], ['null,', 'TRAILING'], ['[]]', 'TRAILING'],
  ['"\\ud800"', 'UTF8'], ['"\\udc00"', 'UTF8'], ['"\\ude00\\ud83d"', 'UTF8'], ['{"\\ud83d":1}', 'UTF8'], ['["\\ud83d\\u0041"]', 'UTF8'],
  ['1e309', 'RANGE'], ['[-1e999]', 'RANGE'], ['{"b":1,"a":1e400}', 'RANGE'], ['{"a":1e400,"a":1}', 'RANGE'],
  ['{"a":1,"a":1}', 'EXISTS'], ['{"a":1,"b":2,"a":3}', 'EXISTS'], ['{"a":1,"\\u0061":2}', 'EXISTS'], ['{"\\u0061":1,"b":2,"a":3}', 'EXISTS'], ['{"":1,"":2}', 'EXISTS'],
  ['{"\\n":1,"\\u000A":2}', 'EXISTS'], ['{"/":1,"\\/":2}', 'EXISTS'], ['{"😀":1,"\\ud83d\\uDE00":2}', 'EXISTS'], ['[{"a":{"b":1,"a":2,"b":3}}]', 'EXISTS'],
  ['{"c":1,"b":2,"a":3,"c":4}', 'EXISTS'], ['{"\\u00e9":1,"z":2,"é":3}', 'EXISTS'],
]
// The other errors are for objects that both name: JavaScript would take them.
for (const [text, error] of refused) if (!['RANGE', 'EXISTS', 'UTF8'].includes(error)) assert.throws(() => JSON.parse(text), text)

// ---- values, and each of them written in some way or other ----

const characters = ['a', 'b', 'c', 'Z', '0', '1', '"', '\\', '/', '\n', '\b', '\u0000', '\u001f', '\u007f', 'é', '߿', 'ࠀ', '€', '\ud7ff', '\ue000', '\ufb33', '\uffff', '😀', '😁', '\u{10ffff}']
const string = () => pick(['', '', 'shared', 'shared beginning']) + Array.from({ length: below(5) }, () => pick(characters)).join('')
const number = () => pick([() => below(1000) - 500, () => (random() - 0.5) * 10 ** below(40), () => random() / 10 ** below(12), () => 2 ** below(80), () => -0])()
const depthMax = 5
function value(depth = 0) {
  const kinds = [() => null, () => random() < 0.5, number, string]
  const list = () => Array.from({ length: below(5) }, () => value(depth + 1))
  const object = () => Object.fromEntries(Array.from({ length: below(7) }, () => [string(), value(depth + 1)]))
  return pick(depth < depthMax ? [...kinds, list, object, object, object] : kinds)()
}
const space = () => pick(['', '', '', ' ', '\n', '\t ', '\r\n'])
const hex4 = (unit) => unit.toString(16).padStart(4, '0').replace(/[a-f]/g, (digit) => (below(2) ? digit : digit.toUpperCase()))
const spelledUnit = (text) => [...Array(text.length).keys()].map((i) => `\\u${hex4(text.charCodeAt(i))}`).join('')
const spelledString = (text) => `"${[...text].map((c) => (below(5) ? JSON.stringify(c).slice(1, -1) : c === '/' ? '\\/' : spelledUnit(c))).join('')}"`
const spelledNumber = (n) => (Object.is(n, -0) ? '-0' : pick([String(n), n.toExponential(), n.toExponential().toUpperCase(), n.toExponential().replace('e', '0000e').replace(/^(-?\d)0000e/, '$1.0000e')]))
const shuffled = (list) => list.map((item) => [random(), item]).sort(([a], [b]) => a - b).map(([, item]) => item)
function spelled(v) {
  const around = (text) => space() + text + space()
  if (typeof v === 'string') return spelledString(v)
  if (typeof v === 'number') return spelledNumber(v)
  if (v === null || typeof v === 'boolean') return String(v)
  if (Array.isArray(v)) return `[${v.length ? v.map((item) => around(spelled(item))).join(',') : space()}]`
  const members = shuffled(Object.keys(v)).map((name) => `${around(spelledString(name))}:${around(spelled(v[name]))}`)
  return `{${members.length ? members.join(',') : space()}}`
}

const fromValues = Array.from({ length: 120 }, () => {
  const v = value()
  const text = spelled(v)
  assert.equal(canonical(JSON.parse(text)), canonical(v), text)
  return { text, canonical: canonical(v) }
})

const sections = {
  canonical: [...texts.map((text) => ({ text, canonical: canonical(JSON.parse(text)) })), ...fromValues],
  refused: refused.map(([text, error]) => ({ text, error: `LK_ERR_${error}` })),
}
// ASCII alone: what an editor shows of these characters says little.
const inAscii = (text) => text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
const rendered = Object.entries(sections).map(([name, list]) => `  "${name}": [\n${list.map((c) => `    ${inAscii(JSON.stringify(c))}`).join(',\n')}\n  ]`)
const text = `{\n${rendered.join(',\n')}\n}\n`

writeOrCheck(file, text, 'tools/gen_vectors_jcs.mjs')
