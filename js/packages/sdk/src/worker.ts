// The engine's worker: `new Worker(new URL('@laniakea/sdk/worker', import.meta.url), { type: 'module' })`.
// The only entry that does something when it is loaded, since that is what a worker is for.
import { runEngine, type WorkerScope } from './internal/create.ts'

runEngine(globalThis as unknown as WorkerScope)
