// tests/conformance/doc/reference.mjs -- Yjs at the other end of a pipe, obeying the commands of serve.h.
//
// In the place of our engine it shows that a session in which nothing is wrong passes (interleave.mjs). With
// --forget it does not take in every seventh update, which must be noticed.
import * as Y from 'yjs'
import { execute, parse, rootOf, statesOf } from './model.mjs'
import { bytes, Cursor, Cutter, record, str, varuint } from './stream.mjs'

const replicas = new Map()
const forgets = process.argv.includes('--forget')
let received = 0

function open(id, gc, roots) {
  const doc = new Y.Doc({ gc, guid: 'main' })
  doc.clientID = id
  const self = { doc, roots, sent: [] }
  for (const root of roots) rootOf(doc, root)
  let v1
  doc.on('update', (update) => { v1 = update })
  doc.on('updateV2', (v2, origin) => { if (origin !== 'remote') self.sent.push(bytes(v1), bytes(v2)) })
  return self
}

const sentBy = (self) => {
  const sent = self.sent.splice(0)
  return [varuint(sent.length / 2), ...sent]
}

const commands = {
  c: (index, from) => {
    replicas.set(index, open(from.varuint(), from.varuint() === 1, JSON.parse(from.str())))
    return []
  },
  l: (index, from) => {
    const self = replicas.get(index)
    self.doc.transact(() => { for (const op of parse(from.str())) execute(self.doc, self.roots, op) }, 'local')
    return sentBy(self)
  },
  a: (index, from) => {
    const self = replicas.get(index)
    const apply = from.varuint() === 1 ? Y.applyUpdate : Y.applyUpdateV2
    if (!forgets || ++received % 7 !== 0) apply(self.doc, from.bytes(), 'remote')
    return sentBy(self)
  },
  s: (index) => [Buffer.from(statesOf(replicas.get(index).doc, replicas.get(index).roots))],
  e: (index, from) => {
    const encode = from.varuint() === 1 ? Y.encodeStateAsUpdate : Y.encodeStateAsUpdateV2
    const sv = from.bytes()
    return [encode(replicas.get(index).doc, sv.length === 0 ? undefined : sv)]
  },
  v: (index) => [Y.encodeStateVector(replicas.get(index).doc)],
  d: (index) => {
    replicas.delete(index)
    return []
  },
}

const cutter = new Cutter()
process.stdin.on('data', (piece) => {
  for (const [tag, payload] of cutter.push(piece)) {
    const from = new Cursor(payload)
    try {
      process.stdout.write(record('+', Buffer.concat(commands[tag](from.varuint(), from))))
    } catch (error) {
      process.stdout.write(record('-', str(String(error))))
    }
  }
})
