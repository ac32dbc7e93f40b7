// Work on updates without a document, in a module of its own: programs that only edit do not load it.
import type { UpdateExports } from './bindings.gen.ts'
import { bytesOf } from './doc_any.ts'
import type { UpdateFormat, Updates } from './doc_types.ts'
import { LaniakeaError } from './errors.ts'
import { StatelessWork } from './stateless.ts'

type Bytes = Uint8Array<ArrayBuffer>

class UpdateWork extends StatelessWork implements Updates {
  merge(updates: readonly Uint8Array[], format: UpdateFormat = 1): Bytes {
    return this.#join(updates, (core, length) => core.update_merge(format, updates.length, length))
  }

  compact(updates: readonly Uint8Array[], format: UpdateFormat = 1): Bytes {
    return this.#join(updates, (core, length) => core.update_compact(format, updates.length, length))
  }

  diff(update: Uint8Array, stateVector: Uint8Array, format: UpdateFormat = 1): Bytes {
    return this.bytes([update, stateVector], (core: UpdateExports) => core.update_diff(format, update.length, stateVector.length))
  }

  stateVectorOf(update: Uint8Array, format: UpdateFormat = 1): Bytes {
    return this.bytes([update], (core: UpdateExports) => core.update_state_vector(format, update.length))
  }

  convert(update: Uint8Array, from: UpdateFormat, to: UpdateFormat): Bytes {
    return this.bytes([update], (core: UpdateExports) => core.update_convert(from, update.length, to))
  }

  /** Each update behind its length, in one piece: many small pieces would each cost a call. */
  #join(updates: readonly Uint8Array[], call: (core: UpdateExports, length: number) => number): Bytes {
    let length = 0
    for (const update of updates) length += 4 + bytesOf(update).length
    const records = new Uint8Array(length)
    const view = new DataView(records.buffer)
    let at = 0
    for (const update of updates) {
      view.setUint32(at, update.length, true)
      records.set(update, at + 4)
      at += 4 + update.length
    }
    return this.bytes([records], (core: UpdateExports) => call(core, length))
  }
}

/** Throws LK_ERR_UNSUPPORTED where the module is not that of updates. */
export function createUpdatesWith(module: WebAssembly.Module): Updates {
  const isOurs = WebAssembly.Module.exports(module).some(({ name }) => name === 'update_merge')
  if (!isOurs) throw new LaniakeaError('LK_ERR_UNSUPPORTED', 'this module does not work on updates')
  return new UpdateWork(module)
}
