// Goal: what compiled code needs, defines and keeps is seen in the objects, not guessed from text.
// Method: compile tiny floors into static libraries as the gate build does, and run the gate.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { must, run, tool, tree, write } from './fixture.mjs'

const clean = {
  'tools/floors.txt': 'base:\ncodec: base\nlog: base codec\nserver: base codec log platform\nplatform: base\nwasm: base\nsim: base\n',
  'src/base/a.c': `void *memcpy(void *restrict to, const void *restrict from, unsigned long len);
_Noreturn void lk_panic(const char *what);
typedef struct row { const char *name; int (*run)(int); } row;
static int twice(int n) { return 2 * n; }
const row lk_rows[] = { { "twice", twice } };
int lk_copy(char *to, const char *from, unsigned long len) {
  if (len > 9) lk_panic("len");
  memcpy(to, from, len);
  return lk_rows[0].run(1);
}
`,
  'src/codec/b.c': 'int lk_copy(char *to, const char *from, unsigned long len);\nint lk_decode(char *to) { return lk_copy(to, to, 1); }\n',
  'platform/posix/c.c': '#include <stdlib.h>\nint lk_decode(char *to);\n_Noreturn void lk_panic(const char *what) { (void)what; abort(); }\n',
}

/** Compiles every floor of the tree into build/gate, as CMake names things. */
function build(root) {
  const folders = ['src', 'platform'].flatMap((top) => (existsSync(join(root, top)) ? readdirSync(join(root, top)).map((name) => `${top}/${name}`) : []))
  mkdirSync(join(root, 'build/gate'), { recursive: true })
  for (const folder of folders) {
    const name = folder.replace('src/', '').replace('/', '_')
    const members = readdirSync(join(root, folder)).filter((file) => file.endsWith('.c')).map((file) => {
      const object = `build/gate/${file}.o`
      must('gcc', ['-O2', '-fPIC', '-fno-stack-protector', '-w', '-c', `${folder}/${file}`, '-o', object], { cwd: root })
      return object
    })
    must('ar', ['rcs', `build/gate/liblk_${name}.a`, ...members], { cwd: root })
  }
  return root
}

test('clean libraries pass: tables with addresses are constants', (t) => {
  const { status, lines } = tool('check_symbols', build(tree(t, clean)))
  assert.deepEqual(lines, ['symbols: 3 objects of 3 libraries, no wasm objects here: names, needs and data are in order'])
  assert.equal(status, 0)
})

const violations = [
  ['an allocator in the core', { 'src/codec/b.c': 'void *malloc(unsigned long);\n\nvoid *lk_make(void) {\n  return malloc(1);\n}\n' }, /^src\/codec\/b\.c:1: the core needs malloc/],
  ['a helper of the compiler', { 'src/codec/b.c': 'int lk_bits(unsigned long n) { return __builtin_popcountl(n); }\n' }, /^src\/codec\/b\.c:1: the core needs __popcountdi2/],
  ['a global that changes', { 'src/codec/b.c': '\nint lk_count = 3;\n' }, /^src\/codec\/b\.c:2: lk_count can change \(\.data\)/],
  ['a static that changes', { 'src/codec/b.c': '\n\nstatic int calls;\nint lk_call(void) { return ++calls; }\n' }, /^src\/codec\/b\.c:3: calls can change \(\.bss\)/],
  ['a static inside a function', { 'src/codec/b.c': 'int lk_call(void) {\n  static int times;\n  return ++times;\n}\n' }, /^src\/codec\/b\.c:2: times\.0 can change \(\.bss\)/],
  ['a variable of the thread', { 'src/codec/b.c': '_Thread_local int lk_last;\n' }, /^src\/codec\/b\.c:1: lk_last can change \(\.tbss\)/],
  ['a global without the prefix', { 'src/codec/b.c': '\nint decode(void) { return 1; }\n' }, /^src\/codec\/b\.c:2: decode is global and not named lk_/],
  ['an upper floor, by a prototype of one\'s own', { 'src/base/up.c': '\nint lk_decode(char *to);\nint lk_up(char *to) { return lk_decode(to); }\n' }, /^src\/base\/up\.c:2: base uses lk_decode of codec, which it may not see/],
  ['an unseen floor, from the platform', { 'platform/posix/d.c': 'int lk_decode(char *to);\nint lk_d(char *to) { return lk_decode(to); }\n' }, /^platform\/posix\/d\.c:1: platform uses lk_decode of codec/],
  ['a function of the platform in the core', { 'platform/posix/d.c': 'int lk_clock(void) { return 1; }\n', 'src/codec/b.c': 'int lk_clock(void);\nint lk_b(void) { return lk_clock(); }\n' }, /^src\/codec\/b\.c:1: codec uses lk_clock of platform/],
  ['a library of no floor', { 'src/extra/e.c': 'int lk_e(void) { return 1; }\n' }, /^src\/extra\/e\.c:1: its library is of no floor/],
]

for (const [name, change, expected] of violations) {
  test(`${name} is refused`, (t) => {
    const { status, lines } = tool('check_symbols', build(tree(t, { ...clean, ...change })))
    assert.match(lines.join('\n'), expected)
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.equal(status, 1)
  })
}

test('common symbols are variables too', (t) => {
  const root = build(tree(t, clean))
  write(root, { 'src/codec/b.c': 'int lk_common;\n' })
  must('gcc', ['-fcommon', '-c', 'src/codec/b.c', '-o', 'build/gate/b.c.o'], { cwd: root })
  must('ar', ['rcs', 'build/gate/liblk_codec.a', 'build/gate/b.c.o'], { cwd: root })
  assert.match(tool('check_symbols', root).stdout, /^src\/codec\/b\.c:1: lk_common can change \(\*COM\*\)/)
})

test('a build that is not of this tree is refused', (t) => {
  const root = build(tree(t, clean))
  write(root, { 'src/codec/later.c': 'int lk_later(void) { return 1; }\n' })
  utimesSync(join(root, 'src/codec/later.c'), 1, 1)
  utimesSync(join(root, 'src/base/a.c'), 4e9, 4e9)
  const { status, lines } = tool('check_symbols', root)
  assert.match(lines[0], /^src\/base\/a\.c:1: newer than build\/gate\/liblk_base\.a; rebuild/)
  assert.match(lines[1], /^src\/codec\/later\.c:1: not in build\/gate\/liblk_codec\.a; rebuild/)
  assert.equal(status, 1)
})

test('a source of modules alone is missed by no native build, and one that is more than that is', (t) => {
  const root = build(tree(t, clean))
  const ofModules = '/* essay */\n#include "x.h"\n\n#ifdef LK_SMALL\nint lk_s(void) { return 1; }\n#ifdef A\n#endif\n#endif\n'
  write(root, { 'src/codec/small.c': ofModules, 'src/codec/both.c': `${ofModules}int lk_b(void) { return 1; }\n#ifdef B\n#endif\n` })
  utimesSync(join(root, 'src/codec/small.c'), 1, 1)
  utimesSync(join(root, 'src/codec/both.c'), 1, 1)
  const { status, lines } = tool('check_symbols', root)
  assert.match(lines[0], /^src\/codec\/both\.c:1: not in build/)
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.equal(status, 1)
})

test('no build is a failure that says what to run', (t) => {
  const { status, stdout } = tool('check_symbols', tree(t, clean))
  assert.match(stdout, /^build\/gate:1: has no liblk_\*\.a; run `cmake --preset gate && ninja -C build\/gate`/m)
  assert.match(stdout, /^build\/gate\/liblk_codec\.a:1: is not built/m)
  assert.equal(status, 1)
})

let clang = true
try {
  run('clang-22', ['--version'])
} catch {
  clang = false
}

for (const more of [[], ['-flto']]) test(`wasm objects obey the same rules ${more}`, { skip: clang ? false : 'clang-22 is not installed' }, (t) => {
  const root = build(tree(t, clean))
  const objects = 'build/wasm/CMakeFiles/core.dir/src/codec'
  mkdirSync(join(root, objects), { recursive: true })
  const compile = (text) => {
    write(root, { 'src/codec/w.c': text })
    must('clang-22', ['--target=wasm32-unknown-unknown', '-O2', '-ffreestanding', '-nostdlib', ...more, '-c', 'src/codec/w.c', '-o', `${objects}/w.c.o`], { cwd: root })
    build(root)
    return tool('check_symbols', root)
  }
  const names = 'static int one(void) { return 1; }\nint (*const lk_table[])(void) = { one };\nint lk_w(int n) { return lk_table[n](); }\n'
  assert.match(compile(names).stdout, /^symbols: .* 1 wasm objects: /)
  // Natively this is one instruction or a shift; on wasm32 it is a call that nobody answers.
  const wide = compile('unsigned long long lk_w(unsigned long long a, unsigned long long b) {\n  return (unsigned long long)((unsigned __int128)a * b >> 64);\n}\n')
  assert.match(wide.stdout, /^src\/codec\/w\.c:1: the core needs __multi3, .* \(wasm32\)$/m)
  const state = compile('static int hidden = 3;\nint lk_w(int n) { return hidden += n; }\n')
  assert.match(state.stdout, /^src\/codec\/w\.c:1: hidden can change \(\.data\).* \(wasm32\)$/m)
})
