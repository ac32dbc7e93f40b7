// Tabs of one browser tell each other directly, in y-protocols' messages and by y-websocket's names: old and new tabs of an
// application that moves over understand each other.

/** `hear` is given what others say, and what it returns is said to all. */
export class Tabs {
  #channel: BroadcastChannel | undefined

  get isOpen(): boolean {
    return this.#channel !== undefined
  }

  open(name: string, hear: (bytes: Uint8Array) => Uint8Array | undefined): void {
    if (typeof BroadcastChannel === 'undefined') return
    const channel = new BroadcastChannel(name)
    this.#channel = channel
    channel.onmessage = ({ data }) => {
      const answer = hear(new Uint8Array(data))
      if (answer) this.say(answer)
    }
    ;(channel as { unref?(): void }).unref?.() // Node would not end for it
  }

  say(bytes: Uint8Array): void {
    this.#channel?.postMessage(bytes)
  }

  close(): void {
    this.#channel?.close()
    this.#channel = undefined
  }
}
