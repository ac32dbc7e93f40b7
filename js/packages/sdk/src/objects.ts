// @laniakea/sdk/objects: the client for pages that have objects of the catalogue and no documents, which loads less.
import { createBrowserClient } from './internal/client/browser.ts'
import type { Client, ClientOptions } from './internal/client/client.ts'
import { loadOwn } from './internal/core.ts'

export { loadCore } from './internal/core.ts'
export { LaniakeaError } from './internal/errors.ts'
export type * from './internal/public.ts'

/** As createClient() of "@laniakea/sdk", but that doc() and replica() reject with LK_ERR_UNSUPPORTED. All pages that share a `name` have one entry:
 * it rejects with LK_ERR_UNSUPPORTED, too, where one with more kinds has kept something under that name. */
export function createClient(options: ClientOptions): Promise<Client> {
  return createBrowserClient(() => loadOwn(new URL('./laniakea-client-crdt.wasm', import.meta.url)), createWorker, options)
}

function createWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'laniakea' })
}
