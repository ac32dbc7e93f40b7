// Goal: the figures are of the code, not of what only looks like it; and they never fail a build.
import assert from 'node:assert/strict'
import test from 'node:test'
import { tool, tree } from './fixture.mjs'

const long = `LK_MUST_USE static inline int lk_long(int n) {\n${'  n++;\n'.repeat(80)}  return n;\n}\n`

test('functions, comments, assertions and the module are counted', (t) => {
  const root = tree(t, {
    'src/base/a.c': `/* Two lines\n * of essay: int f(void) { */\n${long}static int one(void) { LK_ASSERT(1); return '{'; }\nconst int table[] = {\n  1,\n};\n`,
    'build/laniakea.wasm': 'x'.repeat(2048),
  })
  const { status, stdout } = tool('report_style', root)
  assert.equal(status, 0)
  assert.match(stdout, /^C +1 files, 87 lines of code, 2 of comment/m)
  assert.match(stdout, /^functions +2: .* 1 over 70$/m)
  assert.match(stdout, /^assertions +1: .* 0\.50 a function$/m)
  assert.match(stdout, /^wasm +2\.0 KiB raw, 0\.\d KiB gzip, 0\.\d KiB brotli$/m)
  assert.match(stdout, /^ +1 {2}one {2}src\/base\/a\.c:86$/m)
  assert.match(stdout, /^ +83 {2}lk_long {2}src\/base\/a\.c:3$/m)
})

test('an empty tree is reported, too', (t) => {
  assert.equal(tool('report_style', tree(t, {})).status, 0)
})
