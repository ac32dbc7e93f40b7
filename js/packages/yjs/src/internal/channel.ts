// What we need of the npm package `phoenix`, described rather than imported: its users bring it, and its types are a
// package of somebody else's.

export type Status = 'connecting' | 'connected' | 'disconnected'
export type Access = 'read' | 'write' | 'admin'

/** Why something was refused: a `reason` to decide by, the rest for people. */
export interface Refusal {
  readonly reason: string
  readonly error?: string
  readonly field?: string
  readonly limit?: string
  readonly message?: string
  /** Of `diverged`: the generation that the document on the server has. */
  readonly generation?: string
}

/** What a join of `doc:<name>` is answered. */
export interface JoinReply {
  readonly history: readonly unknown[]
  readonly state_vector: unknown
  readonly generation?: string
  readonly access?: Access
  readonly durability?: 'durable' | 'memory'
  /** Of a document in memory: how long after its last member has left it is erased. */
  readonly idle_ms?: number
  readonly profile?: string
  readonly encoding?: 'array' | 'base64' | 'binary'
}

export interface PushLike {
  receive(status: string, callback: (response: any) => void): PushLike
}

export interface ChannelLike {
  join(timeout?: number): PushLike
  leave(timeout?: number): PushLike
  push(event: string, payload: object, timeout?: number): PushLike
  on(event: string, callback: (payload: any) => void): number
  off(event: string, ref?: number): void
  onClose(callback: (reason: any) => void): unknown
  onError(callback: (reason: any) => void): unknown
}

/** A `Socket` of the npm package `phoenix`. */
export interface SocketLike {
  channel(topic: string, params?: object | (() => object)): ChannelLike
  onClose(callback: (event: any) => void): string | number
  onError(callback: (error: any) => void): string | number
  off(refs: any[]): void
}

/** Long-poll and serializer V1 have no binary frames. Which transport it is may change while a socket lives. */
export function readsFrames(socket: SocketLike): boolean {
  const { vsn, conn } = socket as { vsn?: string; conn?: object | null }
  return !(vsn ?? '2').startsWith('1.') && !(conn != null && 'pollEndpoint' in conn)
}
