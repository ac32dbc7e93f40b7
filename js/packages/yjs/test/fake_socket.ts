// A Socket of the package `phoenix`, as far as a provider uses it, whose server is the test.
import type { ChannelLike, PushLike, SocketLike } from '@laniakea/yjs'

type Callback = (payload: unknown) => void

export class FakePush implements PushLike {
  readonly event: string
  readonly payload: any
  readonly #hooks: [string, Callback][] = []

  constructor(event: string, payload: unknown) {
    this.event = event
    this.payload = payload
  }

  receive(status: string, callback: Callback): this {
    this.#hooks.push([status, callback])
    return this
  }

  /** What the server says, or "timeout" that it says nothing. */
  answer(status: string, response: unknown = {}): void {
    for (const [wanted, callback] of this.#hooks) if (wanted === status) callback(response)
  }
}

export class FakeChannel implements ChannelLike {
  readonly topic: string
  readonly joinPush = new FakePush('phx_join', {})
  readonly pushes: FakePush[] = []
  readonly #params: () => any
  readonly #bindings: [string, Callback][] = []
  hasLeft = false

  constructor(topic: string, params: () => any) {
    this.topic = topic
    this.#params = params
  }

  join(): FakePush {
    return this.joinPush
  }

  leave(): FakePush {
    this.hasLeft = true
    return new FakePush('phx_leave', {})
  }

  push(event: string, payload: object): FakePush {
    const push = new FakePush(event, payload)
    this.pushes.push(push)
    return push
  }

  on(event: string, callback: Callback): number {
    return this.#bindings.push([event, callback])
  }

  off(): void {}

  onClose(callback: Callback): void {
    this.on('phx_close', callback)
  }

  onError(callback: Callback): void {
    this.on('phx_error', callback)
  }

  trigger(event: string, payload: unknown): void {
    for (const [wanted, callback] of this.#bindings) if (wanted === event) callback(payload)
  }

  /** What the client says when it joins, now or again. */
  askParams(): any {
    return this.#params()
  }

  updates(): FakePush[] {
    return this.pushes.filter(({ event }) => event === 'client_update')
  }
}

export class FakeSocket implements SocketLike {
  readonly channels: FakeChannel[] = []
  vsn = '2.0.0'
  conn: object | null = {}
  readonly #closing = new Map<number, Callback>()
  #refs = 0

  channel(topic: string, params: () => any): FakeChannel {
    const channel = new FakeChannel(topic, params)
    this.channels.push(channel)
    return channel
  }

  onClose(callback: Callback): number {
    this.#closing.set(++this.#refs, callback)
    return this.#refs
  }

  onError(): number {
    return ++this.#refs
  }

  off(refs: number[]): void {
    for (const ref of refs) this.#closing.delete(ref)
  }

  close(event: { code: number }): void {
    for (const channel of this.channels) if (!channel.hasLeft) channel.trigger('phx_error', { source: 'transport' })
    for (const callback of [...this.#closing.values()]) callback(event)
  }
}
