// The WebAssembly core, which is compiled once.
import { LaniakeaError } from './errors.ts'

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
  if (!hasExport(core.module, 'abi') || !hasExport(core.module, 'memory')) throw new LaniakeaError('LK_ERR_VERSION', 'not a module of Laniakea')
  return core
}

export const hasExport = (module: WebAssembly.Module, name: string): boolean => WebAssembly.Module.exports(module).some((entry) => entry.name === name)

const own = new Map<string, Promise<Core>>()

/** Loads a module of the package once. The next call may have more luck where it failed. */
export function loadOnce(name: string, load: () => Promise<Core>): Promise<Core> {
  let core = own.get(name)
  if (core === undefined) {
    core = load()
    own.set(name, core)
    core.catch(() => own.delete(name))
  }
  return core
}

export function loadOwn(url: URL): Promise<Core> {
  return loadOnce(url.href, () => loadCore({ url }))
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
