/// <reference lib="esnext.disposable" preserve="true" />
// @laniakea/yjs: Yjs documents over Laniakea, or any server that speaks the same channels.
export { PhoenixProvider, type PhoenixProviderEvents, type PhoenixProviderOptions } from './internal/phoenix_provider.ts'
export { WebsocketProvider, type WebsocketProviderEvents, type WebsocketProviderOptions } from './internal/websocket_provider.ts'
export { indexeddb } from './internal/indexeddb.ts'
export { memory, type Persistence, type Stored } from './internal/persistence.ts'
export type { Access, ChannelLike, JoinReply, PushLike, Refusal, SocketLike, Status } from './internal/channel.ts'
export { YjsProvider, type ClientLike, type YjsProviderEvents, type YjsProviderOptions } from './internal/yjs_provider.ts'
