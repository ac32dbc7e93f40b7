// tools/check_fuzz.mjs -- gate: whatever reads bytes from outside is fuzzed.
//
//   node tools/check_fuzz.mjs [root]
//
// A function that a header of include/, src/ or platform/ declares reads foreign bytes if
//   - its name has one of VERBS as a word (lk_any_decode, lk_ws_feed), or
//   - its name has one of SLICE_VERBS as a word and it takes an lk_slice (lk_json_check), or
//   - it takes a cursor over such bytes that it moves: lk_reader *, lk_json_reader * (the functions
//     of lk_reader itself, which everything else exercises, and those named _init, which only
//     remember the bytes, aside).
// Checked:
//   1. Each has a FUZZ(name) below fuzz/, or is listed beside one, in a comment that begins at most
//      three lines away from it: /* also fuzzes: name, name */
//   2. No such claim is empty: the file calls the function, and what is listed exists.
//
// When it fails: write the target; tests/harness/test.h shows the form. If the function's bytes come
// from ourselves only, say so on the line above its declaration: /* not foreign: the reason */
import { blankC, createReport, gateArgs, isC, isHeader, lineAt, readText, walk } from './lib.mjs'

const VERBS = ['decode', 'feed', 'parse', 'recover', 'unseal']
const SLICE_VERBS = ['admit', 'check', 'load', 'merge', 'read', 'restore', 'scan', 'unpack']
const hasWord = (verbs) => new RegExp(`_(?:${verbs.join('|')})(?:_|$)`)
const CURSOR = /(?<!const )\blk_(?:\w+_)?reader\s*\*/
const BESIDE_LINES = 3

const { root } = gateArgs()
const report = createReport('fuzz')

/** Functions declared or defined inline: [{ name, parameters, file, line, above }]; `above` is the
 * line before. */
function declarations(file) {
  const text = readText(root, file)
  const code = blankC(text, { strings: true })
  const lines = text.split('\n')
  const found = []
  for (const match of code.matchAll(/^(?!typedef\b)[A-Za-z_][\w \t*]*?[ \t*\n](lk_\w+)\s*\(([^;{]*)/gm)) {
    const line = lineAt(code, match.index)
    found.push({ name: match[1], parameters: match[2], file, line, above: lines[line - 2] ?? '' })
  }
  return found
}

/** What the targets of one file claim: [{ name, line, file, calls }]. */
function claims(file) {
  const text = readText(root, file)
  const code = blankC(text, { strings: true })
  const targets = [...code.matchAll(/^FUZZ\((\w+)\)/gm)]
    .map((match) => ({ name: match[1], line: lineAt(code, match.index) }))
  const listed = []
  for (const match of text.matchAll(/also fuzzes:((?:[\s\w,]|\*(?!\/))*)\*\//g)) {
    const line = lineAt(text, match.index)
    const beside = targets.some((target) => Math.abs(target.line - line) <= BESIDE_LINES)
    for (const [name] of match[1].matchAll(/\w+/g)) {
      if (beside) listed.push({ name, line })
      else report.add(file, line, `\`also fuzzes: ${name}\` stands beside no FUZZ; move it to the target that does it`)
    }
  }
  const calls = (name) => new RegExp(`(?<!FUZZ\\()\\b${name}\\b`).test(code)
  return [...targets, ...listed].map((claim) => ({ ...claim, file, calls: calls(claim.name) }))
}

function readsForeign({ name, parameters }) {
  if (hasWord(VERBS).test(name)) return true
  if (hasWord(SLICE_VERBS).test(name) && /\blk_slice\b/.test(parameters)) return true
  return CURSOR.test(parameters) && !name.startsWith('lk_reader_') && !name.endsWith('_init')
}

const declared = ['include', 'src', 'platform'].flatMap((folder) => walk(root, folder, isHeader)).flatMap(declarations)
const claimed = walk(root, 'fuzz', isC).flatMap(claims)
const names = new Set(declared.map(({ name }) => name))

for (const { name, file, line, calls } of claimed) {
  if (!name.startsWith('lk_')) continue
  if (!names.has(name)) report.add(file, line, `no header declares ${name}; name what is fuzzed`)
  else if (!calls) report.add(file, line, `claims to fuzz ${name} but never calls it`)
}
const decoders = declared.filter((one) => readsForeign(one) && !/not foreign:\s*\w/.test(one.above))
for (const { name, file, line } of decoders) {
  if (claimed.some((claim) => claim.name === name)) continue
  report.add(file, line, `${name} reads foreign bytes and has no FUZZ(${name}) in fuzz/; write one`)
}
report.finish(`${decoders.length} decoders have their target among ${claimed.length}`)
