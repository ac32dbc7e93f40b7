// What would be published, what it costs a page, and whether its manual is true.
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const BYTES_MAX = 4 * 1024
const root = join(import.meta.dirname, '../../../..')
const folder = join(import.meta.dirname, '..')
const examples = mkdtempSync(join(folder, 'test/examples-'))
after(() => rmSync(examples, { recursive: true }))

test('all of it is at most 4 KiB, compressed, and the engine comes when it is needed', async () => {
  const stdin = { contents: "export * from '@laniakea/react'", resolveDir: import.meta.dirname }
  const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, external: ['react', '@laniakea/sdk'] })
  const text = outputFiles[0]!.text
  const bytes = gzipSync(text, { level: 9 }).length
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`)
  const imports = new Set([...text.matchAll(/(import\(|from)\s*"([^"]+)"/g)].map(([, how, what]) => `${how} ${what}`))
  assert.deepEqual([...imports].sort(), ['from react', 'import( @laniakea/sdk'])
  const { kB } = /Size: (?<kB>[\d.]+) kB/.exec(readFileSync(join(folder, 'README.md'), 'utf8'))!.groups!
  assert.ok(Math.abs(Number(kB) - bytes / 1000) < 0.1, `the README says ${kB} kB, it is ${bytes} bytes`)
})

test('the tarball has what its package.json names, and brings no package along', () => {
  const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json', '--silent'], { cwd: folder, encoding: 'utf8' }))
  const names: string[] = files.map(({ path }: { path: string }) => path)
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const name of Object.values(manifest.exports['.']) as string[]) assert.ok(names.includes(name.replace('./', '')), name)
  for (const name of names) assert.match(name, /^(package\.json|README\.md|dist\/.*\.(js|d\.ts))$/)
  assert.ok(names.includes('README.md'))
  assert.equal(manifest.dependencies, undefined)
  assert.equal(manifest.peerDependencies['@laniakea/sdk'], manifest.version)
  assert.match(readFileSync(join(folder, 'dist/index.js'), 'utf8'), /^'use client'/, 'frameworks that render on servers see that it is for pages')
})

test("the README's examples, those of the guide and of the start page, are programs without mistakes", async () => {
  const compilerOptions = {
    noEmit: true, strict: true, target: 'es2022', lib: ['es2023', 'esnext.disposable', 'dom'], module: 'esnext', moduleResolution: 'bundler', jsx: 'react-jsx', types: [], skipLibCheck: true,
    moduleDetection: 'force',
  }
  // The start page of the program shows one, too.
  const [, shown] = /<code id="code-react">([\s\S]*?)<\/code>/.exec(readFileSync(join(root, 'js/apps/start/src/index.html'), 'utf8'))!
  const texts: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' }
  writeFileSync(join(examples, 'start.tsx'), shown!.replace(/&(\w+);/g, (_, name: string) => texts[name]!))
  let count = 0
  for (const path of [join(folder, 'README.md'), join(root, 'docs/guides/react.md')]) {
    for (const [, code] of readFileSync(path, 'utf8').matchAll(/^```tsx\n([\s\S]*?)^```/gm)) {
      writeFileSync(join(examples, `${++count}.tsx`), code!)
      const { warnings } = await build({ stdin: { contents: code!, loader: 'tsx', resolveDir: import.meta.dirname }, bundle: true, format: 'esm', write: false, jsx: 'automatic', logLevel: 'silent', external: ['next'] })
      assert.deepEqual(warnings, [], path)
    }
  }
  assert.ok(count >= 8, `${count} examples`)
  writeFileSync(join(examples, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['.'] }))
  const done = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', examples], { encoding: 'utf8' })
  assert.equal(done.status, 0, done.stdout)
})
