// What other pages hear of a change, and when: a real hub and its core, over files in memory whose writes can be held up.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createDocs } from '@laniakea/sdk'
import { Hub } from '../dist/internal/client/hub.js'
import type { DeviceFile, DeviceFiles } from '../dist/internal/client/files.js'
import { KIND_DOC, type Bytes, type ToPage } from '../dist/internal/client/protocol.js'

/** Files of a device; while `gate` is a promise, nothing is written before it is kept. */
class HeldFiles implements DeviceFiles {
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

class Page {
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

  async open(topic: string): Promise<void> {
    await this.waitFor('hub')
    this.hub.receive(this.name, { t: 'open', id: 1, topic, kind: KIND_DOC, isKept: true, seat: undefined, version: new Uint8Array() }, () => undefined)
    await this.waitFor('opened')
  }

  change(n: number, part: Bytes, waits: boolean): void {
    this.hub.receive(this.name, { t: 'change', id: 1, n, parts: [part], waits }, () => undefined)
  }

  get news(): string[] {
    return this.heard.flatMap((message) => (message.t === 'news' ? [Buffer.from(message.bytes).toString('hex')] : []))
  }
}

async function begin(): Promise<{ hub: Hub; files: HeldFiles }> {
  const module = await WebAssembly.compile(readFileSync(new URL(import.meta.resolve('@laniakea/sdk/laniakea-client-doc.wasm'))))
  const files = new HeldFiles()
  const webSocket = (): never => { throw new Error('these pages want no connection') }
  const hub = new Hub({ module, ways: { webSocket, longPoll: undefined }, files, usesToken: false, pendingCount: 1000, pendingBytes: 1 << 20, onEnd: (error) => { throw error } })
  await hub.start({})
  return { hub, files }
}

/** Updates as a page makes them. */
async function typed(client: number, words: readonly string[]): Promise<Bytes[]> {
  const docs = await createDocs()
  const doc = docs.open({ client })
  const updates: Bytes[] = []
  doc.onUpdate((update) => void updates.push(update))
  for (const word of words) doc.getText('t').insert(doc.getText('t').length, word)
  docs.close()
  return updates
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100))

/* Goal: what need not wait is told at once; what may be forgotten with its page when it is recorded; and what stands behind
 * such a one not before it, in the order in which it was made. */
test('a change behind one that waits is told when that is', async () => {
  const { hub, files } = await begin()
  const [one, other] = [new Page(hub, 'one'), new Page(hub, 'other')]
  for (const page of [one, other]) await page.open('doc:notes')
  await one.waitFor('topic')
  const updates = await typed(7, ['a', 'b', 'c', 'd'])
  const [a, b, c, d] = updates as [Bytes, Bytes, Bytes, Bytes]
  const hex = updates.map((update) => Buffer.from(update).toString('hex'))
  let release = (): void => undefined
  files.gate = new Promise((resolve) => { release = resolve })
  one.change(1, a, false)
  assert.deepEqual(other.news, hex.slice(0, 1), 'what need not wait')
  one.change(2, b, true)
  one.change(3, c, false)
  await settled()
  assert.deepEqual(other.news, hex.slice(0, 1), 'what waits, and what stands behind it')
  release()
  for (const end = Date.now() + 10_000; other.news.length < 3 && Date.now() < end; ) await settled()
  assert.deepEqual(other.news, hex.slice(0, 3))
  one.change(4, d, false)
  assert.deepEqual(other.news, hex, 'nothing waits any more')
  assert.deepEqual(one.news, [], 'who made them knows them')
  await hub.end()
})

/* Goal: one page's change waits for its own, and not for another page's. */
test('a change of a page does not wait for those of another one', async () => {
  const { hub, files } = await begin()
  const [one, two, reader] = [new Page(hub, 'one'), new Page(hub, 'two'), new Page(hub, 'reader')]
  for (const page of [one, two, reader]) await page.open('doc:notes')
  await reader.waitFor('topic')
  const [[mine], [yours]] = (await Promise.all([typed(7, ['x']), typed(8, ['y'])])) as [[Bytes], [Bytes]]
  let release = (): void => undefined
  files.gate = new Promise((resolve) => { release = resolve })
  one.change(1, mine, true)
  two.change(1, yours, false)
  await settled()
  assert.deepEqual(reader.news, [Buffer.from(yours).toString('hex')])
  release()
  for (const end = Date.now() + 10_000; reader.news.length < 2 && Date.now() < end; ) await settled()
  assert.deepEqual(reader.news, [yours, mine].map((update) => Buffer.from(update).toString('hex')))
  await hub.end()
})
