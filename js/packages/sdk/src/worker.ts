// The worker: `new Worker(new URL('@laniakea/sdk/worker', import.meta.url), { type: 'module' })`.
// The only entry that does something when it is loaded, since that is what a worker is for.
import { runHub, type WorkerScope } from './internal/client/hub_host.ts'

runHub(globalThis as unknown as WorkerScope)
