#!/usr/bin/env node
// tests/conformance/phoenix/compare.mjs -- our answers beside those of a genuine Phoenix.
//
//   node compare.mjs                        starts the program, plays what genuine.mjs has, and prints both
//   node compare.mjs --captures FOLDER      first checks that genuine.mjs says what the captures say
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { exchanges, polls } from './genuine.mjs'
import { play } from './player.mjs'
import { Server } from './server.mjs'
import { decodeFrame, matches, parse } from './wire.mjs'

const rename = (text) => text.replace(/\bcap:/g, 'relay:')

/** A captured line in the notation of player.mjs, with the words of the application as |says| has them. */
function lineOf(captured, says, topic) {
  if (/^[\da-f]+$/.test(captured)) {
    const { kind, data, ...names } = decodeFrame(Buffer.from(captured, 'hex'))
    return rename(`${kind} ${Object.values(names).join(' ')} : ${data}`)
  }
  const message = JSON.parse(captured)
  if (says !== undefined && message[3] === 'phx_reply') message[4].response = says
  if (topic !== undefined) message[2] = topic
  return rename(JSON.stringify(message))
}

/** What to play, and what a Phoenix would have said. Null where there is nothing to play. */
export function toPlay({ setup = [], sent, act, came, says, absent }) {
  if (absent !== undefined) return null
  const act_ = act ?? rename(`a > ${sent}`)
  const topic = act?.includes('"crdt:a"') ? 'crdt:a' : undefined
  return { before: [...setup, act_], due: came.map((line) => `a < ${lineOf(line, says, topic)}`) }
}

/** Plays one row: 'same', 'absent', or the name of the difference, which must be there and be as it is written. */
export async function playRow(url, number, row) {
  const lines = toPlay(row)
  if (lines === null) return 'absent'
  if (row.differs === undefined) {
    await play(url, 'ws2', number, [...lines.before, ...lines.due])
    return 'same'
  }
  await play(url, 'ws2', number, [...lines.before, ...row.here.map((line) => `a < ${lineOf(line)}`)])
  await assert.rejects(play(url, 'ws2', number + 500, [...lines.before, ...lines.due]), /due:/, `${row.differs} is no difference any more`)
  return row.differs
}

/** Plays the requests of a long-poll client in turn. `waits`: also the one that waits for its whole window. */
export async function playPolls(url, number, waits = true) {
  let token = ''
  const results = []
  const place = (text) => rename(text).replaceAll('relay:', `relay:p${number}.`)
  for (const row of polls.filter((one) => waits || !one.waits)) {
    const query = `vsn=${row.vsn ?? '2.0.0'}${row.token === undefined ? '' : `&token=${row.token === 'own' ? token : 'bogus'}`}`
    const body = row.body === undefined || row.body[0] !== 'A' ? row.body && place(row.body) : placeFrame(row.body, place)
    const response = await fetch(`${url}/socket/longpoll?${query}`, { method: row.method, body, headers: row.type ? { 'Content-Type': row.type } : {} })
    const text = await response.text()
    const got = { http: response.status, ...(row.json === undefined && row.here === undefined ? {} : { json: parse(text) }) }
    if (row.token === undefined && got.json?.token) token = encodeURIComponent(got.json.token)
    if (got.json?.messages) got.json.messages = got.json.messages.map(parse)
    const due = dueOf(row.here ?? row, row.says, place)
    assert.ok(matches(due, got), `${row.title}\ndue: ${JSON.stringify(due)}\ncame: ${JSON.stringify(got)}`)
    if (row.differs !== undefined) assert.ok(!matches(dueOf(row, row.says, place), got), `${row.differs} is no difference any more`)
    results.push({ row, got, verdict: row.differs ?? 'same' })
  }
  return results
}

function dueOf({ http, json }, says, place) {
  if (json === undefined) return { http }
  const due = parse(JSON.stringify(json))
  if (due.messages) due.messages = json.messages.map((line) => parse(place(lineOf(line, says))))
  return { http, json: due }
}

/** A client's frame in base64, in the topic of the exchange. */
function placeFrame(base64, place) {
  const bytes = Buffer.from(base64, 'base64')
  const [, joinLen, refLen, topicLen] = bytes
  const at = 5 + joinLen + refLen
  const topic = Buffer.from(place(bytes.toString('utf8', at, at + topicLen)))
  const head = Buffer.from(bytes.subarray(0, at))
  head[3] = topic.length
  return Buffer.concat([head, topic, bytes.subarray(at + topicLen)]).toString('base64')
}

/** The exchanges of a capture: what was sent, and what came before the next was. */
function readCapture(text) {
  const rows = []
  for (const line of text.split('\n')) {
    const [, sign, bin, rest] = /^(>>|<<) (BIN )?(.*)$/.exec(line) ?? []
    const what = bin === undefined ? rest : rest.split(' ')[0]
    if (sign === '>>') rows.push({ sent: what, came: [] })
    if (sign === '<<') rows.at(-1).came.push(what)
  }
  return rows
}

/** genuine.mjs invents nothing: every line of it is in the capture, in this order. */
export function checkFacts(folder) {
  const captured = readCapture(readFileSync(join(folder, 'ws-capture.txt'), 'utf8'))
  const facts = exchanges.map(({ sent, came }) => ({ sent, came }))
  for (const { sent, came } of facts) {
    const there = captured.find((row) => row.sent === sent)
    assert.ok(there, `not in the capture: ${sent}`)
    assert.deepEqual(came, there.came)
  }
  for (const { sent } of captured) assert.ok(facts.some((fact) => fact.sent === sent), `in the capture alone: ${sent}`)
  return { facts: facts.length, captured: captured.length }
}

async function main(args) {
  if (args[0] === '--captures') console.log('facts checked against the captures:', checkFacts(args[1]))
  const server = await Server.start()
  const tally = {}
  try {
    for (const [i, row] of exchanges.entries()) {
      const verdict = await playRow(server.url, i + 1, row)
      tally[verdict] = (tally[verdict] ?? 0) + 1
      console.log(`${verdict.padEnd(7)} ${row.title}${row.absent ? ` (${row.absent})` : ''}\n        > ${row.sent}`)
      for (const line of row.came) console.log(`        < ${line}${row.says ? '   (response not compared)' : ''}`)
      for (const line of row.here ?? []) console.log(`   here < ${line}`)
    }
    for (const { row, got, verdict } of await playPolls(server.url, 1)) {
      tally[verdict] = (tally[verdict] ?? 0) + 1
      console.log(`${verdict.padEnd(7)} long-poll: ${row.title}: HTTP ${row.http} ${JSON.stringify(row.json ?? '')}`)
      if (row.differs) console.log(`   here HTTP ${got.http} ${JSON.stringify(got.json)}`)
    }
  } finally {
    await server.stop()
  }
  console.log(tally)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2))
