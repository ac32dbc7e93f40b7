// The WebAssembly core, which is compiled once, and one peer in an instance of it.
import { peerEvent, peerState } from './bindings.gen.ts'
import { LaniakeaError, checkResult } from './errors.ts'
import { Instance } from './instance.ts'
import type { Status } from './protocol.ts'

/** The compiled core. It holds no state and may be shared by any number of engines and workers. */
export interface Core {
  readonly module: WebAssembly.Module
}

/** Where the core comes from: compiled already, an address to fetch, or its bytes. */
export type CoreSource =
  | { readonly module: WebAssembly.Module }
  | { readonly url: string | URL }
  | { readonly bytes: Uint8Array<ArrayBuffer> | ArrayBuffer }

/** Compiles the core. Rejects with LK_ERR_NOT_FOUND where it cannot be fetched, with LK_ERR_CORRUPT
 * where the bytes are no module, with LK_ERR_VERSION where it belongs to another SDK. */
export async function loadCore(source: CoreSource): Promise<Core> {
  const core = { module: await compile(source) }
  for (const { name } of [{ name: 'abi' }, { name: 'memory' }]) {
    if (!WebAssembly.Module.exports(core.module).some((entry) => entry.name === name)) {
      throw new LaniakeaError('LK_ERR_VERSION', 'not a module of Laniakea')
    }
  }
  return core
}

async function compile(source: CoreSource): Promise<WebAssembly.Module> {
  if ('module' in source) return source.module
  try {
    if ('bytes' in source) return await WebAssembly.compile(source.bytes)
    return await compileResponse(await fetchCore(source.url))
  } catch (cause) {
    if (cause instanceof WebAssembly.CompileError) throw new LaniakeaError('LK_ERR_CORRUPT', cause.message)
    throw cause
  }
}

async function fetchCore(url: string | URL): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url)
  } catch (cause) {
    throw new LaniakeaError('LK_ERR_NOT_FOUND', `${url}: ${String(cause)}`)
  }
  if (!response.ok) throw new LaniakeaError('LK_ERR_NOT_FOUND', `${url}: status ${response.status}`)
  return response
}

/** Streaming needs the right media type, which not every server knows. */
async function compileResponse(response: Response): Promise<WebAssembly.Module> {
  const type = response.headers.get('content-type') ?? ''
  if (type.startsWith('application/wasm')) return WebAssembly.compileStreaming(response)
  return WebAssembly.compile(await response.arrayBuffer())
}

export type MachineEvent =
  | { readonly kind: 'open' | 'close' | 'changed' }
  | { readonly kind: 'send'; readonly text: string }

export interface MachineOptions {
  readonly topic: string
  readonly actor: string
  readonly restored: Uint8Array | undefined
  readonly entropy: bigint
  readonly now: number
}

const statuses: Readonly<Record<number, Status>> = {
  [peerState.idle]: 'offline',
  [peerState.connecting]: 'connecting',
  [peerState.joining]: 'connecting',
  [peerState.joined]: 'online',
}

/** One peer in an instance of its own. Every call may throw a Trap. */
export class Machine {
  readonly #instance: Instance
  readonly #encoder = new TextEncoder()
  readonly #decoder = new TextDecoder()
  #peer = 0

  constructor(core: Core, options: MachineOptions) {
    this.#instance = new Instance(new WebAssembly.Instance(core.module))
    this.#instance.call((core) => {
      const topic = this.#encoder.encode(options.topic)
      const actor = this.#encoder.encode(options.actor)
      const restored = options.restored ?? new Uint8Array()
      this.#instance.write([topic, actor, restored])
      checkResult(core.peer_new(topic.length, actor.length, restored.length, options.entropy, options.now), options.topic)
      this.#peer = core.out_ptr()
    })
  }

  increment(amount: bigint, now: number): void {
    this.#instance.call((core) => checkResult(core.peer_increment(this.#peer, amount, now)))
  }

  opened(now: number): void {
    this.#instance.call((core) => core.peer_opened(this.#peer, now))
  }

  closed(now: number): void {
    this.#instance.call((core) => core.peer_closed(this.#peer, now))
  }

  /** What the server said makes no sense where this throws; the machine has given the connection up. */
  receive(text: string, now: number): void {
    this.#instance.call((core) => {
      const bytes = this.#encoder.encode(text)
      this.#instance.write([bytes])
      checkResult(core.peer_receive(this.#peer, bytes.length, now))
    })
  }

  wake(now: number): void {
    this.#instance.call((core) => core.peer_wake(this.#peer, now))
  }

  tick(now: number): void {
    this.#instance.call((core) => core.peer_tick(this.#peer, now))
  }

  poll(): MachineEvent | undefined {
    return this.#instance.call((core) => {
      switch (core.peer_poll(this.#peer)) {
        case peerEvent.open: return { kind: 'open' }
        case peerEvent.close: return { kind: 'close' }
        case peerEvent.changed: return { kind: 'changed' }
        case peerEvent.send: return { kind: 'send', text: this.#decoder.decode(this.#instance.read()) }
        default: return undefined
      }
    })
  }

  save(): Uint8Array<ArrayBuffer> {
    return this.#instance.call((core) => {
      checkResult(core.peer_save(this.#peer))
      return this.#instance.read().slice()
    })
  }

  /** Infinity: nothing is due. */
  deadline(): number {
    return this.#instance.call((core) => core.peer_deadline(this.#peer))
  }

  // A u64 leaves WebAssembly as a signed bigint.
  value(): bigint {
    return this.#instance.call((core) => BigInt.asUintN(64, core.peer_value(this.#peer)))
  }

  pending(): bigint {
    return this.#instance.call((core) => BigInt.asUintN(64, core.peer_pending(this.#peer)))
  }

  status(): Status {
    return this.#instance.call((core) => statuses[core.peer_state(this.#peer)] ?? 'offline')
  }
}
