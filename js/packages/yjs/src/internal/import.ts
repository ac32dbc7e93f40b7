// Updates of documents from elsewhere into topics, one message each, over a WebSocket as Node has it.
import * as Y from 'yjs'
import type { Refusal } from './channel.ts'

export interface ImportTarget {
  /** Of the server, with or without /socket behind it. */
  readonly url: string
  readonly topic: string
  readonly token?: string | undefined
}

/** The bytes of one file as an update of the first format. Throws where they are none. */
export function readUpdate(bytes: Uint8Array, isV2: boolean): Uint8Array {
  const update = isV2 ? Y.convertUpdateFormatV2ToV1(bytes) : bytes
  const doc = new Y.Doc()
  Y.applyUpdate(doc, update)
  const hasGaps = doc.store.pendingStructs !== null || doc.store.pendingDs !== null
  doc.destroy()
  if (hasGaps) throw new Error('it builds on updates that are not here')
  return update
}

/** Resolves with what the server says of where it keeps the update; rejects with what it has against it. */
export async function importUpdate({ url, topic, token }: ImportTarget, update: Uint8Array): Promise<'durable' | 'memory'> {
  const address = `${url.replace(/^http/, 'ws').replace(/\/+$/, '').replace(/\/socket$/, '')}/socket/websocket?vsn=2.0.0`
  const protocols = token === undefined ? [] : ['phoenix', `base64url.bearer.phx.${btoa(token).replaceAll('=', '')}`]
  const socket = new WebSocket(address, protocols)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve()
      socket.onerror = () => reject(new Error(`${url} does not answer, or does not let us in`))
    })
    // Its own state vector keeps the server from sending what we have no use for.
    const vector = Buffer.from(Y.encodeStateVectorFromUpdate(update)).toString('base64')
    socket.send(JSON.stringify(['1', '1', topic, 'phx_join', { encoding: 'binary', state_vector: { b64: vector } }]))
    await answerTo(socket, '1')
    socket.send(pushFrame('1', '2', topic, 'client_update', update))
    const { level } = (await answerTo(socket, '2')) as { level: 'durable' | 'memory' }
    return level
  } finally {
    socket.onclose = null
    socket.close()
  }
}

function answerTo(socket: WebSocket, ref: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    socket.onclose = ({ code, reason }) => reject(new Error(code === 1009 ? 'too big: see the limit ws_message_bytes' : `the connection was closed: ${code} ${reason}`))
    socket.onmessage = ({ data }) => {
      if (typeof data !== 'string') return
      const [, to, , event, payload] = JSON.parse(data) as [unknown, unknown, string, string, { status: string; response: Refusal }]
      if (String(to) !== ref || event !== 'phx_reply') return
      const { status, response } = payload
      if (status === 'ok') resolve(response)
      else reject(new Error([response.reason, response.error, response.field, response.limit, response.message].filter(Boolean).join(', ')))
    }
  })
}

/** A push of Phoenix's serializer V2. */
function pushFrame(joinRef: string, ref: string, topic: string, event: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const names = [joinRef, ref, topic, event].map((name) => Buffer.from(name))
  return Buffer.concat([Buffer.from([0, ...names.map(({ length }) => length)]), ...names, payload])
}
