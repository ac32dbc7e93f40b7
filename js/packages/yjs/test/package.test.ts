// What would be published, and what it costs a page that has Yjs anyway.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const BYTES_MAX = 6_400
const folder = join(import.meta.dirname, '..')

test('all of it is at most 6.4 kB, compressed, and pages pay for what they import', async () => {
  const sizeOf = async (contents: string): Promise<number> => {
    const stdin = { contents, resolveDir: import.meta.dirname }
    const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, external: ['yjs', 'y-protocols/*'] })
    const text = outputFiles[0]!.text
    assert.doesNotMatch(text, /node:|["']phoenix["']|lib0/)
    return gzipSync(text, { level: 9 }).length
  }
  const whole = await sizeOf("export * from '@laniakea/yjs'")
  const part = await sizeOf("export { PhoenixProvider } from '@laniakea/yjs'")
  assert.ok(whole <= BYTES_MAX, `${whole} bytes`)
  assert.ok(part < whole * 0.65, `${part} of ${whole} bytes`)
})

test('the tarball has what its package.json names, and brings no package along', () => {
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--silent'], { cwd: folder, encoding: 'utf8' }))
  const names: string[] = files.map(({ path }: { path: string }) => path)
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const named = [manifest.bin['laniakea-yjs'], ...Object.values(manifest.exports['.'])] as string[]
  for (const name of named) assert.ok(names.includes(name.replace('./', '')), name)
  for (const name of names) assert.match(name, /^(package\.json|README\.md|dist\/.*\.(js|d\.ts))$/)
  assert.ok(names.includes('README.md'))
  assert.equal(manifest.dependencies, undefined)
  assert.match(readFileSync(join(folder, 'dist/cli.js'), 'utf8'), /^#!\/usr\/bin\/env node\n/)
})
