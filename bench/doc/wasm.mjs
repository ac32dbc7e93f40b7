// bench/doc/wasm.mjs -- the document engine as JavaScript's programs use it: the SDK and its WASM instance. The peers
// are in peers.mjs.
import { fileURLToPath } from 'node:url'
import * as sdk from '../../js/packages/sdk/dist/node.js'
import { runParts } from './shared/run.mjs'

/** The SDK behind the calls that shared/engines.mjs names: with `merge`, `watch`, `apply2` and all else that Yjs has
 * there. It has no documents yet, and then there is nothing to measure. */
async function laniakea() {
  if (sdk.createDocs === undefined) return null
  throw new Error('bench/doc/wasm.mjs does not know the documents of the SDK yet')
}

const wanted = process.argv.slice(2)
const engine = await laniakea()
if (engine !== null && globalThis.gc === undefined) runParts(fileURLToPath(import.meta.url), [], wanted)
else if (engine !== null) {
  const { parts } = await import('./shared/parts.mjs')
  const print = (name, unit, value) => console.log(JSON.stringify({ suite: 'doc', name: `SDK: ${name}`, unit, value, better: 'lower' }))
  for (const part of wanted) parts[part]({ title: 'laniakea', short: {}, ...engine }, print)
}
