// tools/build_js.mjs -- compiles js/packages/* to their dist/, the WebAssembly modules beside the SDK's, and
// checks the types of what uses them.
//
//   node tools/build_js.mjs
//
// Needs build/laniakea{,-doc,-update,-history,-client,-client-base,-client-part-documents,-client-part-objects}.wasm (`ninja -C build/wasm`) and node_modules (`npm ci`).
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const inRoot = (path) => join(root, path)

function tsc(project) {
  const done = spawnSync(process.execPath, [inRoot('node_modules/typescript/bin/tsc'), '-p', inRoot(project)], { stdio: 'inherit' })
  if (done.status !== 0) process.exit(done.status ?? 1)
}

const packages = ['js/packages/sdk', 'js/packages/yjs', 'js/packages/react']
const wanted = readFileSync(inRoot('VERSION'), 'utf8').trim()
for (const folder of packages) {
  const { version } = JSON.parse(readFileSync(inRoot(`${folder}/package.json`), 'utf8'))
  if (version !== wanted) throw new Error(`${folder}/package.json says ${version}, VERSION says ${wanted}`)
}
const modules = ['laniakea.wasm', 'laniakea-doc.wasm', 'laniakea-doc-fast.wasm', 'laniakea-update.wasm', 'laniakea-history.wasm', 'laniakea-client.wasm',
  'laniakea-client-base.wasm', 'laniakea-client-part-documents.wasm', 'laniakea-client-part-objects.wasm']
for (const name of modules) if (!existsSync(inRoot(`build/${name}`))) throw new Error(`build/${name} is not there; run \`make build-wasm\``)

for (const folder of packages) {
  rmSync(inRoot(`${folder}/dist`), { recursive: true, force: true })
  tsc(folder)
}
for (const name of modules) copyFileSync(inRoot(`build/${name}`), inRoot(`js/packages/sdk/dist/${name}`))
writeFileSync(inRoot('js/packages/sdk/dist/internal/inline_core.js'), `export const clientCore = '${readFileSync(inRoot('build/laniakea-client.wasm'), 'base64')}'\n`)
for (const project of ['js/packages/sdk/test', 'js/packages/yjs/test', 'js/packages/react/test', 'js/apps/start', 'js/apps/demo', 'js/apps/board', 'js/apps/editor']) tsc(project)
