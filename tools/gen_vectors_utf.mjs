// tools/gen_vectors_utf.mjs -- makes tests/vectors/utf.json with JavaScript's own strings, TextEncoder
// and TextDecoder.
//
//   node tools/gen_vectors_utf.mjs           writes the file
//   node tools/gen_vectors_utf.mjs --check   writes nothing; exits 1 if the file is stale
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRandom, writeOrCheck } from './vectors.mjs'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'tests/vectors/utf.json')

const encoder = new TextEncoder()
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const utf16 = (text) => [...Array(text.length).keys()].map((i) => text.charCodeAt(i).toString(16).padStart(4, '0')).join('')

const random = createRandom(0x07f8)
const below = (n) => Math.floor(random() * n)
const pick = (list) => list[below(list.length)]

// ---- bytes: valid or not, and where it stops being the beginning of anything valid ----

const isText = (bytes) => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Some bytes of any valid text: what may follow a beginning. */
const tails = ['', '80', '8080', '808080', '90', '9080', '908080', 'a0', 'a080', 'bf'].map((t) => Buffer.from(t, 'hex'))
const canGoOn = (bytes) => tails.some((tail) => isText(Buffer.concat([bytes, tail])) !== undefined)

function badIndex(bytes) {
  for (let n = 1; n <= bytes.length; n++) if (!canGoOn(bytes.subarray(0, n))) return n - 1
  return bytes.length // it ends inside a character
}

const edgePoints = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfffd, 0xfeff, 0xffff, 0x10000, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10ffff]
const bad = [
  '80', 'bf', 'c0', 'c080', 'c1bf', 'c2', 'c27f', 'c2c2', 'df', 'dfc0', 'e0', 'e080', 'e09fbf', 'e0a0', 'e0a07f', 'ecbf', 'ed', 'eda080', 'edbfbf',
  'edafbfedbfbf', 'ee80', 'f0', 'f080', 'f08fbfbf', 'f090', 'f09080', 'f0908041', 'f48fbf', 'f490', 'f4908080', 'f5', 'f5808080', 'f8', 'fc', 'fe', 'ff',
  '41c2', '41e282', '4141f09f98', 'c3a9ff', 'e282ac80',
].map((text) => Buffer.from(text, 'hex'))
const ascii = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789'.repeat(3))
const padded = bad.slice(0, 30).map((bytes, i) => Buffer.concat([ascii.subarray(0, 20 + i * 2), bytes, ascii.subarray(0, i)]))
const noise = Array.from({ length: 150 }, () => {
  const parts = Array.from({ length: 1 + below(8) }, () => pick([Buffer.from(String.fromCodePoint(pick(edgePoints))), ascii.subarray(0, below(40))]))
  const bytes = Buffer.concat(parts)
  if (bytes.length > 0 && below(2)) bytes[below(bytes.length)] ^= 1 << below(8)
  return bytes
})
const decode = [...edgePoints.map((p) => Buffer.from(String.fromCodePoint(p))), ascii, ...bad, ...padded, ...noise].map((bytes) => {
  const text = isText(bytes)
  return text === undefined ? { hex: hex(bytes), bad: badIndex(bytes) } : { hex: hex(bytes), utf16: utf16(text) }
})

// ---- units: lone surrogates become U+FFFD ----

const units = ['', 'a', '\ud83d', '\ude00', '\ud83d\ude00', '\ude00\ud83d', '\ud83dx', 'x\ude00', '\ud83d\ud83d\ude00', '\ud83d\ude00\ude00', '\ud800\udfff', '\udbff\udc00', '\ud7ff\ue000']
const randomUnits = Array.from({ length: 60 }, () =>
  Array.from({ length: below(12) }, () => String.fromCharCode(pick([below(0x80), below(0x800), below(0x10000), 0xd800 + below(0x400), 0xdc00 + below(0x400)]))).join(''),
)
const encode = [...units, ...randomUnits].map((text) => ({ utf16: utf16(text), hex: hex(encoder.encode(text)) }))

// ---- cutting at a UTF-16 index: halves of a pair become U+FFFD on the wire ----

const long = 'The quick brown 😀 fox; é€😀😀 and a tail of plain text'
const split = ['', 'a', '😀', 'a😀b', '😀😀', 'é€😀z', long].flatMap((text) =>
  Array.from({ length: text.length + 1 }, (_, index) => ({
    text: hex(encoder.encode(text)),
    index,
    left: hex(encoder.encode(text.slice(0, index))),
    right: hex(encoder.encode(text.slice(index))),
  })),
)

const sections = { decode, encode, split }
const rendered = Object.entries(sections).map(([name, list]) => `  "${name}": [\n${list.map((c) => `    ${JSON.stringify(c)}`).join(',\n')}\n  ]`)
const text = `{\n${rendered.join(',\n')}\n}\n`

writeOrCheck(file, text, 'tools/gen_vectors_utf.mjs')
