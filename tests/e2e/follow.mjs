// tests/e2e/follow.mjs -- plays two terminals with examples/c/follow.c in them, and a server that comes and goes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Program } from './program.mjs'

const WAIT_MS = 30_000

/** One terminal: what was typed into it, and what it showed. */
export class Terminal {
  #child
  #said = ''
  #ended

  constructor(program, env, ...args) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env } })
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (bytes) => { this.#said += bytes })
    this.#ended = new Promise((resolve) => this.#child.on('exit', (code, signal) => resolve(code ?? signal)))
  }

  type(line) {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Resolves when the terminal has shown `text`, from now on or before. */
  async shows(text) {
    const until = Date.now() + WAIT_MS
    while (!this.#said.includes(text)) {
      if (Date.now() > until) assert.fail(`it never showed ${JSON.stringify(text)}, but:\n${this.#said}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async close() {
    this.#child.stdin.end()
    assert.equal(await this.#ended, 0, this.#said)
  }

  kill() {
    this.#child.kill('SIGKILL')
    return this.#ended
  }
}

/** Goal: what is typed into one terminal is shown in the other; what is typed without a server is there when it comes, once, also
 * when the program was closed or killed in between. `options` stand before the URL. */
export async function checkFollowing(program, { env = {}, server = new Program(), options = [] } = {}) {
  const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'laniakea-follow-')))
  const terminals = []
  const open = (i) => {
    terminals[i] = new Terminal(program, env, ...options, server.url, folders[i])
    return terminals[i]
  }
  try {
    await server.start()
    await open(0).shows('(online, 0 pending)')
    await open(1).shows('(online, 0 pending)')
    terminals[0].type('3')
    await terminals[1].shows('crdt:likes 3')
    terminals[1].type('hello')
    await terminals[0].shows('doc:notes {"text":"hello\\n"}')

    await server.stop()
    await terminals[0].shows('(offline')
    terminals[0].type('4')
    terminals[0].type('from afar')
    await terminals[0].shows('crdt:likes 7')
    await terminals[0].shows('doc:notes {"text":"hello\\nfrom afar\\n"}')
    await terminals[0].close()
    await open(0).shows('doc:notes {"text":"hello\\nfrom afar\\n"}')
    await terminals[0].shows('2 pending')
    await terminals[0].kill()

    await server.start()
    await open(0).shows('(online, 0 pending)')
    await terminals[1].shows('crdt:likes 7')
    await terminals[1].shows('doc:notes {"text":"hello\\nfrom afar\\n"}')
    for (const terminal of terminals) await terminal.close()
  } finally {
    for (const terminal of terminals) await terminal.kill()
    await server.dispose()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
}
