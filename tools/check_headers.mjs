// tools/check_headers.mjs -- gate: every header stands alone.
//
//   node tools/check_headers.mjs [root]
//
// Checked, by compiling one-line files:
//   1. Each public header (include/laniakea) compiles alone, and twice, as C11 and as C++17.
//   2. All public headers together compile in alphabetical order and in the reverse, in both.
//   3. Each header of src/, platform/ and sim/ compiles alone, and twice, as C11; the core's without
//      a C library behind it. Those of wasm/ and platform/wasm/ compile for wasm32, where clang is.
//      (x.gen.h are rows of a table that one file includes in its place.)
//
// When it fails: the header uses a name that it does not include, lacks its guard, or (in C++)
// uses a keyword or a conversion that C++ does not know. The line printed is the compiler's.
import { spawn } from 'node:child_process'
import { createReport, gateArgs, hasProgram, isCore, isHeader, walk } from './lib.mjs'

const STRICT = ['-pedantic-errors', '-Wall', '-Wextra', '-Wundef', '-Werror']
  .concat('-fsyntax-only', '-fdiagnostics-color=never')
const LANGUAGES = {
  C11: ['gcc', '-std=c11', '-Wstrict-prototypes', '-x', 'c'],
  'C++17': ['g++', '-std=c++17', '-x', 'c++'],
  wasm32: ['clang-22', '--target=wasm32-unknown-unknown', '-std=c11', '-ffreestanding', '-nostdlibinc', '-x', 'c'],
}

const { root } = gateArgs()
const report = createReport('headers')

/** A compilation to try: of `text`, in a language; told about `header` where it fails. */
function job(header, language, text, flags, manner) {
  return { header, language, text, flags, manner }
}

function publicJobs() {
  const headers = walk(root, 'include/laniakea', isHeader)
  const include = (path) => `#include "${path.slice('include/'.length)}"\n`
  const jobs = []
  for (const language of ['C11', 'C++17']) {
    for (const header of headers) jobs.push(job(header, language, include(header).repeat(2), ['-Iinclude'], 'alone'))
    if (headers.length === 0) continue
    jobs.push(job(headers[0], language, headers.map(include).join(''), ['-Iinclude'], 'with all others, in order'))
    jobs.push(job(headers[0], language, headers.map(include).reverse().join(''), ['-Iinclude'], 'with all others, in reverse'))
  }
  return jobs
}

function internalJobs() {
  const withClang = hasProgram('clang-22')
  const jobs = []
  const isPlain = (path) => isHeader(path) && !path.endsWith('.gen.h')
  for (const header of ['src', 'platform', 'sim', 'wasm'].flatMap((folder) => walk(root, folder, isPlain))) {
    const [top, floor] = header.split('/')
    const text = `#include "${header.replace(/^src\//, '')}"\n`.repeat(2)
    const flags = ['-Iinclude', '-Isrc', '-I.']
    const isWasm = top === 'wasm' || header.startsWith('platform/wasm/')
    if (isWasm && !withClang) continue
    if (isWasm) jobs.push(job(header, 'wasm32', text, flags, 'alone'))
    else if (isCore(floor) && top === 'src') jobs.push(job(header, 'C11', text, [...flags, '-ffreestanding'], 'alone'))
    else jobs.push(job(header, 'C11', text, [...flags, '-D_GNU_SOURCE'], 'alone'))
  }
  return jobs
}

function compile({ language, flags, text }) {
  const [command, ...args] = LANGUAGES[language]
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args, ...STRICT, ...flags, '-'], { cwd: root, stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (chunk) => (said += chunk))
    child.on('error', reject).on('close', (code) => resolve(code === 0 ? null : said))
    child.stdin.on('error', () => {}).end(text)
  })
}

/** The compiler's first complaint, at its own place unless that is our one-line file. */
function complain({ header, language, manner }, said) {
  const found = said.match(/^([^\s:<][^:\n]*):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$/m)
  const [file, line, text] = found
    ? [found[1].replace(/^\.\//, ''), Number(found[2]), found[3]]
    : [header, 0, said.split('\n')[0]]
  report.add(file, line, `${text} (${header} ${manner}, as ${language}); a header includes what it uses`)
}

const jobs = [...publicJobs(), ...internalJobs()]
const queue = [...jobs]
const worker = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const said = await compile(next)
    if (said !== null) complain(next, said)
  }
}
await Promise.all([worker(), worker()])
if (jobs.length === 0) report.add('include/laniakea', 0, 'holds no header; is this the root of the tree?')
report.finish(`${new Set(jobs.map(({ header }) => header)).size} headers stand alone (${jobs.length} compilations)`)
