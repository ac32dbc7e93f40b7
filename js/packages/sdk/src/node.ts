// @laniakea/sdk in Node: the same, with the core read from the package and the engine in this thread.
import { readFile } from 'node:fs/promises'
import { loadCore, loadOnce, type Core } from './internal/core.ts'
import { createCrdtsWith, type Crdts } from './internal/crdt.ts'
import { createDocsWith } from './internal/doc.ts'
import type { DocHistory, Docs, Updates } from './internal/doc_types.ts'
import { createHistoryWith } from './internal/history.ts'
import { createUpdatesWith } from './internal/updates.ts'
import { createClientWith, type Client, type ClientOptions } from './internal/client/client.ts'
import { nodeFiles } from './internal/client/files_node.ts'

export * from './internal/public.ts'

/** Replicas in this process, kept in a folder where `storage` names one, and synced with a server whenever it can be reached.
 * Rejects with LK_ERR_INVALID for an address that is none, and with what loadCore() says. */
export function createClient(options: ClientOptions): Promise<Client> {
  const openFiles = async (storage: ClientOptions['storage']) => (typeof storage === 'object' ? nodeFiles(storage.folder) : undefined)
  return createClientWith({ loadCore: () => readOwn(new URL('./laniakea-client.wasm', import.meta.url)), createWorker: undefined, hasTabs: false, openFiles }, options)
}

/** The catalogue of objects that many replicas change at once and that converge, in an instance of its own in this
 * thread. Without a `core` the package's own is loaded. Rejects with what loadCore() says. */
export async function createCrdts(options: { readonly core?: Core } = {}): Promise<Crdts> {
  const { module } = options.core ?? (await readOwn(new URL('./laniakea.wasm', import.meta.url)))
  return createCrdtsWith(module)
}

/** Documents that many people edit at once, in an instance of their own in this thread. Their core is another one than
 * that of the rest: without a `core`, which loadCore() makes of laniakea-doc.wasm or of laniakea-doc-fast.wasm, the package's
 * own is loaded, which is the second one where it comes from a disk. Rejects with what loadCore() says. */
export async function createDocs(options: { readonly core?: Core } = {}): Promise<Docs> {
  const { module } = options.core ?? (await readOwn(new URL('./laniakea-doc-fast.wasm', import.meta.url)))
  return createDocsWith(module)
}

/** Work on updates without a document: merging, compacting, diffs, state vectors, the other format. Its core is a third one,
 * laniakea-update.wasm, so that who only edits does not load it. Rejects with what loadCore() says. */
export async function createUpdates(options: { readonly core?: Core } = {}): Promise<Updates> {
  const { module } = options.core ?? (await readOwn(new URL('./laniakea-update.wasm', import.meta.url)))
  return createUpdatesWith(module)
}

/** Looks at documents as they were, and at what changed since. Its core is another one again, laniakea-history.wasm. Rejects
 * with what loadCore() says. */
export async function createHistory(options: { readonly core?: Core } = {}): Promise<DocHistory> {
  const { module } = options.core ?? (await readOwn(new URL('./laniakea-history.wasm', import.meta.url)))
  return createHistoryWith(module)
}

function readOwn(url: URL): Promise<Core> {
  return loadOnce(url.href, async () => loadCore({ bytes: new Uint8Array(await readFile(url)) }))
}
