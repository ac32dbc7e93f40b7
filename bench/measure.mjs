// bench/measure.mjs -- nanoseconds for one call, as bench/bench.h measures them in C: the fastest of some
// batches, each long enough for the clock's step not to matter.
const BATCHES = 5
const BATCH_NS = 20_000_000

export function measure(run) {
  const batch = (count) => {
    const begin = process.hrtime.bigint()
    for (let i = 0; i < count; i++) run()
    return Number(process.hrtime.bigint() - begin)
  }
  let count = 1
  while (batch(count) < BATCH_NS) count *= 2
  return Math.min(...Array.from({ length: BATCHES }, () => batch(count))) / count
}
