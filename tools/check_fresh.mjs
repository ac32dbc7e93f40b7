// tools/check_fresh.mjs -- gate: what is generated is what its source says.
//
//   node tools/check_fresh.mjs [root]
//
// Every tools/gen_*.mjs makes files that are checked in, and knows --check: it then writes nothing,
// names each stale file and exits 1. (gen_vectors_*.mjs are run by hand: they ask other programs for
// the expected results, and a vector changes only by decision.)
//
// When it fails: run `make generate` and commit what it changes, together with the change of the
// table. If the generated file was edited by hand, make that edit in the table or the generator.
import { createReport, gateArgs, lineAt, readText, run, walk } from './lib.mjs'
import { join } from 'node:path'

const { root } = gateArgs()
const report = createReport('fresh')
const generators = walk(root, 'tools', (path) => /^tools\/gen_(?!vectors_)\w+\.mjs$/.test(path))

for (const generator of generators) {
  const text = readText(root, generator)
  // Looked at first: a generator that ignores the option would overwrite the tree.
  if (!/['"](?:--)?check['"]/.test(blankComments(text))) {
    report.add(generator, 0, 'does not know --check; let it compare instead of write')
    continue
  }
  const env = { ...process.env, LK_ROOT: root }
  const done = run(process.execPath, [join(root, generator), '--check'], { cwd: root, env })
  if (done.status === 0) continue
  const said = `${done.stdout}${done.stderr}`.trim().split('\n')
  const thrown = text.search(/\bprocess\.exit\b|\bthrow\b/)
  const error = said.find((line) => /^\w*Error\b/.test(line)) ?? said[0]
  if (done.stdout.trim() === '') report.add(generator, thrown === -1 ? 0 : lineAt(text, thrown), `failed: ${error}`)
  else for (const line of done.stdout.trim().split('\n')) reportStale(generator, line)
}
report.finish(`${generators.length} generators have nothing to change`)

function blankComments(text) {
  return text.replace(/^\s*\/\/.*$/gm, '')
}

/** `path is stale: ...` is about the path; whatever else a generator says is about itself. */
function reportStale(generator, line) {
  const [, path, wrong] = line.match(/^(\S+?\.\w+):? (.*)$/) ?? []
  if (path) report.add(path, 0, `${wrong} (${generator})`)
  else report.add(generator, 0, line)
}
