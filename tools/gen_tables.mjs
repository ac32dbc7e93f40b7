// tools/gen_tables.mjs -- makes what is derived from the .def tables.
//
//   node tools/gen_tables.mjs           writes the files
//   node tools/gen_tables.mjs --check   writes nothing; exits 1 and names each stale file
//
// One fact lives in one place: C reads the tables directly, everything else reads what is made here.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defEntries } from './lib.mjs'
import { LIMITS_DEF, SETTINGS_DEF, bytes, example, expectation, readLimits, readSettings, variableOf } from './settings.mjs'

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

/** HTTP, WebSockets and TLS: where there is JavaScript, the host does that, and no module knows these. */
const isOfHosts = (number) => (number >= 60 && number <= 63) || (number >= 100 && number <= 109)

function errorsTs(errors) {
  const rows = errors.filter(([, number]) => !isOfHosts(Number(number))).map(([name, number, text]) => `${number} ${name} ${text}`)
  for (const row of rows) if (/[`\\$\n]/.test(row)) throw new Error(`errors.def: not in a text: ${row}`)
  const union = errors.map(([name]) => `  | 'LK_ERR_${name}'`)
  return `// ${note('src/base/errors.def')}

/** The name of an error, the same in C and here. */
export type ErrorCode =
${union.join('\n')}

/** Number, name and text of what modules and their host say: a table of objects would be larger. */
const ROWS = \`${rows.join('\n')}\`

export const errorTable: Readonly<Record<number, { readonly code: ErrorCode; readonly text: string }>> = /* @__PURE__ */ Object.fromEntries(ROWS.split('\\n').map((row) => {
  const [, number, name, text] = /^(\\d+) (\\w+) (.*)$/.exec(row) as unknown as string[]
  return [number, { code: \`LK_ERR_\${name}\` as ErrorCode, text: text as string }]
}))
`
}

// ---- the catalogue ----

const CRDT_DEF = 'src/crdt/types.def'
const PARAMETERS = {
  u64: { ts: 'number | bigint', docs: 'an integer from 1' },
  u32: { ts: 'number', docs: 'an integer from 0' },
  json: { ts: 'Json', docs: 'any JSON value' },
  text: { ts: 'string', docs: 'a string' },
  actor: { ts: 'string', docs: 'the name of a replica' },
}
// What holds in TypeScript and not in C.
const TS_NOTES = { text: ' Here they count UTF-16 units, as those of JavaScript\'s strings do.' }

/** "add(element: json); clear()" as [{ name, parameters: [{ name, kind }] }]. */
function operationsOf(text) {
  return text.split(';').map((operation) => {
    const [, name, list] = operation.trim().match(/^(\w+)\((.*)\)$/) ?? []
    if (name === undefined) throw new Error(`${CRDT_DEF}: not an operation: ${operation}`)
    const parameters = list === '' ? [] : list.split(',').map((parameter) => {
      const [parameterName, kind] = parameter.split(':').map((word) => word.trim())
      if (PARAMETERS[kind] === undefined) throw new Error(`${CRDT_DEF}: ${operation}: no type ${kind}`)
      return { name: parameterName, kind }
    })
    return { name, parameters }
  })
}

function readCrdtTypes() {
  const entries = readDef(CRDT_DEF, 'CRDT_TYPE')
  unique(entries, 0, CRDT_DEF)
  unique(entries, 1, CRDT_DEF)
  return entries.map(([name, number, shape, operations, value, text]) => ({
    name, number, shape, value, text,
    interface: `${name[0].toUpperCase()}${name.slice(1)}Crdt`,
    operations: operationsOf(operations),
  }))
}

/** laniakea/crdt.h has the numbers once more, since a public header includes no table. */
function checkCrdtHeader(types) {
  const path = 'include/laniakea/crdt.h'
  if (!existsSync(join(root, path))) return
  const written = [...read(path).matchAll(/^ {2}LK_CRDT_([A-Z]+) = (\d+),$/gm)].map(([, name, number]) => `${name.toLowerCase()} ${number}`)
  const wanted = types.map(({ name, number }) => `${name} ${number}`)
  if (written.join() !== wanted.join()) throw new Error(`${path}: lk_crdt_kind is not what ${CRDT_DEF} says: ${wanted.join(', ')}`)
}

/** One of many, and the only one: then it may be left out. */
const isAmount = ({ parameters }) => parameters.length === 1 && parameters[0].kind === 'u64'

function crdtInterface({ name, interface: title, shape, value, text, operations }) {
  const methods = operations.map((operation) => {
    const list = operation.parameters.map((p) => `${p.name}${isAmount(operation) ? '?' : ''}: ${PARAMETERS[p.kind].ts}`)
    return `  ${operation.name}(${list.join(', ')}): Uint8Array<ArrayBuffer>`
  })
  if (shape === 'MAP') {
    methods.push(`  /** The object of \`type\` below \`key\`: there by being changed. What its methods give are deltas of the whole. */
  at<K extends CrdtType>(key: string, type: K): CrdtTypes[K]`)
  }
  return `/** ${text}${TS_NOTES[name] ?? ''} */
export interface ${title} extends CrdtObject<'${name}', ${value}> {
${methods.join('\n')}
}
`
}

function crdtTs(types) {
  const entry = ({ name, number, shape, value, operations }) => {
    const kinds = operations.map((operation) => `${operation.name}: [${operation.parameters.map((p) => `'${p.kind}'`).join(', ')}]`)
    return `  ${name}: { number: ${number}, map: ${shape === 'MAP'}, exact: ${value.includes('bigint')}, operations: { ${kinds.join(', ')} } },`
  }
  return `// ${note(CRDT_DEF)}
import type { CrdtObject } from './crdt_object.ts'
import type { Json } from './json.ts'

${types.map(crdtInterface).join('\n')}
/** The types by their names. */
export interface CrdtTypes {
${types.map((type) => `  readonly ${type.name}: ${type.interface}`).join('\n')}
}

/** The name of a type. */
export type CrdtType = keyof CrdtTypes

export type CrdtParameter = ${Object.keys(PARAMETERS).map((kind) => `'${kind}'`).join(' | ')}

export interface CrdtTypeEntry {
  readonly number: number
  readonly map: boolean
  /** Each number in the value is a bigint. */
  readonly exact: boolean
  readonly operations: Readonly<Record<string, readonly CrdtParameter[]>>
}

export const crdtTypes: Readonly<Record<CrdtType, CrdtTypeEntry>> = {
${types.map(entry).join('\n')}
}
`
}

const SHAPES = {
  ROOT_RUNS: 'Runs of dots at the object, each dot counting one.',
  ROOT_DOTS: 'Dots at the object.',
  ROOT_VALUES: 'Dots at the object, each with a value.',
  ELEMENTS_RUNS: 'Runs of dots at elements, each dot counting one.',
  ELEMENTS_DOTS: 'Dots at elements.',
  ELEMENTS_VALUES: 'Dots at elements, each with a value.',
  MAP: 'Other objects, each with a key.',
}

function crdtReference(types) {
  const section = ({ name, number, shape, value, text, operations }) => {
    if (SHAPES[shape] === undefined) throw new Error(`${CRDT_DEF}: no shape ${shape}`)
    const rows = operations.map((operation) => {
      const list = operation.parameters.map((p) => `\`${p.name}\`: ${PARAMETERS[p.kind].docs}`)
      return `| \`${operation.name}(${operation.parameters.map((p) => p.name).join(', ')})\` | ${list.join('; ')} |`
    })
    return `## ${name}

${text}

| operation | arguments |
| --- | --- |
${rows.join('\n')}

- Value, as TypeScript says it: \`${value}\`
- Number in the encoding: ${number}
- State: ${SHAPES[shape]}
`
  }
  return `<!-- ${note(CRDT_DEF)} -->
# The catalogue

State that many replicas change at once, apart or together, and that converges. An operation changes the
object where it is made and gives a delta. Deltas and states are of one kind: any of them may be merged into
any replica of the same type, in any order, any number of times. Replicas that know the same have the same
value and the same bytes.

- C: \`include/laniakea/crdt.h\`; \`lk_crdt_apply()\` takes operations by the names below.
- JavaScript: \`createCrdts()\` of \`@laniakea/sdk\`; operations are methods.

| type | number | |
| --- | --- | --- |
${types.map(({ name, number, text }) => `| [${name}](#${name}) | ${number} | ${text.split(/(?<=[.:]) /)[0].replace(/:$/, '.')} |`).join('\n')}

Elements, values and keys are JSON. Equal are those with the same canonical form (RFC 8785): 1 and 1.0 are
one element of a set.

${types.map(section).join('\n')}`
}

// ---- settings ----

const WHEN = {
  RESTART: 'A change needs a restart.',
  RELOAD: 'A change is seen by the running server.',
  RESERVED: 'Reserved for a later version: this one checks it and refuses to start with it.',
}

function settingsReference(settings, limits) {
  const section = (setting) => {
    const { name, type, preset, flag, short, argument, when, text } = setting
    if (WHEN[when] === undefined) throw new Error(`${SETTINGS_DEF}: ${name}: no ${when}`)
    const sentence = text[0].toUpperCase() + text.slice(1)
    const wanted = expectation(setting) || { FLAG: 'true or false', LIST: 'a list of texts', TEXT: 'a text', PATHS: 'the path of a file that others may not write, or a list of them', SECRETS: 'the path of a file that others may not read, or a list of them', PATH: 'a path', SECRET: 'the path of a file that others may not read' }[type]
    return `### ${name}

${sentence}.

- Value: ${wanted}
- Default: ${preset === '' ? 'none' : `\`${preset}\``}
- File: \`${example(setting)}\`
- Environment: \`${variableOf(name)}\`
- Option: \`--${flag}${argument && ` ${argument}`}\`${short && `, \`-${short}\``}
- ${WHEN[when]}
`
  }
  const limit = ({ name, preset, most, text, isBytes }) => {
    const shown = (value) => (isBytes ? bytes(value) : String(value))
    return `| \`${name}\` | ${shown(preset)} | ${shown(most)} | ${text} |`
  }
  return `<!-- ${note(`${SETTINGS_DEF} and ${LIMITS_DEF}`)} -->
# Settings of the server

Each setting has a default and can be given in a configuration file, in the environment, and as an option of
\`laniakea serve\`; of these the later ones win. \`laniakea check-config [FILE]\` prints what holds and where it
came from, or what is wrong and on which line.

## The file

\`laniakea serve --config FILE\` reads it, or else the file that \`LANIAKEA_CONFIG\` names; without either, none is
read. It is TOML, of which these parts are used; anything else is an error that says so.

\`\`\`toml
# A comment goes to the end of its line.
port = 4000                      # a number
data = "/var/lib/laniakea"       # texts and paths stand in quotes: "..." with escapes, '...' without
debug-echo = false               # true or false

[limit]                          # a section: rooms_count below is the setting limit.rooms_count
rooms_count = 4096
ws_message_bytes = "4M"          # quantities with a unit are texts: K, M, G; ms, s, m, h, d
\`\`\`

A list is \`["one.example", "two.example"]\`, and may go over several lines. A name that is not known, a name or
section that stands twice, and a value that is not what its setting asks for are errors; all of them are told at
once. The file is UTF-8 and has at most 256 KiB. Paths are relative to where the server is started.

## The environment

The variable of a setting is its name in capitals behind \`LANIAKEA_\`, with underscores for dots and dashes. Values
are as in the file but without quotes, and the texts of a list have commas between them. An empty variable
counts as not given. A variable that begins with \`LANIAKEA_\` and is no setting is warned of. (Kubernetes makes
variables such as \`LANIAKEA_PORT=tcp://...\` for a service called laniakea: \`enableServiceLinks: false\` stops that.)

## Secrets

A secret is given as the path of a file. The file must be there, hold something, and be closed to others
(\`chmod 600\`). Its content is never printed. A
data directory has a secret of its own for Phoenix.Tokens, \`.token-secret\` (mode 600), which a server without keys makes when it starts,
and \`laniakea token mint --data DIR\` where it is missing; it counts where \`token.secret-file\` names it.

## Settings

${settings.map(section).join('\n')}
## Limits

\`limit.NAME\` in the file, \`LANIAKEA_LIMIT_NAME\` in the environment, \`--limit NAME=N\` as an option, which may be
given several times. From 1 to the ceiling. A change needs a restart.

| limit | default | ceiling | of what |
| --- | --- | --- | --- |
${limits.map(limit).join('\n')}
`
}

// ---- what it tells ----

const NUMBERS_DEF = 'src/server/numbers.def'
const LOG_DEF = 'src/server/log.def'

function operationsReference(metrics, events) {
  const metric = ({ macro, texts }) => {
    const [kind, name, help] = macro === 'NUMBER' ? texts.slice(2) : ['histogram', ...texts.slice(2)]
    return `| \`${name}\` | ${kind} | ${help} |`
  }
  return `<!-- ${note(`${NUMBERS_DEF} and ${LOG_DEF}`)} -->
# What the server tells of itself

## Paths

| path | answers |
| --- | --- |
| \`/healthz\` | 200 while it answers at all |
| \`/readyz\` | 200 while it takes work; 503 while it stops, while a room process is down, and for 10 s after a journal failed |
| \`/metrics\` | numbers in Prometheus' text format |

\`laniakea health\` asks the second one and ends with 0 or 1. \`laniakea top\` shows the numbers as they change; \`laniakea top --once --json\` is for scripts.

## Metrics

Sums over all processes of a kind. Counters and histograms go on where a process that died left them; gauges of a
dead process are 0. Latencies are histograms with the same buckets, from 50 µs to 10 s.

| metric | kind | |
| --- | --- | --- |
${metrics.map(metric).join('\n')}
| \`laniakea_restarts_total{process}\` | counter | Processes that died and were replaced. |
| \`laniakea_process_ready{process,index}\` | gauge | 1 where the process does its work. |
| \`laniakea_process_resident_bytes{process,index}\` | gauge | Memory of a process that is in RAM; what processes share counts in each of them. |

## Events

While it runs, the server writes a line to standard error for each event of at least the level \`log.level\`: a JSON
object with \`time\`, \`level\`, \`event\`, \`process\`, \`index\`, \`pid\` and \`message\`, or text (\`log.format\`). A line
has at most 4,096 bytes and is written at once. Nothing that clients send is in it. Of each event a process
writes at most 20 lines at once and then one in a second; \`left_out\` says how many more there were.

| event | level | when |
| --- | --- | --- |
${events.map(({ args, texts }) => `| \`${args[0]}\` | ${args[1].toLowerCase()} | ${texts[2]} |`).join('\n')}

What keeps it from starting is said as plain text.
`
}

function outputs() {
  const errors = readDef('src/base/errors.def', 'ERROR')
  unique(errors, 0, 'errors.def')
  unique(errors, 1, 'errors.def')
  const crdtTypes = readCrdtTypes()
  checkCrdtHeader(crdtTypes)
  return new Map([
    ['include/laniakea/errors.h', errorsHeader(errors)],
    ['js/packages/sdk/src/internal/errors.gen.ts', errorsTs(errors)],
    ['js/packages/sdk/src/internal/crdt_types.gen.ts', crdtTs(crdtTypes)],
    ['docs/reference/crdt.md', crdtReference(crdtTypes)],
    ['docs/reference/operations.md', operationsReference(defEntries(read(NUMBERS_DEF)), defEntries(read(LOG_DEF)))],
    ['docs/reference/settings.md', settingsReference(readSettings(root), readLimits(root))],
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
