// tools/gen_crc32c.mjs -- makes src/codec/crc32c.gen.h, the tables behind src/codec/crc32c.c.
//
//   node tools/gen_crc32c.mjs           writes the file
//   node tools/gen_crc32c.mjs --check   writes nothing; exits 1 if the file is stale
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.LK_ROOT ?? join(dirname(fileURLToPath(import.meta.url)), '..')
const file = join(root, 'src/codec/crc32c.gen.h')

const POLYNOMIAL = 0x82f63b78 // 0x1EDC6F41 with its bits in reverse
const SLICES = 8

/** The remainder of `crc` followed by one byte of zero. */
function afterZeroByte(crc) {
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0)
  return crc >>> 0
}

const rows = [Array.from({ length: 256 }, (_, byte) => afterZeroByte(byte))]
while (rows.length < SLICES) rows.push(rows.at(-1).map(afterZeroByte))

const literal = (n) => `0x${n.toString(16).padStart(8, '0')}u,`

function render(row) {
  const lines = []
  for (let at = 0; at < row.length; at += 8) lines.push(`    ${row.slice(at, at + 8).map(literal).join(' ')}`)
  return `  {\n${lines.join('\n')}\n  },`
}

const text = `/* codec/crc32c.gen.h -- CRC-32C tables; made by tools/gen_crc32c.mjs; do not edit.
 *
 * The inside of an initialiser, included by crc32c.c alone. */
${render(rows[0])}
#if SLICES == ${SLICES}
${rows.slice(1).map(render).join('\n')}
#endif
`

if (process.argv.includes('--check')) {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    console.log('src/codec/crc32c.gen.h is stale: run `node tools/gen_crc32c.mjs` and commit what it changes')
    process.exit(1)
  }
} else {
  writeFileSync(file, text)
  console.log('wrote src/codec/crc32c.gen.h')
}
