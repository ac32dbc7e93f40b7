// tools/wasm_bytes.mjs -- reading and writing WebAssembly modules, as far as the tools here need it: numbers, lists, sections, and where
// an instruction ends.

// ---- bytes ----

/** A number as LEB128, and where it ends. */
export function number(bytes, at) {
  let value = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return [value, at]
  }
}

export function leb(value) {
  const bytes = []
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80)
  return [...bytes, value]
}

/** As many as the number in front says; `read(at)` gives each, and where it ends. */
export function list(bytes, at, read) {
  let [count, next] = number(bytes, at)
  const items = []
  for (; count > 0; count--) {
    const [item, end] = read(next)
    items.push(item)
    next = end
  }
  return [items, next]
}

export const concat = (parts) => Buffer.concat(parts.map((part) => (Array.isArray(part) ? Buffer.from(part) : part)))

// ---- instructions ----

const BLOCKS = [0x02, 0x03, 0x04]
export const CALL = 0x10

/** How many numbers follow an instruction; -1 where it is not known. Those of more kinds are read below. */
function numbersBehind(op) {
  if (BLOCKS.includes(op) || op === 0x0c || op === 0x0d || op === CALL) return 1
  if (op === 0x11) return 2
  if (op >= 0x20 && op <= 0x26) return 1
  if (op >= 0x28 && op <= 0x3e) return 2
  if (op >= 0x3f && op <= 0x42) return 1
  if (op === 0xd0) return 1
  return op <= 0x01 || op === 0x05 || op === 0x0b || op === 0x0f || op === 0x1a || op === 0x1b || (op >= 0x45 && op <= 0xc4) ? 0 : -1
}

/** Where the instruction at `at` ends. */
export function endOf(code, at) {
  const op = code[at]
  let next = at + 1
  let count = numbersBehind(op)
  if (op === 0x43) return next + 4
  if (op === 0x44) return next + 8
  if (op === 0x0e || op === 0x1c) {
    ;[count, next] = number(code, next)
    if (op === 0x0e) count++
  } else if (op === 0xfc) {
    let more
    ;[more, next] = number(code, next)
    count = more < 8 ? 0 : [2, 1, 2, 1, 2, 1, 2, 1, 1, 1][more - 8] ?? -1
  }
  if (count < 0) throw new Error(`wasm: instruction 0x${op.toString(16)} is not known`)
  for (; count > 0; count--) [, next] = number(code, next)
  return next
}

// ---- sections ----

export const [CUSTOM, TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS, EXPORTS, START, ELEMENTS, CODE, DATA, DATA_COUNT] = Array.from({ length: 13 }, (_, id) => id)

/** Pairs of what a section is and its bytes. */
export function sectionsOf(bytes) {
  const sections = []
  for (let at = 8; at < bytes.length;) {
    const [size, start] = number(bytes, at + 1)
    sections.push([bytes[at], bytes.subarray(start, start + size)])
    at = start + size
  }
  return sections
}

/** A module of such pairs. */
export const moduleOf = (sections) => concat([[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], ...sections.flatMap(([id, body]) => [[id, ...leb(body.length)], body])])

/** The bodies of a code section. */
export function bodiesOf(section) {
  return list(section, 0, (at) => {
    const [size, start] = number(section, at)
    return [section.subarray(start, start + size), start + size]
  })[0]
}

function text(bytes, at) {
  const [length, start] = number(bytes, at)
  return [bytes.subarray(start, start + length).toString(), start + length]
}

/** What an import section says: module, name, kind, and the bytes behind that. */
export function importsOf(section) {
  return list(section, 0, (at) => {
    const [module, second] = text(section, at)
    const [name, third] = text(section, second)
    const kind = section[third]
    let end = third + 1
    // A function's type; a table's kind and limits; a memory's limits; a global's type and whether it changes.
    if (kind === 3) end += 2
    else {
      if (kind === 1) end++
      const flags = kind === 0 ? 0 : section[end++]
      for (let count = 1 + (flags & 1); count > 0; count--) [, end] = number(section, end)
    }
    return [{ module, name, kind, bytes: section.subarray(third + 1, end) }, end]
  })[0]
}

/** What an export section says: name, kind, index. */
export function exportsOf(section) {
  return list(section, 0, (at) => {
    const [name, next] = text(section, at)
    const [index, end] = number(section, next + 1)
    return [{ name, kind: section[next], index }, end]
  })[0]
}

/** The names of functions by their numbers, as the linker left them. */
export function functionNamesOf(sections) {
  const names = new Map()
  for (const [id, body] of sections) {
    if (id !== CUSTOM) continue
    const [title, start] = text(body, 0)
    for (let at = start; title === 'name' && at < body.length;) {
      const [size, next] = number(body, at + 1)
      if (body[at] === 1) {
        list(body, next, (entry) => {
          const [index, behind] = number(body, entry)
          const [name, end] = text(body, behind)
          names.set(index, name)
          return [0, end]
        })
      }
      at = next + size
    }
  }
  return names
}
