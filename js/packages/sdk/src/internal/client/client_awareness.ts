// The awareness of a document whose updates go by a topic: to the other tabs, and to everybody behind the server.
import { Awareness } from '../awareness.ts'
import type { Doc } from '../doc_types.ts'
import type { PageTopic } from './topic.ts'

type Bytes = Uint8Array<ArrayBuffer>

export class ClientAwareness extends Awareness {
  readonly #stops: (() => void)[]

  constructor(doc: Doc, topic: PageTopic) {
    super(doc)
    const origin = topic
    let isLive = topic.isLive
    const say = (clients: readonly number[]): void => {
      if (clients.length > 0) topic.sendAwareness(this.encode(clients) as Bytes)
    }
    const onUpdate = ({ added, updated, removed }: { added: readonly number[]; updated: readonly number[]; removed: readonly number[] }, from: unknown): void => {
      if (from !== origin && from !== 'timeout') say([...added, ...updated, ...removed])
    }
    this.on('update', onUpdate)
    this.#stops = [
      () => this.off('update', onUpdate),
      topic.onAwareness((update) => this.apply(update, origin)),
      topic.onStatus(() => {
        // A hub that is new to us has not heard what we show.
        if (topic.isLive && !isLive && this.getLocalState() !== null) this.setLocalState(this.getLocalState())
        isLive = topic.isLive
      }),
    ]
    if (isLive) say([this.clientID])
  }

  override destroy(): void {
    super.destroy()
    for (const stop of this.#stops) stop()
  }
}
