// What tools/embed_starter.mjs makes of an app and the packages that it names.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const tool = fileURLToPath(new URL('../../tools/embed_starter.mjs', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'laniakea-starter-'))
after(() => rmSync(root, { recursive: true }))

let count = 0
function generate(files) {
  const folder = join(root, `tree${count++}`)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const [outS, outC] = [join(root, 'out.S'), join(root, 'out.c')]
  const { status, stderr } = spawnSync(process.execPath, [tool, join(folder, 'app'), join(folder, 'npm'), outS, outC], { encoding: 'utf8' })
  return status === 0 ? { status, s: readFileSync(outS, 'utf8'), c: readFileSync(outC, 'utf8') } : { status, stderr }
}

const manifest = JSON.stringify({ dependencies: { a: 'file:vendor/a-1.tgz', react: '1.0.0' } })
const pathsOf = (c) => [...c.matchAll(/^ {2}\{ "([^"]*)"/gm)].map(([, path]) => path)

test('the sources come in order, hidden ones too, then the packages that they name', () => {
  const { s, c } = generate({
    'app/package.json': manifest, 'app/src/b.ts': '', 'app/.gitignore': '', 'app/node_modules/x/y.js': '', 'app/dist/z.js': '', 'app/package-lock.json': '', 'app/vendor/old.tgz': '',
    'npm/a-1.tgz': 'bytes', 'npm/other-1.tgz': '',
  })
  assert.deepEqual(pathsOf(c), ['.gitignore', 'package.json', 'src/b.ts', 'vendor/a-1.tgz'])
  assert.equal(s.match(/\.incbin/g).length, 4)
  assert.match(s, /\.incbin "[^"]*npm\/a-1\.tgz"/)
})

test('without packages the table is empty', () => {
  const { s, c } = generate({ 'app/package.json': manifest })
  assert.match(c, /lk_starter_built = \{ NULL, 0 \}/)
  assert.doesNotMatch(s, /incbin/)
})

test('a package of another version is an error that says what to do', () => {
  const { status, stderr } = generate({ 'app/package.json': manifest, 'npm/a-2.tgz': '' })
  assert.equal(status, 1)
  assert.match(stderr, /names file:vendor\/a-1\.tgz, and there is no .*npm\/a-1\.tgz; `make build-npm`/)
})
