// Goal: a name that appears, vanishes or changes its type is seen, in each of the three binaries.
// Method: link a tiny shared library and archive with gcc, and write wasm modules byte by byte.
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { gzipSync } from 'node:zlib'
import { must, tool, tree, write } from './fixture.mjs'

// ---- a wasm module by hand ----

const bytes = (text) => [text.length, ...Buffer.from(text)]
const section = (id, ...items) => {
  const body = [items.length, ...items.flat()]
  return [id, body.length, ...body]
}
const [I32, I64] = [0x7f, 0x7e]

/** Imports env.now () -> i64; exports memory and `lk_add` of the type that is given. */
function module(parameters = [I32, I32], results = [I32], name = 'lk_add') {
  return Buffer.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [0x60, 0, 1, I64], [0x60, parameters.length, ...parameters, results.length, ...results]),
    ...section(2, [...bytes('env'), ...bytes('now'), 0, 0], [...bytes('env'), ...bytes('memory'), 2, 1, 1, 16]),
    ...section(3, [1]),
    ...section(7, [...bytes('memory'), 2, 0], [...bytes(name), 0, 1]),
    ...section(10, [3, 0, 0x00, 0x0b]),
  ])
}

const api = '__attribute__((visibility("default"))) int lk_open(void) { return 1; }\n__attribute__((visibility("default"))) int lk_close(void) { return 2; }\nint lk_hidden(void);\nint lk_hidden(void) { return 3; }\n'
const lists = {
  'abi/symbols.txt': '# names\nlk_close\nlk_open\n',
  'abi/wasm-exports.txt': 'function lk_add (i32, i32) -> i32\nmemory memory\n',
  'abi/wasm-imports.txt': 'function env.now () -> i64\nmemory env.memory at least 1, at most 16\n',
}

/** As a release does: hidden names are local in the archive, too. */
function build(root, { text = api, flags = [], wasm = module() } = {}) {
  mkdirSync(join(root, 'build'), { recursive: true })
  write(root, { 'a.c': text, 'build/laniakea.wasm': wasm })
  const gcc = (...args) => must('gcc', ['-O1', '-fPIC', '-fvisibility=hidden', ...args], { cwd: root })
  gcc('-shared', '-nostdlib', 'a.c', '-o', 'build/liblaniakea.so')
  gcc(...flags, '-c', 'a.c', '-o', 'build/a.o')
  if (flags.length === 0) must('objcopy', ['--localize-hidden', 'build/a.o'], { cwd: root })
  must('gcc-ar', ['rcs', 'build/liblaniakea.a', 'build/a.o'], { cwd: root })
  return root
}

test('binaries that have what the lists say pass', (t) => {
  const { status, lines } = tool('check_abi', build(tree(t, lists)))
  assert.deepEqual(lines, ['abi: symbols, exports and imports are those of abi/'])
  assert.equal(status, 0)
})

test('a library beside the first has a list of its own', (t) => {
  const root = build(tree(t, { ...lists, 'abi/tls-symbols.txt': '# names\nlk_open\n' }))
  const missing = tool('check_abi', root)
  assert.match(missing.lines.join('\n'), /^build\/liblaniakea-tls\.so:1: is not built/m)
  for (const kind of ['so', 'a']) copyFileSync(join(root, `build/liblaniakea.${kind}`), join(root, `build/liblaniakea-tls.${kind}`))
  const { status, lines } = tool('check_abi', root)
  assert.match(lines.join('\n'), /^abi\/tls-symbols\.txt:0?.*build\/liblaniakea-tls\.so has `lk_close`/m)
  assert.match(lines.join('\n'), /^abi\/tls-symbols\.txt:0?.*build\/liblaniakea-tls\.a has `lk_close`/m)
  assert.equal(lines.filter((line) => line.startsWith('abi/')).length, 2)
  assert.equal(status, 1)
})

test('a vanished symbol is named at its line, in both libraries', (t) => {
  const { status, lines } = tool('check_abi', build(tree(t, lists), { text: api.replace('lk_close', 'lk_shut') }))
  assert.match(lines.join('\n'), /^abi\/symbols\.txt:2: build\/liblaniakea\.so no longer has `lk_close`/m)
  assert.match(lines.join('\n'), /^abi\/symbols\.txt:2: build\/liblaniakea\.a no longer has `lk_close`/m)
  assert.match(lines.join('\n'), /^abi\/symbols\.txt:1: build\/liblaniakea\.so has `lk_shut`, which is not in the list/m)
  assert.equal(status, 1)
})

test('an archive that shows hidden names is refused', (t) => {
  const root = build(tree(t, lists))
  must('gcc', ['-fPIC', '-fvisibility=hidden', '-c', 'a.c', '-o', 'build/a.o'], { cwd: root })
  must('ar', ['rcs', 'build/liblaniakea.a', 'build/a.o'], { cwd: root })
  const { status, lines } = tool('check_abi', root)
  assert.match(lines.join('\n'), /^abi\/symbols\.txt:1: build\/liblaniakea\.a has `lk_hidden`/)
  assert.equal(status, 1)
})

test('bytecode in the archive is refused', (t) => {
  const { status, stdout } = tool('check_abi', build(tree(t, lists), { flags: ['-flto', '-ffat-lto-objects'] }))
  assert.match(stdout, /^build\/liblaniakea\.a:1: holds objects for link-time optimisation/m)
  assert.equal(status, 1)
})

test('an export whose type changed is both gone and new', (t) => {
  const { status, stdout } = tool('check_abi', build(tree(t, lists), { wasm: module([I32, I64]) }))
  assert.match(stdout, /^abi\/wasm-exports\.txt:1: .* no longer has `function lk_add \(i32, i32\) -> i32`/m)
  assert.match(stdout, /^abi\/wasm-exports\.txt:1: .* has `function lk_add \(i32, i64\) -> i32`, which is not in the list/m)
  assert.equal(status, 1)
})

test('an import that is not in the list is refused', (t) => {
  const { status, stdout } = tool('check_abi', build(tree(t, { ...lists, 'abi/wasm-imports.txt': 'memory env.memory at least 1, at most 16\n' })))
  assert.match(stdout, /^abi\/wasm-imports\.txt:1: .* has `function env\.now \(\) -> i64`/m)
  assert.equal(status, 1)
})

test('a module of its own may want nothing, and exports what its list says', (t) => {
  const root = build(tree(t, { ...lists, 'abi/wasm-doc-exports.txt': 'function lk_add (i32, i32) -> i32\nmemory memory\n' }))
  assert.match(tool('check_abi', root).stdout, /^build\/laniakea-doc\.wasm:1: is not built/m)
  write(root, { 'build/laniakea-doc.wasm': module([I32, I64]) })
  const { status, stdout } = tool('check_abi', root)
  assert.match(stdout, /^abi\/wasm-doc-exports\.txt:1: build\/laniakea-doc\.wasm no longer has `function lk_add \(i32, i32\) -> i32`/m)
  assert.match(stdout, /^build\/laniakea-doc\.wasm:1: wants `function env\.now \(\) -> i64` from its host/m)
  assert.equal(status, 1)
})

test('a module of its own with a list of imports wants what that says', (t) => {
  const root = build(tree(t, { ...lists, 'abi/wasm-doc-exports.txt': 'function lk_add (i32, i64) -> i32\nmemory memory\n', 'abi/wasm-doc-imports.txt': 'function env.then () -> i64\n' }))
  write(root, { 'build/laniakea-doc.wasm': module([I32, I64]) })
  const { status, stdout } = tool('check_abi', root)
  assert.match(stdout, /^abi\/wasm-doc-imports\.txt:1: build\/laniakea-doc\.wasm no longer has `function env\.then \(\) -> i64`/m)
  assert.match(stdout, /^abi\/wasm-doc-imports\.txt:1: .* has `function env\.now \(\) -> i64`, which is not in the list/m)
  assert.equal(status, 1)
})

test('a module that has grown beyond its limit is named at its line', (t) => {
  const size = gzipSync(module(), { level: 9 }).length
  const root = build(tree(t, { ...lists, 'abi/wasm-gzip-max.txt': `# bytes\nlaniakea.wasm ${size - 1}\n` }))
  const { status, lines } = tool('check_abi', root)
  assert.deepEqual(lines, [`abi/wasm-gzip-max.txt:2: build/laniakea.wasm has ${size} bytes, compressed; it may have ${size - 1}`])
  assert.equal(status, 1)
  write(root, { 'abi/wasm-gzip-max.txt': `laniakea.wasm ${size}\n` })
  assert.equal(tool('check_abi', root).status, 0)
})

test('a function without a result, and a Node module agrees about names', (t) => {
  const wasm = module([], [], 'lk_tick')
  const root = build(tree(t, lists), { wasm })
  assert.match(tool('check_abi', root).stdout, /has `function lk_tick \(\) -> nothing`/)
  assert.deepEqual(WebAssembly.Module.exports(new WebAssembly.Module(wasm)).map(({ name }) => name), ['memory', 'lk_tick'])
})

test('--update writes lists that then pass, and says what went away', (t) => {
  const root = build(tree(t, { ...lists, 'abi/symbols.txt': 'lk_open\nlk_old\n' }))
  const update = tool('check_abi', root, '--update')
  assert.match(update.stdout, /^abi\/symbols\.txt: went away: lk_old/m)
  assert.equal(update.status, 0)
  assert.match(readFileSync(join(root, 'abi/symbols.txt'), 'utf8'), /^# .*\nlk_close\nlk_open\n$/)
  assert.equal(tool('check_abi', root).status, 0)
})

test('binaries that are not built fail with the command that builds them', (t) => {
  const { status, lines } = tool('check_abi', tree(t, lists))
  assert.match(lines.join('\n'), /^build\/laniakea\.wasm:1: is not built; run `make build-wasm`/)
  assert.equal(lines.length, 3)
  assert.equal(status, 1)
})
