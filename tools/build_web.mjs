// tools/build_web.mjs -- bundles the page of js/apps/demo into build/web/, which the program serves at "/".
//
//   node tools/build_web.mjs        runs tools/build_js.mjs first
//
// Everything is a file of its own and nothing is inline, since the page's Content-Security-Policy
// allows only what comes from the same server.
import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import './build_js.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'js/apps/demo/src')
const target = join(root, 'build/web')

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
await build({
  entryPoints: [join(source, 'main.ts'), join(source, 'worker.ts')],
  outdir: target,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['browser'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
})
for (const name of ['index.html', 'style.css', 'icon.svg']) copyFileSync(join(source, name), join(target, name))
copyFileSync(join(root, 'js/packages/sdk/dist/laniakea.wasm'), join(target, 'laniakea.wasm'))
