// bench/doc/wasm.mjs -- the document engine as JavaScript's programs use it: the SDK and its WASM instance. The peers
// are in peers.mjs.
import { fileURLToPath } from 'node:url'
import * as sdk from '../../js/packages/sdk/dist/node.js'
import { runParts } from './shared/run.mjs'

const nothing = () => {}

/** The SDK behind the calls that shared/engines.mjs names. */
async function laniakea() {
  if (sdk.createDocs === undefined) return null
  const docs = await sdk.createDocs()
  const open = (client) => {
    const doc = docs.open({ client })
    return { doc, text: doc.getText('text'), list: doc.getArray('list'), map: doc.getMap('map') }
  }
  const load = (format) => (bytes) => {
    const self = open()
    self.doc.apply(bytes, null, format)
    return self
  }
  return {
    make(id, listen, format = 1) {
      const self = open(id)
      if (listen) self.doc.onUpdate(listen, format)
      return self
    },
    edit({ doc, text }, at, count, inserted) {
      if (count > 0 && inserted) {
        doc.transact(() => {
          text.delete(at, count)
          text.insert(at, inserted)
        })
      } else if (count > 0) text.delete(at, count)
      else if (inserted) text.insert(at, inserted)
    },
    watch(self) {
      self.text.observe(nothing)
      self.undo = self.doc.undo(self.text)
    },
    text: ({ text }) => text.toString(),
    json: ({ doc }) => JSON.stringify([doc.getText('text'), doc.getArray('list'), doc.getMap('map')]),
    apply: ({ doc }, bytes) => doc.apply(bytes),
    apply2: ({ doc }, bytes) => doc.apply(bytes, null, 2),
    encode: ({ doc }) => doc.encode(),
    encode2: ({ doc }) => doc.encode(undefined, 2),
    load: load(1),
    load2: load(2),
    merge: (updates) => docs.merge(updates),
    push: ({ list }, values) => list.push(values),
    insertAt: ({ list }, at, values) => list.insert(at, values),
    set: ({ map }, key, value) => map.set(key, value),
    free: ({ doc }) => doc.close(),
  }
}

const wanted = process.argv.slice(2)
const engine = await laniakea()
if (engine !== null && globalThis.gc === undefined) runParts(fileURLToPath(import.meta.url), [], wanted)
else if (engine !== null) {
  const { parts } = await import('./shared/parts.mjs')
  const print = (name, unit, value) => console.log(JSON.stringify({ suite: 'doc', name: `SDK: ${name}`, unit, value, better: 'lower' }))
  for (const part of wanted) parts[part]({ title: 'laniakea', short: {}, ...engine }, print)
}
