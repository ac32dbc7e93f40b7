// tests/conformance/phoenix/processes.test.mjs -- what clients see when the server's processes stop, die, or lose
// their disk: the rows of the captures in which a channel crashes or the server ends the connection.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { linesOf, Player } from './player.mjs'
import { Server } from './server.mjs'
import { Stage, compare } from './stage.mjs'
import { forms, isV1 } from './wire.mjs'

/** A server for one test. */
async function start(t, options) {
  const server = await Server.start(options)
  t.after(async () => {
    await server.stop()
    assert.doesNotMatch(server.errors, /assertion failed|Sanitizer|runtime error/)
  })
  return server
}

function stageOf(t, server, form) {
  const stage = new Stage(server.url, form, 1)
  t.after(() => stage.end())
  return stage
}

/** An exchange in parts, between which something happens to the server. */
async function playParts(server, form, parts) {
  const player = new Player(server.url, form, 1)
  try {
    for (const part of parts) {
      if (typeof part === 'function') await part()
      else for (const line of linesOf(part)) await player.play(player.place(line))
    }
    await player.settle()
  } finally {
    await player.end()
  }
}

const signal = (server, kind, name) => process.kill(server.processOf(kind), name)

describe('the server stops', { concurrency: 4 }, () => {
  for (const form of forms) {
    test(`connections are closed with 1012, which asks clients to come back (D16) (${form})`, async (t) => {
      const server = await start(t)
      await playParts(server, form, ['a joins relay:x as 1', () => server.terminate(), 'a x 1012'])
    })
  }

  test('phoenix.js hears 1012, and its channels wait for the next connection', async (t) => {
    const server = await start(t)
    const s = stageOf(t, server, 'ws2')
    const channel = await s.joined('relay:x')
    s.quiet()
    channel.onError((reason) => s.say('error', JSON.stringify(reason)))
    s.socket.onClose(({ code }) => s.say('close', code))
    server.terminate()
    await s.until(() => s.notes.some((note) => note.startsWith('close')))
    compare(['error {"source":"transport","reason":"connection_closed"}', 'close 1012', 'errored'], [...s.notes.slice(3, 5), channel.state], 'ws2')
  })
})

describe('a process dies', { concurrency: 4 }, () => {
  for (const form of forms) {
    test(`a room process: its members stay, are told what they may have missed, and are served (D13) (${form})`, async (t) => {
      const server = await start(t)
      await playParts(server, form, [`
        a joins crdt:x as 1
        a joins relay:x as 2
        b joins relay:x as 7
        a > ["1","3","crdt:x","crdt.increment",{"payload":{"amount":5}}]
        a < ["1","3","crdt:x","phx_reply",{"status":"ok","response":{"value":"#5","counts":{},"level":"memory"}}]
        a < [null,null,"crdt:x","state_updated",{"value":"#5","counts":"*","delta":"*"}]`, () => server.replace('room'), `
        a < ["1",null,"crdt:x","state_updated",{"value":"#5","counts":"*","delta":"*"}]
        a > ["2","4","relay:x","say",{"n":1}]
        a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]
        b < [null,null,"relay:x","say",{"n":1}]`])
    })

    test(`an edge process: phoenix.js connects and joins again, and what was pushed meanwhile is sent (${form})`, async (t) => {
      const server = await start(t)
      const s = stageOf(t, server, form)
      const channel = await s.joined('relay:x')
      let errors = 0
      channel.onError(() => errors++)
      await server.replace('edge')
      await s.until(() => errors > 0)
      const push = channel.push('late', { n: 1 })
      await s.answer(push)
      assert.equal(channel.state, 'joined')
    })
  }

  test('a room process with a push under way: the push is answered by the next one', async (t) => {
    const server = await start(t)
    signal(server, 'room', 'SIGSTOP')
    await playParts(server, 'ws2', ['a > ["1","1","crdt:x","phx_join",{}]', 'a > ["1","2","crdt:x","crdt.increment",{"payload":{"amount":1}}]',
      () => server.replace('room'), `
      a < ["1","1","crdt:x","phx_reply",{"status":"ok","response":"*"}]
      a < ["1","2","crdt:x","phx_reply",{"status":"ok","response":{"value":"#1","counts":{},"level":"memory"}}]
      a < [null,null,"crdt:x","state_updated",{"value":"#1","counts":"*","delta":"*"}]`])
  })
})

describe('a room process is slow', { concurrency: 4 }, () => {
  const stopped = (form, before, during, after) => async (t) => {
    const server = await start(t)
    await playParts(server, form, [before, () => signal(server, 'room', 'SIGSTOP'), during, () => signal(server, 'room', 'SIGCONT'), after])
  }

  for (const form of ['ws2', 'ws1']) {
    test(`heartbeats are answered all the same, and events wait for their join (${form})`, stopped(form, 'a > [null,"0","phoenix","heartbeat",{}]', `
      a < [null,"0","phoenix","phx_reply",{"status":"ok","response":{}}]
      a > ["1","1","relay:x","phx_join",{}]
      a > ["1","2","relay:x","say",{}]
      a > [null,"3","phoenix","heartbeat",{}]
      a < [null,"3","phoenix","phx_reply",{"status":"ok","response":{}}]`, `
      a < ["1","1","relay:x","phx_reply",{"status":"ok","response":{}}]
      a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]`))

    test(`a second join takes the place of one under way, which gets no reply (D6) (${form})`, stopped(form, 'a joins relay:y as 9', `
      a > ["1","1","relay:x","phx_join",{}]
      a > ["2","2","relay:x","phx_join",{}]
      a > ["1","3","relay:x","say",{}]
      a > ["2","4","relay:x","say",{}]`, `
      a < ["2","2","relay:x","phx_reply",{"status":"ok","response":{}}]
      a < ["2","4","relay:x","phx_reply",{"status":"ok","response":{}}]`))

    test(`a second join over a first that was accepted, and a third: one reply, one close (D6) (${form})`, stopped(form, 'a joins relay:x as 1', `
      a > ["2","2","relay:x","phx_join",{}]
      a > ["3","3","relay:x","phx_join",{}]`, `
      a < ["3","3","relay:x","phx_reply",{"status":"ok","response":{}}]
      a < ["1","1","relay:x","phx_close",{}]`))

    test(`leaving while the join is under way ends both at once (D6) (${form})`, stopped(form, 'a joins relay:y as 9', `
      a > ["1","1","relay:x","phx_join",{}]
      a > ["1","2","relay:x","phx_leave",{}]
      a < ["1","2","relay:x","phx_reply",{"status":"ok","response":{}}]
      a < ["1","1","relay:x","phx_close",{}]
      a > ["1","3","relay:x","say",{}]
      a < [null,"3","relay:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, 'a joins relay:x as 4'))

    test(`what was pushed before leaving is not answered any more, and others hear it (D6) (${form})`, stopped(form, `
      a joins relay:x as 1
      b joins relay:x as 1`, `
      a > ["1","2","relay:x","say",{"n":1}]
      a > ["1","3","relay:x","phx_leave",{}]
      a < ["1","3","relay:x","phx_reply",{"status":"ok","response":{}}]
      a < ["1","1","relay:x","phx_close",{}]`, 'b < [null,null,"relay:x","say",{"n":1}]'))
  }

  for (const form of forms) {
    test(`a push of phoenix.js times out, and its late answer harms nobody (${form})`, async (t) => {
      const server = await start(t)
      const s = stageOf(t, server, form)
      const channel = await s.joined('relay:x')
      s.quiet()
      signal(server, 'room', 'SIGSTOP')
      await s.did(channel.push('slow', {}, 50))
      signal(server, 'room', 'SIGCONT')
      await s.did(channel.push('fast', {}))
      compare(['slow timeout {}', 'fast ok {}'], s.notes.slice(3), form)
    })
  }

  // In V1 nothing tells the close of the first join from one of the second: that is why there is V2.
  for (const form of forms.filter((one) => !isV1(one))) {
    test(`a join of phoenix.js times out: it leaves and joins again (${form})`, async (t) => {
      const server = await start(t)
      const s = stageOf(t, server, form)
      s.open()
      await s.until(() => s.socket.isConnected())
      signal(server, 'room', 'SIGSTOP')
      const channel = s.channel('relay:x')
      await s.did(channel.join(60))
      await s.until(() => s.count('phx_leave') > 0)
      signal(server, 'room', 'SIGCONT')
      await s.until(() => channel.state === 'joined')
      s.quiet()
      await s.did(channel.push('say', {}))
      compare(['phx_join timeout {}', 'say ok {}'], s.notes, form, /^(phx_join|say)/)
    })
  }
})

describe('a disk fails', { concurrency: 4 }, () => {
  // Limits can be set from outside. The signal of the one for the size of files is ignored from the start.
  const lead = ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh']
  const limit = (server, what, value) => execFileSync('prlimit', [`--pid=${server.processOf('room')}`, `--${what}=${value}:`])

  for (const form of forms) {
    test(`a room that finds no space for a change: refused, phx_error with the join_ref twice, then as if never joined (D12) (${form})`, async (t) => {
      const server = await start(t, { keeps: true, lead })
      await playParts(server, form, ['a joins crdt:x as 19', () => limit(server, 'fsize', 0), `
        a > ["19","20","crdt:x","crdt.increment",{"payload":{"amount":1}}]
        a < ["19","20","crdt:x","phx_reply",{"status":"error","response":{"reason":"storage_full","*":"*"}}]
        a < ["19","19","crdt:x","phx_error",{"reason":"storage_full"}]
        a > ["19","21","crdt:x","crdt.get",{}]
        a < [null,"21","crdt:x","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, async () => {
        limit(server, 'fsize', 'unlimited')
        await new Promise((resolve) => setTimeout(resolve, 1500)) // whether there is space is looked once a second
      }, `
        a > ["22","22","crdt:x","phx_join",{}]
        a < ["22","22","crdt:x","phx_reply",{"status":"ok","response":{"value":"#0","*":"*"}}]`])
    })

    test(`a room that cannot be opened refuses the join with the reason, and can be joined later (${form})`, async (t) => {
      const server = await start(t, { keeps: true })
      await playParts(server, form, ['a joins crdt:x as 1', () => limit(server, 'nofile', 3), `
        a > ["17","17","crdt:y","phx_join",{}]
        a < ["17","17","crdt:y","phx_reply",{"status":"error","response":{"reason":"storage","retry_after_ms":5000,"message":"*"}}]
        a > ["17","18","crdt:y","crdt.get",{}]
        a < [null,"18","crdt:y","phx_reply",{"status":"error","response":{"reason":"unmatched topic"}}]`, () => limit(server, 'nofile', 1024), 'a joins crdt:y as 19'])
    })

    test(`phoenix.js joins again after phx_error (${form})`, async (t) => {
      const server = await start(t, { keeps: true, lead })
      const s = stageOf(t, server, form)
      const channel = await s.joined('crdt:x')
      s.quiet()
      channel.onError((reason) => s.say('error', JSON.stringify(reason)))
      limit(server, 'fsize', 0)
      channel.push('crdt.increment', { payload: { amount: 1 } }).receive('error', ({ reason }) => s.say('refused', reason))
      await s.until(() => s.notes.some((note) => note.startsWith('error')))
      limit(server, 'fsize', 'unlimited')
      await s.until(() => channel.state === 'joined')
      await new Promise((resolve) => setTimeout(resolve, 1500)) // whether there is space is looked once a second
      await s.did(channel.push('crdt.increment', { payload: { amount: 2 } }), ({ value }) => value)
      compare(['refused storage_full', 'error {"reason":"storage_full"}', 'crdt.increment ok 2'], s.notes.slice(3), form)
    })
  }
})
