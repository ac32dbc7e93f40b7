// The WebAssembly core, which is compiled once.
import { LaniakeaError } from './errors.ts'

/** The compiled core. It holds no state and may be shared by any number of engines and workers. */
export interface Core {
  readonly module: WebAssembly.Module
  /** Where the rest of a client's core is, whose parts are loaded when they are needed. */
  readonly parts?: CoreParts
}

export type Part = 'documents' | 'objects'

/** What tells them by: a core that has it all exports both. */
export const partExports: { readonly [part in Part]: string } = { documents: 'doc_new', objects: 'crdt_new' }
export const partNames = Object.keys(partExports) as Part[]

/** Addresses; what has none is missing. */
export type CoreParts = { readonly [part in Part]?: string }

/** Where the core comes from: compiled already, an address to fetch, or its bytes. */
export type CoreSource =
  | { readonly module: WebAssembly.Module }
  | { readonly url: string | URL; readonly parts?: { readonly [part in Part]?: string | URL } }
  | { readonly bytes: Uint8Array<ArrayBuffer> | ArrayBuffer }

/** Compiles the core; of one in parts (laniakea-client-base.wasm) what `url` has, the parts when they are needed. Rejects with LK_ERR_NOT_FOUND where it cannot be fetched, with LK_ERR_CORRUPT
 * where the bytes are no module, with LK_ERR_VERSION where it belongs to another SDK. */
export async function loadCore(source: CoreSource): Promise<Core> {
  const module = await compile(source)
  if (!hasExport(module, 'abi') || !hasExport(module, 'memory')) throw new LaniakeaError('LK_ERR_VERSION', 'not a module of Laniakea')
  if (!('url' in source) || source.parts === undefined) return { module }
  // As fetch() would find them here: a worker's addresses begin elsewhere.
  const from = globalThis.document?.baseURI ?? globalThis.location?.href
  const parts = Object.entries(source.parts).flatMap(([part, url]) => (url === undefined ? [] : [[part, new URL(url, from).href]]))
  return { module, parts: Object.fromEntries(parts) as CoreParts }
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

export function loadOwn(url: URL, parts?: { readonly [part in Part]: URL }): Promise<Core> {
  return loadOnce(url.href, () => loadCore({ url, ...(parts && { parts }) }))
}

/** A part of a core, likewise. Rejects with LK_ERR_UNSUPPORTED where there is none, with LK_ERR_VERSION where what is there is not that part of
 * this core, as while a server is given another version of the package. */
export async function loadPart({ module, parts }: Core, part: Part): Promise<WebAssembly.Module> {
  const url = parts?.[part]
  if (url === undefined) throw new LaniakeaError('LK_ERR_UNSUPPORTED', `this core has no ${part}`)
  return (await loadOnce(url, async () => ({ module: checkPart(module, await compile({ url }), part) }))).module
}

/** What of the package's scripts a page loads when it needs it. The next call may have more luck. */
export async function loadScript<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new LaniakeaError('LK_ERR_NOT_FOUND', String(cause))
  }
}

/** Whoever has a part may rely on it: a hub's next life, and those of other tabs, begin with it. */
function checkPart(core: WebAssembly.Module, module: WebAssembly.Module, part: Part): WebAssembly.Module {
  const there = new Set(WebAssembly.Module.exports(core).map(({ name }) => name))
  const isBeside = WebAssembly.Module.imports(module).every((wanted) => wanted.module !== 'core' || there.has(wanted.name))
  if (!isBeside || !hasExport(module, partExports[part])) throw new LaniakeaError('LK_ERR_VERSION', `no part of this core: ${part}`)
  return module
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
