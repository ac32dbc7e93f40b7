// tests/conformance/phoenix/clients.mjs -- clients that do nothing by themselves, over either transport.
//
//   send(data)     text or Buffer, as it is
//   next()         what came next: { data, isBinary }, or { code } where the connection ended
//   leave()        ends the connection
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { isPoll, vsnOf } from './wire.mjs'

const PATIENCE_MS = 10_000

class Arrivals {
  #items = []
  #waiting = null

  add(item) {
    this.#items.push(item)
    this.#waiting?.()
  }

  async take() {
    if (this.#items.length === 0) {
      const { promise, resolve, reject } = Promise.withResolvers()
      const timer = setTimeout(() => reject(new Error(`nothing came for ${PATIENCE_MS} ms`)), PATIENCE_MS)
      this.#waiting = resolve
      await promise
      clearTimeout(timer)
      this.#waiting = null
    }
    return this.#items.shift()
  }
}

class SocketClient {
  #arrivals = new Arrivals()
  #socket

  constructor(url, form, { query = `vsn=${vsnOf(form)}`, protocols = [] } = {}) {
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/socket/websocket?${query}`, protocols, { perMessageDeflate: false })
    this.#socket.on('message', (data, isBinary) => this.#arrivals.add({ data: isBinary ? data : data.toString(), isBinary }))
    this.#socket.on('close', (code) => this.#arrivals.add({ code }))
    this.#socket.on('error', () => {})
  }

  async open() {
    await once(this.#socket, 'open')
    return this
  }

  get protocol() {
    return this.#socket.protocol
  }

  async send(data) {
    this.#socket.send(data)
  }

  next() {
    return this.#arrivals.take()
  }

  async leave() {
    if (this.#socket.readyState === WebSocket.CLOSED) return
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }
}

class PollClient {
  #arrivals = new Arrivals()
  #url
  #query
  #ends = new AbortController()
  #polling

  constructor(url, form, { query = `vsn=${vsnOf(form)}` } = {}) {
    this.#url = `${url}/socket/longpoll`
    this.#query = query
  }

  async #ask(method, body, type) {
    const headers = type === undefined ? {} : { 'Content-Type': type }
    const response = await fetch(`${this.#url}?${this.#query}`, { method, body, headers, signal: this.#ends.signal })
    return response.json()
  }

  async open() {
    const { status, token } = await this.#ask('GET')
    if (status !== 410) throw new Error(`a new session begins with 410, not ${status}`)
    this.#query += `&token=${encodeURIComponent(token)}`
    this.#polling = this.#poll().catch(() => {
      if (!this.#ends.signal.aborted) this.#arrivals.add({ code: 0 }) // nobody is there to ask
    })
    return this
  }

  async #poll() {
    for (;;) {
      const { status, messages } = await this.#ask('GET')
      for (const data of messages) this.#arrivals.add({ data, isBinary: false })
      if (status === 410) {
        this.#arrivals.add({ code: 410 })
        return
      }
    }
  }

  /** A batch of one line; a text with line breaks, or one that no batch could hold, as a message by itself. */
  async send(data) {
    const isLine = Buffer.isBuffer(data) || (data.startsWith('[') && !data.includes('\n'))
    const body = Buffer.isBuffer(data) ? data.toString('base64') : data
    const { status } = await this.#ask('POST', body, isLine ? 'application/x-ndjson' : 'application/json')
    if (status !== 200 && status !== 410) throw new Error(`a message was answered with ${status}`)
  }

  next() {
    return this.#arrivals.take()
  }

  /** Long-poll has no good-bye: the session ends when nobody polls. */
  async leave() {
    this.#ends.abort()
    await this.#polling
  }
}

export const connect = (url, form, options) => new (isPoll(form) ? PollClient : SocketClient)(url, form, options).open()
