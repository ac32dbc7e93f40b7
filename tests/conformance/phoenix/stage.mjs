// tests/conformance/phoenix/stage.mjs -- what a script of scripts.mjs acts on: phoenix.js, which it records.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { LongPoll, Socket } from 'phoenix'
import { WebSocket } from 'ws' // Node 22's own tells nobody that a handshake was refused
import { isPoll, isV1 } from './wire.mjs'

const PATIENCE_MS = 10_000

/** phoenix.js knows V2; V1 is for its options encode and decode, which it asks unless the transport is LongPoll itself. */
const serializerV1 = {
  encode: ({ join_ref, ref, topic, event, payload }, send) => send(JSON.stringify({ topic, event, payload, ref, join_ref })),
  decode: (text, take) => {
    const { topic, event, payload, ref } = JSON.parse(text)
    take({ topic, event, payload, ref, join_ref: null })
  },
}
class LongPollV1 extends LongPoll {}

function optionsOf(form) {
  const transport = !isPoll(form) ? WebSocket : isV1(form) ? LongPollV1 : LongPoll
  return { transport, ...(isV1(form) ? { vsn: '1.0.0', ...serializerV1 } : {}) }
}

const isBytes = (value) => value instanceof ArrayBuffer
/** JSON of a payload; bytes as text that says so. */
const write = (payload) => JSON.stringify(isBytes(payload) ? `bytes ${Buffer.from(payload).toString('hex')}` : payload)

/** What becomes of a push: [status, response]. */
const outcome = (push) => new Promise((resolve) => {
  for (const status of ['ok', 'error', 'timeout']) push.receive(status, (response) => resolve([status, response]))
})

export class Stage {
  notes = []
  write = write
  socket = null
  #sockets = []
  #isQuiet = false
  #refs = new Map()

  constructor(url, form, number) {
    this.url = url
    this.form = form
    this.prefix = `${String(number).padStart(4, '0')}.`
  }

  /** A WebSocket that never opens. */
  brokenTransport = class BrokenWebSocket {
    readyState = 0
    constructor() {
      setTimeout(() => this.onerror?.(new Error('nothing gets through')), 5)
    }
    close() {
      this.readyState = 3
    }
  }

  #make(form, options = {}) {
    const socket = new Socket(`${this.url.replace('http', 'ws')}/socket`, {
      ...optionsOf(form), reconnectAfterMs: () => 10, rejoinAfterMs: () => 10, sessionStorage: null, ...options,
    })
    this.#sockets.push(socket)
    return socket
  }

  #ref(ref) {
    if (ref === null || ref === undefined) return 'null'
    if (!this.#refs.has(ref)) this.#refs.set(ref, String(this.#refs.size + 1))
    return `"${this.#refs.get(ref)}"`
  }

  #record(sign, { join_ref, ref, topic, event, payload }, at = this.notes.length) {
    if (this.#isQuiet || at < 0) return
    const names = [topic.replace(this.prefix, ''), event].map((name) => JSON.stringify(name))
    this.notes[at] = `${sign} [${this.#ref(join_ref)},${this.#ref(ref)},${names},${write(payload)}]`
  }

  /** The socket of the script; the first channel opens it where the script does not. */
  open(options = {}) {
    this.socket = this.#make(this.form, {
      ...options,
      logger: (kind, text, payload) => {
        if (kind === 'receive' && !this.#isQuiet) this.notes.push('<') // before anybody is told; the rest comes after
        if (kind !== 'push') return
        const [, topic, event, joinRef, ref] = /^(.*) (\S+) \((\w+), (\w+)\)$/su.exec(text)
        const known = (word) => (word === 'null' || word === 'undefined' ? null : word)
        this.#record('>', { join_ref: known(joinRef), ref: known(ref), topic, event, payload })
      },
    })
    this.socket.onMessage((message) => this.#record('<', message, this.notes.lastIndexOf('<')))
    if (options.connect !== false) this.socket.connect()
  }

  #place(topic) {
    return topic.replace(/^(relay|crdt):/, `$1:${this.prefix}`)
  }

  channel(topic, params = {}, options) {
    if (this.socket === null) this.open(options)
    return this.socket.channel(this.#place(topic), params)
  }

  async joined(topic) {
    const channel = this.channel(topic)
    await this.did(channel.join(), topic.startsWith('crdt:') ? () => '*' : undefined)
    return channel
  }

  /** Somebody else in a room, with all that he hears. */
  async other(topic, form = this.form) {
    const socket = this.#make(form)
    socket.connect()
    const channel = socket.channel(this.#place(topic), {})
    const heard = []
    channel.onMessage = (event, payload) => {
      if (!/^(phx_|chan_reply_)/.test(event)) heard.push([event, isBytes(payload) ? JSON.parse(write(payload)) : payload])
      return payload
    }
    await this.answer(channel.join())
    return { channel, heard }
  }

  async answer(push) {
    const [status, response] = await outcome(push)
    assert.equal(status, 'ok', `${push.event}: ${write(response)}`)
    return response
  }

  async did(push, tell = write) {
    const [status, response] = await outcome(push)
    this.say(push.event, status, tell(response))
  }

  say(...words) {
    this.notes.push(words.join(' '))
  }

  /** Records no messages from here on. */
  quiet() {
    this.#isQuiet = true
    this.notes = this.notes.filter((note) => note !== '<')
  }

  count(text) {
    return this.notes.filter((note) => note.includes(text)).length
  }

  pause(ms) {
    return sleep(ms)
  }

  async until(condition) {
    for (const end = Date.now() + PATIENCE_MS; !condition(); await sleep(2)) {
      if (Date.now() > end) assert.fail(`waited ${PATIENCE_MS} ms for ${condition}\n${this.notes.join('\n')}`)
    }
  }

  end() {
    for (const socket of this.#sockets) socket.disconnect()
  }
}

/** Lines that are due and lines that were seen: "*" stands for a payload, V1 knows no join_ref that comes. */
export function compare(due, seen, form, only) {
  const plain = (note) => (isV1(form) && note.startsWith('< ') ? note.replace(/^< \[[^,]*,/, '< [null,') : note)
  const shown = only === undefined ? seen : seen.filter((note) => only.test(note))
  const wild = (note, i) => (due[i]?.endsWith('"*"]') && note.startsWith(plain(due[i]).slice(0, -4)) ? plain(due[i]) : plain(note))
  assert.deepEqual(shown.map(wild), due.map(plain))
}
