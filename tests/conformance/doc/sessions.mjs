// tests/conformance/doc/sessions.mjs -- sessions of Yjs, as records: see session.mjs.
//
//   node sessions.mjs --seed 1 --count 2000 | doc_conformance
//   node sessions.mjs --seed 1 --only 77 | doc_conformance --dump      one of them again
//
//   --seed S      which sessions; the same seed gives the same bytes
//   --count N     how many, from the first or from --from F on; 0 for as many as the reader takes
//   --only K      session K alone
//   --profile P   only of that kind (model.mjs has the kinds), else all of them in turn
//   --steps N     steps in each, else 8 to 40; the first steps of a session do not depend on it
//   --seconds T   no more once so many have passed
import { parseArgs } from 'node:util'
import { PROFILES } from './model.mjs'
import { Session, write } from './session.mjs'
import { MAGIC, record, str } from './stream.mjs'

const options = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    profile: { type: 'string' },
    steps: { type: 'string' },
    seconds: { type: 'string', default: 'Infinity' },
  },
}).values
const names = options.profile === undefined ? Object.keys(PROFILES) : options.profile.split(',')
for (const name of names) {
  if (!(name in PROFILES)) {
    console.error(`no profile ${name}; there are ${Object.keys(PROFILES).join(' ')}`)
    process.exit(2)
  }
}

console.log = console.error // Yjs says things there, and standard output is for records
const seed = Number(options.seed)
const first = Number(options.only ?? options.from)
const count = options.only === undefined ? Number(options.count) || Infinity : 1
write(Buffer.concat([MAGIC, record('H', str(JSON.stringify({ format: 1, yjs: '13.6.33', seed })))]))
const end = performance.now() + 1000 * Number(options.seconds)
for (let i = first; i < first + count && performance.now() < end; i++) {
  const session = new Session(seed, i, names[i % names.length], options.steps && Number(options.steps))
  if (!write(Buffer.concat(session.play()))) break
}
