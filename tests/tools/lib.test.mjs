// Goal: what every gate relies on: text without comments keeps its lines, tables are read as C does.
import assert from 'node:assert/strict'
import test from 'node:test'
import { blankC, defEntries, lineAt, walk } from '../../tools/lib.mjs'
import { tree } from './fixture.mjs'

test('comments become blanks of the same shape, and strings hide their slashes', () => {
  const text = 'a /* b\n c */ d "/* e */" f // g\nh \'"\' i "\\"//" j'
  assert.equal(blankC(text), 'a     \n      d "/* e */" f     \nh \'"\' i "\\"//" j')
  assert.equal(blankC(text, { strings: true }), 'a     \n      d "       " f     \nh \' \' i "    " j')
  assert.equal(blankC('a /* never closed\n b').replace(/ /g, ''), 'a\n')
})

test('lines are counted from 1', () => {
  assert.deepEqual([0, 1, 2, 3].map((at) => lineAt('a\nb\n', at)), [1, 1, 2, 2])
})

test('a table is read with its strings, brackets, comments and line breaks', () => {
  const text = '/* ROW(no, 0) */\nROW(one, 1, "a, (b)" " \\"c\\"")\n\nROW(two, (1u << (2 + 1)),\n    "x", /* why */ y)\n  ROW(indented, 3)\n'
  const [one, two, ...rest] = defEntries(text)
  assert.deepEqual(rest, [])
  assert.deepEqual([one.macro, one.line, one.args[0], one.texts[2]], ['ROW', 2, 'one', 'a, (b) "c"'])
  assert.deepEqual([two.line, two.args[1], two.texts[2], two.args[3]], [4, '(1u << (2 + 1))', 'x', 'y'])
})

test('the build and packages are not part of the tree', (t) => {
  const root = tree(t, { 'a.c': '', 'build/b.c': '', 'js/node_modules/x/c.c': '', 'src/build/d.c': '' })
  assert.deepEqual(walk(root, '.', (path) => path.endsWith('.c')), ['a.c', 'src/build/d.c'])
  assert.deepEqual(walk(root, 'build'), ['build/b.c'])
  assert.deepEqual(walk(root, 'missing'), [])
})
