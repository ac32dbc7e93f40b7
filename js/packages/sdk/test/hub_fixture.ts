// A real hub in this process: its files, its pages, and what they say.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createDocs } from '@laniakea/sdk'
import type { Core, Part } from '../dist/internal/core.js'
import type { LaniakeaError } from '../dist/internal/errors.js'
import type { DeviceFile, DeviceFiles } from '../dist/internal/client/files.js'
import { Hub } from '../dist/internal/client/hub.js'
import { KIND_DOC, type Bytes, type ToHub, type ToPage } from '../dist/internal/client/protocol.js'

/** Files of a device; while `gate` is a promise, nothing is written before it is kept. */
export class HeldFiles implements DeviceFiles {
  readonly kind = 'memory'
  readonly files = new Map<string, Bytes>()
  gate: Promise<void> = Promise.resolve()

  async open(name: string, create: boolean): Promise<DeviceFile | undefined> {
    if (!this.files.has(name) && !create) return undefined
    if (!this.files.has(name)) this.files.set(name, new Uint8Array())
    const { files } = this
    const bytes = () => files.get(name) as Bytes
    const resize = (size: number) => {
      const grown = new Uint8Array(size)
      grown.set(bytes().subarray(0, size))
      files.set(name, grown)
    }
    return {
      read: (at, length) => bytes().slice(at, at + length),
      write: async (at, piece) => {
        await this.gate
        if (at + piece.length > bytes().length) resize(at + piece.length)
        bytes().set(piece, at)
      },
      sync: () => this.gate,
      truncate: resize,
      size: () => bytes().length,
      close: () => undefined,
    }
  }

  async remove(name: string): Promise<boolean> {
    return this.files.delete(name)
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.files.get(from) as Bytes)
    this.files.delete(from)
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()]
  }

  async close(): Promise<void> {}
}

export class Page {
  readonly heard: ToPage[] = []
  readonly hub: Hub
  readonly name: string

  constructor(hub: Hub, name: string) {
    this.hub = hub
    this.name = name
    hub.receive(name, { t: 'hello', capabilities: {}, isOffline: true }, (message) => void this.heard.push(message))
  }

  async waitFor(kind: ToPage['t']): Promise<void> {
    for (const end = Date.now() + 10_000; !this.heard.some(({ t }) => t === kind); ) {
      assert.ok(Date.now() < end, `${this.name} never hears of ${kind}, but ${JSON.stringify(this.heard.map(({ t }) => t))}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  say(message: Exclude<ToHub, { t: 'part' }>): void {
    this.hub.receive(this.name, message, () => undefined)
  }

  async open(topic: string): Promise<void> {
    await this.waitFor('hub')
    this.ask(topic)
    await this.waitFor('opened')
  }

  ask(topic: string, { id = 1, kind = KIND_DOC } = {}): void {
    this.say({ t: 'open', id, topic, kind, isKept: true, seat: undefined, version: new Uint8Array() })
  }

  change(n: number, part: Bytes, waits: boolean): void {
    this.say({ t: 'change', id: 1, n, parts: [part], waits })
  }

  get news(): string[] {
    return this.heard.flatMap((message) => (message.t === 'news' ? [Buffer.from(message.bytes).toString('hex')] : []))
  }
}

export const moduleOf = (name: string): Promise<WebAssembly.Module> =>
  WebAssembly.compile(readFileSync(new URL(import.meta.resolve(`@laniakea/sdk/${name}.wasm`))))

/** A hub without a server, which has everything unless it is given another core. */
export async function begin({ core, loaded = new Map(), files = new HeldFiles(), onEnd = (error) => { throw error } }: { core?: Core; loaded?: Map<Part, WebAssembly.Module>; files?: HeldFiles; onEnd?: (error: LaniakeaError) => void } = {}): Promise<{ hub: Hub; files: HeldFiles }> {
  const webSocket = (): never => { throw new Error('these pages want no connection') }
  const hub = new Hub({
    core: core ?? { module: await moduleOf('laniakea-client') }, loaded, ways: { webSocket, longPoll: undefined }, files, usesToken: false,
    pendingCount: 1000, pendingBytes: 1 << 20, onEnd,
  })
  await hub.start({})
  return { hub, files }
}

/** Updates as a page makes them. */
export async function typed(client: number, words: readonly string[]): Promise<Bytes[]> {
  const docs = await createDocs()
  const doc = docs.open({ client })
  const updates: Bytes[] = []
  doc.onUpdate((update) => void updates.push(update))
  for (const word of words) doc.getText('t').insert(doc.getText('t').length, word)
  docs.close()
  return updates
}

export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))
