// Goal: a number in a table has one name, in this tree and through time.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { git, tool, tree, write } from './fixture.mjs'

const errors = '/* ERROR(name, number, text) */\nERROR(NOMEM,   1, "out, of (memory)")\nERROR(INVALID, 2, "an argument"\n               " is wrong")\nTRACE(opened,  1, "another macro counts by itself")\n'
const clean = {
  'src/base/errors.def': errors,
  'src/base/limits.def': 'LIMIT(a, 64u, 512u, "same value")\nLIMIT(b, 64u, (1u << 20), "same value")\n',
}

test('unique numbers pass, and without git the history is skipped', (t) => {
  const { status, lines } = tool('check_defs', tree(t, clean))
  assert.deepEqual(lines, ['defs: 3 numbers in 2 tables are unique (history not compared: not a git tree)'])
  assert.equal(status, 0)
})

test('a number given twice is refused', (t) => {
  const { status, lines } = tool('check_defs', tree(t, { 'src/a.def': `${errors}ERROR(LATE, 0x2, "again")\n` }))
  assert.deepEqual(lines, ["src/a.def:6: ERROR's number 2 stands on line 3 already; give this one its own"])
  assert.equal(status, 1)
})

test('a name given twice is refused', (t) => {
  const { status, lines } = tool('check_defs', tree(t, { 'wasm/a.def': `${errors}ERROR(NOMEM, 3, "again")\n` }))
  assert.deepEqual(lines, ["wasm/a.def:6: ERROR's name NOMEM stands on line 2 already; give this one its own"])
  assert.equal(status, 1)
})

/** A repository whose last tag holds `clean`, one commit behind HEAD. */
function repository(t) {
  const root = tree(t, clean)
  git(root, 'init', '-q', '-b', 'main')
  git(root, 'add', '.')
  git(root, 'commit', '-q', '-m', 'first')
  git(root, 'tag', 'v0.1.0')
  write(root, { 'README.md': 'more\n' })
  git(root, 'add', '.')
  git(root, 'commit', '-q', '-m', 'second')
  return root
}

test('growth since the last tag passes', (t) => {
  const root = repository(t)
  write(root, { 'src/base/errors.def': `${errors}ERROR(LATE, 3, "new")\n` })
  assert.deepEqual(tool('check_defs', root).lines, ['defs: 4 numbers in 2 tables are unique and all those of v0.1.0 are kept'])
})

const changes = [
  ['a number that changed its name', errors.replace('INVALID', 'WRONG'), /^src\/base\/errors\.def:3: 2 is WRONG here and was INVALID in v0\.1\.0/],
  ['a name that changed its number', errors.replace('INVALID, 2', 'INVALID, 7'), /^src\/base\/errors\.def:3: INVALID is 7 here and was 2 in v0\.1\.0/],
  ['a line that went away', errors.replace(/TRACE.*\n/, ''), /^src\/base\/errors\.def:1: TRACE\(opened, 1\) of v0\.1\.0 went away/],
]

for (const [name, text, expected] of changes) {
  test(`${name} since the tag is refused`, (t) => {
    const root = repository(t)
    write(root, { 'src/base/errors.def': text })
    const { status, lines } = tool('check_defs', root)
    assert.match(lines[0], expected)
    assert.equal(lines.length, 1)
    assert.equal(status, 1)
  })
}

test('a table that went away is refused, also without a tag', (t) => {
  const root = repository(t)
  git(root, 'tag', '-d', 'v0.1.0')
  rmSync(join(root, 'src/base/errors.def'))
  const { status, lines } = tool('check_defs', root)
  assert.match(lines[0], /^src\/base\/errors\.def:1: ERROR\(NOMEM, 1\) of HEAD~ went away/)
  assert.equal(lines.length, 3)
  assert.equal(status, 1)
})

test('a first commit has nothing to compare with', (t) => {
  const root = tree(t, clean)
  git(root, 'init', '-q', '-b', 'main')
  assert.match(tool('check_defs', root).stdout, /history not compared: no tag and no earlier commit/)
})
