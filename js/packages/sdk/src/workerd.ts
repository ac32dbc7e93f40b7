// @laniakea/sdk in workerd, which compiles no bytes: modules are imported. The engine is in this thread, and nothing is kept.
import { loadCore, type Core } from './internal/core.ts'
import { createCrdtsWith, type Crdts } from './internal/crdt.ts'
import { createDocsWith } from './internal/doc.ts'
import type { DocHistory, Docs, Updates } from './internal/doc_types.ts'
import { createHistoryWith } from './internal/history.ts'
import { createUpdatesWith } from './internal/updates.ts'
import { createClientWith, type Client, type ClientOptions } from './internal/client/client.ts'

export * from './internal/public.ts'

/** As that of the package, with its memory for a storage: close it before the request ends that made it. */
export function createClient(options: ClientOptions): Promise<Client> {
  const loadClientCore = async () => loadCore({ module: (await import('./laniakea-client.wasm')).default })
  return createClientWith({ loadCore: loadClientCore, createWorker: undefined, hasTabs: false, openFiles: async () => undefined }, options)
}

/** As that of the package. */
export async function createCrdts(options: { readonly core?: Core } = {}): Promise<Crdts> {
  return createCrdtsWith(options.core?.module ?? (await import('./laniakea.wasm')).default)
}

/** As that of the package. */
export async function createDocs(options: { readonly core?: Core } = {}): Promise<Docs> {
  return createDocsWith(options.core?.module ?? (await import('./laniakea-doc.wasm')).default)
}

/** As that of the package. */
export async function createUpdates(options: { readonly core?: Core } = {}): Promise<Updates> {
  return createUpdatesWith(options.core?.module ?? (await import('./laniakea-update.wasm')).default)
}

/** As that of the package. */
export async function createHistory(options: { readonly core?: Core } = {}): Promise<DocHistory> {
  return createHistoryWith(options.core?.module ?? (await import('./laniakea-history.wasm')).default)
}
