// @laniakea/sdk in browsers.
import { loadOwn, type Core } from './internal/core.ts'
import { createCrdtsWith, type Crdts } from './internal/crdt.ts'
import { createDocsWith } from './internal/doc.ts'
import type { DocHistory, Docs, Updates } from './internal/doc_types.ts'
import { createHistoryWith } from './internal/history.ts'
import { createUpdatesWith } from './internal/updates.ts'
import { createBrowserClient } from './internal/client/browser.ts'
import type { Client, ClientOptions } from './internal/client/client.ts'

export * from './internal/public.ts'

/** Replicas on this device, shared by its tabs, kept over restarts, and synced with a server whenever it can be reached. Ready with
 * what this device knows. Rejects with LK_ERR_INVALID for an address that is none, with what loadCore() says, and with LK_ERR_UNSUPPORTED
 * where this device has kept what this entry's core lacks ("./documents", "./objects"). */
export function createClient(options: ClientOptions): Promise<Client> {
  return createBrowserClient(() => loadOwn(new URL('./laniakea-client.wasm', import.meta.url)), createWorker, options)
}

/** The catalogue of objects that many replicas change at once and that converge, in an instance of its own in this
 * thread. Without a `core` the package's own is loaded. Rejects with what loadCore() says. */
export async function createCrdts(options: { readonly core?: Core } = {}): Promise<Crdts> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea.wasm', import.meta.url)))
  return createCrdtsWith(module)
}

/** Documents that many people edit at once, in an instance of their own in this thread. Their core is another one than
 * that of the rest: without a `core`, which loadCore() makes of laniakea-doc.wasm or, for millions of edits, of
 * laniakea-doc-fast.wasm, the package's own is loaded: the first one, since it comes over a network. Rejects
 * with what loadCore() says. */
export async function createDocs(options: { readonly core?: Core } = {}): Promise<Docs> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-doc.wasm', import.meta.url)))
  return createDocsWith(module)
}

/** Work on updates without a document: merging, compacting, diffs, state vectors, the other format. Its core is a third one,
 * laniakea-update.wasm, so that who only edits does not load it. Rejects with what loadCore() says. */
export async function createUpdates(options: { readonly core?: Core } = {}): Promise<Updates> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-update.wasm', import.meta.url)))
  return createUpdatesWith(module)
}

/** Looks at documents as they were, and at what changed since. Its core is another one again, laniakea-history.wasm. Rejects
 * with what loadCore() says. */
export async function createHistory(options: { readonly core?: Core } = {}): Promise<DocHistory> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-history.wasm', import.meta.url)))
  return createHistoryWith(module)
}

function createWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'laniakea' })
}
