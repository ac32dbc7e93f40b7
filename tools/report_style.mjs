// tools/report_style.mjs -- reports the shape of the code; never fails.
//
//   node tools/report_style.mjs [root]
//
// Longest functions, largest files, how much is comment, how often the code states what it believes,
// and how large the WebAssembly module is to download. Look at it before a release, or when a part
// feels heavy: a number here is a place to read, not a fault. CRAFT: most functions have about 12
// lines, nine in ten at most 70; a longer one should be flat.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { blankC, gateArgs, isC, lineAt, readText, walk } from './lib.mjs'

const TOP = 6
const { root } = gateArgs()

/** A function begins in the first column and its head ends with `) {`. */
function functionsOf(path, code) {
  const found = []
  for (const match of code.matchAll(/^[A-Za-z_][^;{}#=]*\)\s*\{/gm)) {
    let depth = 0
    let end = match.index + match[0].length - 1
    do {
      if (code[end] === '{') depth++
      if (code[end] === '}') depth--
      end++
    } while (depth > 0 && end < code.length)
    const names = [...match[0].matchAll(/(\w+)\s*\(/g)].map((named) => named[1])
    const line = lineAt(code, match.index + 1)
    const name = names.find((name) => name !== '__attribute__') ?? '?'
    found.push({ path, line, name, lines: lineAt(code, end) - line + 1 })
  }
  return found
}

function measure(path) {
  const text = readText(root, path)
  const code = blankC(text, { strings: true })
  const rows = text.split('\n')
  const codeRows = code.split('\n')
  return {
    path,
    lines: rows.length - 1,
    code: codeRows.filter((row) => row.trim() !== '').length,
    comments: rows.filter((row, index) => row.trim() !== '' && codeRows[index].trim() === '').length,
    assertions: [...code.matchAll(/\bLK_(?:DEBUG_)?(?:ASSERT|UNREACHABLE)\s*\(/g)].length,
    functions: path.endsWith('.gen.h') ? [] : functionsOf(path, code),
  }
}

const sum = (list, key) => list.reduce((total, item) => total + item[key], 0)
const share = (part, whole) => (whole === 0 ? 'none' : (part / whole).toFixed(2))
const kb = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`

function printTop(title, items, size) {
  console.log(`\n${title}`)
  const longest = items.sort((a, b) => b.lines - a.lines).slice(0, TOP)
  for (const item of longest) console.log(`  ${String(item.lines).padStart(6)}  ${size(item)}`)
}

const product = ['include', 'src', 'platform', 'wasm', 'sim'].flatMap((folder) => walk(root, folder, isC)).map(measure)
const tests = ['tests', 'fuzz'].flatMap((folder) => walk(root, folder, isC)).map(measure)
const isScript = (path) => /\.(ts|tsx|mjs|js)$/.test(path) && !path.includes('/dist/')
const scripts = ['js', 'tools', 'tests'].flatMap((folder) => walk(root, folder, isScript))
const scriptLines = scripts.reduce((total, path) => total + readText(root, path).split('\n').length - 1, 0)
const functions = product.flatMap((file) => file.functions)
const lengths = functions.map((one) => one.lines).sort((a, b) => a - b)
const at = (part) => lengths[Math.min(lengths.length - 1, Math.floor(lengths.length * part))] ?? 0
const code = sum(product, 'code')

const comments = sum(product, 'comments')
const testCode = sum(tests, 'code')
const asserted = sum(product, 'assertions')
const over = functions.filter((one) => one.lines > 70).length

console.log(`C           ${product.length} files, ${code} lines of code, ${comments} of comment (${share(comments, code)} a line)`)
console.log(`tests       ${tests.length} files, ${testCode} lines of code (${share(testCode, code)} a line)`)
console.log(`scripts     ${scripts.length} files, ${scriptLines} lines`)
console.log(`functions   ${functions.length}: median ${at(0.5)} lines, nine in ten up to ${at(0.9)}, ${over} over 70`)
console.log(`assertions  ${asserted}: ${share(asserted * 1000, code)} in 1000 lines, ${share(asserted, functions.length)} a function`)

const module = join(root, 'build/laniakea.wasm')
if (existsSync(module)) {
  const bytes = readFileSync(module)
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })
  const gzip = gzipSync(bytes, { level: 9 })
  console.log(`wasm        ${kb(bytes.length)} raw, ${kb(gzip.length)} gzip, ${kb(brotli.length)} brotli`)
} else console.log('wasm        not built')

printTop('longest functions', functions, ({ name, path, line }) => `${name}  ${path}:${line}`)
printTop('largest files', [...product], ({ path, code, comments }) => `${path}  (${code} code, ${comments} comment)`)
