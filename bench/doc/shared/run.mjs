// bench/doc/shared/run.mjs -- starts what measures.
import { spawnSync } from 'node:child_process'

const FLAGS = ['--expose-gc', '--disable-warning=ExperimentalWarning']

/** Runs a script again, so that it can collect garbage when it wants to. What it prints before it fails counts. */
export function runSelf(script, args) {
  const { status, signal } = spawnSync(process.execPath, [...FLAGS, script, ...args], { stdio: 'inherit' })
  if (status !== 0) console.error(`bench/doc: ${args.join(' ')} ended with ${signal ?? `status ${status}`}: its other rows are left out`)
}
