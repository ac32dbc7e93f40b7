// bench/server/shared/servers.mjs -- starts the servers that are measured, and finds all of their processes.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../..')
export const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const tools = process.env.LK_BENCH_SERVER ?? join(root, 'build/release/bench_server')

/** Each makes a command of a port, and variables of its environment where it wants some. |load| is what the generator
 * is told of it. Other suites add theirs. */
export const servers = {
  ours: {
    load: { dialect: 'binary' },
    // What clients send is counted, as ever, and never too much: no client sends as fast as the generator.
    command: (port, more = []) => [program, 'serve', '--quiet', '--rate-burst', '1h', '--port', String(port), ...more],
  },
  limit: { load: { dialect: 'raw' }, command: (port) => [tools, 'limit', String(port)] },
  ws: { load: { dialect: 'raw' }, command: (port) => [process.execPath, join(here, 'ws.mjs'), String(port)] },
}

/** Whether |name| can be measured here: `ws` is among the tools of the project's own tests. */
export function isThere(name) {
  return name !== 'ws' || existsSync(join(root, 'node_modules/ws/package.json'))
}

const accepts = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

/** |pid| and whoever it started, and so on. */
function family(pid) {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        return [Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]
      } catch {
        return [0, 0] // it has ended meanwhile
      }
    })
  const found = [pid]
  for (const one of found) found.push(...parents.filter(([, parent]) => parent === one).map(([child]) => child))
  return found
}

/** The same when nobody has come for a while: a server accepts before all of its processes have begun. */
async function settledFamily(pid) {
  let pids = []
  for (let before = -1; pids.length !== before; ) {
    before = pids.length
    await new Promise((resolve) => setTimeout(resolve, 300))
    pids = family(pid)
  }
  return pids
}

let port = 20_000 + (process.pid % 10_000)

/** Starts |command|; resolves when it accepts connections, with the milliseconds that took. */
export async function start(command, environment = {}) {
  const began = performance.now()
  const env = { ...process.env, ...environment }
  const child = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() - began > 10_000) throw new Error(`${command[0]} does not accept connections`)
  }
  const ms = performance.now() - began
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { ms, pid: child.pid, stop }
}

/** A port that nobody has used: connections that were closed hold the last one for a while. */
export const nextPort = () => ++port

/** Starts the server |name| on a port of its own; |more| are options of its command. */
export async function begin(name, more) {
  const { command, environment } = servers[name]
  const own = nextPort()
  const server = await start(command(own, more), environment?.(own))
  return { ...server, name, port: own, pids: await settledFamily(server.pid) }
}

/** Runs the generator against a server that has begun; its numbers. */
export function load({ name, port, pids }, options) {
  const args = Object.entries({ ...servers[name].load, ...options, port, pids: pids.join(',') })
    .filter(([, value]) => value !== false)
    .flatMap(([key, value]) => (value === true ? [`--${key}`] : [`--${key}`, String(value)]))
  const done = spawnSync(tools, ['load', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  if (done.status !== 0) throw new Error(`the generator failed at ${name}: ${args.join(' ')}`)
  return JSON.parse(done.stdout)
}

/** Starts a server of its own for one run of the generator; the generator's numbers. */
export async function measure(name, options, more) {
  const server = await begin(name, more)
  try {
    return load(server, options)
  } finally {
    await server.stop()
  }
}
