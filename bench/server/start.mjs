// bench/server/start.mjs -- how long the program takes until it accepts a connection, and how large it is.
//
// The peer is the smallest server in Node that accepts one: what a JavaScript server cannot be below.
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')

const accepts = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

/** Milliseconds from the start of |command| until something listens on |port|. */
async function startTime(command, args, port) {
  const began = performance.now()
  const child = spawn(command, args, { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() - began > 10_000) throw new Error(`${command} does not accept connections`)
  }
  const took = performance.now() - began
  child.kill('SIGTERM')
  await ended
  return took
}

const port = 20_000 + (process.pid % 20_000)
const ours = await startTime(program, ['serve', '--quiet', '--port', String(port)], port)
const script = `require('node:http').createServer((q, s) => s.end()).listen(${port + 1}, '127.0.0.1')`
const node = await startTime(process.execPath, ['-e', script], port + 1)
console.log(JSON.stringify({ suite: 'server', name: 'start to accept', unit: 'ms', value: ours, better: 'lower', bar: 1 }))
console.log(JSON.stringify({ suite: 'server', name: 'start to accept', unit: 'ms', peer: 'node:http, empty', peer_value: node }))
console.log(JSON.stringify({ suite: 'server', name: 'program size', unit: 'MB', value: statSync(program).size / 1e6, better: 'lower', bar: 3 }))
