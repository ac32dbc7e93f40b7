// The way to the server: a WebSocket, and long-poll where something on the way lets no WebSocket pass.
//
// phoenix.js would change to long-poll by itself, but also when there is no server at all, and then keeps to it: a tab that is
// opened offline would poll from then on. Here the server must have answered before and after a connection that failed.
import type { PhoenixProvider } from '@laniakea/yjs'
import { LongPoll, Socket } from 'phoenix'

const RECONNECT_MS = [100, 250, 500, 1000, 2000]
const RECONNECT_MS_MAX = 4000

export function makeSocket(token: string | undefined): Socket {
  const wait = (tries: number): number => RECONNECT_MS[tries - 1] ?? RECONNECT_MS_MAX
  return new Socket('/socket', { params: token === undefined ? {} : { token }, reconnectAfterMs: wait, rejoinAfterMs: wait })
}

const isThere = async (): Promise<boolean> => (await fetch('/healthz').catch(() => undefined))?.ok ?? false

/** A browser does not say why a connection was refused: whether the server is there, and polls are taken, is found out. */
export function watchRefusals(socket: Socket, provider: PhoenixProvider, onRefused: () => void): void {
  let wasThere = false
  let isPolling = false
  let attempts = 0
  provider.on('status', ({ status }) => { if (status === 'connected') wasThere = false })
  provider.on('connection-error', async () => {
    const attempt = ++attempts
    const isNow = await isThere()
    if (attempt !== attempts || provider.status === 'connected') return
    const isBlocked = wasThere && isNow
    wasThere = isNow
    if (!isBlocked) return
    if (isPolling) return onRefused()
    isPolling = true
    wasThere = false
    socket.replaceTransport(LongPoll)
    socket.connect()
  })
}
