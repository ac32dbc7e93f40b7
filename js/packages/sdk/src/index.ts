// @laniakea/sdk in browsers.
import { loadOwn, loadScript, type Core } from './internal/core.ts'
import type { Crdts } from './internal/crdt.ts'
import type { DocHistory, Docs, Updates } from './internal/doc_types.ts'
import { createBrowserClient } from './internal/client/browser.ts'
import type { Client, ClientOptions } from './internal/client/client.ts'

// What a page does not call it does not load: the functions below import what they are made of.

export * from './internal/public.ts'

/** Documents and objects are loaded when the first one is opened. */
const loadClientCore = (): Promise<Core> =>
  loadOwn(new URL('./laniakea-client-base.wasm', import.meta.url), {
    documents: new URL('./laniakea-client-part-documents.wasm', import.meta.url),
    objects: new URL('./laniakea-client-part-objects.wasm', import.meta.url),
  })

/** Replicas on this device, shared by its tabs, kept over restarts, and synced with a server whenever it can be reached. Ready with
 * what this device knows. Rejects with LK_ERR_INVALID for an address that is none, and with what loadCore() says. */
export function createClient(options: ClientOptions): Promise<Client> {
  return createBrowserClient(loadClientCore, createWorker, options)
}

/** The catalogue of objects that many replicas change at once and that converge, in an instance of its own in this
 * thread. Without a `core` the package's own is loaded. Rejects with what loadCore() says. */
export async function createCrdts(options: { readonly core?: Core } = {}): Promise<Crdts> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea.wasm', import.meta.url)))
  const { createCrdtsWith } = await loadScript(() => import('./internal/crdt.ts'))
  return createCrdtsWith(module)
}

/** Documents that many people edit at once, in an instance of their own in this thread. Their core is another one than
 * that of the rest: without a `core`, which loadCore() makes of laniakea-doc.wasm or, for millions of edits, of
 * laniakea-doc-fast.wasm, the package's own is loaded: the first one, since it comes over a network. Rejects
 * with what loadCore() says. */
export async function createDocs(options: { readonly core?: Core } = {}): Promise<Docs> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-doc.wasm', import.meta.url)))
  const { createDocsWith } = await loadScript(() => import('./internal/doc.ts'))
  return createDocsWith(module)
}

/** Work on updates without a document: merging, compacting, diffs, state vectors, the other format. Its core is a third one,
 * laniakea-update.wasm, so that who only edits does not load it. Rejects with what loadCore() says. */
export async function createUpdates(options: { readonly core?: Core } = {}): Promise<Updates> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-update.wasm', import.meta.url)))
  const { createUpdatesWith } = await loadScript(() => import('./internal/updates.ts'))
  return createUpdatesWith(module)
}

/** Looks at documents as they were, and at what changed since. Its core is another one again, laniakea-history.wasm. Rejects
 * with what loadCore() says. */
export async function createHistory(options: { readonly core?: Core } = {}): Promise<DocHistory> {
  const { module } = options.core ?? (await loadOwn(new URL('./laniakea-history.wasm', import.meta.url)))
  const { createHistoryWith } = await loadScript(() => import('./internal/history.ts'))
  return createHistoryWith(module)
}

function createWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'laniakea' })
}
