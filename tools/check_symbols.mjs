// tools/check_symbols.mjs -- gate: what the compiled floors need, define and keep.
//
//   cmake --preset gate && ninja -C build/gate && node tools/check_symbols.mjs [root]
//   ... [root] --build DIR      libraries of another build (default build/gate)
//   ... [root] --wasm DIR       also the objects of a WebAssembly build (default build/wasm, if there)
//
// Names in the source can be disguised by macros; names in objects cannot. Checked:
//   1. Core objects need memcpy, memmove, memset, memcmp, what the core itself defines, lk_panic, lk_panic_at
//      and lk_covered, and nothing else: no allocator, clock, file or helper of the compiler's library.
//   2. Core objects hold no variable that can change: no .data, .bss, .tdata, .tbss, no common symbol.
//      (.data.rel.ro holds constants with addresses in them.)
//   3. Every global symbol is named lk_..., so that the library never collides with a program.
//   4. A floor's objects use symbols only of floors that it may see by tools/floors.txt: a prototype
//      repeated by hand gets past the includes, but not past this.
//   5. The build is of this tree: no source is newer than its library, none is missing.
//
// When it fails: pass in what the core lacks (lk_alloc, lk_env, a function pointer), move state into
// a struct that the caller owns, make a helper static. `__popcountdi2` and the like come from the
// compiler: write the operation in plain arithmetic.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { MEM_FUNCTIONS, blankC, createReport, gateArgs, hasProgram, isCore } from './lib.mjs'
import { lineAt, readFloors, readText, run, walk } from './lib.mjs'

const GIVEN_BY_PLATFORM = ['lk_panic', 'lk_panic_at', 'lk_covered']
/** References that the compiler makes and the linker resolves; no code is behind them. */
const LINKER_MADE = ['_GLOBAL_OFFSET_TABLE_', '__stack_pointer', '__indirect_function_table']
  .concat('__memory_base', '__table_base', '__linear_memory')
const CHANGES = /^\.(?:data(?!\.rel\.ro)|bss|tdata|tbss|sdata|sbss|ldata|lbss)(?:\.|$)|^\*COM\*$|^COMMON$/

const args = gateArgs({ values: ['build', 'wasm'] })
const { root } = args
const report = createReport('symbols')
const floors = readFloors(root)
const sees = new Map(floors.map(({ floor, sees }) => [floor, new Set([floor, ...sees])]))

// ---- reading objects: { source, floor, needs, defines, changeable } ----

/** Which folder the library lk_<name> is made from. */
function folderOf(name) {
  if (name.startsWith('platform_')) return `platform/${name.slice('platform_'.length)}`
  return existsSync(join(root, 'src', name)) || !existsSync(join(root, name)) ? `src/${name}` : name
}

function floorOf(source) {
  const parts = source.split('/')
  return parts[0] === 'src' ? parts[1] : parts[0]
}

/** One object for each member of a static library, by GNU nm and size. */
function readLibrary(path) {
  const folder = folderOf(basename(path).replace(/^liblk_|\.a$/g, ''))
  const objects = new Map()
  const objectOf = (member) => {
    const source = `${folder}/${member.replace(/\.o$/, '')}`
    const empty = { source, floor: floorOf(source), needs: [], defines: [], changeable: [] }
    if (!objects.has(member)) objects.set(member, empty)
    return objects.get(member)
  }
  const listing = run('nm', ['-f', 'sysv', '-A', path]).stdout
  // library:member:name | value | class | type | size | line | section
  const columns = /^[^\n]*?\.a:([^:\n]+):([^|\n]+)\|[^|\n]*\|\s*(\S)\s*\|[^|\n]*\|[^|\n]*\|[^|\n]*\|(\S+)\s*$/gm
  for (const row of listing.matchAll(columns)) {
    const [, member, padded, letter, section] = row
    const object = objectOf(member)
    const name = padded.trim()
    if (section === '*UND*') object.needs.push(name)
    else {
      if (/[A-Z]|u/.test(letter)) object.defines.push(name)
      if (CHANGES.test(section)) object.changeable.push({ section, name })
    }
  }
  // Sections, because a variable may have no symbol.
  let member = null
  for (const line of run('size', ['-A', path]).stdout.split('\n')) {
    const head = line.match(/^(\S+)\s+\(ex /)
    if (head) member = head[1]
    const [, section, bytes] = line.match(/^(\S+)\s+(\d+)\s+\d+$/) ?? []
    if (!section || Number(bytes) === 0 || !CHANGES.test(section)) continue
    const object = objectOf(member)
    if (!object.changeable.some((item) => item.section === section)) object.changeable.push({ section, name: '' })
  }
  return [...objects.values()]
}

/** One WebAssembly object. Its data segments are named .bss.x and so on, as sections are. */
const sourceOfObject = (path) => path.replace(/^.*?\.dir\//, '').replace(/\.(o|obj)$/, '')

/** What was built for link-time optimisation is compiled to the end here, in `folder`: only then is it seen what the
 * compiler calls and where variables lie. */
function compiled(path, folder) {
  const isBitcode = readFileSync(join(root, path)).subarray(0, 2).toString() === 'BC'
  if (!isBitcode) return join(root, path)
  const object = join(folder, path.replaceAll('/', '_'))
  const { status, stderr } = run('llc-22', ['-O1', '-filetype=obj', join(root, path), '-o', object])
  if (status !== 0) report.add(sourceOfObject(path), 0, `${path} cannot be compiled by llc-22: ${stderr}`)
  return object
}

function readWasmObject(path, folder) {
  const source = sourceOfObject(path)
  const file = compiled(path, folder)
  const object = { source, floor: floorOf(source), needs: [], defines: [], changeable: [] }
  for (const [, name, letter] of run('llvm-nm-22', ['-P', file]).stdout.matchAll(/^(\S+) (\S) /gm)) {
    if (/[Uw]/.test(letter)) object.needs.push(name)
    else if (/[A-Z]/.test(letter)) object.defines.push(name)
  }
  const sections = run('llvm-readobj-22', ['--sections', file])
  if (!sections.stdout.includes('Format: WASM')) {
    report.add(source, 0, `${path} is not a WebAssembly object`)
  }
  for (const [, segment] of sections.stdout.matchAll(/^\s+Name: (\.\S+)$/gm)) {
    const [, section, name = ''] = segment.match(/^(\.[a-z]+)\.?(.*)/)
    if (CHANGES.test(segment)) object.changeable.push({ section, name })
  }
  return object
}

// ---- the rules ----

/** The first line of `source` that names `symbol`; the compiler's own names stand nowhere. */
function lineNaming(source, symbol) {
  if (symbol === '' || !existsSync(join(root, source))) return 0
  const text = blankC(readText(root, source), { strings: true })
  const plain = symbol.replace(/\.\d+$/, '').replace(/^.*\./, '') // static x in f is f.x or x.0
  const at = text.search(new RegExp(`(?<![\\w$])${plain.replace(/\W/g, '\\$&')}(?![\\w$])`))
  return at === -1 ? 0 : lineAt(text, at + 1)
}

function checkObjects(objects, place) {
  const definedBy = new Map() // more than one where a module replaces what a floor has (decision 013)
  for (const object of objects) for (const name of object.defines) definedBy.set(name, [...(definedBy.get(name) ?? []), object])

  const complain = (object, symbol, text) => {
    report.add(object.source, lineNaming(object.source, symbol), `${text} (${place})`)
  }
  for (const object of objects) {
    const { floor, source } = object
    if (!sees.has(floor)) {
      report.add(source, 0, `its library is of no floor in tools/floors.txt; add a line there (${place})`)
      continue
    }
    for (const name of object.needs) {
      if (MEM_FUNCTIONS.includes(name) || GIVEN_BY_PLATFORM.includes(name) || LINKER_MADE.includes(name)) continue
      const definers = definedBy.get(name) ?? []
      const from = definers.find((definer) => sees.get(floor).has(definer.floor)) ?? definers[0]
      if (from && !sees.get(floor).has(from.floor)) {
        complain(object, name, `${floor} uses ${name} of ${from.floor}, which it may not see; pass it in`)
      } else if (isCore(floor) && !from) {
        complain(object, name, `the core needs ${name}, which it does not define; do without or pass it in`)
      }
    }
    for (const name of object.defines) {
      const ownName = name.startsWith('lk_') || name === 'main' || (MEM_FUNCTIONS.includes(name) && !isCore(floor))
      if (!ownName) complain(object, name, `${name} is global and not named lk_...; make it static or rename it`)
    }
    for (const { section, name } of isCore(floor) ? object.changeable : []) {
      complain(object, name, `${name || 'something'} can change (${section}); make it const or the caller's`)
    }
  }
}

/** All of it stands between #ifdef LK_SMALL and its #endif: it is of modules alone, and in a native build there is nothing in it. */
function isOfModules(source) {
  const code = blankC(readText(root, source)).replace(/^#include[^\n]*$/gm, '').trim()
  if (!code.startsWith('#ifdef LK_SMALL\n')) return false
  let depth = 0
  for (const directive of code.matchAll(/^#\s*(if|endif)/gm)) {
    depth += directive[1] === 'if' ? 1 : -1
    if (depth === 0) return code.slice(directive.index) === '#endif'
  }
  return false
}

const hasFunction = (source) => /^\w.*\(/m.test(blankC(readText(root, source)))

function checkFresh(library, objects) {
  const built = statSync(join(root, library)).mtimeMs
  const folder = folderOf(basename(library).replace(/^liblk_|\.a$/g, ''))
  for (const source of walk(root, folder, (path) => path.endsWith('.c'))) {
    const inside = objects.some((object) => object.source === source)
    const rebuilt = `rebuild with \`ninja -C ${library.replace(/\/[^/]*$/, '')}\``
    // A source with nothing in it leaves no symbol, hence no object here: that is not staleness.
    if (statSync(join(root, source)).mtimeMs > built) report.add(source, 0, `newer than ${library}; ${rebuilt}`)
    else if (!inside && hasFunction(source) && !isOfModules(source)) report.add(source, 0, `not in ${library}; ${rebuilt}`)
  }
}

// ---- run ----

const build = args.build ?? 'build/gate'
const libraries = walk(root, build, (path) => /\/liblk_\w+\.a$/.test(path))
const objects = []
for (const library of libraries) {
  const inside = readLibrary(join(root, library))
  checkFresh(library, inside)
  objects.push(...inside)
}
for (const { floor } of floors.filter(({ floor }) => isCore(floor))) {
  const hasSources = walk(root, `src/${floor}`, (path) => path.endsWith('.c')).length > 0
  if (hasSources && !libraries.some((path) => path.endsWith(`/liblk_${floor}.a`))) {
    report.add(`${build}/liblk_${floor}.a`, 0, 'is not built; run `cmake --preset gate && ninja -C build/gate`')
  }
}
if (libraries.length === 0) report.add(build, 0, 'has no liblk_*.a; run `cmake --preset gate && ninja -C build/gate`')
checkObjects(objects, 'native')

const wasmBuild = args.wasm ?? 'build/wasm'
const wasmPaths = walk(root, wasmBuild, (path) => /\.dir\/(src|platform|wasm)\/.*\.(o|obj)$/.test(path))
  .filter((path) => existsSync(join(root, sourceOfObject(path)))) // objects outlive their sources in a build folder
if (args.wasm && wasmPaths.length === 0) {
  report.add(wasmBuild, 0, 'has no objects; run `cmake --preset wasm && ninja -C build/wasm`')
}
const readsWasm = wasmPaths.length > 0 && hasProgram('llvm-nm-22')
if (readsWasm) {
  const folder = mkdtempSync(join(tmpdir(), 'lk-symbols-'))
  checkObjects(wasmPaths.map((path) => readWasmObject(path, folder)), 'wasm32')
  rmSync(folder, { recursive: true })
}
const wasmNote = readsWasm ? `, ${wasmPaths.length} wasm objects` : ', no wasm objects here'
const total = `${objects.length} objects of ${libraries.length} libraries`
report.finish(`${total}${wasmNote}: names, needs and data are in order`)
