// What tools/embed_assets.mjs makes of a folder: a table in the server's order, and nothing without one.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

const tool = fileURLToPath(new URL('../../tools/embed_assets.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'laniakea-assets-'))
after(() => rmSync(root, { recursive: true }))

let count = 0
function generate(files) {
  const folder = join(root, `web${count++}`)
  for (const [path, text] of Object.entries(files ?? {})) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const outS = join(root, 'out.S')
  const outC = join(root, 'out.c')
  const done = spawnSync(process.execPath, [tool, folder, outS, outC], { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stderr)
  return { s: readFileSync(outS, 'utf8'), c: readFileSync(outC, 'utf8') }
}

const pathsOf = (c) => [...c.matchAll(/\{ LK_LIT_INIT\("([^"]*)"\)/g)].map(([, path]) => path)
const typesOf = (c) => [...c.matchAll(/\{ LK_LIT_INIT\("[^"]*"\), LK_LIT_INIT\("([^"]*)"\)/g)].map(([, type]) => type)
const tagsOf = (c) => [...c.matchAll(/LK_LIT_INIT\("(\\042[0-9a-f]+\\042)"\)/g)].map(([, tag]) => tag)

test('a folder that is not there gives an empty table', () => {
  const { s, c } = generate(null)
  assert.match(c, /lk_assets_built = \{ NULL, 0 \}/)
  assert.doesNotMatch(s, /incbin/)
})

test('paths are sorted by their bytes, and hidden files are left out', () => {
  const { c } = generate({ 'index.html': '', 'a/b.js': '', 'a.js': '', 'Z.css': '', '.env': 'secret', 'a/.git/x': '' })
  assert.deepEqual(pathsOf(c), ['/Z.css', '/a.js', '/a/b.js', '/index.html'])
})

test('types follow the extension, and what is unknown is bytes', () => {
  const { c } = generate({ 'a.wasm': '', 'b.HTML': '', 'c': '', 'd.exe': '', 'e.js': '' })
  assert.deepEqual(typesOf(c), ['application/wasm', 'text/html; charset=utf-8', 'application/octet-stream', 'application/octet-stream', 'text/javascript; charset=utf-8'])
})

test('the tag changes with the bytes and with nothing else', () => {
  const one = tagsOf(generate({ 'a.js': 'x', 'b.js': 'x', 'c.js': 'y' }).c)
  assert.equal(one.length, 3)
  assert.equal(one[0], one[1])
  assert.notEqual(one[0], one[2])
})

test('names with quotes and other letters become literals that a compiler reads back', () => {
  const name = 'q"u\\o?\u00e4.txt'
  const { c } = generate({ [name]: 'x' })
  const source = `${c.replace('#include "server/assets.h"', '').split('\n').filter((line) => line.includes('LK_LIT_INIT')).join('')}`
  const literal = source.match(/LK_LIT_INIT\(("(?:[^"\\]|\\.)*")\)/)[1]
  const bytes = literal.slice(1, -1).replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)))
  assert.equal(Buffer.from(bytes, 'latin1').toString(), `/${name}`)
})

test('what becomes smaller by it is there compressed, with a tag of its own', () => {
  const { s, c } = generate({ 'a.js': 'repeat me; '.repeat(200), 'b.js': 'x' })
  const packed = [...s.matchAll(/\.incbin "([^"]*\.(br|gzip))"/g)]
  assert.deepEqual(packed.map(([, , coding]) => coding), ['br', 'gzip'])
  const [br, gzip] = packed.map(([, file]) => readFileSync(file))
  assert.equal(brotliDecompressSync(br).toString(), 'repeat me; '.repeat(200))
  assert.equal(gunzipSync(gzip).toString(), 'repeat me; '.repeat(200))
  assert.match(c, /-br\\042"\), lk_asset_begin_0_br, lk_asset_end_0_br \}, \{ LK_LIT_INIT\("[^"]*-gzip\\042"\), lk_asset_begin_0_gzip/)
  assert.match(c, /lk_asset_end_1, \{ \{ NULL, 0 \}, NULL, NULL \}, \{ \{ NULL, 0 \}, NULL, NULL \} \}/)
})

test('of what only pages load the packed forms alone are there, where there are any', () => {
  const { s, c } = generate({ 'assets/a.js': 'repeat me; '.repeat(200), 'assets/b.js': 'x', 'c.js': 'repeat me; '.repeat(200) })
  assert.doesNotMatch(s, /assets\/a\.js"/)
  assert.match(s, /assets\/b\.js"/)
  assert.match(s, /\/c\.js"/)
  assert.match(c, /"\/assets\/a\.js"\), [^\n]*, NULL, NULL, \{ LK_LIT_INIT\("[^"]*-br/)
  assert.match(c, /"\/assets\/b\.js"\), [^\n]*, lk_asset_begin_1, lk_asset_end_1,/)
})

test('a wrong command line is refused', () => {
  assert.equal(spawnSync(process.execPath, [tool, root]).status, 2)
})
