// bench/codec/peers.mjs -- the other half of bench/codec/main.c: the same work by what a program in
// JavaScript would use instead. Inputs, names and units must agree with main.c.
//
// lib0 is measured where it is installed (js/node_modules); the rest is Node's own. TextDecoder makes a
// string besides checking, JSON.parse makes objects, and zlib's sum is CRC-32, another polynomial:
// each is what one would use, not the same machine code.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import zlib from 'node:zlib'

import { measure } from '../measure.mjs'

const INTEGERS = 10_000
const TEXT_BYTES = 65_536
const RECORDS = 1000

const print = (name, unit, peer, value) => console.log(JSON.stringify({ suite: 'codec', name, unit, peer, peer_value: value }))
const printEach = (name, peer, run) => print(name, 'ns', peer, measure(run) / INTEGERS)
const printBytes = (name, peer, bytes, run) => print(name, 'MB/s', peer, (bytes * 1e3) / measure(run))

const integers = Array.from({ length: INTEGERS }, (_, i) => (Math.imul(i, 2654435761) >>> 0) >>> (((i * 40503) % 65521 % 4) * 8))
const line = 'Laniakea, groß und weit \u2615 \u6d77 \u{1f40b} plain words follow. '
const text = new TextEncoder().encode(line.repeat(Math.floor(TEXT_BYTES / Buffer.byteLength(line))))
const record = (i) => ({ id: i, score: i * 0.37, name: 'Ada "the first" Lovelace', tags: ['groß', 'plain', i % 2 === 0, null] })
const records = Array.from({ length: RECORDS }, (_, i) => record(i))
const jsonText = JSON.stringify(records)
const jsonBytes = new TextEncoder().encode(jsonText)

/** lib0 from the workspace's packages; null where they are not installed. */
async function loadLib0() {
  const root = join(fileURLToPath(import.meta.url), '../../..')
  for (const place of [join(root, 'js/package.json'), join(root, 'package.json')]) {
    try {
      const require = createRequire(place)
      const load = (name) => import(pathToFileURL(require.resolve(name)))
      return { encoding: await load('lib0/encoding'), decoding: await load('lib0/decoding') }
    } catch {
      // Look in the next place.
    }
  }
  return null
}

let kept = 0 // what is computed is used, so that it cannot be left out

const lib0 = await loadLib0()
if (lib0 === null) console.error('bench/codec: lib0 is not installed; varuints have no peer')
else {
  const { encoding, decoding } = lib0
  const encode = () => encoding.encode((encoder) => integers.forEach((value) => encoding.writeVarUint(encoder, value)))
  const bytes = encode()
  printEach('varuint decode', 'lib0', () => {
    const decoder = decoding.createDecoder(bytes)
    for (let i = 0; i < INTEGERS; i++) kept += decoding.readVarUint(decoder)
  })
  printEach('varuint encode', 'lib0', () => (kept += encode().length))
}

const decoder = new TextDecoder('utf-8', { fatal: true })
printBytes('utf8 check', 'TextDecoder', text.length, () => (kept += decoder.decode(text).length))
if (zlib.crc32) printBytes('crc32c', 'zlib crc32', text.length, () => (kept += zlib.crc32(text)))
// From and to bytes, as on a connection.
printBytes('json read', 'JSON.parse', jsonBytes.length, () => (kept += JSON.parse(decoder.decode(jsonBytes)).length))
const encoder = new TextEncoder()
printBytes('json write', 'JSON.stringify', jsonBytes.length, () => (kept += encoder.encode(JSON.stringify(records)).length))
if (kept === -1) console.error(kept)
