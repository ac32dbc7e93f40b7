// What modules with documents ask of their host, for those instances in which nobody watches documents: wasm/doc.h.
const decoder: TextDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** Imports for an instance; `memory` is asked for later. */
export function hostOf(memory: () => WebAssembly.Memory): WebAssembly.Imports {
  const bytes = (at: number, length: number): Uint8Array => new Uint8Array(memory().buffer, at, length)
  const host = {
    tell: (): void => {},
    now: (): number => Date.now(),
    read_number: (at: number, length: number): number => Number(decoder.decode(bytes(at, length))),
    print_number: (value: number, at: number): number => {
      const text = String(value)
      const target = bytes(at, text.length)
      for (let i = 0; i < text.length; i++) target[i] = text.charCodeAt(i)
      return text.length
    },
  }
  return { host }
}
