// tests/e2e/packed.mjs -- the packages as they would be published, in a project of somebody else's.
//
// Needs build/npm/ (tools/pack_npm.mjs). The packages of others are those of this tree, below which the project lies.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './program.mjs'

export class Project {
  folder

  /** `packages` by their short names: "sdk", "react", "yjs". */
  constructor(...packages) {
    mkdirSync(join(root, 'build/e2e'), { recursive: true })
    this.folder = mkdtempSync(join(root, 'build/e2e/project-'))
    this.write('package.json', '{"private":true,"type":"module"}')
    for (const name of packages) this.#unpack(name)
  }

  #unpack(name) {
    const tarballs = readdirSync(join(root, 'build/npm')).filter((file) => file.startsWith(`laniakea-${name}-`))
    assert.equal(tarballs.length, 1, `build/npm has ${tarballs.length} tarballs of ${name}`)
    const to = join(this.folder, 'node_modules/@laniakea', name)
    mkdirSync(to, { recursive: true })
    const done = spawnSync('tar', ['-xzf', join(root, 'build/npm', tarballs[0]), '--strip-components=1', '-C', to], { encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
  }

  path(...parts) {
    return join(this.folder, ...parts)
  }

  write(name, text) {
    writeFileSync(this.path(name), text)
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
