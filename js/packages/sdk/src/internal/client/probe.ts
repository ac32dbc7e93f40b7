// What this device can do, as far as it tells: docs/reference/channels.md says what the server makes of it.
import type { Capabilities } from './protocol.ts'

interface NetworkInformation extends EventTarget {
  readonly type?: string
  readonly effectiveType?: string
}

const CONNECTIONS: { readonly [type: string]: string } = { wifi: 'wifi', ethernet: 'ethernet', cellular: 'cellular', wimax: 'cellular' }

const network = (): NetworkInformation | undefined => (globalThis.navigator as { connection?: NetworkInformation } | undefined)?.connection

/** The least with which the server tells of changes instead of sending pages: what runs this is no worse. */
const MEMORY_LEAST_MB = 512

/** What is not known is left out, or said to be unknown. Programs say nothing, and are served as well as can be. */
export function probe(): Capabilities {
  if (typeof document === 'undefined') return {}
  const { deviceMemory } = (globalThis.navigator ?? {}) as { deviceMemory?: number }
  const { type, effectiveType } = network() ?? {}
  return {
    has_workers: true,
    has_sab: typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated !== false,
    has_webtransport: 'WebTransport' in globalThis,
    ...(deviceMemory === undefined ? {} : { memory_mb: Math.max(MEMORY_LEAST_MB, Math.round(deviceMemory * 1024)) }),
    connection_type: CONNECTIONS[type ?? ''] ?? 'unknown',
    ...(effectiveType === undefined ? {} : { effective_type: effectiveType }),
  }
}

/** Calls `listener` when the connection has changed, until the function that it returns is called. */
export function onConnection(listener: () => void): () => void {
  const information = network()
  information?.addEventListener?.('change', listener)
  return () => information?.removeEventListener?.('change', listener)
}
