// An instance of the core, called through one object that knows how bytes go in and out and what a trap is.
import { abiNumber, type CoreExports } from './bindings.gen.ts'
import { LaniakeaError } from './errors.ts'

/** The instance met a mistake of its own. Nothing but dropping it is left to do. */
export class Trap extends Error {
  override readonly name = 'Trap'
}

/** A module, and parts of it that are to be beside it (tools/split_wasm.mjs). */
export type Modules = readonly [WebAssembly.Module, ...WebAssembly.Module[]]

/** What an instance of them exports; `imports` may ask for that when it is called. */
export async function instantiate([module, ...parts]: Modules, imports: WebAssembly.Imports): Promise<WebAssembly.Exports> {
  let { exports } = await WebAssembly.instantiate(module, imports)
  for (const part of parts) exports = await addPart(exports, part, imports)
  return exports
}

/** What `core`, which is an instance's exports, exports with that part of it. */
export async function addPart(core: WebAssembly.Exports, part: WebAssembly.Module, imports: WebAssembly.Imports): Promise<WebAssembly.Exports> {
  const { exports } = await WebAssembly.instantiate(part, { ...imports, core })
  return { ...core, ...exports }
}

export class Instance {
  readonly #exports: CoreExports
  readonly #decoder = new TextDecoder()
  #memory = new Uint8Array()

  /** Throws LK_ERR_VERSION where the core belongs to another SDK. */
  constructor(exports: WebAssembly.Exports) {
    this.#exports = exports as unknown as CoreExports
    const abi = this.call((exports) => exports.abi())
    if (abi !== abiNumber) throw new LaniakeaError('LK_ERR_VERSION', `the core has ABI ${abi}, this SDK ${abiNumber}`)
  }

  /** Calls `body`, within which what the module exports may be called. Throws a Trap where that traps. */
  call<T>(body: (exports: CoreExports) => T): T {
    try {
      return body(this.#exports)
    } catch (cause) {
      // Too deep a recursion may also surface as the host's RangeError.
      if (cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError) throw this.#trapOf(cause)
      throw cause
    }
  }

  /** Puts `parts` behind each other into the scratch buffer. */
  write(parts: readonly Uint8Array[]): void {
    let length = 0
    for (const part of parts) length += part.length
    let at = this.#exports.scratch(length)
    if (at === 0) throw new LaniakeaError('LK_ERR_NOMEM')
    const memory = this.#view()
    for (const part of parts) {
      memory.set(part, at)
      at += part.length
    }
  }

  /** What the last call handed out; a view, good until the next call. */
  read(): Uint8Array<ArrayBuffer> {
    const at = this.#exports.out_ptr()
    return this.#view().subarray(at, at + this.#exports.out_len()) as Uint8Array<ArrayBuffer>
  }

  /** Growing the memory detaches every view of it, so the view is made anew when that happened. */
  #view(): Uint8Array {
    if (this.#memory.buffer !== this.#exports.memory.buffer) this.#memory = new Uint8Array(this.#exports.memory.buffer)
    return this.#memory
  }

  #trapOf(cause: Error): Trap {
    const line = this.#exports.panic_line()
    if (line === 0) return new Trap(cause.message, { cause })
    const site = `${this.#text(this.#exports.panic_file())}:${line}: ${this.#text(this.#exports.panic_expr())}`
    return new Trap(site, { cause })
  }

  #text(at: number): string {
    const memory = this.#view()
    return this.#decoder.decode(memory.subarray(at, memory.indexOf(0, at)))
  }
}
