// tools/check_abi.mjs -- gate: what programs and pages have linked against stays there.
//
//   node tools/check_abi.mjs [root]               compares with the lists in abi/
//   node tools/check_abi.mjs [root] --update      writes the lists anew, and names what went away
//   ... --build DIR                               where the libraries are (default build)
//
//   abi/symbols.txt        liblaniakea.so exports these, and liblaniakea.a defines these globally
//   abi/tls-symbols.txt    the same of liblaniakea-tls.so and liblaniakea-tls.a
//   abi/wasm-exports.txt   laniakea.wasm exports these, each with its type
//   abi/wasm-imports.txt   laniakea.wasm wants these from its host, each with its type
//   abi/wasm-NAME-exports.txt   laniakea-NAME.wasm exports these
//   abi/wasm-NAME-imports.txt   laniakea-NAME.wasm wants these from its host; without such a list a module may want nothing
//   abi/wasm-gzip-max.txt  a module has no more bytes than that, compressed as by gzip -9
//
// The archive is read twice: an object made for link-time optimisation can be linked only by the
// compiler that made it, so none may be inside.
//
// When it fails: a name that was added by intent goes into the list by --update, in the same commit.
// A name that went away, or an export whose type changed, breaks programs that were built before:
// keep the old one beside the new, or raise the major version. A name that nobody meant to export
// lacks `static`, or has an LK_API too many. Each byte of a module is loaded by each visitor of a page: its
// limit is written by hand, downwards where it has become smaller.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { createReport, gateArgs, readText, run } from './lib.mjs'

// ---- native ----

function definedNames(nmOutput) {
  const names = [...nmOutput.matchAll(/^(\S+) [A-TV-Z] /gm)].map((match) => match[1])
  return [...new Set(names)].sort()
}

const dynamicSymbols = (path) => definedNames(run('nm', ['-P', '-D', '--defined-only', path]).stdout)
const archiveSymbols = (path) => definedNames(run('nm', ['-P', '-g', '--defined-only', path]).stdout)

/** GCC's intermediate code stands in sections of that name; LLVM's is a member of its own kind. */
function hasBytecode(bytes) {
  const llvm = Buffer.from('`\nBC\xC0\xDE', 'latin1')
  return bytes.includes('.gnu.lto_') || bytes.includes('.llvmbc') || bytes.includes(llvm)
}

// ---- WebAssembly: the sections type, import, function, table, memory, global and export ----

const VALUE_TYPES = { 0x7f: 'i32', 0x7e: 'i64', 0x7d: 'f32', 0x7c: 'f64', 0x7b: 'v128' }

/** { imports, exports }: sorted lines such as `function lk_open (i32, i64) -> i32`. */
export function readModule(bytes) {
  let at = 8
  const byte = () => bytes[at++]
  const number = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const next = byte()
      value += (next & 0x7f) * 2 ** shift
      if (next < 0x80) return value
    }
  }
  const list = (item) => Array.from({ length: number() }, item)
  const name = () => {
    const length = number()
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  const valueType = () => VALUE_TYPES[byte()] ?? 'unknown'
  const functionType = () => {
    byte() // 0x60
    const parameters = list(valueType)
    return `(${parameters.join(', ')}) -> ${list(valueType).join(', ') || 'nothing'}`
  }
  const limits = () => {
    const flags = number()
    const least = number()
    const most = flags & 1 ? number() : null
    return (flags & 2 ? 'shared ' : '') + `at least ${least}` + (most === null ? '' : `, at most ${most}`)
  }
  const table = () => `${valueType()}, ${limits()}`
  const global = () => valueType() + (byte() ? ', mutable' : '')

  if (bytes.toString('latin1', 0, 4) !== '\0asm') throw new Error('not a WebAssembly module')
  let types = []
  let exports = []
  const imports = []
  const spaces = [[], [], [], []] // functions, tables, memories, globals: the type of each
  const kinds = ['function', 'table', 'memory', 'global']
  const describe = [() => types[number()], table, limits, global]
  const sections = {
    1: () => (types = list(functionType)),
    2: () => list(() => {
      const from = `${name()}.${name()}`
      const kind = byte()
      const type = describe[kind]()
      spaces[kind].push(type)
      imports.push(`${kinds[kind]} ${from} ${type}`)
    }),
    3: () => list(() => spaces[0].push(types[number()])),
    7: () => (exports = list(() => {
      const text = name()
      const kind = byte()
      const index = number()
      // Sizes of an own memory or table are no promise; the type of a function is.
      return `${kinds[kind]} ${text}${kind === 0 ? ` ${spaces[0][index]}` : ''}`
    })),
  }
  while (at < bytes.length) {
    const id = byte()
    const size = number()
    const end = at + size
    sections[id]?.()
    at = end
  }
  return { imports: imports.sort(), exports: exports.sort() }
}

// ---- lists ----

/** Modules of their own: laniakea-NAME.wasm. A client in parts has what the whole one has (tests/vectors/client.test.mjs). */
const ALONE = ['doc', 'doc-fast', 'update', 'history', 'client']

function headOf(path) {
  if (path === 'abi/symbols.txt') return 'what liblaniakea.so and liblaniakea.a offer'
  if (path === 'abi/tls-symbols.txt') return 'what liblaniakea-tls.so and liblaniakea-tls.a offer'
  const [, name, what] = /wasm-(?:(.+)-)?(exports|imports)/.exec(path)
  const module = name === undefined ? 'laniakea.wasm' : `laniakea-${name}.wasm`
  return what === 'exports' ? `what ${module} offers` : `what ${module} wants from its host`
}

/** Native libraries beside the first, by their lists. */
const BESIDE = { 'abi/tls-symbols.txt': 'liblaniakea-tls' }
const SIZES = 'abi/wasm-gzip-max.txt'

function readList(root, path) {
  if (!existsSync(join(root, path))) return []
  const lines = readText(root, path).split('\n').map((text, index) => ({ text: text.trim(), line: index + 1 }))
  return lines.filter(({ text }) => text !== '' && !text.startsWith('#'))
}

function writeList(root, path, names) {
  for (const { text } of readList(root, path)) {
    if (!names.includes(text)) console.log(`${path}: went away: ${text} (what was linked against it breaks)`)
  }
  mkdirSync(join(root, dirname(path)), { recursive: true })
  const head = `# ${headOf(path)}; written by tools/check_abi.mjs --update\n`
  writeFileSync(join(root, path), head + names.map((name) => `${name}\n`).join(''))
  console.log(`wrote ${path}: ${names.length} names`)
}

function compare(report, root, path, names, binary) {
  const listed = readList(root, path)
  for (const { text, line } of listed) {
    if (names.includes(text)) continue
    report.add(path, line, `${binary} no longer has \`${text}\`; bring it back, or raise the major version`)
  }
  for (const name of names) {
    if (listed.some(({ text }) => text === name)) continue
    report.add(path, 0, `${binary} has \`${name}\`, which is not in the list; hide it, or use --update`)
  }
}

/** Lines of a module and a number. */
function checkSizes(report, root, present, build) {
  for (const { text, line } of readList(root, SIZES)) {
    const [name, most] = text.split(/\s+/)
    const path = `${build}/${name}`
    if (!present(path, 'make build-wasm')) continue
    const size = gzipSync(readFileSync(join(root, path)), { level: 9 }).length
    if (size > Number(most)) report.add(SIZES, line, `${path} has ${size} bytes, compressed; it may have ${most}`)
  }
}

function main() {
  const args = gateArgs({ flags: ['update'], values: ['build'] })
  const { root, build = 'build' } = args
  const report = createReport('abi')
  const handle = (path, names, binary) => {
    if (args.update) writeList(root, path, names)
    else compare(report, root, path, names, binary)
  }
  const present = (binary, preset) => {
    if (existsSync(join(root, binary))) return true
    report.add(binary, 0, `is not built; run \`${preset}\``)
    return false
  }

  const handleLibrary = (list, name) => {
    const [shared, archive] = [`${build}/${name}.so`, `${build}/${name}.a`]
    if (present(shared, 'make')) handle(list, dynamicSymbols(join(root, shared)), shared)
    if (!present(archive, 'make')) return
    compare(report, root, list, archiveSymbols(join(root, archive)), archive)
    if (hasBytecode(readFileSync(join(root, archive)))) {
      report.add(archive, 0, 'holds objects for link-time optimisation; build the archive without it')
    }
  }
  handleLibrary('abi/symbols.txt', 'liblaniakea')
  for (const [list, name] of Object.entries(BESIDE)) {
    if (existsSync(join(root, list)) || (args.update && existsSync(join(root, build, `${name}.so`)))) handleLibrary(list, name)
  }
  const module = `${build}/laniakea.wasm`
  if (present(module, 'make build-wasm')) {
    const { exports, imports } = readModule(readFileSync(join(root, module)))
    handle('abi/wasm-exports.txt', exports, module)
    handle('abi/wasm-imports.txt', imports, module)
  }
  for (const name of ALONE) {
    const [list, wants] = ['exports', 'imports'].map((what) => `abi/wasm-${name}-${what}.txt`)
    const path = `${build}/laniakea-${name}.wasm`
    const isExpected = existsSync(join(root, list)) || (args.update && existsSync(join(root, path)))
    if (!isExpected || !present(path, 'make build-wasm')) continue
    const { exports, imports } = readModule(readFileSync(join(root, path)))
    handle(list, exports, path)
    if (existsSync(join(root, wants))) handle(wants, imports, path)
    else for (const wanted of imports) report.add(path, 0, `wants \`${wanted}\` from its host, and may want nothing`)
  }
  if (!args.update) checkSizes(report, root, present, build)
  report.finish(args.update ? 'lists are up to date' : 'symbols, exports and imports are those of abi/')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
