// The catalogue's part of the core: what crosses the border to an instance, and what its errors become.
import type { CoreExports } from './bindings.gen.ts'
import { LaniakeaError, checkResult } from './errors.ts'
import { hostOf } from './host.ts'
import { Instance, Trap, instantiate, type Modules } from './instance.ts'

type Bytes = Uint8Array<ArrayBuffer>

async function open(modules: Modules): Promise<Instance> {
  const exports: WebAssembly.Exports = await instantiate(modules, hostOf(() => exports['memory'] as WebAssembly.Memory))
  return new Instance(exports)
}

const encoder: TextEncoder = new TextEncoder()
const decoder: TextDecoder = new TextDecoder()

/** One operation on the object at `path`. */
export interface Operation {
  readonly actor: Uint8Array
  readonly path: Uint8Array
  readonly name: Uint8Array
  readonly args: string
  readonly now: number
}

/** An instance full of objects, which are numbers here. Results are copies. */
export class CrdtCore {
  #instance: Instance | undefined
  #failure: LaniakeaError | undefined
  /** Is called when the instance has trapped. */
  onTrap: (() => void) | undefined

  static async open(modules: Modules): Promise<CrdtCore> {
    return new CrdtCore(await open(modules))
  }

  /** Another instance, which is empty, in place of one that trapped. */
  async revive(modules: Modules): Promise<void> {
    const instance = await open(modules)
    if (this.#failure === undefined) return
    this.#failure = undefined
    this.#instance = instance
  }

  private constructor(instance: Instance) {
    this.#instance = instance
  }

  get isClosed(): boolean {
    return this.#instance === undefined
  }

  open(type: number): number {
    return this.#call((core) => {
      checkResult(core.crdt_new(type))
      return core.out_ptr()
    })
  }

  /** What is broken or closed has nothing left to free. */
  free(handle: number): void {
    if (this.#instance) this.#call((core) => core.crdt_free(handle))
  }

  /** The delta; empty while the object holds. */
  apply(handle: number, { actor, path, name, args, now }: Operation): Bytes {
    return this.#call((core, instance) => {
      const json = encoder.encode(args)
      instance.write([actor, path, name, json])
      checkResult(core.crdt_apply(handle, actor.length, path.length, name.length, json.length, now))
      return instance.read().slice()
    })
  }

  hold(handle: number): void {
    this.#call((core) => checkResult(core.crdt_hold(handle)))
  }

  release(handle: number): Bytes {
    return this.#bytes((core) => core.crdt_release(handle))
  }

  merge(handle: number, bytes: Uint8Array): boolean {
    return this.#bytes((core) => core.crdt_merge(handle, bytes.length), bytes)[0] === 1
  }

  mergeJson(handle: number, text: string): boolean {
    const bytes = encoder.encode(text)
    return this.#bytes((core) => core.crdt_merge_json(handle, bytes.length), bytes)[0] === 1
  }

  value(handle: number, path: Uint8Array): string {
    return decoder.decode(this.#bytes((core) => core.crdt_value(handle, path.length), path))
  }

  encode(handle: number): Bytes {
    return this.#bytes((core) => core.crdt_encode(handle))
  }

  encodeJson(handle: number): string {
    return decoder.decode(this.#bytes((core) => core.crdt_encode_json(handle)))
  }

  version(handle: number): Bytes {
    return this.#bytes((core) => core.crdt_version(handle))
  }

  diffSince(handle: number, version: Uint8Array): Bytes {
    return this.#bytes((core) => core.crdt_diff_since(handle, version.length), version)
  }

  diff(handle: number, other: number): Bytes {
    return this.#bytes((core) => core.crdt_diff(handle, other))
  }

  /** An lk_crdt_order. */
  compare(handle: number, other: number): number {
    return this.#bytes((core) => core.crdt_compare(handle, other))[0] ?? 0
  }

  digest(handle: number): Bytes {
    return this.#bytes((core) => core.crdt_digest(handle))
  }

  /** Entries, ranges, actors, bytes. */
  size(handle: number): Uint32Array {
    return new Uint32Array(this.#bytes((core) => core.crdt_size(handle)).buffer)
  }

  /** Throws where nothing can be called any more: LK_ERR_STATE, LK_ERR_TRAP. */
  check(): Instance {
    if (this.#instance) return this.#instance
    throw this.#failure?.code === 'LK_ERR_TRAP' ? this.#failure : new LaniakeaError('LK_ERR_STATE', 'the catalogue was closed')
  }

  /** Gives the instance back; every call throws LK_ERR_STATE from now on. */
  close(): void {
    this.#instance = undefined
  }

  #bytes(call: (core: CoreExports) => number, input?: Uint8Array): Bytes {
    return this.#call((core, instance) => {
      if (input) instance.write([input])
      checkResult(call(core))
      return instance.read().slice()
    })
  }

  #call<T>(body: (core: CoreExports, instance: Instance) => T): T {
    const instance = this.check()
    try {
      return instance.call((core) => body(core, instance))
    } catch (cause) {
      if (!(cause instanceof Trap)) throw cause
      this.#failure = new LaniakeaError('LK_ERR_TRAP', cause.message)
      this.#instance = undefined
      this.onTrap?.()
      throw this.#failure
    }
  }
}
