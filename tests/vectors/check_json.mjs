// tests/vectors/check_json.mjs -- the vectors of json.json against JavaScript's own JSON.
//
//   node --test tests/vectors/check_json.mjs
//
// Goal: what our reader and writer do is what every browser does, except where we decided otherwise.
// Those decisions are the keys of |decisions|; a vector that uses one names it in |differs|.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const decisions = {
  'big-integer': 'integers of up to 64 bits stay exact; JavaScript rounds them to doubles',
  infinity: 'a number that no double can hold is LK_ERR_RANGE; JavaScript reads an infinity',
  'lone-surrogate': 'half of a surrogate pair has no UTF-8 and is refused; JavaScript keeps it',
  depth: 'nesting is bounded by a limit; JavaScript takes what its stack bears',
  'duplicate-key': 'all members are handed out in their order; JavaScript keeps the last of a name',
  'key-order': 'members keep their order; JavaScript puts names that are indices first',
}

const { cases } = JSON.parse(readFileSync(new URL('json.json', import.meta.url), 'utf8'))

function inputOf({ hex, repeat = 1, then = '' }) {
  return Buffer.concat([Buffer.from(hex.repeat(repeat), 'hex'), Buffer.from(then, 'hex')])
}

/** What JavaScript makes of the bytes, or null where it refuses them. */
function javascript(bytes) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return JSON.stringify(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}

test('there are enough vectors and each has a name of its own', () => {
  assert.ok(cases.length >= 250)
  assert.equal(new Set(cases.map((c) => c.name)).size, cases.length)
})

test('each vector says what to expect, and each difference is a decision', () => {
  for (const c of cases) {
    assert.match(c.expect, /^(ok|LK_ERR_[A-Z0-9]+)$/, c.name)
    assert.equal('canonical' in c, c.expect === 'ok', c.name)
    assert.equal('js' in c, 'differs' in c, c.name)
    if ('differs' in c) assert.ok(Object.hasOwn(decisions, c.differs), c.name)
  }
})

test('each decision is used, and each difference is one', () => {
  for (const name of Object.keys(decisions)) assert.ok(cases.some((c) => c.differs === name), name)
  for (const c of cases) if ('js' in c) assert.notEqual(c.js, c.canonical, c.name)
})

test('JavaScript agrees with every vector', () => {
  for (const c of cases) assert.equal(javascript(inputOf(c)), c.js ?? c.canonical ?? null, c.name)
})

test('what a writer makes of a good text is read as the same value', () => {
  const unsigned = (_, value) => (value === 0 ? 0 : value) // -0 is written as 0, here and there
  for (const c of cases) {
    if (c.expect !== 'ok') continue
    assert.deepEqual(JSON.parse(c.canonical), JSON.parse(inputOf(c).toString('utf8'), unsigned), c.name)
  }
})
