// tests/conformance/phoenix/player.mjs -- plays an exchange, line by line.
//
//   a > ["1","5","relay:x","say",{}]     client a sends this
//   a > push 1 5 relay:x say : 0102ff    a binary push: join_ref, ref, topic, event, bytes; - is null
//   a ! text                             sends the text as it stands here
//   a !b 0001                            sends these bytes
//   a < ["1","5","relay:x",...]          this comes next at a; "*" is any value, the member "*" any others
//   a < broadcast relay:x say : 0102ff   bytes come: broadcast TOPIC EVENT, push JOIN_REF TOPIC EVENT, or reply
//                                        JOIN_REF REF TOPIC STATUS
//   a = text                             the next message is this very text
//   a ~ text                             the next message has this text in it
//   a x 1008                             the server ends the connection, with this code where there are codes
//   a joins relay:x as 1                 sends a join with that reference and is answered ok, with {} in relays
//   a leaves                             the client ends the connection
//
// Everything is written as V2 has it and translated to the form that is played. Clients are
// connected when they are first named. One that is called ws1, ws2, lp1 or lp2 speaks that form, any other one the
// form that is played. Topics get a number, so that no two exchanges meet in a room.
//
// What is not written does not come: messages are compared in order, and at the end of an exchange each client
// joins one more room, whose answer must be the next message. Rooms and edges keep the order of what they send, so
// that it has overtaken nothing.
import assert from 'node:assert/strict'
import { connect } from './clients.mjs'
import { decode, expectation, forms, frame, isPoll, matches, parse, translate } from './wire.mjs'

const line = /^(\w+) (>|<|=|~|!b|!|x|joins|leaves)(?: (.*))?$/s
const named = (word) => (word === '-' ? null : word)
const show = (what) => (typeof what === 'string' ? what : JSON.stringify(what))

/** "push 1 5 relay:x say : 0102" and the like, with the bytes in |data|. */
function readFrame(text) {
  const [, head, data] = /^(.*?) : ?([\da-f]*)$/.exec(text) ?? assert.fail(`not a frame: ${text}`)
  const [kind, ...names] = head.split(' ')
  const layout = { push: ['joinRef', 'topic', 'event'], reply: ['joinRef', 'ref', 'topic', 'status'], broadcast: ['topic', 'event'] }
  return { kind, ...Object.fromEntries(layout[kind].map((name, i) => [name, names[i]])), data }
}

export class Player {
  #clients = new Map()

  constructor(url, form, number) {
    this.url = url
    this.form = form
    this.prefix = String(number).padStart(4, '0')
  }

  async #client(name) {
    const known = this.#clients.get(name)
    if (known !== undefined) return known
    const form = forms.includes(name) ? name : this.form
    const client = Object.assign(await connect(this.url, form), { form, ended: false })
    this.#clients.set(name, client)
    return client
  }

  async #next(client) {
    const item = await client.next()
    client.ended = item.code !== undefined
    return item
  }

  async #expect(client, message) {
    const { data, isBinary, code } = await this.#next(client)
    assert.equal(code, undefined, `the connection ended, where this was due: ${show(message)}`)
    const got = decode(client.form, data, isBinary)
    assert.ok(matches(expectation(client.form, message), got), `due: ${show(message)}\ncame: ${show(got)}`)
  }

  async #sendText(client, text) {
    await client.send(translate(client.form, text))
  }

  async #join(client, text) {
    const [, topic, ref] = /^(.+) as (\S+)$/.exec(text)
    await this.#sendText(client, `["${ref}","${ref}","${topic}","phx_join",{}]`)
    const response = topic.startsWith('relay:') ? {} : '*'
    await this.#expect(client, [ref, ref, topic, 'phx_reply', { status: 'ok', response }])
  }

  async #sendFrame(client, text) {
    const [, head, data] = /^push (.*?) : ?([\da-f]*)$/.exec(text)
    await client.send(frame(head.split(' ').map(named), Buffer.from(data, 'hex')))
  }

  async #ends(client, code) {
    for (;;) {
      const item = await this.#next(client)
      assert.equal(item.data, undefined, `came before the end: ${show(item.data)}`)
      if (!isPoll(client.form)) assert.equal(item.code, Number(code))
      return
    }
  }

  async #text(client, test) {
    const { data, code } = await this.#next(client)
    assert.ok(code === undefined && test(data.toString()), `came: ${data ?? code}`)
  }

  async play(text) {
    const [, name, verb, rest] = line.exec(text) ?? assert.fail(`not a line: ${text}`)
    const client = await this.#client(name)
    switch (verb) {
      case '>': return rest.startsWith('push ') ? this.#sendFrame(client, rest) : this.#sendText(client, rest)
      case '<': return this.#expect(client, rest.startsWith('[') ? parse(rest) : readFrame(rest))
      case '!': return client.send(rest)
      case '!b': return client.send(Buffer.from(rest ?? '', 'hex'))
      case '=': return this.#text(client, (got) => got === rest)
      case '~': return this.#text(client, (got) => got.includes(rest))
      case 'x': return this.#ends(client, rest)
      case 'joins': return this.#join(client, rest)
      default: {
        client.ended = true
        return client.leave()
      }
    }
  }

  place(text) {
    return text.replace(/\b(relay|crdt):(?!\")/g, `$1:${this.prefix}.`)
  }

  /** Nothing more has come, at any client. */
  async settle() {
    for (const client of this.#clients.values()) {
      if (client.ended) continue
      await this.#sendText(client, `["end","end","relay:${this.prefix}.end","phx_join",{}]`)
      await this.#expect(client, ['end', 'end', '*', 'phx_reply', '*'])
    }
  }

  async end() {
    await Promise.all([...this.#clients.values()].map((client) => client.leave()))
  }
}

/** Plays `lines` and fails where something else comes. */
export async function play(url, form, number, lines) {
  const player = new Player(url, form, number)
  let at
  try {
    for (at of lines) await player.play(player.place(at))
    at = 'the end: nothing more comes'
    await player.settle()
  } catch (error) {
    error.message = `at "${at}"\n${error.message}`
    throw error
  } finally {
    await player.end()
  }
}

/** The lines of a text, without what makes it pretty. */
export const linesOf = (text) => text.split('\n').map((one) => one.trim()).filter((one) => one !== '')
