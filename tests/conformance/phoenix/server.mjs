// tests/conformance/phoenix/server.mjs -- the program under test: build/laniakea, or what LK_PROGRAM names.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const program = process.env.LK_PROGRAM ?? join(import.meta.dirname, '../../../build/laniakea')
const PATIENCE_MS = 10_000

/** Name and parent of a process; null where it is gone. */
function statOf(pid) {
  try {
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return { name, parent: Number(parent) }
  } catch {
    return null
  }
}

export class Server {
  #child
  #data = null
  #ended
  port = 0
  errors = ''

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** `keeps`: in a directory, so that what is written outlives its processes and can fail. `lead` is a command that
   *  runs the program. */
  static async start({ keeps = false, lead = [] } = {}) {
    const self = new Server()
    const args = ['serve', '--port', '0']
    if (keeps) args.push('--data', (self.#data = mkdtempSync(join(tmpdir(), 'laniakea-phoenix-'))))
    const [command, ...rest] = [...lead, program, ...args]
    self.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    self.#ended = once(self.#child, 'exit')
    self.#child.stderr.setEncoding('utf8').on('data', (text) => (self.errors += text))
    const [line] = await Promise.race([once(self.#child.stdout.setEncoding('utf8'), 'data'), self.#ended.then(() => [''])])
    self.port = Number(/http:\S+:(\d+)/.exec(line)?.[1])
    if (!self.port) throw new Error(`${program} does not serve: ${line}${self.errors}`)
    self.#child.stdout.resume()
    return self
  }

  /** The process of that kind, 'edge' or 'room'. */
  processOf(kind) {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
      const stat = statOf(pid)
      return stat?.parent === this.#child.pid && stat.name === `laniakea-${kind}`
    })
  }

  /** Kills it and resolves when there is another. */
  async replace(kind) {
    const old = this.processOf(kind)
    process.kill(old, 'SIGKILL')
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(5)) {
      const now = this.processOf(kind)
      if (now !== undefined && now !== old) return
      if (Date.now() > end) throw new Error(`no other ${kind} process`)
    }
  }

  terminate() {
    this.#child.kill('SIGTERM')
  }

  /** Resolves with its exit code. */
  async stop() {
    this.terminate()
    const [code] = await this.#ended
    if (this.#data !== null) rmSync(this.#data, { recursive: true, force: true })
    return code
  }
}
