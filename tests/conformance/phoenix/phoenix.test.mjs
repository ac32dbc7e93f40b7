// tests/conformance/phoenix/phoenix.test.mjs -- is it what Phoenix does? README.md says how this is asked.
//
//   node --test tests/conformance/phoenix/        runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { playPolls, playRow } from './compare.mjs'
import { exchanges } from './exchanges.mjs'
import * as genuine from './genuine.mjs'
import { handshake, handshakes } from './handshakes.mjs'
import { linesOf, play } from './player.mjs'
import { scripts } from './scripts.mjs'
import { Server } from './server.mjs'
import { Stage, compare } from './stage.mjs'
import { forms } from './wire.mjs'

const AT_ONCE = 8
let number = 0

/** A server for the tests of a suite, which must end well. */
function withServer(options) {
  const place = {}
  before(async () => (place.server = await Server.start(options)))
  after(async () => {
    assert.equal(await place.server.stop(), 0)
    assert.doesNotMatch(place.server.errors, /assertion failed|Sanitizer|runtime error|killed/)
  })
  return place
}

// Two suites at a time: one poll waits for ten seconds.
describe('channels', { concurrency: 2 }, () => {
  describe('beside a genuine Phoenix', { concurrency: AT_ONCE }, () => {
    const place = withServer()
    for (const row of genuine.exchanges.filter(({ absent }) => absent === undefined)) {
      test(`${row.title}: ${row.differs ?? 'the same'}`, () => playRow(place.server.url, ++number, row))
    }
    test('long-poll, request by request', () => playPolls(place.server.url, ++number))
  })

  describe('handshakes', { concurrency: AT_ONCE }, () => {
    const place = withServer()
    for (const { name, ask, due } of handshakes) {
      test(name, async () => {
        const got = await handshake(place.server, ask)
        for (const [what, value] of Object.entries(due)) assert.equal(got[what], value, what)
      })
    }
  })

  for (const form of forms) {
    describe(`${form}, message by message`, { concurrency: AT_ONCE }, () => {
      const place = withServer()
      for (const { title, rows } of exchanges) {
        for (const { name, lines } of rows.filter((row) => row.forms.includes(form))) {
          test(`${title}: ${name}`, () => play(place.server.url, form, ++number, Array.isArray(lines) ? lines : linesOf(lines)))
        }
      }
    })

    describe(`${form}, with phoenix.js`, { concurrency: AT_ONCE }, () => {
      const place = withServer()
      for (const { name, run, due, only } of scripts.filter((script) => script.forms.includes(form))) {
        test(name, async () => {
          const stage = new Stage(place.server.url, form, ++number)
          try {
            await run(stage)
            compare(due, stage.notes, form, only)
          } finally {
            stage.end()
          }
        })
      }
    })
  }
})
