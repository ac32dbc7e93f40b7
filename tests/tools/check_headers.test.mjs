// Goal: a header that needs its includer's includes is found, in each language that it must speak.
import assert from 'node:assert/strict'
import test from 'node:test'
import { tool, tree } from './fixture.mjs'

const guard = (name, text) => `#ifndef ${name}\n#define ${name}\n${text}#endif\n`
const clean = {
  'include/laniakea/types.h': guard('T', '#include <stddef.h>\ntypedef struct lk_slice { const char *ptr; size_t len; } lk_slice;\n'),
  'include/laniakea/engine.h': guard('E', '#include "laniakea/types.h"\nint lk_open(lk_slice name);\n'),
  'src/base/buf.h': guard('B', '#include "laniakea/types.h"\nstatic inline size_t lk_len(lk_slice s) { return s.len; }\n'),
  'src/server/loop.h': guard('L', '#include <sys/epoll.h>\n#include "base/buf.h"\nint lk_loop(struct epoll_event *event);\n'),
  'platform/posix/heap.h': guard('H', '#include "base/buf.h"\nstruct lk_heap { lk_slice all; };\n'),
}

test('headers that include what they use pass', (t) => {
  const { status, lines } = tool('check_headers', tree(t, clean))
  assert.deepEqual(lines, ['headers: 5 headers stand alone (11 compilations)'])
  assert.equal(status, 0)
})

const violations = [
  ['a public header that lacks an include', { 'include/laniakea/engine.h': guard('E', '\nint lk_open(lk_slice name);\n') }, /^include\/laniakea\/engine\.h:4: unknown type name .lk_slice. .*alone, as C11/m],
  ['a public header without a guard', { 'include/laniakea/types.h': '\nstruct lk_slice { int len; };\n' }, /^include\/laniakea\/types\.h:2: redefinition of .struct lk_slice.* \(include\/laniakea\/types\.h alone, as C11\)/m],
  ['a keyword of C++', { 'include/laniakea/engine.h': guard('E', 'int lk_open(int class);\n') }, /^include\/laniakea\/engine\.h:3: .* as C\+\+17/m],
  ['an internal header that lacks an include', { 'src/base/buf.h': guard('B', 'int lk_len(lk_slice s);\n') }, /^src\/base\/buf\.h:3: unknown type name .lk_slice/m],
  ['a header of the platform that lacks an include', { 'platform/posix/heap.h': guard('H', 'struct lk_heap { lk_slice all; };\n') }, /^platform\/posix\/heap\.h:3: unknown type name .lk_slice/m],
  ['two public headers that do not go together', { 'include/laniakea/other.h': guard('O', 'struct lk_slice { int x; };\n') }, /redefinition of .struct lk_slice.* with all others/m],
]

for (const [name, change, expected] of violations) {
  test(`${name} is refused`, (t) => {
    const { status, stdout } = tool('check_headers', tree(t, { ...clean, ...change }))
    assert.match(stdout, expected)
    assert.equal(status, 1)
  })
}

test('a tree without headers is not a success', (t) => {
  assert.equal(tool('check_headers', tree(t, { 'README.md': '' })).status, 1)
})
