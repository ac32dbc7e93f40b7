// What the editor uses of phoenix.js, which has no types of its own.
declare module 'phoenix' {
  import type { SocketLike } from '@laniakea/yjs'
  export type Transport = new (url: string) => object
  export const LongPoll: Transport
  export interface Socket extends SocketLike {
    connect(): void
    replaceTransport(transport: Transport): void
  }
  export const Socket: new (url: string, options: object) => Socket
}
