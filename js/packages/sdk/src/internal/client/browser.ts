// A client in a browser, whatever core it has.
import type { Core } from '../core.ts'
import { createClientWith, type Client, type ClientOptions } from './client.ts'
import type { HubStart } from './protocol.ts'

/** The part for who has no worker is loaded by nobody else. */
export function createBrowserClient(loadCore: () => Promise<Core>, createWorker: () => Worker, options: ClientOptions): Promise<Client> {
  const openFiles = async (_: ClientOptions['storage'], start: HubStart) => (await import('./hub_host.ts')).browserFiles(start)
  return createClientWith({ loadCore, createWorker, hasTabs: true, openFiles }, options)
}
