// tools/gen_tables.mjs -- makes what is derived from the .def tables.
//
//   node tools/gen_tables.mjs           writes the files
//   node tools/gen_tables.mjs --check   writes nothing; exits 1 and names each stale file
//
// One fact lives in one place: C reads the tables directly, everything else reads what is made here.
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const read = (path) => readFileSync(join(root, path), 'utf8')

/** The entries of a .def file: [[arg, arg, ...], ...]; strings lose their quotes. */
export function readDef(path, macro) {
  const text = read(path).replace(/\/\*[\s\S]*?\*\//g, '')
  const entries = []
  for (const match of text.matchAll(new RegExp(`^${macro}\\((.*)\\)\\s*$`, 'gm'))) {
    const args = match[1].match(/"(?:[^"\\]|\\.)*"|[^,\s"][^,"]*/g).map((a) => a.trim())
    entries.push(args.map((a) => (a.startsWith('"') ? JSON.parse(a) : a)))
  }
  if (entries.length === 0) throw new Error(`${path}: no ${macro}(...) line`)
  return entries
}

function unique(entries, column, path) {
  const seen = new Set()
  for (const entry of entries) {
    if (seen.has(entry[column])) throw new Error(`${path}: ${entry[column]} stands twice`)
    seen.add(entry[column])
  }
}

const note = (source) => `made by tools/gen_tables.mjs from ${source}; do not edit`

function errorsHeader(errors) {
  const lines = errors.map(([name, number, text]) => `  /* ${text} */\n  LK_ERR_${name} = ${number},`)
  return `/* laniakea/errors.h -- every error code; ${note('src/base/errors.def')}.
 *
 * Numbers never change and are never reused. lk_err_text() gives the sentence at run time. */
#ifndef LANIAKEA_ERRORS_H
#define LANIAKEA_ERRORS_H

typedef enum lk_err {
  LK_OK = 0,
${lines.join('\n')}
} lk_err;

#endif
`
}

function errorsTs(errors) {
  const rows = errors.map(([name, number, text]) => `  ${number}: { code: 'LK_ERR_${name}', text: ${JSON.stringify(text)} },`)
  const union = errors.map(([name]) => `  | 'LK_ERR_${name}'`)
  return `// ${note('src/base/errors.def')}

/** The name of an error, the same in C and here. */
export type ErrorCode =
${union.join('\n')}

export const errorTable: Readonly<Record<number, { readonly code: ErrorCode; readonly text: string }>> = {
${rows.join('\n')}
}
`
}


function outputs() {
  const errors = readDef('src/base/errors.def', 'ERROR')
  unique(errors, 0, 'errors.def')
  unique(errors, 1, 'errors.def')
  return new Map([
    ['include/laniakea/errors.h', errorsHeader(errors)],
    ['js/packages/sdk/src/internal/errors.gen.ts', errorsTs(errors)],
  ])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check')
  let stale = 0
  for (const [path, text] of outputs()) {
    let now = null
    try {
      now = read(path)
    } catch {
      // Not there yet: stale.
    }
    if (now === text) continue
    stale++
    if (check) {
      console.log(`${path} is stale: run \`make generate\` and commit what it changes`)
    } else {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
      console.log(`wrote ${path}`)
    }
  }
  process.exit(check && stale > 0 ? 1 : 0)
}
