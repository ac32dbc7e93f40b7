// bench/doc/shared/parts.mjs -- the parts of what is measured, for all libraries in turns.
import { traces } from './trace.mjs'

export const parts = ['sessions', 'append', 'shapes']

/** `measure(functions, print)` for each engine; where one fails, the others go on. */
async function each(engines, printer, what, measure) {
  for (const engine of engines) {
    const began = performance.now()
    try {
      // A copy of the functions for each library: V8 learns for each by itself.
      const [tasks, shapes] = await Promise.all([import(`./tasks.mjs?${engine.name}`), import(`./shapes.mjs?${engine.name}`)])
      measure({ ...tasks, ...shapes }, engine, printer(engine))
    } catch (error) {
      console.error(`bench/doc: ${engine.name}: ${what}: ${error.message}; its other rows are left out`)
    }
    if (process.env.LK_BENCH_TURN !== undefined) console.error(`    ${engine.name}: ${what}, ${((performance.now() - began) / 1000).toFixed(1)} s`)
  }
}

export async function measureAll(part, engines, printer) {
  const wanted = engines.filter((engine) => !engine.without?.includes(part))
  if (part === 'append') return each(wanted, printer, part, ({ measureAppend }, ...given) => measureAppend(...given))
  if (part === 'shapes') return each(wanted, printer, part, ({ measureShapes }, ...given) => measureShapes(...given))
  const recorded = traces()
  if (part === 'memory') return each(wanted, printer, part, ({ measureMemory }, engine, print) => measureMemory(engine, recorded[0], print))
  for (const trace of recorded) {
    await each(wanted, printer, trace.name, ({ measureSession, measureConcurrent }, engine, print) => {
      if (trace.edits) measureSession(engine, trace, print)
      else measureConcurrent(engine, trace, print)
    })
  }
}
