// What `make install` lays down is enough to build a program against, and to read about it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkFollowing } from './follow.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-install-'))
const prefix = join(folder, 'opt')

function must(command, args, env = {}) {
  const result = spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } })
  assert.equal(result.status, 0, `${command} ${args.join(' ')}\n${result.stdout}${result.stderr}${result.error ?? ''}`)
  return result.stdout
}
const ask = (library, ...args) => must('pkg-config', [...args, library], { PKG_CONFIG_PATH: join(prefix, 'lib/pkgconfig') }).trim()
const pkgConfig = (...args) => ask('laniakea', ...args)

before(() => must('cmake', ['--install', join(root, 'build/release'), '--prefix', prefix]))
after(() => rmSync(folder, { recursive: true }))

test('the example builds by pkg-config against the shared library and runs', () => {
  const flags = pkgConfig('--cflags', '--libs').split(/\s+/)
  must('gcc', ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', join(root, 'examples/c/counter.c'), ...flags, '-o', 'shared'])
  assert.equal(must('./shared', [], { LD_LIBRARY_PATH: join(prefix, 'lib') }), 'laptop 10\nphone 10\n')
})

test('the example builds against the archive alone, with another compiler and LTO of its own', () => {
  must('clang-22', ['-O2', '-flto', '-fuse-ld=lld', `-I${join(prefix, 'include')}`, join(root, 'examples/c/counter.c'),
    join(prefix, 'lib/liblaniakea.a'), '-o', 'static'])
  assert.equal(must('./static', []), 'laptop 10\nphone 10\n')
})

test('two editors in C agree after they were apart', () => {
  const flags = pkgConfig('--cflags', '--libs').split(/\s+/)
  must('gcc', ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', join(root, 'examples/c/editor.c'), ...flags, '-o', 'editor'])
  const lines = must('./editor', [], { LD_LIBRARY_PATH: join(prefix, 'lib') }).trim().split('\n').map((line) => line.match(/^(\w+) +(.*)$/).slice(1))
  const said = lines.map(([name, json]) => [name, JSON.parse(json)])
  const text = (delta) => delta.map(({ insert }) => insert).join('')
  assert.deepEqual(said.map(([name, delta]) => `${name}: ${text(delta)}`), [
    'ada: The milky way is big, really',
    'ada: The milky way is vast, really',
    'ben: The milky way is big, really.',
    'ada: The milky way is vast, really.',
    'ben: The milky way is vast, really.',
  ])
  assert.deepEqual(said[3][1], said[4][1])
  assert.deepEqual(said[4][1][1], { insert: 'milky way', attributes: { bold: true } })
})

test('a program follows a counter and a document, offline too', async () => {
  const flags = ask('laniakea-tls', '--cflags', '--libs').split(/\s+/)
  must('gcc', ['-std=gnu11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', join(root, 'examples/c/follow.c'), ...flags, '-o', 'follow'])
  await checkFollowing(join(folder, 'follow'), { env: { LD_LIBRARY_PATH: join(prefix, 'lib') } })
})

test('TLS is a library beside the other, which does not need it', () => {
  const needs = (library) => must('objdump', ['-p', join(prefix, 'lib', library)]).match(/(?<=NEEDED +)\S+/g).join(' ')
  assert.doesNotMatch(needs('liblaniakea.so'), /tls|ssl|crypto/)
  assert.match(needs('liblaniakea-tls.so'), /libgnutls/)
  assert.doesNotMatch(pkgConfig('--static', '--libs'), /gnutls/)
  must('gcc', [join(root, 'examples/c/follow.c'), `-I${join(prefix, 'include')}`, '-D_GNU_SOURCE', join(prefix, 'lib/liblaniakea-tls.a'),
    join(prefix, 'lib/liblaniakea.a'), ...must('pkg-config', ['--libs', 'gnutls']).trim().split(/\s+/), '-o', 'follow-static'])
  assert.match(spawnSync('./follow-static', [], { cwd: folder, encoding: 'utf8' }).stderr, /^usage/)
})

test('a program may have functions of the same names as the library has inside', () => {
  const source = join(folder, 'clash.c')
  must('sh', ['-c', `cat > ${source} <<'END'
#include <laniakea/laniakea.h>
int lk_buf_init(void);
int lk_buf_init(void) { return 7; }
int main(void) { return lk_abi() == LK_ABI && lk_buf_init() == 7 ? 0 : 1; }
END`])
  must('gcc', [`-I${join(prefix, 'include')}`, source, join(prefix, 'lib/liblaniakea.a'), '-o', 'clash'])
  must('./clash', [])
})

test('version, program, manual page and pkg-config agree', () => {
  const version = JSON.parse(must(join(prefix, 'bin/laniakea'), ['version', '--json'])).version
  assert.equal(pkgConfig('--modversion'), version)
  for (const [page, words] of [['man1/laniakea.1', 'COMMANDS'], ['man1/laniakea-serve.1', '--drain TIME'], ['man5/laniakea.toml.5', 'http.idle-timeout']]) {
    const path = join(prefix, 'share/man', page)
    const text = must('mandoc', ['-T', 'utf8', path]).replaceAll(/.\x08/g, '')
    assert.ok(text.includes(version) && text.includes(words), page)
    assert.equal(must('mandoc', ['-T', 'lint', '-W', 'style', path]), '', page)
  }
  assert.ok(statSync(join(prefix, 'include/laniakea/laniakea.h')).isFile())
})
