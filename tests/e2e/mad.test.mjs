// A process gone mad writes nonsense into what it shares with others.
//
// Goal: nobody waits for it for ever: it is found out, ended and replaced, and nothing acknowledged is lost.
// Method: each counter that two processes share is overwritten from outside, while clients write.
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs'
import { after, test } from 'node:test'
import { Program } from './program.mjs'

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const programs = []
after(() => Promise.all(programs.map((program) => program.dispose())))

function processOf(program, kind) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, comm, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      if (comm === `laniakea-${kind}` && Number(parent) === program.pid) return Number(pid)
    } catch { /* it has ended */ }
  }
}

/** Pages that a process shares and that are as small as a ring's counters. */
const shared = (pid) =>
  readFileSync(`/proc/${pid}/maps`, 'utf8').trim().split('\n').map((line) => /^(\w+)-(\w+) rw-s .* \/dev\/zero/.exec(line)).filter(Boolean)
    .map(([, from, to]) => [BigInt(`0x${from}`), BigInt(`0x${to}`)]).filter(([from, to]) => to - from === 4096n).map(([from]) => from)

/** The count behind one more, however often that takes. */
async function increment(program) {
  for (const end = Date.now() + 8000; Date.now() < end; await sleep(100)) {
    try {
      const answer = await fetch(`${program.url}/api/topics/crdt:c`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"type":"crdt.increment","payload":{"amount":1}}',
        signal: AbortSignal.timeout(2000),
      })
      if (answer.ok) return (await answer.json()).value
    } catch { /* its edge process has ended, or it has to be tried again */ }
  }
  assert.fail('the server stalls')
}

/** In the room process that there is, which may be on its way out. */
async function overwrite(program, place) {
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(50)) {
    try {
      const mem = openSync(`/proc/${processOf(program, 'room')}/mem`, 'r+')
      writeSync(mem, Buffer.alloc(8, 0x5a), 0, 8, Number(place))
      return closeSync(mem)
    } catch { /* another one comes */ }
  }
  assert.fail(`${processOf(program, 'room')}: cannot write to ${place.toString(16)}: ${program.output}`)
}

test('counters of a ring that make no sense stall nobody, and cost the process its place that wrote them', async () => {
  const program = new Program('--rooms', '1', '--edges', '1')
  programs.push(program)
  await program.start()
  await fetch(`${program.url}/api/topics/crdt:c`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"type":"gcounter"}' })
  let last = await increment(program)
  const first = processOf(program, 'room')
  const pages = shared(first)
  assert.ok(pages.length >= 4)
  for (const page of pages) {
    for (const at of [0n, 64n]) { // the writer's counter, the reader's
      await overwrite(program, page + at)
      const value = await increment(program)
      assert.ok(value > last, `${value} behind ${last}`)
      last = value
    }
  }
  assert.match(program.output, /process_blamed|left nonsense/)
})
