// tools/embed_assets.mjs -- makes the table of src/server/assets.h from a folder of built pages.
//
//   node tools/embed_assets.mjs FOLDER OUT.S OUT.c
//
// OUT.S takes in the bytes of each file by .incbin, OUT.c names them: path, type, tag. What brotli or gzip make smaller
// by a tenth is written beside OUT.S and taken in as well. All go to
// the build, never to the repository. What lies in /assets/ only pages load, and no browser is without gzip: there the
// file itself is left out, since it would be two thirds of the program. A folder that is not there gives an empty table: the program
// then says how to build its pages.
//
// Tags are hashes of the bytes, and the table is sorted by path, so that the same folder always gives
// the same program. Files whose name begins with a dot are left out.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { assembly, collect, literal } from './embed.mjs'

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/vnd.microsoft.icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

const tagOf = (file) => `"${createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 24)}"`
const typeOf = (path) => TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream'

// The best that each can do: it is done once.
const PACKERS = {
  br: (bytes) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
  gzip: (bytes) => gzipSync(bytes, { level: 9 }),
}

/** Each asset with the forms that are worth it: [{ coding, file }]. */
function pack(assets, out) {
  return assets.map((asset, index) => {
    const bytes = readFileSync(asset.file)
    const forms = Object.entries(PACKERS).flatMap(([coding, packer]) => {
      const packed = packer(bytes)
      if (packed.length > bytes.length * 0.9) return []
      const file = `${out}.${index}.${coding}`
      writeFileSync(file, packed)
      return [{ coding, file }]
    })
    const isPackedAlone = asset.path.startsWith('/assets/') && forms.some(({ coding }) => coding === 'gzip')
    return { ...asset, forms, isPackedAlone }
  })
}

const note = 'made by tools/embed_assets.mjs'

/** The names of all runs of bytes: that of an asset is its number, those of its forms have the coding behind it. */
const runsOf = (assets) => assets.flatMap(({ file, forms, isPackedAlone }, index) =>
  [...(isPackedAlone ? [] : [{ file, name: `${index}` }]), ...forms.map((form) => ({ file: form.file, name: `${index}_${form.coding}` }))])

function table(assets) {
  const names = runsOf(assets).map(({ name }) => `extern const uint8_t lk_asset_begin_${name}[], lk_asset_end_${name}[];`)
  const rows = assets.map(({ path, file, forms, isPackedAlone }, index) => {
    const packed = Object.keys(PACKERS).map((coding) => {
      if (!forms.some((form) => form.coding === coding)) return ', { { NULL, 0 }, NULL, NULL }'
      const tag = tagOf(file).replace(/"$/, `-${coding}"`)
      return `, { LK_LIT_INIT(${literal(tag)}), lk_asset_begin_${index}_${coding}, lk_asset_end_${index}_${coding} }`
    })
    const plain = isPackedAlone ? 'NULL, NULL' : `lk_asset_begin_${index}, lk_asset_end_${index}`
    return `  { LK_LIT_INIT(${literal(path)}), LK_LIT_INIT(${literal(typeOf(path))}), LK_LIT_INIT(${literal(tagOf(file))}), ${plain}${packed.join('')} },`
  })
  const items = assets.length === 0 ? [] : ['', 'static const lk_asset items[] = {', ...rows, '};']
  const value = assets.length === 0 ? '{ NULL, 0 }' : '{ items, sizeof items / sizeof items[0] }'
  return [`/* ${note} */`, '#include "server/assets.h"', '', ...names, ...items, '', `const lk_assets lk_assets_built = ${value};`, ''].join('\n')
}

const [folder, outS, outC, ...rest] = process.argv.slice(2)
if (!outC || rest.length > 0) {
  console.error('usage: node tools/embed_assets.mjs FOLDER OUT.S OUT.c')
  process.exit(2)
}
// The server searches in the order of the paths' bytes.
const assets = pack(collect(resolve(folder), (name) => !name.startsWith('.')), outS)
writeFileSync(outS, assembly(note, 'asset', runsOf(assets)))
writeFileSync(outC, table(assets))
