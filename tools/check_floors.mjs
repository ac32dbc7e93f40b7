// tools/check_floors.mjs -- gate: code includes only from floors that it may see.
//
//   node tools/check_floors.mjs [root]
//
// Checked, over include/, src/, platform/, wasm/ and sim/:
//   1. tools/floors.txt names each folder of src/ once, lowest first; a floor sees only floors that
//      stand above its line (shells also platform, which stands beside), and the list has no cycle.
//   2. `#include "floor/x.h"` follows that list. Paths start at a root: never "../x.h" or "x.h".
//   3. Public headers include freestanding headers and "laniakea/..." only.
//   4. The core (base to cluster) includes no header of the C library but the freestanding ones.
//   5. memcpy, memmove, memset and memcmp are declared in src/base/mem.h and nowhere else, and
//      defined nowhere but in platform/wasm/ and wasm/, where there is no C library.
//
// When it fails: what you include belongs on a lower floor, or you need a function pointer that
// the upper floor fills in. A new edge in floors.txt is a decision about the architecture: say in
// the commit why.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { BESIDE, MEM_FUNCTIONS, blankC, createReport, gateArgs, isCore } from './lib.mjs'
import { lineAt, readFloors, readText, walk } from './lib.mjs'

const LIST = 'tools/floors.txt'
const FREESTANDING = ['stdint.h', 'stddef.h', 'stdbool.h', 'limits.h', 'float.h', 'stdarg.h']
  .concat('stdalign.h', 'stdnoreturn.h')
const DECLARES_MEM = 'src/base/mem.h'
const DEFINES_MEM = /^(platform\/wasm|wasm)\//

const { root } = gateArgs()
const report = createReport('floors')
const floors = readFloors(root)
const sees = new Map(floors.map(({ floor, sees }) => [floor, new Set([floor, ...sees])]))

function checkList() {
  const rank = new Map()
  for (const [index, { floor, line }] of floors.entries()) {
    if (rank.has(floor)) report.add(LIST, line, `${floor} stands twice; keep one line`)
    else rank.set(floor, index)
  }
  for (const [index, { floor, line, sees }] of floors.entries()) {
    for (const [position, seen] of sees.entries()) {
      const above = rank.get(seen) >= index && (seen !== 'platform' || isCore(floor))
      if (!rank.has(seen)) report.add(LIST, line, `${floor} sees ${seen}, which has no line of its own; add one`)
      else if (above) report.add(LIST, line, `${floor} sees ${seen}, which is not below it; only earlier lines are`)
      else if (sees.indexOf(seen) < position) report.add(LIST, line, `${floor} names ${seen} twice; once is enough`)
    }
  }
  checkCycles()
  const folders = existsSync(join(root, 'src')) ? readdirSync(join(root, 'src'), { withFileTypes: true }) : []
  for (const folder of folders.filter((entry) => entry.isDirectory())) {
    const listed = rank.has(folder.name) && !BESIDE.includes(folder.name)
    if (!listed) report.add(LIST, 1, `src/${folder.name} has no line; say what the floor may see`)
  }
}

/** The order excludes cycles, but for those through `platform`, which may be seen from above it. */
function checkCycles() {
  const state = new Map()
  const visit = (floor, path) => {
    if (state.get(floor) === 'done') return
    if (state.get(floor) === 'open') {
      const line = floors.find((f) => f.floor === floor).line
      const cycle = [...path.slice(path.indexOf(floor)), floor].join(' -> ')
      report.add(LIST, line, `a cycle: ${cycle}; remove one of these edges`)
      return
    }
    state.set(floor, 'open')
    for (const seen of sees.get(floor) ?? []) if (seen !== floor) visit(seen, [...path, floor])
    state.set(floor, 'done')
  }
  for (const { floor } of floors) visit(floor, [])
}

/** src/crdt/x.c is of floor crdt, platform/posix/x.c of platform, a public header of none. */
function floorOf(path) {
  const parts = path.split('/')
  if (parts[0] === 'include') return null
  return parts[0] === 'src' ? parts[1] : parts[0]
}

function whatIsWrong(path, quote, target) {
  const floor = floorOf(path)
  const freestandingOnly = floor === null || isCore(floor)
  if (quote === '<') {
    if (target.startsWith('laniakea/')) return `<${target}> is ours; write "${target}"`
    if (freestandingOnly && !FREESTANDING.includes(target)) {
      return `<${target}> is not a freestanding header; the core only computes, let a shell or a platform do it`
    }
    return null
  }
  if (target.split('/').includes('..')) return `"${target}" climbs out of its folder; write "floor/x.h"`
  if (target.startsWith('laniakea/')) return null
  if (floor === null) return `a public header includes "${target}", which is not installed; include "laniakea/..." only`
  const named = target.split('/')[0]
  if (!sees.has(named)) return `"${target}" begins with no floor's name; write "floor/x.h" or "laniakea/x.h"`
  if (!sees.get(floor)?.has(named)) {
    return `${floor} may not include from ${named}; move what is needed to a lower floor or pass it in`
  }
  return null
}

function checkIncludes(path, text) {
  for (const match of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(.*)$/gm)) {
    const line = lineAt(text, match.index)
    const named = match[1].match(/^([<"])([^>"]+)[>"]/)
    if (!named) report.add(path, line, 'an include by macro hides what is included; name the header')
    else {
      const wrong = whatIsWrong(path, named[1], named[2])
      if (wrong) report.add(path, line, wrong)
    }
  }
}

function checkMem(path, text) {
  const [type, name] = ['(?:extern[ \\t]+)?(?:void[ \\t]*\\*|int[ \\t])', `(${MEM_FUNCTIONS.join('|')})`]
  const prototype = new RegExp(`^[ \\t]*${type}[ \\t]*${name}[ \\t]*\\([^)]*\\)[^;{]*([;{])`, 'gm')
  for (const match of text.matchAll(prototype)) {
    const [all, name, end] = match
    const line = lineAt(text, match.index + all.search(/\S/) + 1)
    if (end === ';' && path !== DECLARES_MEM) report.add(path, line, `${name} is declared again; include "base/mem.h"`)
    const allowed = DEFINES_MEM.test(path)
    if (end === '{' && !allowed) report.add(path, line, `${name} is defined here; only platform/wasm has to`)
  }
}

checkList()
const isSource = (path) => /\.(c|h|def|S)$/.test(path)
const files = ['include', 'src', 'platform', 'wasm', 'sim'].flatMap((folder) => walk(root, folder, isSource))
for (const path of files) {
  const floor = floorOf(path)
  if (floor !== null && !sees.has(floor)) continue // told once, by checkList
  const text = blankC(readText(root, path))
  checkIncludes(path, text)
  checkMem(path, text)
}
report.finish(`${files.length} files follow ${floors.length} floors`)
