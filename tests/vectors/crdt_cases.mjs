// tests/vectors/crdt_cases.mjs -- runs cases of crdt.json on the WebAssembly core, by its bare exports.
//
// For tests/vectors/crdt.test.mjs and tools/gen_vectors_crdt.mjs; README.md has the words of a case.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defEntries } from '../../tools/lib.mjs'

const utf8 = (text) => Buffer.from(text, 'utf8')

/** The type numbers and error names that `root`'s tables say. */
function readTables(root) {
  const entries = (path) => defEntries(readFileSync(join(root, path), 'utf8'))
  const types = new Map(entries('src/crdt/types.def').map(({ args: [name, number] }) => [name, Number(number)]))
  const errors = new Map(entries('src/base/errors.def').map(({ args: [name, number] }) => [Number(number), `LK_ERR_${name}`]))
  return { types, errors }
}

function varuint(value) {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varuint(value >>> 7)]
}

export function openCatalogue(module, root) {
  const { exports } = new WebAssembly.Instance(module)
  const { types, errors } = readTables(root)

  function write(...parts) {
    const bytes = Buffer.concat(parts)
    const at = exports.scratch(bytes.length)
    new Uint8Array(exports.memory.buffer).set(bytes, at)
    return parts.map((part) => part.length)
  }
  /** What was handed out, or the name of the error. */
  const result = (err) => (err === 0 ? Buffer.from(new Uint8Array(exports.memory.buffer, exports.out_ptr(), exports.out_len())) : errors.get(err) ?? `error ${err}`)
  const expect = (value, what) => {
    if (typeof value === 'string') throw new Error(`${what}: ${value}`)
    return value
  }

  const open = (type) => {
    const err = exports.crdt_new(types.get(type))
    if (err !== 0) throw new Error(`crdt_new: ${errors.get(err)}`)
    return exports.out_ptr()
  }
  const pathOf = (path) => Buffer.concat(path.flatMap(([type, key]) => [Buffer.from([types.get(type), ...varuint(utf8(key).length)]), utf8(key)]))
  const apply = (handle, actor, { path = [], op, args, now = 0 }) => {
    const lengths = write(utf8(actor), pathOf(path), utf8(op), utf8(args))
    return result(exports.crdt_apply(handle, ...lengths, now))
  }
  const merge = (handle, bytes) => expect(result(exports.crdt_merge(handle, ...write(bytes))), 'merge')
  const encode = (handle) => expect(result(exports.crdt_encode(handle)), 'encode')

  /** What a case expects of each replica. */
  const seen = (handle) => {
    write()
    return {
      value: String(expect(result(exports.crdt_value(handle, 0)), 'value')),
      bytes: encode(handle).toString('hex'),
      digest: expect(result(exports.crdt_digest(handle)), 'digest').toString('hex'),
      json: String(expect(result(exports.crdt_encode_json(handle)), 'encode_json')),
    }
  }

  function takeStep(self, step) {
    const before = encode(self)
    const delta = apply(self, step.on, step)
    if (typeof delta !== 'string' && step.error === undefined) return delta
    if (delta !== step.error) throw new Error(`${JSON.stringify(step)} gave ${delta}`)
    if (!before.equals(encode(self))) throw new Error(`${JSON.stringify(step)} failed and changed something`)
    return null
  }

  /** The replicas of a case at its end, and a fresh one that got all its deltas, the last one first. */
  function run({ type, steps }) {
    const replicas = new Map()
    const deltas = []
    const replica = (actor) => {
      if (!replicas.has(actor)) replicas.set(actor, open(type))
      return replicas.get(actor)
    }
    for (const step of steps) {
      const self = replica(step.on)
      if (step.merge !== undefined) merge(self, encode(replica(step.merge)))
      if (step.delta !== undefined) merge(self, deltas[step.delta])
      deltas.push(step.op === undefined ? null : takeStep(self, step))
    }
    for (const one of replicas.values()) for (const other of replicas.values()) merge(one, encode(other))
    const fresh = open(type)
    for (const delta of deltas.toReversed()) if (delta) merge(fresh, delta)
    return { replicas: [...replicas.values()], fresh }
  }

  return { exports, open, apply, merge, encode, seen, run, write, result, pathOf, close: (handle) => exports.crdt_free(handle) }
}
