// tools/gen_powers.mjs -- makes src/codec/powers.gen.h, the powers of ten behind src/codec/number.c.
//
//   node tools/gen_powers.mjs           writes the file
//   node tools/gen_powers.mjs --check   writes nothing; exits 1 if the file is stale
//
// A full table of 128-bit powers would take 10 kB. This one keeps every 27th power, the exact powers
// of five in between, and two bits for each power that say by how much the product of the two falls
// short: 0.8 kB. The script rebuilds every power the way number.c does and compares it with BigInt, and
// it checks the integer formulas for logarithms over the whole range in which number.c uses them.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'src/codec/powers.gen.h')

const MIN = -351 // 10^-342 is the least that is needed; a multiple of STEP makes 10^0 to 10^27 come out exact
const MAX = 324 // what the least subnormal double is multiplied by to print it
const STEP = 27 // 5^27 is the greatest power of five below 2^63

const bitLength = (n) => n.toString(2).length
const floorLog2 = (e) => (e * 217706) >> 16
const floorLog10OfPow2 = (q) => (q * 1262611) >> 22
const floorLog10Of3QuartersPow2 = (q) => (q * 1262611 - 524031) >> 22

/** floor(10^e / 2^x) for the x that leaves 128 bits, the topmost set. */
function power(e) {
  if (e >= 0) {
    const n = 10n ** BigInt(e)
    const shift = bitLength(n) - 128
    return shift > 0 ? n >> BigInt(shift) : n << BigInt(-shift)
  }
  const n = 10n ** BigInt(-e)
  let quotient = (1n << BigInt(bitLength(n) + 128)) / n
  while (bitLength(quotient) > 128) quotient >>= 1n
  return quotient
}

/** The same from the small table, before its correction: what number.c computes. */
function rebuilt(coarse, fine) {
  const product = coarse * fine // 191 or 192 bits
  return bitLength(product) === 192 ? product >> 64n : product >> 63n
}

function check(condition, what) {
  if (!condition) throw new Error(`gen_powers: ${what}`)
}

/** Does 10^e (e of any sign) lie at or below the fraction a/b? */
const pow10AtMost = (e, a, b) => (e >= 0 ? 10n ** BigInt(e) * b <= a : b <= a * 10n ** BigInt(-e))

function checkFormulas() {
  for (let e = MIN; e <= MAX; e++) {
    const n = 10n ** BigInt(Math.abs(e))
    const exact = e >= 0 ? bitLength(n) - 1 : -bitLength(n - 1n)
    check(floorLog2(e) === exact, `log2 of 10^${e}`)
  }
  for (let q = -1074; q <= 971; q++) {
    const a = q >= 0 ? 1n << BigInt(q) : 1n
    const b = q >= 0 ? 1n : 1n << BigInt(-q)
    const k = floorLog10OfPow2(q)
    check(pow10AtMost(k, a, b) && !pow10AtMost(k + 1, a, b), `log10 of 2^${q}`)
    const j = floorLog10Of3QuartersPow2(q)
    check(pow10AtMost(j, 3n * a, 4n * b) && !pow10AtMost(j + 1, 3n * a, 4n * b), `log10 of 3/4 2^${q}`)
  }
}

const hex = (n) => `0x${n.toString(16).padStart(16, '0')}u`
const low64 = (n) => n & 0xffffffffffffffffn

function render() {
  checkFormulas()
  const fine = Array.from({ length: STEP }, (_, i) => 5n ** BigInt(i) << BigInt(64 - bitLength(5n ** BigInt(i))))
  const coarse = []
  for (let e = MIN; e <= MAX; e += STEP) coarse.push(power(e))

  const fixes = new Array(Math.ceil((MAX - MIN + 1) / 4)).fill(0)
  for (let index = 0; index <= MAX - MIN; index++) {
    const fix = power(MIN + index) - rebuilt(coarse[Math.floor(index / STEP)], fine[index % STEP])
    check(fix >= 0n && fix <= 3n, `the correction of 10^${MIN + index} does not fit two bits`)
    fixes[index >> 2] |= Number(fix) << ((index & 3) * 2)
  }

  const fixLines = []
  for (let i = 0; i < fixes.length; i += 16) {
    fixLines.push(`  ${fixes.slice(i, i + 16).map((b) => `0x${b.toString(16).padStart(2, '0')},`).join(' ')}`)
  }
  return `/* codec/powers.gen.h -- powers of ten; made by tools/gen_powers.mjs; do not edit.
 *
 * Included by number.c alone, whose essay says how a power is put together from these. */
#ifndef LK_CODEC_POWERS_GEN_H
#define LK_CODEC_POWERS_GEN_H

#include <stdint.h>

#define POWER_MIN (${MIN})
#define POWER_MAX ${MAX}
#define POWER_STEP ${STEP}

/* The upper 128 bits of 10^(POWER_MIN + ${STEP} i), high word first. */
static const uint64_t power_coarse[${coarse.length}][2] = {
${coarse.map((n) => `  { ${hex(n >> 64n)}, ${hex(low64(n))} },`).join('\n')}
};

/* 5^i, shifted up until its topmost bit is set. */
static const uint64_t power_fine[${STEP}] = {
${fine.map((n) => `  ${hex(n)},`).join('\n')}
};

/* Two bits for each power: by how much the product of the two above falls short in its last place. */
static const uint8_t power_fix[${fixes.length}] = {
${fixLines.join('\n')}
};

#endif
`
}

const text = render()
if (process.argv.includes('--check')) {
  let now = null
  try {
    now = readFileSync(file, 'utf8')
  } catch {
    // Not there yet: stale.
  }
  if (now !== text) {
    console.log('src/codec/powers.gen.h is stale: run `node tools/gen_powers.mjs` and commit what it changes')
    process.exit(1)
  }
} else {
  writeFileSync(file, text)
  console.log('wrote src/codec/powers.gen.h')
}
