// tools/check_defs.mjs -- gate: numbers that others remember keep their meaning.
//
//   node tools/check_defs.mjs [root]
//
// In a .def table a line `MACRO(name, number, ...)` with a plain number gives a name its number on
// the wire, in files or in the ABI. (64u or (1u << 20) is a quantity, not a number to remember.)
// Checked:
//   1. Within a table and macro, each name and each number stands once.
//   2. Against the last tag (the commit before, where there is no tag): every number that was given is
//      still there and still means the same. Without git, or without an earlier commit, this is skipped.
//
// When it fails: give the new line a fresh number at the end of its group. A number that is out of
// use keeps its line, with a comment that says since when.
import { realpathSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createReport, defEntries, gateArgs, readText, walk } from './lib.mjs'

const { root } = gateArgs()
const report = createReport('defs')

/** [{ macro, name, number, line }] of the lines that give a number to a name. */
function numbered(text) {
  return defEntries(text)
    .filter(({ args }) => args.length >= 2 && /^(?:0x[0-9a-fA-F]+|\d+)$/.test(args[1]))
    .map(({ macro, args, line }) => ({ macro, name: args[0], number: Number(args[1]), line }))
}

function checkUnique(path, entries) {
  const seen = new Map()
  const once = (key, text, line) => {
    if (seen.has(key)) report.add(path, line, `${text} stands on line ${seen.get(key)} already; give this one its own`)
    else seen.set(key, line)
  }
  for (const { macro, name, number, line } of entries) {
    once(`${macro} name ${name}`, `${macro}'s name ${name}`, line)
    once(`${macro} number ${number}`, `${macro}'s number ${number}`, line)
  }
}

function checkOnlyGrows(path, before, now, since) {
  for (const { macro, name, number } of before) {
    const holder = now.find((entry) => entry.macro === macro && entry.number === number)
    const moved = now.find((entry) => entry.macro === macro && entry.name === name)
    if (holder?.name === name) continue
    const was = `was ${holder ? name : number} in ${since}`
    if (holder) report.add(path, holder.line, `${number} is ${holder.name} here and ${was}; take a fresh number`)
    else if (moved) report.add(path, moved.line, `${name} is ${moved.number} here and ${was}; put the old one back`)
    else report.add(path, 0, `${macro}(${name}, ${number}) of ${since} went away; numbers are never reused`)
  }
}

// ---- git ----

function git(...args) {
  const done = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' })
  return done.status === 0 ? done.stdout.trimEnd() : null
}

/** The commits to compare with, or none and why. Without a tag nothing is released, but numbers are in
 * use: then with every commit that changed a table, so that a renumbering is not forgotten by the next. */
function baselines() {
  const top = git('rev-parse', '--show-toplevel')
  if (top === null || realpathSync(top) !== realpathSync(root)) return [[], 'not a git tree']
  const tag = git('describe', '--tags', '--abbrev=0')
  if (tag !== null) return [[tag], null]
  if (git('rev-parse', '--verify', '--quiet', 'HEAD~') === null) return [[], 'no tag and no earlier commit']
  const changed = git('log', '--format=%h', 'HEAD~', '--', '*.def') ?? ''
  return [['HEAD~', ...changed.split('\n').filter(Boolean)], null]
}

const tables = walk(root, '.', (path) => path.endsWith('.def'))
const entries = new Map(tables.map((path) => [path, numbered(readText(root, path))]))
for (const [path, list] of entries) checkUnique(path, list)

const [commits, why] = baselines()
const told = new Set()
for (const since of commits) {
  const files = git('ls-tree', '-r', '--name-only', since).split('\n')
  for (const path of files.filter((path) => path.endsWith('.def'))) {
    const before = numbered(git('show', `${since}:${path}`) ?? '')
    const fresh = before.filter(({ macro, name, number }) => !told.has(`${path} ${macro} ${name} ${number}`))
    for (const { macro, name, number } of fresh) told.add(`${path} ${macro} ${name} ${number}`)
    checkOnlyGrows(path, fresh, entries.get(path) ?? [], since)
  }
}

const total = [...entries.values()].reduce((sum, list) => sum + list.length, 0)
const history = why !== null ? ` (history not compared: ${why})` : ` and all those of ${commits[0]} are kept`
report.finish(`${total} numbers in ${tables.length} tables are unique${history}`)
