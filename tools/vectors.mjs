// tools/vectors.mjs -- what the generators of tests/vectors/ share.
import { readFileSync, writeFileSync } from 'node:fs'

/** mulberry32: the same numbers on every machine. */
export function createRandom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Writes the file; with --check on the command line only says whether it is what it should be, and ends the
 * program with 1 if it is not. */
export function writeOrCheck(file, text, script) {
  if (!process.argv.includes('--check')) return writeFileSync(file, text)
  if (readFileSync(file, 'utf8') === text) return
  console.error(`${file} is stale: run node ${script}`)
  process.exit(1)
}
