// tools/split_wasm.mjs -- one linked WebAssembly module as several: a base, and parts that are loaded when they are needed.
//
//   node tools/split_wasm.mjs LINKED SYMBOLS BASE NAME=OUT...
//
// LINKED has its names, SYMBOLS is what `llvm-nm --print-file-name` says of the objects that it was linked of, compiled with
// -funique-internal-linkage-names: by these two it is known which source a function comes from. PARTS says which sources and exports are
// whose. BASE and OUT are modules that wasm-opt can read.
//
// A part has what only its own exports, and its own functions in the table, lead to; the base everything else, all data, the memory, the
// table and the globals, which parts import from it (module "core", functions under numbers). So a part costs nothing but its imports,
// and calls cost what calls cost. What is in the table belongs to whoever's source it is: where a part is not there, its places are
// empty, and a call there traps. Whoever makes such calls has to know which parts are there (wasm/client_parts.c).
//
// A function that the base calls by its name is the base's, with all that it leads to, whatever source it comes from; likewise what two
// parts lead to. So nothing can be missing, and a call that should not be there shows in a module's length (abi/wasm-gzip-max.txt).
//
// Parts of another base would find functions under the same numbers. So what they import has a name that only modules have that
// were made together: they cannot be linked otherwise.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  CALL, CODE, CUSTOM, DATA, DATA_COUNT, ELEMENTS, EXPORTS, FUNCTIONS, GLOBALS, IMPORTS, MEMORIES, START, TABLES, TYPES,
  bodiesOf, concat, endOf, exportsOf, functionNamesOf, importsOf, leb, list, moduleOf, number, sectionsOf,
} from './wasm_bytes.mjs'

export const PARTS = {
  documents: { exports: /^doc_/, sources: /(^|\/)(src\/doc\/|wasm\/doc|src\/peer\/topic_doc)/ },
  objects: { exports: /^crdt_/, sources: /(^|\/)(src\/crdt\/|wasm\/crdts|src\/peer\/topic_crdt)/ },
}

const [FUNCTION, TABLE, MEMORY, GLOBAL] = [0, 1, 2, 3]
const SHARED = 'core'

function fail(why) {
  throw new Error(`split_wasm: ${why}`)
}

const text = (string) => [...leb(string.length), ...Buffer.from(string)]

// ---- what is there ----

/** What a linked module has. */
function read(bytes) {
  const all = sectionsOf(bytes)
  const sections = new Map(all.filter(([id]) => id !== CUSTOM))
  if (sections.has(START)) fail('a start function is not known')
  const imports = sections.has(IMPORTS) ? importsOf(sections.get(IMPORTS)) : []
  if (imports.some(({ kind }) => kind !== FUNCTION)) fail('only functions may be imported')
  const [typeOf] = list(sections.get(FUNCTIONS), 0, (at) => number(sections.get(FUNCTIONS), at))
  const bodies = bodiesOf(sections.get(CODE))
  const functions = bodies.map((body, index) => ({ body, type: typeOf[index], calls: callsOf(body) }))
  return { sections, imports, functions, exports: exportsOf(sections.get(EXPORTS)), places: placesOf(sections.get(ELEMENTS)), names: functionNamesOf(all) }
}

/** Where each call of a body stands, behind its opcode, and whom it calls. */
function callsOf(body) {
  const [, start] = list(body, 0, (at) => [0, number(body, at)[1] + 1])
  const calls = []
  for (let at = start; at < body.length; at = endOf(body, at)) {
    if (body[at] === 0xd2) fail('references to functions are not known')
    if (body[at] !== CALL) continue
    const [callee, end] = number(body, at + 1)
    calls.push({ at: at + 1, end, callee })
  }
  return calls
}

/** The table: pairs of a place and a function. */
function placesOf(section) {
  if (!section) return []
  return list(section, 0, (at) => {
    if (section[at] !== 0 || section[at + 1] !== 0x41) fail('elements of this kind are not known')
    const [first, end] = number(section, at + 2)
    const [functions, next] = list(section, end + 1, (place) => number(section, place))
    return [functions.map((index, i) => [first + i, index]), next]
  })[0].flat()
}

/** The sources of each name, of lines such as `wasm/CMakeFiles/a.dir/src/doc/text.c.obj: -------- t insert`. */
function sourcesOf(symbols) {
  const sources = new Map()
  for (const line of symbols.split('\n')) {
    const [, file, name] = /^(.*\.c)\.\w+: .* [tTwW] (\S+)$/.exec(line) ?? []
    if (name !== undefined) sources.set(name, [...(sources.get(name) ?? []), file.replace(/^.*\.dir\//, '')])
  }
  return sources
}

// ---- who has what ----

/** For each part the numbers of its functions. */
function divide({ imports, functions, exports, places, names }, sources, parts) {
  const first = imports.length
  const ownerOf = (index) => {
    const from = sources.get(names.get(index)) ?? []
    const owners = new Set(from.map((source) => parts.find((part) => PARTS[part].sources.test(source))))
    if (owners.size > 1) fail(`${names.get(index)} is of several sources; compile with -funique-internal-linkage-names`)
    return [...owners][0]
  }
  const reach = (roots) => {
    const found = new Set()
    for (const open = [...roots]; open.length > 0;) {
      const index = open.pop()
      if (index < first || found.has(index)) continue
      found.add(index)
      open.push(...functions[index - first].calls.map(({ callee }) => callee))
    }
    return found
  }
  const exported = exports.filter(({ kind }) => kind === FUNCTION)
  const rootsOf = (owner) => [
    ...exported.filter(({ name }) => parts.find((part) => PARTS[part].exports.test(name)) === owner).map(({ index }) => index),
    ...places.map(([, index]) => index).filter((index) => ownerOf(index) === owner),
  ]
  const base = reach(rootsOf(undefined))
  const reached = parts.map((part) => reach(rootsOf(part)))
  const isOnly = (index, part) => !base.has(index) && reached.every((found, other) => other === part || !found.has(index))
  return reached.map((found, part) => new Set([...found].filter((index) => isOnly(index, part))))
}

// ---- writing ----

function writeBody({ body, calls }, names) {
  const pieces = []
  let from = 0
  for (const { at, end, callee } of calls) {
    const called = names(callee) ?? fail(`function ${callee} is called where it is not`)
    pieces.push(body.subarray(from, at), leb(called))
    from = end
  }
  const whole = concat([...pieces, body.subarray(from)])
  return concat([leb(whole.length), whole])
}

/** Places side by side are one segment. */
function writeElements(places, names) {
  const runs = []
  for (const [place, index] of [...places].sort(([a], [b]) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && last.first + last.functions.length === place) last.functions.push(index)
    else runs.push({ first: place, functions: [index] })
  }
  return concat([leb(runs.length), ...runs.flatMap(({ first, functions }) => [[0, 0x41, ...signed(first), 0x0b, ...leb(functions.length)], functions.flatMap((index) => leb(names(index)))])])
}

/** A positive i32.const. */
function signed(value) {
  const bytes = leb(value)
  if ((bytes.at(-1) & 0x40) === 0) return bytes
  bytes[bytes.length - 1] |= 0x80
  return [...bytes, 0]
}

const vector = (items) => concat([leb(items.length), ...items])
const exportOf = (name, kind, index) => concat([text(name), [kind], leb(index)])

/** A module of the sections that it has. */
const write = (sections) => moduleOf([TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS, EXPORTS, ELEMENTS, DATA_COUNT, CODE, DATA].filter((id) => sections[id] !== undefined).map((id) => [id, sections[id]]))

/** The base and the parts: { base, parts: { name: bytes } }. */
export function split(bytes, symbols, parts) {
  const linked = read(bytes)
  const { sections, imports, functions, exports, places } = linked
  const owned = divide(linked, sourcesOf(symbols), parts)
  const isOf = (index) => owned.findIndex((found) => found.has(index))
  const first = imports.length
  const all = functions.map((_, i) => first + i)
  const globals = list(sections.get(GLOBALS), 0, (at) => {
    let end = at + 2
    while (sections.get(GLOBALS)[end] !== 0x0b) end = endOf(sections.get(GLOBALS), end)
    return [sections.get(GLOBALS).subarray(at, at + 2), end + 1]
  })[0]
  const tableType = sections.get(TABLES).subarray(1)
  const memoryType = sections.get(MEMORIES).subarray(1)
  const hostImports = imports.map(({ module, name, bytes: type }) => concat([text(module), text(name), [FUNCTION], type]))
  const foreignOf = parts.map((_, number) => {
    const callees = all.filter((index) => isOf(index) === number).flatMap((index) => functions[index - first].calls.map(({ callee }) => callee))
    return [...new Set(callees)].filter((index) => index >= first && isOf(index) !== number).sort((a, b) => a - b)
  })
  const shared = [...new Set(foreignOf.flat())].sort((a, b) => a - b)
  const sharedName = (index) => shared.indexOf(index).toString(36)
  // Not of the names, in which there are paths.
  const division = JSON.stringify([parts, owned.map((found) => [...found].sort((a, b) => a - b))])
  const table = `table ${createHash('sha256').update(moduleOf([...sections])).update(division).digest('hex').slice(0, 12)}`

  const made = parts.map((part, number) => {
    const own = all.filter((index) => isOf(index) === number)
    const foreign = foreignOf[number]
    const order = new Map([...imports.keys(), ...foreign, ...own].map((index, place) => [index, place]))
    const names = (index) => order.get(index)
    return [part, write({
      [TYPES]: sections.get(TYPES),
      [IMPORTS]: vector([
        ...hostImports,
        ...foreign.map((index) => concat([text(SHARED), text(sharedName(index)), [FUNCTION], leb(functions[index - first].type)])),
        concat([text(SHARED), text(table), [TABLE], tableType]),
        concat([text(SHARED), text('memory'), [MEMORY], memoryType]),
        ...globals.map((type, index) => concat([text(SHARED), text(`global${index}`), [GLOBAL], type])),
      ]),
      [FUNCTIONS]: vector(own.map((index) => leb(functions[index - first].type))),
      [EXPORTS]: vector(exports.filter(({ kind, index }) => kind === FUNCTION && isOf(index) === number).map(({ name, index }) => exportOf(name, FUNCTION, names(index)))),
      [ELEMENTS]: writeElements(places.filter(([, index]) => isOf(index) === number), names),
      [CODE]: vector(own.map((index) => writeBody(functions[index - first], names))),
    })]
  })

  const own = all.filter((index) => isOf(index) < 0)
  const order = new Map([...imports.keys(), ...own].map((index, place) => [index, place]))
  const names = (index) => order.get(index)
  const kept = exports.filter(({ kind, index }) => kind !== FUNCTION || isOf(index) < 0)
  const base = write({
    ...Object.fromEntries(sections),
    [FUNCTIONS]: vector(own.map((index) => leb(functions[index - first].type))),
    [EXPORTS]: vector([
      ...kept.map(({ name, kind, index }) => exportOf(name, kind, kind === FUNCTION ? names(index) : index)),
      ...shared.map((index) => exportOf(sharedName(index), FUNCTION, names(index))),
      exportOf(table, TABLE, 0),
      ...globals.map((_, index) => exportOf(`global${index}`, GLOBAL, index)),
    ]),
    [ELEMENTS]: writeElements(places.filter(([, index]) => isOf(index) < 0), names),
    [CODE]: vector(own.map((index) => writeBody(functions[index - first], names))),
  })
  return { base, parts: Object.fromEntries(made) }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [linked, symbols, target, ...outputs] = process.argv.slice(2)
  const targets = outputs.map((output) => output.split('='))
  const { base, parts } = split(readFileSync(linked), readFileSync(symbols, 'utf8'), targets.map(([name]) => name))
  writeFileSync(target, base)
  for (const [name, path] of targets) writeFileSync(path, parts[name])
}
