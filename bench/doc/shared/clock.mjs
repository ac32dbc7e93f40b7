// bench/doc/shared/clock.mjs -- milliseconds that this thread has computed.
//
// Other programs on the machine do not count, nor do V8's threads that compile and collect garbage, which
// flatters JavaScript. process.threadCpuUsage() moves in steps of four milliseconds here; WASI has
// the system's own clock.
import { WASI } from 'node:wasi'

const THREAD_CPUTIME = 3
// Less where all sessions and shapes of all peers are to take a minute.
const ENOUGH_MS = process.env.LK_BENCH_QUICK === '1' ? 200 : 600
const ONCE_IS_ENOUGH_MS = 2_000
const wasi = new WASI({ version: 'preview1' })
const memory = new WebAssembly.Memory({ initial: 1 })
wasi.initialize({ exports: { memory } })
const view = new DataView(memory.buffer)

export function cpuMs() {
  if (wasi.wasiImport.clock_time_get(THREAD_CPUTIME, 0n, 0) !== 0) return performance.now()
  return Number(view.getBigUint64(0, true)) / 1e6
}

/** The fastest of some rounds, which end early when they take long, but are two where one is no long time: V8 learns.
 * `prepare` and `check` are not measured. What takes microseconds wants a clock that takes less: performance.now(). */
export function fastest(run, { rounds = 10, prepare = () => {}, check = () => {}, clock = cpuMs } = {}) {
  let best = Infinity
  let total = 0
  globalThis.gc?.()
  for (let i = 0; i < rounds && total < (i < 2 ? ONCE_IS_ENOUGH_MS : ENOUGH_MS); i++) {
    const input = prepare()
    const begin = clock()
    const result = run(input)
    const took = clock() - begin
    check(result)
    best = Math.min(best, took)
    total += took
  }
  return best
}
