// bench/doc/shared/parts.mjs -- the parts of what is measured, each of which has a process of its own (run.mjs).
import { measureShapes } from './shapes.mjs'
import { measureAppend, measureConcurrent, measureMemory, measureSession } from './tasks.mjs'
import { traces } from './trace.mjs'

function sessions(engine, print) {
  for (const trace of traces()) {
    if (trace.edits) measureSession(engine, trace, print)
    else measureConcurrent(engine, trace, print)
  }
}

export const parts = {
  sessions,
  append: measureAppend,
  shapes: measureShapes,
  memory: (engine, print) => measureMemory(engine, traces()[0], print),
}
