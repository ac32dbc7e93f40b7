// tools/embed_starter.mjs -- makes the table of src/cli/starter.h from the app in examples/starter.
//
//   node tools/embed_starter.mjs APP PACKAGES OUT.S OUT.c
//
// What `npm install`, `npm run dev` and `npm run build` leave in APP is left out. PACKAGES has the tarballs that APP's
// package.json names as "file:vendor/NAME", and they become files of vendor/. Where that folder is not there the table is
// empty, and the program says how to build it; where a tarball is not, its name is out of date: an error.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { assembly, collect, literal } from './embed.mjs'

const LEFT_OUT = ['node_modules', 'dist', 'vendor', 'package-lock.json']
const note = 'made by tools/embed_starter.mjs'

function filesOf(app, packages) {
  if (!existsSync(packages)) return []
  const sources = collect(app, (name) => !LEFT_OUT.includes(name)).map(({ path, file }) => ({ path: path.slice(1), file }))
  const { dependencies } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  const tarballs = Object.values(dependencies).filter((place) => place.startsWith('file:vendor/')).map((place) => {
    const path = place.slice('file:'.length)
    const file = join(packages, path.slice('vendor/'.length))
    if (!existsSync(file)) throw new Error(`${app}/package.json names ${place}, and there is no ${file}; \`make build-npm\` makes those of this version`)
    return { path, file }
  })
  return [...sources, ...tarballs].map((one, index) => ({ ...one, name: String(index) }))
}

function table(files) {
  const names = files.map(({ name }) => `extern const uint8_t lk_starter_begin_${name}[], lk_starter_end_${name}[];`)
  const rows = files.map(({ path, name }) => `  { ${literal(path)}, lk_starter_begin_${name}, lk_starter_end_${name} },`)
  const items = files.length === 0 ? [] : ['', 'static const lk_starter_file files[] = {', ...rows, '};']
  const value = files.length === 0 ? '{ NULL, 0 }' : '{ files, sizeof files / sizeof files[0] }'
  return [`/* ${note} */`, '#include "cli/starter.h"', '', ...names, ...items, '', `const lk_starter lk_starter_built = ${value};`, ''].join('\n')
}

const [app, packages, outS, outC, ...rest] = process.argv.slice(2)
if (!outC || rest.length > 0) {
  console.error('usage: node tools/embed_starter.mjs APP PACKAGES OUT.S OUT.c')
  process.exit(2)
}
const files = filesOf(resolve(app), resolve(packages))
writeFileSync(outS, assembly(note, 'starter', files))
writeFileSync(outC, table(files))
