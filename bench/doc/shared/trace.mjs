// bench/doc/shared/trace.mjs -- typing sessions to replay: recorded ones, and one that is made up. Does what
// bench/doc/trace.c does, which says how they are made and stored.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const GENERATED_EDITS = 200_000
const GENERATED_HASH = 0x1aa6a860

// ---- a generator of numbers, the same in C ----

export class Random {
  constructor(seed) {
    this.state = seed
  }
  next() {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return this.state >>> 0
  }
  below(count) {
    return this.next() % count
  }
}

const LETTERS = '       eeeeeeetttttaaaaaooooiiiinnnnsssshhhrrrdddlluuccmmwwffggyyppbbvk,.'

export const letter = (random) => LETTERS[random.below(LETTERS.length)]

export function word(random, least, most) {
  const length = least + random.below(most - least + 1)
  let text = ''
  for (let i = 0; i < length; i++) text += letter(random)
  return text
}

// ---- the limit: a text with a gap where the last edit was ----

export class GapBuffer {
  constructor() {
    this.units = new Uint16Array(1024)
    this.gap = 0
    this.gapEnd = this.units.length
  }
  edit(at, deleted, text) {
    if (at < this.gap) {
      this.units.copyWithin(this.gapEnd - (this.gap - at), at, this.gap)
      this.gapEnd -= this.gap - at
    } else {
      this.units.copyWithin(this.gap, this.gapEnd, this.gapEnd + (at - this.gap))
      this.gapEnd += at - this.gap
    }
    this.gap = at
    this.gapEnd += deleted
    if (this.gapEnd - this.gap < text.length) this.grow(text.length)
    for (let i = 0; i < text.length; i++) this.units[this.gap++] = text.charCodeAt(i)
  }
  grow(wanted) {
    const behind = this.units.length - this.gapEnd
    const larger = new Uint16Array(2 * this.units.length + wanted)
    larger.set(this.units.subarray(0, this.gap))
    larger.set(this.units.subarray(this.gapEnd), larger.length - behind)
    this.gapEnd = larger.length - behind
    this.units = larger
  }
  toString() {
    const decode = (units) => new TextDecoder('utf-16le').decode(units)
    return decode(this.units.subarray(0, this.gap)) + decode(this.units.subarray(this.gapEnd))
  }
}

export function textAfter(edits) {
  const buffer = new GapBuffer()
  for (const [at, deleted, text] of edits) buffer.edit(at, deleted, text)
  return buffer.toString()
}

// ---- a session that is made up ----

function hash(text) {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}

class Typist {
  constructor() {
    this.random = new Random(0x1a41a4ea)
    this.edits = []
    this.cursor = 0
    this.length = 0
  }
  push(at, deleted, text) {
    this.edits.push([at, deleted, text])
    this.cursor = at + text.length
    this.length += text.length - deleted
  }
  type(count) {
    for (let i = 0; i < count; i++) this.push(this.cursor, 0, letter(this.random))
  }
  eraseBackwards(count) {
    for (let i = 0; i < count && this.cursor > 0; i++) this.push(this.cursor - 1, 1, '')
  }
  jump() {
    const where = this.random.below(10)
    if (where < 3) this.cursor = this.length
    else if (where < 4) this.cursor = this.random.below(this.length + 1)
    else {
      const step = this.random.below(400)
      this.cursor = step < 200 ? Math.max(0, this.cursor - step) : Math.min(this.length, this.cursor + step - 200)
    }
  }
  cutOut(most) {
    const count = Math.min(1 + this.random.below(most), this.length - this.cursor)
    if (count > 0) this.push(this.cursor, count, '')
  }
  replace() {
    const count = Math.min(1 + this.random.below(8), this.length - this.cursor)
    this.push(this.cursor, count, word(this.random, 2, 9))
  }
  act() {
    const what = this.random.below(100)
    if (what < 45) this.type(1 + this.random.below(40))
    else if (what < 78) {
      const count = 1 + this.random.below(24)
      this.eraseBackwards(count)
      this.type(this.random.below(count + 1))
    } else if (what < 96) this.jump()
    else if (what < 97) this.cutOut(300)
    else if (what < 98) this.push(this.cursor, 0, word(this.random, 20, 200))
    else this.replace()
  }
}

function generate() {
  const typist = new Typist()
  while (typist.edits.length < GENERATED_EDITS) typist.act()
  const edits = typist.edits.slice(0, GENERATED_EDITS)
  const text = textAfter(edits)
  if (hash(text) !== GENERATED_HASH) throw new Error(`the typing session is another one than in trace.c: ${hash(text).toString(16)}`)
  return { name: 'typing', edits, text, agents: 1, txns: null }
}

// ---- recorded sessions ----

class Bytes {
  constructor(path) {
    this.data = readFileSync(path)
    this.at = 20
  }
  varuint() {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.data[this.at++]
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  string(length) {
    this.at += length
    return this.data.toString('utf8', this.at - length, this.at)
  }
  times(read) {
    return Array.from({ length: this.varuint() }, read)
  }
}

function read(folder, name, extension) {
  const path = join(folder, `${name}.${extension}`)
  const bytes = new Bytes(path)
  const isConcurrent = extension === 'ltc'
  if (bytes.data.toString('latin1', 0, 4) !== (isConcurrent ? 'LTC1' : 'LTR1')) throw new Error(`${path} is no trace`)
  const [txnCount, textLength, agents] = [8, 12, 16].map((at) => bytes.data.readUInt32LE(at))
  const txns = []
  for (let i = 0; i < txnCount; i++) {
    const agent = isConcurrent ? bytes.varuint() : 0
    const parents = isConcurrent ? bytes.times(() => bytes.varuint()) : []
    const edits = bytes.times(() => [bytes.varuint(), bytes.varuint(), bytes.string(bytes.varuint())])
    txns.push({ agent, parents, edits })
  }
  const edits = isConcurrent ? null : txns.flatMap((txn) => txn.edits)
  return { name, edits, agents, txns, text: bytes.string(textLength) }
}

// ---- what there is ----

const RECORDED = [
  ['automerge-paper', 'ltr'],
  ['sveltecomponent', 'ltr'],
  ['json-crdt-patch', 'ltr'],
  ['friendsforever', 'ltc'],
]

/** The sessions in the folder that LK_TRACES names; without it the one that is made up. The first one is the long one. */
export function traces() {
  const folder = process.env.LK_TRACES
  if (!folder) return [generate()]
  return RECORDED.filter(([name, extension]) => existsSync(join(folder, `${name}.${extension}`))).map(([name, extension]) => read(folder, name, extension))
}

/** The first edits of a session as a session of their own. */
export function cut(trace, count) {
  const edits = trace.edits.slice(0, count)
  return { ...trace, name: `${trace.name}, first ${count.toLocaleString('en-US')} edits`, edits, text: textAfter(edits) }
}
