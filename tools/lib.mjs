// tools/lib.mjs -- what the gates share: the tree, its text without comments, and how to report.
//
// A gate reads the tree at `root`: its first argument, else LK_ROOT, else the tree that it stands
// in. So a test can run it over a small tree of its own with one thing wrong in it.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The command line: `root`, the flags that were given, and the values of `--name value`. */
export function parseArgs({ flags = [], values = [] } = {}) {
  const out = { root: process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..'), rest: [] }
  const args = process.argv.slice(2)
  while (args.length > 0) {
    const arg = args.shift()
    const name = arg.replace(/^--/, '')
    if (!arg.startsWith('--')) out.rest.push(arg)
    else if (flags.includes(name)) out[name] = true
    else if (values.includes(name) && args.length > 0) out[name] = args.shift()
    else {
      console.error(`unknown option ${arg}`)
      process.exit(2)
    }
  }
  return out
}

/** parseArgs for a gate, whose only positional argument is the root. */
export function gateArgs(options) {
  const args = parseArgs(options)
  if (args.rest.length > 0) args.root = args.rest[0]
  args.root = resolve(args.root)
  return args
}

/** Collects what is wrong; finish() prints it and ends the process as every gate does. */
export function createReport(gate) {
  const found = []
  return {
    /** `line` may be 0 where the whole file is meant. */
    add: (file, line, text) => found.push({ file, line, text }),
    count: () => found.length,
    finish(summary) {
      const order = (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line)
      for (const { file, line, text } of found.sort(order)) console.log(`${file}:${line || 1}: ${text}`)
      if (found.length === 0) console.log(`${gate}: ${summary}`)
      process.exitCode = found.length === 0 ? 0 : 1
    },
  }
}

/** Paths below `folder`, relative to `root`, sorted, for which `keep(path)` holds. The build is
 * looked at only by naming a folder in it. */
export function walk(root, folder, keep = () => true) {
  if (!existsSync(join(root, folder))) return []
  const out = []
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
    if (['node_modules', '.git'].includes(entry.name) || path === 'build') continue
    if (entry.isDirectory()) out.push(...walk(root, path, keep))
    else if (keep(path)) out.push(path)
  }
  return out.sort()
}

export const isC = (path) => /\.[ch]$/.test(path)
export const isHeader = (path) => path.endsWith('.h')

export const readText = (root, path) => readFileSync(join(root, path), 'utf8')

/** C text with every comment, and with `strings` every literal's inside, blanked: offsets and
 * lines stay what they were. */
export function blankC(text, { strings = false } = {}) {
  const blank = (s) => s.replace(/[^\n]/g, ' ')
  const token = /\/\*[\s\S]*?(?:\*\/|$)|\/\/[^\n]*|"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*'/g
  return text.replace(token, (found) => {
    if (found.startsWith('/')) return blank(found)
    return strings ? found[0] + blank(found.slice(1, -1)) + found[0] : found
  })
}

/** The line, counted from 1, of the character at `offset`. */
export function lineAt(text, offset) {
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  return line
}

/** Runs a program to its end. Its absence is an error of the machine, not of the tree. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  if (done.error) {
    console.error(`cannot run ${command}: ${done.error.message}`)
    process.exit(2)
  }
  return done
}

/** Does a program of this name exist? */
export function hasProgram(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined
}

/** The lines `MACRO(arg, ...)` of a .def table: [{ macro, line, args, texts }], where `args` are as
 * written and `texts` are the values of those that are string literals. */
export function defEntries(text) {
  const code = blankC(text)
  const entries = []
  const entry = /^([A-Z][A-Z_0-9]*)\(((?:"(?:[^"\\\n]|\\.)*"|\((?:[^()"]|\([^()"]*\))*\)|[^()"])*)\)/gm
  for (const match of code.matchAll(entry)) {
    const args = splitArguments(match[2])
    const texts = args.map((arg) => (arg.startsWith('"') ? joinLiterals(arg) : null))
    entries.push({ macro: match[1], line: lineAt(text, match.index), args, texts })
  }
  return entries
}

function splitArguments(text) {
  const args = ['']
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[\s\S]/g)) {
    if (token === '(') depth++
    if (token === ')') depth--
    if (token === ',' && depth === 0) args.push('')
    else args[args.length - 1] += token
  }
  return args.map((arg) => arg.trim())
}

/** "a" "b" is "ab", as in C. */
function joinLiterals(text) {
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([literal]) => JSON.parse(literal)).join('')
}

/** tools/floors.txt: [{ floor, line, sees: [floor, ...] }], lowest first. */
export function readFloors(root) {
  const floors = []
  for (const [index, raw] of readText(root, 'tools/floors.txt').split('\n').entries()) {
    const line = raw.replace(/#.*/, '').trim()
    if (line === '') continue
    const [floor, sees = ''] = line.split(':')
    floors.push({ floor: floor.trim(), line: index + 1, sees: sees.trim().split(/\s+/).filter(Boolean) })
  }
  return floors
}

/** Floors that do I/O; folders that stand beside src/. What is neither is the core. */
export const SHELLS = ['server', 'cli']
export const BESIDE = ['platform', 'wasm', 'sim']
export const isCore = (floor) => !SHELLS.includes(floor) && !BESIDE.includes(floor)

/** The four functions of the C library that compilers emit calls to and base/mem.h declares. */
export const MEM_FUNCTIONS = ['memcpy', 'memmove', 'memset', 'memcmp']
