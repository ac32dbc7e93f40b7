// bench/doc/shared/run.mjs -- starts the parts of what is measured.
import { spawnSync } from 'node:child_process'

const PARTS = ['sessions', 'append', 'shapes', 'memory']
const FLAGS = ['--expose-gc', '--disable-warning=ExperimentalWarning']

/** Runs `script args... PART` for each part, in a process that can collect garbage when it is asked to; what one prints before it fails counts. */
export function runParts(script, args, wanted = []) {
  for (const part of wanted.length > 0 ? wanted : PARTS) {
    const done = spawnSync(process.execPath, [...FLAGS, script, ...args, part], { stdio: 'inherit' })
    if (done.status !== 0) console.error(`bench/doc: ${[...args, part].join(' ')} failed: its other rows are left out`)
  }
}
