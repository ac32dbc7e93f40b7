// tools/build_js.mjs -- compiles js/packages/sdk to its dist/, the WebAssembly modules beside it, and
// checks the types of what uses it.
//
//   node tools/build_js.mjs
//
// Needs build/laniakea{,-doc,-update}.wasm (`ninja -C build/wasm`) and node_modules (`npm ci`).
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const inRoot = (path) => join(root, path)

function tsc(project) {
  const done = spawnSync(process.execPath, [inRoot('node_modules/typescript/bin/tsc'), '-p', inRoot(project)], { stdio: 'inherit' })
  if (done.status !== 0) process.exit(done.status ?? 1)
}

const { version } = JSON.parse(readFileSync(inRoot('js/packages/sdk/package.json'), 'utf8'))
const wanted = readFileSync(inRoot('VERSION'), 'utf8').trim()
if (version !== wanted) throw new Error(`js/packages/sdk/package.json says ${version}, VERSION says ${wanted}`)
const modules = ['laniakea.wasm', 'laniakea-doc.wasm', 'laniakea-update.wasm']
for (const name of modules) if (!existsSync(inRoot(`build/${name}`))) throw new Error(`build/${name} is not there; run \`make build-wasm\``)

rmSync(inRoot('js/packages/sdk/dist'), { recursive: true, force: true })
tsc('js/packages/sdk')
for (const name of modules) copyFileSync(inRoot(`build/${name}`), inRoot(`js/packages/sdk/dist/${name}`))
for (const project of ['js/packages/sdk/test', 'js/apps/demo']) tsc(project)
