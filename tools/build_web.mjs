// tools/build_web.mjs -- bundles the pages of js/apps/ into build/web/, which the program serves.
//
//   node tools/build_web.mjs             runs tools/build_js.mjs first
//   node tools/build_web.mjs --pages     the pages alone, of what that made before
//
//   build/web/            js/apps/start    /
//   build/web/counter/    js/apps/demo     /counter
//   build/web/board/      js/apps/board    /board
//   build/web/client/     js/apps/shared   what these two load: the worker, the core, what both scripts have in common
//   build/web/edit/       js/apps/editor   /edit/NAME: one page for every document
//   build/web/assets/     what that page loads, with hashes in the names, which caches may keep for ever
//
// The first ones have styles and parts of their HTML in common, which lie in js/apps/shared: a page says <!-- shared/NAME -->
// where such a part belongs.
//
// Everything is a file of its own and no script is inline, since the pages' Content-Security-Policy
// allows only what comes from the same server.
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const target = join(root, 'build/web')
const sourceOf = (app) => join(root, 'js/apps', app, 'src')

const options = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['browser'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
}

function copy(names, from, to) {
  mkdirSync(to, { recursive: true })
  for (const name of names) copyFileSync(join(from, name), join(to, name))
}

/** The page `file` with the parts that it shares with others. */
function withShared(file) {
  const partOf = (name) => readFileSync(join(root, 'js/apps/shared', name), 'utf8').trimEnd()
  return readFileSync(file, 'utf8').replace(/^( *)<!-- shared\/([\w.]+) -->$/gm, (_, indent, name) => partOf(name).replace(/^(?=.)/gm, indent))
}

async function buildStart() {
  const source = sourceOf('start')
  await build({ ...options, entryPoints: [join(source, 'start.ts'), join(source, 'start.css')], outdir: target })
  writeFileSync(join(target, 'index.html'), withShared(join(source, 'index.html')))
  copy(['icon.svg'], source, target)
}

const replicaPages = { counter: 'demo', board: 'board' }

/** The pages with replicas of their own. */
async function buildReplicas() {
  const entryPoints = Object.fromEntries(Object.entries(replicaPages).flatMap(([name, app]) =>
    ['main.ts', 'style.css'].map((file) => [`${name}/${file.replace(/\.\w+$/, '')}`, join(sourceOf(app), file)])))
  await Promise.all([
    build({ ...options, entryPoints, outdir: target, splitting: true, chunkNames: 'client/[name]-[hash]' }),
    build({ ...options, entryPoints: [join(root, 'js/apps/shared/worker.ts')], outdir: join(target, 'client') }),
  ])
  for (const [name, app] of Object.entries(replicaPages)) writeFileSync(join(target, name, 'index.html'), withShared(join(sourceOf(app), 'index.html')))
  copy(['laniakea-client-base.wasm', 'laniakea-client-part-objects.wasm'], join(root, 'js/packages/sdk/dist'), join(target, 'client'))
}

/** The page at `from` with the names that its script and its styles got. */
function pageOf(from, outputs) {
  const entry = Object.keys(outputs).find((file) => outputs[file].entryPoint !== undefined && file.endsWith('.js') && outputs[file].cssBundle !== undefined)
  const names = { 'main.js': entry, 'main.css': outputs[entry].cssBundle }
  return Object.entries(names).reduce((html, [name, file]) => html.replace(`"${name}"`, `"/assets/${basename(file)}"`), readFileSync(from, 'utf8'))
}

/** 'node_modules/@a/b/node_modules/c/d.js' -> the folder of c. */
const packageOf = (file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]

function licenseOf(folder) {
  const { name, version, license = 'see below', homepage = '', repository } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const texts = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
  const source = (typeof repository === 'string' ? repository : repository?.url) ?? homepage
  const head = `${name} ${version}\nlicense: ${license}\nsource: ${source || 'npm'}\n`
  return [head, ...texts.map((file) => readFileSync(join(root, folder, file), 'utf8'))].join('\n')
}

/** What the page is made of, and on whose terms: each license wants its text to come along. */
function licensesOf(inputs) {
  const folders = [...new Set(Object.keys(inputs).map(packageOf))].filter((folder) => folder !== undefined).sort()
  return `The pages of Laniakea contain these packages, minified and otherwise unchanged.\n\n${folders.map(licenseOf).join(`\n${'-'.repeat(80)}\n\n`)}`
}

async function buildEditor() {
  const source = sourceOf('editor')
  const { metafile } = await build({
    ...options,
    entryPoints: [join(source, 'main.tsx')],
    outdir: join(target, 'assets'),
    conditions: ['browser', 'style'],
    define: { 'process.env.NODE_ENV': '"production"' },
    entryNames: '[name]-[hash]',
    jsx: 'automatic',
    absWorkingDir: root,
    metafile: true,
    splitting: true,
  })
  mkdirSync(join(target, 'edit'), { recursive: true })
  writeFileSync(join(target, 'edit/index.html'), pageOf(join(source, 'index.html'), metafile.outputs))
  writeFileSync(join(target, 'assets/licenses.txt'), licensesOf(metafile.inputs))
}

if (!process.argv.includes('--pages')) await import('./build_js.mjs')
rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
await Promise.all([buildStart(), buildReplicas(), buildEditor()])
