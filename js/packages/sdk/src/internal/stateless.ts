// Modules that keep nothing from one call to the next: bytes go in, bytes come out.
import type { CoreExports } from './bindings.gen.ts'
import { bytesOf } from './doc_any.ts'
import { LaniakeaError, checkResult } from './errors.ts'
import { Instance, Trap } from './instance.ts'

type Bytes = Uint8Array<ArrayBuffer>

export class StatelessWork {
  readonly #module: WebAssembly.Module
  /** A trap ends an instance; as nothing is kept in it, the next call makes another one. */
  #instance: Instance | undefined
  #isClosed = false

  constructor(module: WebAssembly.Module) {
    this.#module = module
    this.#open()
  }

  close(): void {
    this.#isClosed = true
    this.#instance = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** What `call` hands out, with `input` in the scratch buffer. */
  protected bytes<Exports>(input: readonly Uint8Array[], call: (core: Exports) => number): Bytes {
    const instance = this.#open()
    input.forEach(bytesOf)
    try {
      return instance.call((core) => {
        instance.write(input)
        checkResult(call(core as CoreExports & Exports))
        return instance.read().slice()
      })
    } catch (cause) {
      if (!(cause instanceof Trap)) throw cause
      this.#instance = undefined
      throw new LaniakeaError('LK_ERR_TRAP', cause.message)
    }
  }

  #open(): Instance {
    if (this.#isClosed) throw new LaniakeaError('LK_ERR_STATE', 'it was closed')
    this.#instance ??= new Instance(new WebAssembly.Instance(this.#module).exports)
    return this.#instance
  }
}
