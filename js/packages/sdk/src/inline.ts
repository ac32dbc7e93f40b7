// @laniakea/sdk/inline: where no file can be fetched that lies beside the program, as of a bundler that does not know
// `new URL(.., import.meta.url)`. The core is text in the program; the engine runs in this thread, unless `worker` is given.
import { loadCore, loadOnce, type Core } from './internal/core.ts'
import { createCrdtsWith, type Crdts } from './internal/crdt.ts'
import { createDocsWith } from './internal/doc.ts'
import type { Docs } from './internal/doc_types.ts'
import { createClientWith, type Client, type ClientOptions } from './internal/client/client.ts'
import type { HubStart } from './internal/client/protocol.ts'
import { clientCore } from './internal/inline_core.js'

export * from './internal/public.ts'

/** As that of the package. In browsers it keeps what it has in IndexedDB, elsewhere nothing. */
export function createClient(options: ClientOptions): Promise<Client> {
  const hasTabs = typeof document !== 'undefined'
  const openFiles = async (_: ClientOptions['storage'], start: HubStart) => (hasTabs ? (await import('./internal/client/hub_host.ts')).browserFiles(start) : undefined)
  return createClientWith({ loadCore: loadOwnCore, createWorker: undefined, hasTabs, openFiles }, options)
}

/** As that of the package. */
export async function createCrdts(options: { readonly core?: Core } = {}): Promise<Crdts> {
  const { module } = options.core ?? (await loadOwnCore())
  return createCrdtsWith(module)
}

/** As that of the package. */
export async function createDocs(options: { readonly core?: Core } = {}): Promise<Docs> {
  const { module } = options.core ?? (await loadOwnCore())
  return createDocsWith(module)
}

/** One core for all of it: that of clients has the catalogue and documents. */
function loadOwnCore(): Promise<Core> {
  return loadOnce('inline', () => loadCore({ bytes: Uint8Array.from(atob(clientCore), (letter) => letter.charCodeAt(0)) }))
}
