// tests/conformance/doc/install.mjs -- what a folder's package-lock.json names, installed the first time that it is needed.
import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function install(folder) {
  const installed = join(folder, 'node_modules/.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs) return
  const quiet = ['--no-update-notifier', '--fetch-retries=1', '--fetch-timeout=60000', '--loglevel=error', '--no-audit', '--no-fund']
  execFileSync('npm', ['ci', ...quiet], { cwd: folder, stdio: 'inherit' })
}
