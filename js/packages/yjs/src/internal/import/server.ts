// Documents into topics, over one connection as phoenix.js would make it.
import * as Y from 'yjs'
import type { Refusal } from '../channel.ts'

/** What goes before a document's name. */
const KIND = 'doc:'
const TOPIC_BYTES_MAX = 255
/** Longer than a server takes for the largest document, and than its rates hold one back. */
const PATIENCE_MS = 60_000

/** Nobody answers there, or does not let us in: what comes next would not get there either. */
export class Unreachable extends Error {}

/** The topic of a document of that name. Throws where a server would not take it. */
export function topicOf(name: string): string {
  const topic = KIND + name
  if (name === '') throw new Error('a document has no name; --topic gives it one')
  if (/\p{Surrogate}/u.test(name)) throw new Error('its name is no text')
  if (Buffer.byteLength(topic) > TOPIC_BYTES_MAX) throw new Error(`its name is longer than ${TOPIC_BYTES_MAX - KIND.length} bytes; --topic gives it another`)
  return topic
}

/** A server, which is connected to when the first update is sent, and again after a connection was lost. */
export class Server {
  readonly #url: string
  readonly #token: string | undefined
  readonly #patienceMs: number
  readonly #answers = new Map<string, { resolve(response: unknown): void; reject(error: Error): void }>()
  #socket: WebSocket | undefined
  #ref = 0

  /** `url` is of the server, with or without /socket behind it. */
  constructor(url: string, token: string | undefined, patienceMs: number = PATIENCE_MS) {
    this.#url = url
    this.#token = token
    this.#patienceMs = patienceMs
  }

  /** Resolves with what the server says of where it keeps the update; rejects with what it has against it. */
  async send(topic: string, update: Uint8Array): Promise<'durable' | 'memory'> {
    const socket = (this.#socket ??= await this.#connect())
    const joinRef = String(++this.#ref)
    // Its own state vector keeps the server from sending what we have no use for.
    const vector = Buffer.from(Y.encodeStateVectorFromUpdate(update)).toString('base64')
    socket.send(JSON.stringify([joinRef, joinRef, topic, 'phx_join', { encoding: 'binary', state_vector: { b64: vector } }]))
    await this.#answerTo(joinRef)
    const ref = String(++this.#ref)
    socket.send(pushFrame(joinRef, ref, topic, 'client_update', update))
    try {
      const { level } = (await this.#answerTo(ref)) as { level: 'durable' | 'memory' }
      return level
    } finally {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify([joinRef, String(++this.#ref), topic, 'phx_leave', {}]))
    }
  }

  close(): void {
    this.#socket?.close()
  }

  async #connect(): Promise<WebSocket> {
    const address = `${this.#url.replace(/^http/, 'ws').replace(/\/+$/, '').replace(/\/socket$/, '')}/socket/websocket?vsn=2.0.0`
    const protocols = this.#token === undefined ? [] : ['phoenix', `base64url.bearer.phx.${btoa(this.#token).replaceAll('=', '')}`]
    const socket = new WebSocket(address, protocols)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), this.#patienceMs)
      socket.onopen = () => resolve(clearTimeout(timer))
      socket.onerror = () => {
        clearTimeout(timer)
        reject(new Unreachable(`${this.#url} does not answer, or does not let us in`))
      }
    })
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') return
      const [, ref, , event, payload] = JSON.parse(data) as [unknown, unknown, string, string, { status: string; response: Refusal }]
      const asker = event === 'phx_reply' && this.#answers.get(String(ref))
      if (!asker) return
      const { status, response } = payload
      if (status === 'ok') asker.resolve(response)
      else asker.reject(new Error(wordsOf(response)))
    }
    socket.onclose = ({ code, reason }) => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      const why = code === 1009 ? 'it is longer than a message may be: see the limit ws_message_bytes' : `the connection was closed: ${code} ${reason}`
      for (const { reject } of this.#answers.values()) reject(new Error(why))
    }
    return socket
  }

  async #answerTo(ref: string): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        this.#answers.set(ref, { resolve, reject })
        timer = setTimeout(() => reject(this.#giveUp()), this.#patienceMs)
      })
    } finally {
      clearTimeout(timer)
      this.#answers.delete(ref)
    }
  }

  /** A server that has not answered one message may answer the next on another connection. */
  #giveUp(): Error {
    this.#socket?.close()
    this.#socket = undefined
    return new Error(`the server has not answered for ${this.#patienceMs / 1000} s`)
  }
}

function wordsOf({ reason, error, field, limit, message }: Refusal): string {
  if (error === 'LK_ERR_TOO_BIG' && limit === undefined) return 'it is larger than this server takes: see the limits ws_message_bytes and crdt_state_bytes'
  return [reason, error, field, limit, message].filter(Boolean).join(', ')
}

/** A push of Phoenix's serializer V2. */
function pushFrame(joinRef: string, ref: string, topic: string, event: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const names = [joinRef, ref, topic, event].map((name) => Buffer.from(name))
  return Buffer.concat([Buffer.from([0, ...names.map(({ length }) => length)]), ...names, payload])
}
