// tools/gen_bindings.mjs -- makes the types of the modules' exports from wasm/exports.def, doc.def, update.def, history.def and client.def.
//
//   node tools/gen_bindings.mjs           writes js/packages/sdk/src/internal/bindings.gen.ts
//   node tools/gen_bindings.mjs --check   writes nothing; exits 1 if the file is stale
//
// C takes its prototypes from the same tables, so the two sides cannot disagree on a parameter.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defEntries } from './lib.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const source = 'wasm/exports.def'
const target = 'js/packages/sdk/src/internal/bindings.gen.ts'
const TYPES = { u32: 'number', u64: 'bigint', ms: 'number', void: 'void' }

const read = (path) => defEntries(readFileSync(join(root, path), 'utf8')).map((entry) => ({ ...entry, path }))
const entries = read(source)
const readOther = (path) => (existsSync(join(root, path)) ? read(path) : [])
const of = (macro, among = entries) => among.filter((entry) => entry.macro === macro)
const documents = readOther('wasm/doc.def')
const client = readOther('wasm/client.def')

function typeOf(name, { path, line }) {
  if (TYPES[name] === undefined) throw new Error(`${path}:${line}: no type ${name}; there are ${Object.keys(TYPES).join(', ')}`)
  return TYPES[name]
}

const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())

function signature(entry) {
  const { args: [name, result, parameters], texts } = entry
  const list = parameters.slice(1, -1).trim()
  const written = list === 'void' ? [] : list.split(',').map((parameter) => parameter.trim().split(/\s+/))
  const typed = written.map(([type, parameter]) => `${camel(parameter)}: ${typeOf(type, entry)}`)
  return `  /** ${texts[3]} */\n  readonly ${name}: (${typed.join(', ')}) => ${typeOf(result, entry)}`
}

function table(macro, among = entries) {
  const line = ({ args: [name, number], texts }) => `${texts[2] ? `  /** ${texts[2]} */\n` : ''}  ${camel(name.toLowerCase())}: ${number},`
  return of(macro, among).map(line).join('\n')
}

/** The numbers of one call, by their names: docRead.textDelta. */
function docCalls() {
  const calls = of('DOC_CALL', documents)
  const groups = [...new Set(calls.map(({ args: [group] }) => group))]
  return groups.map((group) => {
    const own = calls.filter(({ args }) => args[0] === group)
    const lines = own.map(({ args: [, name, number], texts }) => `  /** ${texts[3]} */\n  ${camel(name.toLowerCase())}: ${number},`)
    return `\n/** What doc_${group.toLowerCase()}() is told to do. */\nexport const ${camel(`doc_${group.toLowerCase()}`)} = {\n${lines.join('\n')}\n} as const\n`
  }).join('')
}

const text = `// made by tools/gen_bindings.mjs from ${source}; do not edit

/** What a module must say of itself to be understood here. */
export const abiNumber = ${of('ABI')[0].args[0]}

/** What laniakea.wasm offers; the comment on top of ${source} says how bytes go in and out. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory
${of('EXPORT').map(signature).join('\n')}
}

/** What laniakea-doc.wasm offers beside the first of those. */
export interface DocExports {
${of('EXPORT', documents).map(signature).join('\n')}
}
${docCalls()}
/** What laniakea-update.wasm offers beside them. */
export interface UpdateExports {
${of('EXPORT', readOther('wasm/update.def')).map(signature).join('\n')}
}

/** What laniakea-history.wasm offers beside them. */
export interface HistoryExports {
${of('EXPORT', readOther('wasm/history.def')).map(signature).join('\n')}
}

/** What laniakea-client.wasm offers beside all of DocExports, and all of CoreExports but the peers. */
export interface ClientExports {
${of('EXPORT', client).map(signature).join('\n')}
}

/** What client_poll() returns; 0 is "nothing". */
export const clientEvent = {
${table('CLIENT_EVENT', client)}
} as const

/** What client_news() returns; 0 is "nothing". */
export const clientNews = {
${table('CLIENT_NEWS', client)}
} as const

/** What the storage is asked for: the first word of the board at client_io_board(). */
export const clientIo = {
${table('IO', client)}
} as const
`

const path = join(root, target)
const now = existsSync(path) ? readFileSync(path, 'utf8') : null
if (now === text) process.exit(0)
if (process.argv.includes('--check')) {
  console.log(`${target} is stale: run \`make generate\` and commit what it changes`)
  process.exit(1)
}
mkdirSync(dirname(path), { recursive: true })
writeFileSync(path, text)
console.log(`wrote ${target}`)
