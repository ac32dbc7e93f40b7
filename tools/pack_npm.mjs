// tools/pack_npm.mjs -- the packages of js/packages as tarballs in build/npm/, as they would be published.
//
//   node tools/pack_npm.mjs        after tools/build_js.mjs or build_web.mjs
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const target = join(root, 'build/npm')

rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
for (const name of readdirSync(join(root, 'js/packages'))) {
  const folder = join(root, 'js/packages', name)
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const [entry, places] of Object.entries(manifest.exports)) {
    for (const place of Object.values(typeof places === 'string' ? { places } : places)) {
      if (!existsSync(join(folder, place))) throw new Error(`${manifest.name}: ${entry} names ${place}, which is not there; run tools/build_js.mjs`)
    }
  }
  const done = spawnSync('npm', ['pack', '--silent', '--pack-destination', target], { cwd: folder, encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`npm pack in ${folder}: ${done.stderr}`)
  console.log(`build/npm/${done.stdout.trim()}`)
}
