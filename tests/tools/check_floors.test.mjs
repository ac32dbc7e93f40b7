// Goal: each rule about includes is enforced, with file and line, and nothing allowed is refused.
// Method: one clean tree; then the same tree with one thing wrong.
import assert from 'node:assert/strict'
import test from 'node:test'
import { tool, tree } from './fixture.mjs'

const clean = {
  'tools/floors.txt': 'base:\ncodec: base\nlog: base codec\nserver: base codec log platform\nplatform: base\nwasm: base platform\nsim: base codec log platform\n',
  'include/laniakea/types.h': '#include <stdint.h>\n#include "laniakea/errors.h"\n',
  'src/base/mem.h': '#include <stddef.h>\nvoid *memcpy(void *restrict to, const void *restrict from, size_t len);\nint memcmp(const void *a, const void *b, size_t len);\n',
  'src/codec/json.c': '/*\n#include <stdio.h>\n*/ // is not done here\n#include "base/mem.h"\n#include "codec/powers.def"\nstatic int f(void) { return memcmp("", "", 0); }\n',
  'src/log/segment.c': '#include "laniakea/types.h"\n#include "codec/json.h"\n',
  'src/server/main.c': '#include <stdio.h>\n#include <sys/epoll.h>\n#include "log/segment.h"\n#include "platform/posix/heap.h"\n',
  'platform/posix/heap.c': '#include <stdlib.h>\n#include "platform/posix/heap.h"\n#include "base/mem.h"\n',
  'platform/wasm/mem.c': '#include "base/mem.h"\nvoid *memcpy(void *restrict to, const void *restrict from, size_t len) {\n  return to;\n}\n',
  'sim/world.c': '#include "sim/world.h"\n#include "log/segment.h"\n',
}

test('a clean tree passes with one line', (t) => {
  const { status, lines } = tool('check_floors', tree(t, clean))
  assert.deepEqual(lines, ['floors: 8 files follow 7 floors'])
  assert.equal(status, 0)
})

const violations = [
  ['an include from an upper floor', { 'src/codec/json.c': '\n#include "log/segment.h"\n' }, /^src\/codec\/json\.c:2: codec may not include from log/],
  ['the platform in the core', { 'src/log/segment.c': '#include "platform/posix/heap.h"\n' }, /^src\/log\/segment\.c:1: log may not include from platform/],
  ['a header of the C library in the core', { 'src/base/a.c': '#include <stdint.h>\n\n# include <string.h>\n' }, /^src\/base\/a\.c:3: <string\.h> is not a freestanding header/],
  ['a header of the C library in a public header', { 'include/laniakea/types.h': '#include <stdio.h>\n' }, /^include\/laniakea\/types\.h:1: <stdio\.h> is not/],
  ['an internal header in a public one', { 'include/laniakea/types.h': '#include "base/mem.h"\n' }, /^include\/laniakea\/types\.h:1: a public header includes "base\/mem\.h"/],
  ['a path upwards', { 'sim/world.c': '#include "../src/log/segment.h"\n' }, /^sim\/world\.c:1: .* climbs out/],
  ['a neighbour without its floor', { 'src/log/segment.c': '#include "segment.h"\n' }, /^src\/log\/segment\.c:1: "segment\.h" begins with no floor's name/],
  ['our header in angle brackets', { 'src/server/main.c': '#include <laniakea/types.h>\n' }, /^src\/server\/main\.c:1: .* write "laniakea\/types\.h"/],
  ['an include by macro', { 'src/log/segment.c': '#define H "a.h"\n#include H\n' }, /^src\/log\/segment\.c:2: an include by macro/],
  ['a second declaration of memcpy', { 'src/log/segment.c': '\nvoid *memcpy(void *to,\n             const void *from, unsigned long len);\n' }, /^src\/log\/segment\.c:2: memcpy is declared again/],
  ['a definition of memset in the core', { 'src/log/segment.c': 'void *memset(void *to, int byte, unsigned long len) {\n  return to;\n}\n' }, /^src\/log\/segment\.c:1: memset is defined here/],
  ['a floor that sees one above it', { 'tools/floors.txt': clean['tools/floors.txt'].replace('codec: base', 'codec: base log') }, /^tools\/floors\.txt:2: codec sees log, which is not below it/],
  ['a core floor that sees the platform', { 'tools/floors.txt': clean['tools/floors.txt'].replace('codec: base', 'codec: base platform') }, /^tools\/floors\.txt:2: codec sees platform, which is not below it/],
  ['a cycle through the platform', { 'tools/floors.txt': clean['tools/floors.txt'].replace('platform: base', 'platform: base server') }, /^tools\/floors\.txt:4: a cycle: server -> platform -> server/m],
  ['a floor without a line', { 'src/extra/a.c': '' }, /^tools\/floors\.txt:1: src\/extra has no line/],
  ['a floor with two lines', { 'tools/floors.txt': `${clean['tools/floors.txt']}base:\n` }, /^tools\/floors\.txt:8: base stands twice/],
  ['a word that is no floor', { 'tools/floors.txt': clean['tools/floors.txt'].replace('codec: base', 'codec: base misc') }, /^tools\/floors\.txt:2: codec sees misc, which has no line/],
]

for (const [name, change, expected] of violations) {
  test(`${name} is refused`, (t) => {
    const { status, stdout } = tool('check_floors', tree(t, { ...clean, ...change }))
    assert.match(stdout, expected)
    assert.equal(status, 1)
  })
}
