// tools/gen_vectors_crdt.mjs -- makes tests/vectors/crdt.json with the WebAssembly core.
//
//   node tools/gen_vectors_crdt.mjs           writes the file, from build/laniakea.wasm or LK_WASM
//   node tools/gen_vectors_crdt.mjs --check   writes nothing; exits 1 if the file is stale
//
// What replicas do, and the value that they must come to, is written here by hand; where more than one order of
// concurrent inserts would be right, all of them are. Bytes, digest and JSON are what the core gave: a
// change of them breaks what was stored before, and is a decision. So this script refuses to write a value
// that nobody wrote here, and the file in the tree says whether the bytes are still those.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openCatalogue } from '../tests/vectors/crdt_cases.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/crdt.json')

// ---- the words in which cases are written ----

/** JSON as the core writes it: names sorted, bigints as digits. */
function textOf(value) {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${textOf(value[name])}`).join(',')}}`
}

/** a.add(1) is a step; a.in('orset', 'tags').add(1) one below a key, a.at(5).set(1) one at a time. */
function actor(on, more = {}) {
  return new Proxy({}, {
    get(_, name) {
      if (name === 'in') return (type, key) => actor(on, { ...more, path: [...(more.path ?? []), [type, key]] })
      if (name === 'at') return (now) => actor(on, { ...more, now })
      if (name === 'sees') return (other) => ({ on, merge: other })
      if (name === 'gets') return (step) => ({ on, delta: step })
      return (...args) => ({ on, op: name, args: textOf(args), ...more })
    },
  })
}
const [a, b, c] = ['a', 'b', 'c'].map((name) => actor(name))
const fails = (code, step) => ({ ...step, error: `LK_ERR_${code}` })
const oneOf = (...values) => ({ oneOf: values })
const MAX = 2n ** 64n - 1n

const cases = []
const kase = (type, name, steps, value) => cases.push({ type, name, steps, value })

// ---- counters ----

kase('gcounter', 'increments of all replicas add up', [a.increment(3), b.increment(5), a.increment(1)], 9)
kase('gcounter', 'a delta that comes twice counts once', [a.increment(2), b.gets(0), b.gets(0), b.increment(1), a.gets(3), a.gets(3)], 3)
kase('gcounter', 'a delta that got lost leaves a gap until the state comes', [a.increment(1), a.increment(1), a.increment(1), b.gets(2), b.increment(7)], 10)
kase('gcounter', 'all 64 bits', [a.increment(MAX), fails('OVERFLOW', a.increment(1))], MAX)
kase('gcounter', 'beyond what a double holds', [a.increment(9007199254740993n), b.sees('a'), b.increment(2)], 9007199254740995n)
kase('gcounter', 'nothing is no amount', [fails('RANGE', a.increment(0)), a.increment(1)], 1)
kase('gcounter', 'what is no such operation', [fails('UNKNOWN_OP', a.decrement(1)), fails('PAYLOAD', a.increment('1')), fails('PAYLOAD', a.increment()), a.increment(4)], 4)
kase('gcounter', 'one that nobody changed', [a.sees('b')], 0)
kase('gcounter', 'names that are not ASCII', [actor('жук').increment(1), actor('é😀').increment(2), actor('z').increment(4)], 7)

kase('pncounter', 'up and down', [a.increment(10), b.decrement(4), a.decrement(1)], 5)
kase('pncounter', 'below zero', [a.decrement(3), b.decrement(4), b.increment(1)], -6)
kase('pncounter', 'the whole width', [a.decrement(MAX), b.increment(1)], -(MAX - 1n))
kase('pncounter', 'up and down in turn', [a.increment(1), a.decrement(1), a.increment(2), a.decrement(2), a.increment(40), a.decrement(3)], 37)
kase('pncounter', 'concurrent decrements both count', [a.increment(5), b.sees('a'), a.decrement(1), b.decrement(1)], 3)

kase('bcounter', 'what was added may be taken away', [a.increment(10), a.decrement(3)], { value: 7, rights: { a: 7 } })
kase('bcounter', 'nobody spends what belongs to others', [a.increment(5), b.sees('a'), fails('RIGHTS', b.decrement(1))], { value: 5, rights: { a: 5 } })
kase('bcounter', 'a transfer gives rights', [a.increment(10), a.transfer('b', 4), b.gets(1), b.decrement(3), fails('RIGHTS', b.decrement(2))], { value: 7, rights: { a: 6, b: 1 } })
kase('bcounter', 'concurrent decrements stay at zero or above', [a.increment(2), a.transfer('b', 1), b.sees('a'), a.decrement(1), b.decrement(1)], { value: 0, rights: {} })
kase('bcounter', 'nobody transfers what is not theirs, nor to themselves', [a.increment(1), fails('RIGHTS', a.transfer('b', 2)), fails('ACTOR', a.transfer('a', 1)), fails('ACTOR', a.transfer('', 1))], { value: 1, rights: { a: 1 } })

// ---- sets ----

kase('gset', 'what anybody added', [a.add('red'), b.add('blue'), a.add('red')], ['blue', 'red'])
kase('gset', 'equal values are one element', [a.add(1), b.add({ y: [], x: null }), a.add({ x: null, y: [] }), b.add(1e0)], [1, { x: null, y: [] }])
kase('gset', 'values of every kind', [a.add(null), a.add(true), a.add(false), a.add(-0.5), a.add(''), a.add('é😀\n"'), a.add([1, [2]])], ['', 'é😀\n"', -0.5, [1, [2]], false, null, true])

kase('orset', 'added and removed', [a.add(1), a.add(2), a.remove(1)], [2])
kase('orset', 'an add wins over a concurrent remove', [a.add('x'), b.sees('a'), a.remove('x'), b.add('x')], ['x'])
kase('orset', 'a remove takes what was seen', [a.add('x'), b.add('x'), c.sees('a'), c.sees('b'), c.remove('x')], [])
kase('orset', 'an old state does not bring back what was removed', [a.add('x'), b.gets(0), a.remove('x'), c.sees('b'), a.sees('c')], [])
kase('orset', 'clear leaves what was added at the same time', [a.add(1), a.add(2), b.sees('a'), b.clear(), a.add(3), a.add(1)], [1, 3])
kase('orset', 'what is not there may be removed', [a.remove('x'), a.clear(), b.add('y')], ['y'])
kase('orset', 'deltas in the wrong order', [a.add('x'), a.remove('x'), a.add('y'), b.gets(2), b.gets(1), b.gets(0)], ['y'])
kase('orset', 'elements that share their beginning', [a.add('abc'), a.add('abcd'), b.add('abd'), b.add('ab'), a.add('b')], ['ab', 'abc', 'abcd', 'abd', 'b'])

kase('rwset', 'added and removed', [a.add(1), a.add(2), a.remove(1), b.add(3)], [2, 3])
kase('rwset', 'a remove wins over a concurrent add', [a.add('x'), b.sees('a'), a.remove('x'), b.add('x')], [])
kase('rwset', 'a remove of what is not there wins over a concurrent add', [a.remove('x'), b.add('x')], [])
kase('rwset', 'who has seen the removal adds again', [a.add('x'), a.remove('x'), b.sees('a'), b.add('x')], ['x'])

// ---- flags ----

kase('ewflag', 'on and off', [a.enable(), b.sees('a'), b.disable()], false)
kase('ewflag', 'enabling wins', [a.enable(), b.sees('a'), a.disable(), b.enable()], true)
kase('ewflag', 'off at first', [a.disable()], false)
kase('dwflag', 'on and off and on', [a.enable(), b.sees('a'), b.disable(), a.sees('b'), a.enable()], true)
kase('dwflag', 'disabling wins', [a.enable(), b.sees('a'), a.disable(), b.enable()], false)
kase('dwflag', 'disabling what is off wins over a concurrent enabling', [a.disable(), b.enable()], false)

// ---- registers ----

kase('lww', 'null at first', [a.sees('b')], null)
kase('lww', 'the later of concurrent writes', [a.at(2000).set('late'), b.at(1000).set('early')], 'late')
kase('lww', 'on a tie the greater name', [b.at(1000).set('of b'), a.at(1000).set('of a')], 'of b')
kase('lww', 'knowledge goes before clocks', [a.at(999999).set('fast clock'), b.sees('a'), b.at(5).set('seen')], 'seen')
kase('lww', 'what was written before a fast clock stays behind it', [a.at(9000).set('fast'), b.sees('a'), b.at(10).set('knows'), c.at(8000).set('apart')], 'knows')
kase('lww', 'any value, and back to null', [a.at(1).set({ b: 1, a: [null] }), a.at(2).set(null)], null)

kase('mvreg', 'one writer', [a.set('x'), a.set('y')], ['y'])
kase('mvreg', 'concurrent values are both there', [a.set('red'), b.set('blue')], ['blue', 'red'])
kase('mvreg', 'a write replaces those that it has seen', [a.set(1), b.set(2), c.set(3), a.sees('b'), a.set(4)], [3, 4])
kase('mvreg', 'the same value twice is shown once', [a.set('same'), b.set('same'), c.set('other')], ['other', 'same'])

// ---- lists ----

kase('list', 'inserted, set, deleted, moved', [a.insert(0, 'b'), a.insert(0, 'a'), a.insert(2, 'd'), a.insert(2, 'c'), a.set(0, 'A'), a.delete(1), a.move(2, 0)], ['d', 'A', 'c'])
kase('list', 'concurrent inserts are not mixed', [a.insert(0, 'a1'), a.insert(1, 'a2'), b.insert(0, 'b1'), b.insert(1, 'b2')], oneOf(['a1', 'a2', 'b1', 'b2'], ['b1', 'b2', 'a1', 'a2']))
kase('list', 'concurrent inserts from right to left are not mixed', [a.insert(0, 'a2'), a.insert(0, 'a1'), b.insert(0, 'b2'), b.insert(0, 'b1')], oneOf(['a1', 'a2', 'b1', 'b2'], ['b1', 'b2', 'a1', 'a2']))
kase('list', 'concurrent moves of one element leave it once', [a.insert(0, 1), a.insert(1, 2), a.insert(2, 3), b.sees('a'), a.move(0, 1), b.move(0, 2)], oneOf([2, 1, 3], [2, 3, 1]))
kase('list', 'moving and setting at the same time do both', [a.insert(0, 'x'), a.insert(1, 'y'), b.sees('a'), a.move(0, 1), b.set(0, 'X')], ['y', 'X'])
kase('list', 'setting wins over deleting', [a.insert(0, 'x'), b.sees('a'), a.delete(0), b.set(0, 'X')], ['X'])
kase('list', 'moving wins over deleting', [a.insert(0, 'x'), a.insert(1, 'y'), b.sees('a'), a.delete(0), b.move(0, 1)], ['y', 'x'])
kase('list', 'past the end', [fails('RANGE', a.insert(1, 'x')), fails('RANGE', a.delete(0)), a.insert(0, 'x'), fails('RANGE', a.set(1, 'y')), fails('RANGE', a.move(0, 1)), fails('RANGE', a.delete(1))], ['x'])

// ---- text ----

kase('text', 'typed and deleted', [a.insert(0, 'Hello world'), a.delete(0, 1), a.insert(0, 'J'), a.delete(5, 6)], 'Jello')
kase('text', 'edits at different places all come through', [a.insert(0, 'one three'), b.sees('a'), a.insert(3, ' two'), b.insert(9, ' four'), b.delete(0, 1), b.insert(0, 'O')], 'One two three four')
kase('text', 'what was typed at one place stays together', [a.insert(0, 'abc'), b.insert(0, 'xyz')], oneOf('abcxyz', 'xyzabc'))
kase('text', 'what is inserted into a stretch that another deletes stays', [a.insert(0, 'abcdef'), b.sees('a'), a.delete(0, 6), b.insert(3, 'X')], 'X')
kase('text', 'indexes are of code points', [a.insert(0, 'a😀é'), a.insert(2, '-'), a.delete(1, 1), b.sees('a'), b.insert(3, '😀')], 'a-é😀')
kase('text', 'past the end', [fails('RANGE', a.insert(1, 'x')), a.insert(0, 'ab'), fails('RANGE', a.delete(1, 2)), fails('UTF8', { ...a.insert(0, ''), args: '[0,"\\ud800"]' })], 'ab')

// ---- maps ----

kase('ormap', 'a key is there by what is below it', [a.in('gcounter', 'hits').increment(2), b.in('orset', 'tags').add('new'), b.in('lww', 'title').at(5).set('T')], { hits: 2, tags: ['new'], title: 'T' })
kase('ormap', 'removing takes what was seen, and no more', [a.in('gcounter', 'hits').increment(10), b.sees('a'), a.remove('hits'), b.in('gcounter', 'hits').increment(5)], { hits: 5 })
kase('ormap', 'maps in maps', [a.in('ormap', 'x').in('ormap', 'y').in('pncounter', 'n').decrement(2), b.in('ormap', 'x').in('mvreg', 'm').set(1), a.in('ormap', 'x').in('list', 'l').insert(0, 'i')], { x: { y: { n: -2 }, m: [1], l: ['i'] } })
kase('ormap', 'removing within', [a.in('ormap', 'x').in('text', 't').insert(0, 'gone'), a.in('ormap', 'x').in('ewflag', 'f').enable(), b.sees('a'), b.in('ormap', 'x').remove('t')], { x: { f: true } })
kase('ormap', 'a map whose last key is removed is gone', [a.in('ormap', 'x').in('rwset', 's').add(1), a.in('ormap', 'x').remove('s'), b.in('dwflag', '').enable()], { '': true })
kase('ormap', 'two types under one key are both there', [a.in('lww', 'k').at(1).set('text'), b.in('gcounter', 'k').increment(3)], { k: 3 })
kase('ormap', 'the other type is back when the first is removed apart', [a.in('gcounter', 'k').increment(3), b.in('lww', 'k').at(1).set('text'), a.remove('k')], { k: 'text' })
kase('ormap', 'counters in turn keep few runs', Array.from({ length: 6 }, (_, i) => a.in('gcounter', i % 2 ? 'likes' : 'views').increment(i + 1)), { likes: 12, views: 9 })
kase('ormap', 'a bounded counter below a key', [a.in('bcounter', 'seats').increment(3), a.in('bcounter', 'seats').transfer('b', 1), b.sees('a'), b.in('bcounter', 'seats').decrement(1), fails('RIGHTS', b.in('bcounter', 'seats').decrement(1))], { seats: { rights: { a: 2 }, value: 2 } })
kase('ormap', 'an object of another type is not found below it', [fails('TYPE', a.in('gcounter', 'k').in('lww', 'x').set(1)), a.in('gset', 'k').add(1)], { k: [1] })
kase('ormap', 'keys that share their beginning and are not ASCII', [a.in('gset', 'ключ').add(1), b.in('gset', 'ключи').add(2), a.in('gset', '😀').add(3), a.in('gset', '').add(4)], { 'ключ': [1], 'ключи': [2], '😀': [3], '': [4] })

// ---- running them ----

const wasm = process.env.LK_WASM ?? join(root, 'build/laniakea.wasm')
const catalogue = openCatalogue(new WebAssembly.Module(readFileSync(wasm)), root)

const rendered = cases.map(({ type, name, steps, value }) => {
  const allowed = (value?.oneOf ?? [value]).map(textOf)
  const { replicas, fresh } = catalogue.run({ type, name, steps })
  const [first, ...others] = [...replicas.map((replica) => catalogue.seen(replica)), catalogue.seen(fresh)]
  for (const other of others) assert.deepEqual(other, first, name)
  assert.ok(allowed.includes(first.value), `${type}, ${name}: ${first.value} and not ${allowed.join(' or ')}`)
  return { type, name, steps, ...first }
})

// ASCII alone: what an editor shows of other characters says little.
const inAscii = (text) => text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
const lines = rendered.map(({ steps, ...rest }) => {
  const { type, name, ...seen } = rest
  const head = JSON.stringify({ type, name }).slice(0, -1)
  return `    ${head}, "steps": [\n${steps.map((step) => `      ${JSON.stringify(step)}`).join(',\n')}],\n     ${JSON.stringify(seen).slice(1)}`
})
const text = inAscii(`{\n  "cases": [\n${lines.join(',\n')}\n  ]\n}\n`)

if (process.argv.includes('--check')) {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is stale: run node tools/gen_vectors_crdt.mjs`)
    process.exit(1)
  }
} else {
  writeFileSync(file, text)
  console.log(`${rendered.length} cases, ${text.length} bytes`)
}
