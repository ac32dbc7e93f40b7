// bench/doc/shared/sdk.mjs -- our own SDK behind the calls that engines.mjs names, with the engine that it has in Node.
//
//   LK_BENCH_MODULE=laniakea-doc.wasm     with that of pages instead
import { readFileSync } from 'node:fs'
import * as sdk from '../../../js/packages/sdk/dist/node.js'

const MODULE = process.env.LK_BENCH_MODULE

const nothing = () => {}

export async function laniakea() {
  const bytes = MODULE && new Uint8Array(readFileSync(new URL(`../../../js/packages/sdk/dist/${MODULE}`, import.meta.url)))
  const docs = await sdk.createDocs(bytes ? { core: await sdk.loadCore({ bytes }) } : {})
  const work = await sdk.createUpdates()
  const open = (client) => {
    const doc = docs.open({ client })
    return { doc, text: doc.getText('text'), list: doc.getArray('list'), map: doc.getMap('map') }
  }
  const make = (shared) => (id, listen, format = 1) => {
    const self = open(id)
    if (listen) self.doc.onUpdate(listen, { format, shared })
    return self
  }
  const load = (format) => (bytes) => {
    const self = open()
    self.doc.apply(bytes, null, format)
    return self
  }
  return {
    title: 'laniakea',
    isOurs: true,
    short: {},
    make: make(true),
    makeOwning: make(false),
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
    apply: ({ doc }, bytes) => doc.apply(bytes),
    apply2: ({ doc }, bytes) => doc.apply(bytes, null, 2),
    applyFrom: ({ doc }, bytes, origin) => doc.apply(bytes, origin),
    encode: ({ doc }) => doc.encode(),
    encode2: ({ doc }) => doc.encode(undefined, 2),
    load: load(1),
    load2: load(2),
    merge: (updates) => work.merge(updates),
    push: ({ list }, values) => list.push(values),
    insertAt: ({ list }, at, values) => list.insert(at, values),
    set: ({ map }, key, value) => map.set(key, value),
    free: ({ doc }) => doc.close(),
  }
}
