// tests/e2e/package.test.mjs -- the tarball of @laniakea/sdk, installed somewhere else.
//
//   node --test tests/e2e/package.test.mjs        after tools/pack_npm.mjs
//
// Goal: what would be published is complete. Method: install the tarball into an empty project and
// use it there by its name, with nothing of this tree in reach.
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const project = mkdtempSync(join(tmpdir(), 'laniakea-package-'))
after(() => rmSync(project, { recursive: true, force: true }))

function run(command, args) {
  const done = spawnSync(command, args, { cwd: project, encoding: 'utf8', timeout: 60_000 })
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}`)
  return done.stdout
}

test('the package installs without a registry and counts in Node', () => {
  const tarballs = readdirSync(join(root, 'build/npm')).filter((name) => name.startsWith('laniakea-sdk-'))
  assert.equal(tarballs.length, 1)
  writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}')
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', join(root, 'build/npm', tarballs[0])])
  writeFileSync(join(project, 'main.js'), `
    import { createClient } from '@laniakea/sdk'
    // Nobody listens there: counting must work all the same.
    const client = await createClient({ url: 'ws://127.0.0.1:1/socket', storage: { folder: 'kept' } })
    const topic = await client.crdt('crdt:demo', 'gcounter')
    const { object } = topic
    object.increment(2)
    object.increment()
    await topic.saved()
    console.log(String(object.value), client.status.storage)
    await client.close()
  `)
  assert.equal(run(process.execPath, ['main.js']), '3 files\n')
  assert.equal(run(process.execPath, ['main.js']), '6 files\n')
})

test('it carries what it names, its types, and nothing else', () => {
  const folder = join(project, 'node_modules/@laniakea/sdk')
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const names = files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()
  for (const name of ['dist/index.js', 'dist/index.d.ts', 'dist/node.js', 'dist/worker.js', 'dist/workerd.js', 'dist/inline.js', 'dist/internal/inline_core.js', 'dist/laniakea.wasm', 'dist/laniakea-client.wasm']) assert.ok(names.includes(name), name)
  for (const name of names) assert.match(name, /^(package\.json|README\.md|dist\/.*\.(js|d\.ts|wasm))$/)
  const bytes = readFileSync(join(folder, 'dist/laniakea.wasm'))
  assert.ok(bytes.equals(readFileSync(join(root, 'build/laniakea.wasm'))))
})
