// tests/e2e/program.mjs -- the program under test: build/laniakea, or what LK_PROGRAM names.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')

/** A server with a data directory of its own, that can be stopped and started on the same port. */
export class Program {
  #data = null
  #child = null
  #output = ''
  #port = 0
  #scheme = 'http'
  #args

  /** `args` follow those that it needs. With {data: false} first it has no directory: all is in memory. */
  constructor(...args) {
    const hasData = args[0]?.data !== false
    if (hasData) this.#data = mkdtempSync(join(tmpdir(), 'laniakea-data-'))
    this.#args = hasData ? ['--data', this.#data, ...args] : args.slice(1)
  }

  get data() {
    return this.#data
  }

  get url() {
    return `${this.#scheme}://127.0.0.1:${this.#port}`
  }

  /** What it has said since it was started last. */
  get output() {
    return this.#output
  }

  get pid() {
    return this.#child?.pid
  }

  /** Resolves when it says where it listens. `more` follows the other arguments, this time. */
  async start(...more) {
    const child = spawn(program, ['serve', '--port', String(this.#port), ...this.#args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#output = ''
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${program} did not begin to listen: ${this.#output}`)), 30_000)
      const hear = (bytes) => {
        this.#output += bytes
        const [, scheme, port] = /(https?):\/\/127\.0\.0\.1:(\d+)/.exec(this.#output) ?? []
        if (port === undefined) return
        this.#scheme = scheme
        this.#port = Number(port)
        clearTimeout(timer)
        resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.on('error', reject)
      child.on('exit', (code, signal) => reject(new Error(`${program} ended (${code ?? signal}): ${this.#output}`)))
    })
  }

  /** Ends it by `signal` and resolves with its exit code. */
  async stop(signal = 'SIGTERM') {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return child?.exitCode
    child.removeAllListeners('exit')
    const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)))
    child.kill(signal)
    return ended
  }

  async dispose() {
    await this.stop('SIGKILL')
    if (this.#data !== null) rmSync(this.#data, { recursive: true, force: true })
  }
}
