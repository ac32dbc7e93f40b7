// A connection that is made of requests: Phoenix's long-poll, for where no WebSocket comes about.
//
//   GET, which waits for messages ──> GET ──> ...      one at a time
//   POST, with what was said meanwhile ──> POST ...    one at a time, so that things stay in order
//
// No request is made twice. One that failed may have been heard, so it ends the connection: the core joins anew, learns what the server
// has, and says what that lacks, and a change that comes twice is one. Requests that hang are ended by the core, whose heartbeats
// wait behind them.
import type { Bytes } from './protocol.ts'
import type { SocketLike } from './connection.ts'
import { base64 } from './hub_host.ts'

interface Answer {
  readonly status: number
  readonly token?: string
  readonly messages?: readonly unknown[]
  readonly retry_after_ms?: number
}

/** Of one request, in characters, but for one message that is longer. A server takes 2 MiB. */
const BATCH_MAX = 1 << 19
/** The server leaves those behind them out, as Phoenix does. */
const LINES_MAX = 100
const GOODBYE_MS = 2_000
const CLOSED_TOKEN = 4401

const NEW_SESSION = 410
const MESSAGES = 200
const NO_MESSAGES = 204
const DENIED = 403

export class LongPoll implements SocketLike {
  readonly isText = true
  binaryType = ''
  onopen: SocketLike['onopen'] = null
  onmessage: SocketLike['onmessage'] = null
  onclose: SocketLike['onclose'] = null
  onerror: SocketLike['onerror'] = null
  retryAfterMs = 0
  readonly #url: URL
  readonly #token: string
  readonly #ending = new AbortController()
  readonly #queue: string[] = []
  #session = ''
  #isSending = false

  /** `url` is that of the WebSocket. */
  constructor(url: string, token: string) {
    this.#url = new URL(url.replace(/^ws/, 'http'))
    this.#url.pathname = this.#url.pathname.replace(/websocket$/, 'longpoll')
    this.#token = token
    void this.#receive()
  }

  send(data: string | Bytes): void {
    this.#queue.push(typeof data === 'string' ? data : base64(data))
    void this.#send()
  }

  /** An empty message ends the session. Else others would see us for as long as the server waits for the next GET. */
  close(): void {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    if (this.#session !== '') fetch(this.#url, { method: 'POST', keepalive: true, signal: AbortSignal.timeout(GOODBYE_MS) }).catch(() => {})
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const answer = await this.#ask(this.#token === '' ? {} : { headers: { 'X-Phoenix-AuthToken': this.#token } })
        const { status, token = '', messages = [] } = answer
        const isNew = status === NEW_SESSION && this.#session === '' && token !== ''
        if (!isNew && status !== MESSAGES && status !== NO_MESSAGES) return this.#end(answer)
        if (token !== '') this.#url.searchParams.set('token', (this.#session = token))
        // What goes wrong in a handler is none of ours.
        if (isNew) queueMicrotask(() => this.onopen?.(undefined as never))
        for (const message of messages) queueMicrotask(() => this.onmessage?.({ data: String(message) } as MessageEvent))
      }
    } catch {
      this.#end()
    }
  }

  async #send(): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    try {
      while (this.#queue.length > 0) {
        const answer = await this.#ask({ method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body: this.#batch() })
        if (answer.status !== MESSAGES) return this.#end(answer)
      }
      this.#isSending = false
    } catch {
      this.#end()
    }
  }

  #batch(): string {
    let count = 0
    let length = 0
    for (const line of this.#queue) {
      length += line.length
      if (count > 0 && (count === LINES_MAX || length > BATCH_MAX)) break
      count++
    }
    return this.#queue.splice(0, count).join('\n')
  }

  /** Throws where there is no answer. */
  async #ask(request: RequestInit): Promise<Answer> {
    const response = await fetch(this.#url, { ...request, cache: 'no-store', signal: this.#ending.signal })
    if (response.ok) return (await response.json()) as Answer
    return { status: 0, retry_after_ms: Number(response.headers.get('Retry-After')) * 1000 }
  }

  #end({ status, retry_after_ms: after = 0 }: Answer = { status: 0 }): void {
    if (this.#ending.signal.aborted) return
    this.#session = ''
    this.#ending.abort()
    if (after > 0) this.retryAfterMs = after
    this.onclose?.({ code: status === DENIED && this.#token !== '' ? CLOSED_TOKEN : 0 } as CloseEvent)
  }
}
