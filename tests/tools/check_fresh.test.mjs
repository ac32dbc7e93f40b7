// Goal: every generator is asked, none can write while it is asked, and its answer is passed on.
import assert from 'node:assert/strict'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { source, tool, tree, write } from './fixture.mjs'

const answers = (text, status) => `if (process.argv.includes('--check')) {\n  ${text && `console.log(${JSON.stringify(text)})`}\n  process.exit(${status})\n}\n`

test('generators with nothing to change pass; those of vectors are not asked', (t) => {
  const { status, lines } = tool('check_fresh', tree(t, { 'tools/gen_a.mjs': answers('', 0), 'tools/gen_vectors_b.mjs': answers('no', 1) }))
  assert.deepEqual(lines, ['fresh: 1 generators have nothing to change'])
  assert.equal(status, 0)
})

test('a stale file is named', (t) => {
  const { status, lines } = tool('check_fresh', tree(t, { 'tools/gen_a.mjs': answers('src/a.gen.h is stale: run `make generate`', 1) }))
  assert.match(lines[0], /^src\/a\.gen\.h:1: is stale: run `make generate` \(tools\/gen_a\.mjs\)$/)
  assert.equal(status, 1)
})

test('a generator that does not know --check is not run', (t) => {
  const root = tree(t, { 'tools/gen_a.mjs': "// writes even with '--check'\nimport { writeFileSync } from 'node:fs'\nwriteFileSync('written', '')\n" })
  const { status, lines } = tool('check_fresh', root)
  assert.match(lines[0], /^tools\/gen_a\.mjs:1: does not know --check/)
  assert.equal(existsSync(join(root, 'written')), false)
  assert.equal(status, 1)
})

test('a generator that breaks is a failure', (t) => {
  const { status, lines } = tool('check_fresh', tree(t, { 'tools/gen_a.mjs': "process.argv.includes('--check')\nthrow new Error('the table is torn')\n" }))
  assert.match(lines[0], /^tools\/gen_a\.mjs:2: failed: Error: the table is torn/)
  assert.equal(status, 1)
})

test('an edit by hand of a generated header is found', (t) => {
  const root = tree(t, {})
  for (const path of ['tools/gen_tables.mjs', 'tools/lib.mjs', 'tools/settings.mjs', 'src']) cpSync(join(source, path), join(root, path), { recursive: true })
  const generate = tool('check_fresh', root)
  assert.match(generate.stdout, /^include\/laniakea\/errors\.h:1: is stale/m)
  write(root, { 'include/laniakea/errors.h': '/* edited */\n' })
  assert.match(tool('check_fresh', root).stdout, /^include\/laniakea\/errors\.h:1: is stale/m)
})
