// RFC 6455 and RFC 7692, frame by frame, against `laniakea serve --debug-echo`.
//
//   node --test tests/e2e/websocket.test.mjs      runs build/laniakea; LK_PROGRAM names another one
//
// The client here is written from the RFCs: raw sockets and node:zlib, no library for WebSockets. What it
// checks of every frame that comes: no mask, the shortest length, no reserved bit that was not agreed on,
// no fragmented control frame, nothing behind a Close, and that the server is the one that closes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync } from 'node:zlib'

const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const PATIENCE_MS = 10_000
const MESSAGE_MAX = 16 << 20
const [CONTINUE, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]

// ---- the server ----

const server = { child: null, port: 0, err: '' }

async function serve(...args) {
  const child = spawn(program, ['serve', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const started = { child, port: 0, err: '' }
  child.stderr.setEncoding('utf8').on('data', (text) => (started.err += text))
  const [out] = await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), once(child, 'exit').then(() => [''])])
  started.port = Number(out.match(/http:\S+:(\d+)/)?.[1])
  assert.ok(started.port, started.err)
  return started
}

async function end(started) {
  started.child.kill('SIGTERM')
  const [code] = await once(started.child, 'exit')
  assert.equal(code, 0, started.err)
  assert.equal(started.err, '', 'no worker died and no sanitizer spoke')
}

before(async () => Object.assign(server, await serve('--debug-echo')))
after(() => end(server))

/** The most memory that the worker ever had, in bytes. */
function peakOfWorker() {
  const parentOf = (pid) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[1])
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const worker = pids.find((pid) => {
    try {
      return parentOf(pid) === server.child.pid
    } catch {
      return false // it ended while we looked
    }
  })
  return Number(readFileSync(`/proc/${worker}/status`, 'utf8').match(/VmHWM:\s+(\d+) kB/)[1]) * 1024
}

// ---- frames ----

function lengthOf(len, form = len < 126 ? 7 : len < 65536 ? 16 : 64) {
  if (form === 7) return Buffer.from([len])
  const bytes = Buffer.alloc(form === 16 ? 3 : 9)
  bytes[0] = form === 16 ? 126 : 127
  if (form === 16) bytes.writeUInt16BE(Number(len), 1)
  else bytes.writeBigUInt64BE(BigInt(len), 1)
  return bytes
}

/** A frame of a client. `claim` is a length other than the payload's, `form` one that is not the shortest. */
function frame(op, payload = '', { fin = 1, rsv = 0, mask = randomBytes(4), claim, form } = {}) {
  const body = Buffer.from(payload)
  const length = lengthOf(claim ?? body.length, form)
  if (mask === null) return Buffer.concat([Buffer.from([(fin << 7) | (rsv << 4) | op]), length, body])
  length[0] |= 0x80
  for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3]
  return Buffer.concat([Buffer.from([(fin << 7) | (rsv << 4) | op]), length, mask, body])
}

/** One message in frames that hold `sizes` bytes each, in turn; the last one holds the rest. */
function fragments(op, payload, sizes, options = {}) {
  const bytes = Buffer.from(payload)
  const frames = []
  let at = 0
  for (let i = 0; i === 0 || at < bytes.length; i++) {
    const size = sizes[i % sizes.length]
    const fin = at + size >= bytes.length ? 1 : 0
    frames.push(frame(i === 0 ? op : CONTINUE, bytes.subarray(at, at + size), { ...options, fin, rsv: i === 0 ? options.rsv : 0 }))
    at += size
  }
  return Buffer.concat(frames)
}

const closing = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))
const pieces = (bytes, size) => Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

/** Takes a frame from the front of `bytes`; null where it is not whole. */
function parse(bytes) {
  if (bytes.length < 2) return null
  const small = bytes[1] & 127
  const head = small < 126 ? 2 : small === 126 ? 4 : 10
  if (bytes.length < head) return null
  const len = small < 126 ? small : small === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (bytes.length < head + len) return null
  const read = { fin: bytes[0] >> 7, rsv: (bytes[0] >> 4) & 7, op: bytes[0] & 15, payload: bytes.subarray(head, head + len) }
  assert.equal(bytes[1] >> 7, 0, 'a server does not mask')
  assert.ok(small < 126 || len >= (small === 126 ? 126 : 65536), 'a length in its shortest form')
  assert.ok(read.op < 8 || (read.fin === 1 && len <= 125), 'a control frame that is whole and small')
  return { read, size: head + len }
}

// ---- a client ----

const clients = new Set()

class Client {
  #chunks = []
  #length = 0
  #frames = []
  #wake = () => {}
  #ended = false
  #failed = null
  #closed = false

  /** Resolves when the server has answered; `head` is what it said. */
  static async open({ offer, path = '/debug/echo', port = server.port, headers = '' } = {}) {
    const client = new Client()
    const key = randomBytes(16).toString('base64')
    client.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    client.socket.on('error', (error) => ((client.#failed = error), client.#wake()))
    const offers = [offer ?? []].flat().map((one) => `Sec-WebSocket-Extensions: ${one}\r\n`).join('')
    client.socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${offers}${headers}\r\n`, 'latin1')
    await client.#readHead()
    clients.add(client)
    client.extension = client.head.match(/^sec-websocket-extensions: (.*)$/im)?.[1] ?? ''
    if (client.head.startsWith('HTTP/1.1 101 ')) {
      const answer = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
      assert.ok(client.head.includes(`\r\nsec-websocket-accept: ${answer}\r\n`))
    }
    return client
  }

  #readHead() {
    return new Promise((resolve, reject) => {
      const take = (chunk) => {
        this.#push(chunk)
        const bytes = this.#joined()
        const at = bytes.indexOf('\r\n\r\n')
        if (at < 0) return
        this.head = bytes.subarray(0, at + 4).toString('latin1')
        this.#chunks = []
        this.#length = 0
        this.socket.off('data', take).on('data', (more) => this.#take(more)).on('end', () => this.#end())
        this.#take(bytes.subarray(at + 4))
        resolve()
      }
      this.socket.on('data', take).once('close', () => reject(new Error('closed without an answer')))
    })
  }

  #push(chunk) {
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  #joined() {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]
  }

  #take(chunk) {
    this.#push(chunk)
    if (this.#length < this.#needed) return
    let bytes = this.#joined()
    try {
      for (let parsed; (parsed = parse(bytes)) !== null; bytes = bytes.subarray(parsed.size)) {
        assert.ok(!this.#closed, 'nothing follows a Close')
        this.#closed = parsed.read.op === CLOSE
        this.#frames.push(parsed.read)
      }
    } catch (error) {
      this.#failed = error
    }
    this.#chunks = [bytes]
    this.#length = bytes.length
    // A large frame is not joined again for each chunk of it.
    this.#needed = bytes.length > 10 && (bytes[1] & 127) === 127 ? Number(bytes.readBigUInt64BE(2)) : 0
    this.#wake()
  }

  #needed = 0

  #end() {
    this.#ended = true
    this.#wake()
  }

  write(...all) {
    for (const bytes of all.flat()) this.socket.write(bytes)
    return this
  }

  /** The next frame, or null at the end of the connection. */
  async frame() {
    const patience = sleep(PATIENCE_MS, 'late', { ref: false })
    while (this.#frames.length === 0 && !this.#ended && this.#failed === null) {
      const late = await Promise.race([new Promise((resolve) => (this.#wake = resolve)), patience])
      assert.notEqual(late, 'late', 'the server says nothing')
    }
    if (this.#frames.length > 0) return this.#frames.shift()
    if (this.#failed !== null && this.#failed.code !== 'ECONNRESET') throw this.#failed
    return null
  }

  /** The next message or control frame: [op, payload, frames, packed]. */
  async message() {
    const first = await this.frame()
    if (first === null) return null
    const parts = [first]
    while (parts.at(-1).fin === 0) parts.push(await this.frame())
    for (const part of parts.slice(1)) assert.deepEqual([part.op, part.rsv], [CONTINUE, 0])
    assert.notEqual(first.op, CONTINUE)
    return { op: first.op, rsv: first.rsv, payload: Buffer.concat(parts.map((part) => part.payload)) }
  }

  async hears(op, payload, rsv = 0) {
    const got = await this.message()
    assert.ok(got !== null, `the connection ended, but ${op} was to come`)
    assert.deepEqual([got.op, got.rsv], [op, rsv], `got ${got.op}: ${got.payload.toString('hex', 0, 40)}`)
    assert.ok(got.payload.equals(Buffer.from(payload)), `got ${got.payload.length} bytes ${got.payload.toString('hex', 0, 40)}`)
  }

  /** A Close with `code` (null: none) and then the end, which the server makes. */
  async ends(code) {
    await this.hears(CLOSE, code === null ? '' : Buffer.from([code >> 8, code & 255]))
    assert.equal(await this.frame(), null, 'nothing but the end')
    this.dispose()
  }

  dispose() {
    clients.delete(this)
    this.socket.destroy()
  }
}

after(() => {
  for (const client of clients) client.dispose()
})

/** Runs `body` for each of `items`, a few at a time: the connections wait for each other, not the test. */
async function each(items, body) {
  const queue = [...items]
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (queue.length > 0) {
      const item = queue.shift()
      try {
        await body(item)
      } catch (error) {
        error.message = `${JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? String(value) : value)).slice(0, 200)}: ${error.message}`
        throw error
      }
    }
  }))
}

/** `bytes` fail the connection with `code`, and not before a ping in front of them is answered. */
async function isRefused(bytes, code, options) {
  const client = await Client.open(options)
  client.write(frame(PING, 'alive'), bytes)
  await client.hears(PONG, 'alive')
  await client.ends(code)
}

/** Says all of `say` and hears all of `hear`, pairs of opcode and payload; then both close. */
async function exchange(say, hear, options) {
  const client = await Client.open(options)
  client.write(say)
  for (const [op, payload] of hear) await client.hears(op, payload)
  client.write(closing(1000))
  await client.ends(1000)
}

// ---- RFC 6455 ----

const noise = (len) => randomBytes(len)
const words = (len) => 'Lorem ipsum – größer als 東京 🌌. '.repeat(len / 36 + 1).slice(0, len)

describe('frames', () => {
  const lengths = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 129, 255, 256, 65534, 65535, 65536, 65537, 200_000]

  test('of every length form come back, text as text and binary as binary', () =>
    each(lengths, (len) => {
      const bytes = noise(len)
      const text = 'x'.repeat(len)
      return exchange([frame(TEXT, text), frame(BINARY, bytes)], [[TEXT, text], [BINARY, bytes]])
    }))

  test('may be cut anywhere by the network', () =>
    each([1, 2, 3, 5, 7, 64, 997], async (size) => {
      const text = words(300)
      const bytes = noise(size < 5 ? 130 : 70_000)
      const all = Buffer.concat([frame(TEXT, text), frame(PING, 'ping'), frame(BINARY, bytes), frame(TEXT, '')])
      await exchange(pieces(all, size), [[TEXT, text], [PONG, 'ping'], [BINARY, bytes], [TEXT, '']])
    }))

  test('many in one packet are answered one by one and in order', () => {
    const texts = Array.from({ length: 3000 }, (_, i) => `message ${i}`)
    return exchange(Buffer.concat(texts.map((text) => frame(TEXT, text))), texts.map((text) => [TEXT, text]))
  })

  test('may have any mask, but must have one', async () => {
    for (const mask of ['00000000', 'ffffffff', '00ff00ff', '80000001', '01020304'])
      await exchange(frame(TEXT, 'masked', { mask: Buffer.from(mask, 'hex') }), [[TEXT, 'masked']])
    await each([TEXT, BINARY, PING, PONG, CLOSE], (op) => isRefused(frame(op, '', { mask: null }), 1002))
    await isRefused(frame(TEXT, 'not masked', { mask: null }), 1002)
  })

  test('with lengths that are not in their shortest form are refused', () =>
    each([[16, 0], [16, 125], [64, 0], [64, 126], [64, 65535]], ([form, len]) => isRefused(frame(BINARY, noise(len), { form }), 1002)))

  test('with reserved bits are refused, at their first byte', () =>
    each([1, 2, 3, 4, 5, 6, 7].flatMap((rsv) => [TEXT, BINARY, CONTINUE, CLOSE, PING, PONG].map((op) => [rsv, op])),
      ([rsv, op]) => isRefused(frame(op, '', { rsv }).subarray(0, 1), 1002)))

  test('with opcodes that mean nothing are refused, at their first byte', () =>
    each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((op) => [0, 1].map((fin) => [op, fin])),
      ([op, fin]) => isRefused(frame(op, 'x', { fin }).subarray(0, 1), 1002)))

  test('of the whole allowed length come back, and a claim beyond it is refused from the header', async () => {
    const bytes = noise(MESSAGE_MAX)
    const begin = Date.now()
    await exchange(frame(BINARY, bytes), [[BINARY, bytes]])
    assert.ok(Date.now() - begin < 5000)
    await each([MESSAGE_MAX + 1, 2n ** 31n, 2n ** 32n + 1n, 2n ** 63n - 1n], (claim) => isRefused(frame(BINARY, '', { claim, form: 64 }), 1009))
    await isRefused(frame(BINARY, '', { claim: 2n ** 63n, form: 64 }), 1002)
    await isRefused(frame(PING, '', { claim: 2n ** 40n, form: 64 }), 1002)
  })
})

describe('pings', () => {
  test('are answered with what they hold, of every length', () => {
    const all = Array.from({ length: 126 }, (_, len) => noise(len))
    return each(all, (bytes) => exchange(pieces(frame(PING, bytes), 40), [[PONG, bytes]]))
  })

  test('in a row are answered in order', () => {
    const all = Array.from({ length: 10 }, (_, i) => `ping ${i}`)
    return exchange(Buffer.concat(all.map((text) => frame(PING, text))), all.map((text) => [PONG, text]))
  })

  test('longer than 125 bytes or in fragments are refused, as are other such control frames', async () => {
    for (const op of [PING, PONG, CLOSE]) {
      await isRefused(frame(op, noise(126)), 1002)
      await isRefused(frame(op, noise(126)).subarray(0, 2), 1002)
      await isRefused(frame(op, '', { fin: 0 }), 1002)
    }
  })

  test('that nobody reads are answered at least with the newest', async () => {
    const client = await Client.open()
    client.socket.pause()
    client.write(Buffer.concat(Array.from({ length: 5000 }, (_, i) => frame(PING, `ping ${i}`))))
    await sleep(50)
    client.socket.resume()
    let last = -1
    while (last < 4999) {
      const { op, payload } = await client.message()
      const number = Number(String(payload).slice(5))
      assert.ok(op === PONG && number > last)
      last = number
    }
    client.dispose()
  })

  test('pongs that nobody asked for are passed over', () =>
    exchange([frame(PONG), frame(PONG, 'hello'), frame(PING, 'me'), frame(PONG, noise(125))], [[PONG, 'me']]))
})

describe('fragments', () => {
  test('grow together, however many bytes each of them has', () =>
    each([[1], [2], [3], [20, 0], [0, 30], [7, 1], [100, 1, 0], [1000]], async (sizes) => {
      const text = words(200)
      const bytes = noise(500)
      await exchange([fragments(TEXT, text, sizes), fragments(BINARY, bytes, sizes)], [[TEXT, text], [BINARY, bytes]])
    }))

  test('may have control frames between them, which are answered at once', async () => {
    const client = await Client.open()
    client.write(frame(TEXT, 'one ', { fin: 0 }), frame(PING, 'now'))
    await client.hears(PONG, 'now')
    client.write(frame(CONTINUE, 'two ', { fin: 0 }), frame(PONG, 'x'), frame(PING, 'again'))
    await client.hears(PONG, 'again')
    client.write(frame(CONTINUE, 'three'))
    await client.hears(TEXT, 'one two three')
    client.write(closing(1000))
    await client.ends(1000)
  })

  test('in a wrong order are refused', () => {
    const begun = frame(TEXT, 'begun', { fin: 0 })
    const wrong = [
      [frame(CONTINUE, 'x')], [frame(CONTINUE, 'x', { fin: 0 })], [frame(CONTINUE, '')],
      [begun, frame(TEXT, 'x')], [begun, frame(BINARY, 'x')], [begun, frame(TEXT, '', { fin: 0 })],
      [frame(TEXT, 'whole', { fin: 0 }), frame(CONTINUE, ''), frame(CONTINUE, 'x')],
    ]
    return each(wrong, async (frames) => {
      const client = await Client.open()
      client.write(frames)
      const whole = frames.length === 3
      if (whole) await client.hears(TEXT, 'whole')
      await client.ends(1002)
    })
  })

  test('that are empty are counted', async () => {
    const empty = (count) => Buffer.concat([frame(TEXT, 'a', { fin: 0 }), ...Array.from({ length: count }, () => frame(CONTINUE, '', { fin: 0 }))])
    await exchange([empty(32), frame(CONTINUE, 'b')], [[TEXT, 'ab']])
    await isRefused(empty(33), 1008)
  })

  test('together may not be longer than a message, and the one too many is refused from its header', async () => {
    const half = noise(MESSAGE_MAX / 2)
    const begun = Buffer.concat([frame(BINARY, half, { fin: 0 }), frame(CONTINUE, half.subarray(1), { fin: 0 })])
    await isRefused([begun, frame(CONTINUE, '', { claim: 2, form: 7 })], 1009)
    await exchange([begun, frame(CONTINUE, 'z')], [[BINARY, Buffer.concat([half, half.subarray(1), Buffer.from('z')])]])
  })
})

describe('text', () => {
  const isValid = (bytes) => {
    try {
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      return true
    } catch {
      return false
    }
  }
  // Both sides of each border of RFC 3629's table.
  const borders = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]
  const tails = [[], [0x80], [0xbf], [0x80, 0x80], [0xbf, 0xbf], [0x80, 0xbf, 0xbf], [0x7f], [0x80, 0xc0]]
  const all = borders.flatMap((first) => [[first], ...borders.flatMap((second) => tails.map((tail) => [first, second, ...tail]))]).map((bytes) => Buffer.from(bytes))
  const valid = all.filter(isValid)
  const invalid = all.filter((bytes) => !isValid(bytes))

  test(`that is valid comes back: ${valid.length} sequences, and each cut at every byte`, async () => {
    const client = await Client.open()
    for (const bytes of valid) {
      client.write(frame(TEXT, bytes))
      for (let cut = 0; cut <= bytes.length; cut++) client.write(fragments(TEXT, bytes, [cut, bytes.length]))
      client.write(fragments(TEXT, bytes, [1]))
    }
    for (const bytes of valid) {
      for (let count = bytes.length + 3; count > 0; count--) await client.hears(TEXT, bytes)
    }
    client.write(closing(1000))
    await client.ends(1000)
  })

  // Every fifth one here; tests/unit/codec has them all.
  const some = invalid.filter((_, i) => i % 5 === 0)
  test(`that is not valid is refused: ${some.length} sequences, whole and in frames of one byte`, () =>
    each(some.flatMap((bytes) => [frame(TEXT, bytes), fragments(TEXT, bytes, [1])]), (frames) => isRefused(frames, 1007)))

  test('is judged over the borders of frames and of packets', async () => {
    const text = 'κόσμε – 🌌 \u{10ffff}\u{fffd}\u{0}'
    const bytes = Buffer.from(text)
    const client = await Client.open()
    for (let cut = 0; cut <= bytes.length; cut++) {
      client.write(fragments(TEXT, bytes, [cut, bytes.length]))
      await client.hears(TEXT, text)
    }
    for (const piece of pieces(frame(TEXT, text), 1)) client.write(piece)
    await client.hears(TEXT, text)
    client.dispose()
  })

  test('is refused at the byte that is wrong, not at the end of the message', () =>
    each(['ff', 'c0', 'eda0', 'e080', 'f490', 'f08f', 'c328', '80', 'f5', 'e28228'].flatMap((hex) => ['', 'long '.repeat(40)].map((head) => [head, hex])), async ([head, hex]) => {
      const bad = Buffer.concat([Buffer.from(head), Buffer.from(hex, 'hex')])
      const client = await Client.open()
      client.write(frame(TEXT, bad, { claim: 5000, form: 16 })) // the frame promises more
      await client.ends(1007)
    }))

  test('that ends inside of a character is refused at the end', () =>
    each(['c3', 'e282', 'f09f8c', 'f0'], (hex) => isRefused(frame(TEXT, Buffer.from(hex, 'hex')), 1007)))

  test('is not asked of binary messages', () => exchange(frame(BINARY, Buffer.from('fffec080', 'hex')), [[BINARY, Buffer.from('fffec080', 'hex')]]))
})

describe('closing', () => {
  const good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
  const bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]

  test('with a code that may be sent is answered with it', () => each(good, async (code) => {
    const client = await Client.open()
    client.write(closing(code, 'because'))
    await client.ends(code)
  }))
  test('with a code that may not be sent is refused', () => each(bad, (code) => isRefused(closing(code), 1002)))
  test('without a code is answered without one', async () => {
    const client = await Client.open()
    client.write(frame(CLOSE))
    await client.ends(null)
  })
  test('with half a code is refused', () => isRefused(frame(CLOSE, 'x'), 1002))
  test('may give a reason of 123 bytes, which must be text', async () => {
    const client = await Client.open()
    client.write(closing(1000, words(100).slice(0, 80)))
    await client.ends(1000)
    await isRefused(closing(1000, Buffer.from('reason \xff', 'latin1')), 1007)
    await isRefused(closing(1000, Buffer.from([0xe2, 0x82])), 1007)
    await isRefused(closing(1000, 'x'.repeat(124)), 1002)
    const long = await Client.open()
    long.write(closing(1000, 'x'.repeat(123)))
    await long.ends(1000)
  })
  test('ends it: what comes behind is not read', async () => {
    const client = await Client.open()
    client.write(Buffer.concat([frame(TEXT, 'before'), closing(1000), frame(TEXT, 'behind'), frame(PING, 'behind'), closing(1001), frame(15)]))
    await client.hears(TEXT, 'before')
    await client.ends(1000)
  })
  test('in the midst of a message leaves the message behind', async () => {
    const client = await Client.open()
    client.write(Buffer.concat([fragments(TEXT, 'a message', [3]).subarray(0, 9), closing(1001)]))
    await client.ends(1001)
  })
  test('waits until a large answer has been written', async () => {
    const bytes = noise(1 << 20)
    const client = await Client.open()
    client.write(Buffer.concat([frame(BINARY, bytes), closing(1000)]))
    await client.hears(BINARY, bytes)
    await client.ends(1000)
  })
  test('without a Close leaves the server as it was', async () => {
    for (let i = 0; i < 20; i++) {
      const client = await Client.open()
      client.write(frame(TEXT, 'half', { fin: 0 }))
      client.dispose()
    }
    await exchange(frame(TEXT, 'still there'), [[TEXT, 'still there']])
  })
})

// ---- RFC 7692 ----

const D = 'permessage-deflate'
const [SERVER_NO, CLIENT_NO] = ['; server_no_context_takeover', '; client_no_context_takeover']
const [SERVER_BITS, CLIENT_BITS] = ['; server_max_window_bits', '; client_max_window_bits']

/** One direction of compression: packs or unpacks a message at a time. */
class Stream {
  #make
  #stream = null
  #keeps

  constructor(make, keeps) {
    this.#make = make
    this.#keeps = keeps
  }

  async run(bytes) {
    if (!this.#keeps) this.close()
    this.#stream ??= this.#make()
    const stream = this.#stream
    const out = []
    const hear = (piece) => out.push(piece)
    stream.on('data', hear)
    try {
      await new Promise((resolve, reject) => {
        stream.once('error', reject)
        stream.write(bytes)
        stream.flush(constants.Z_SYNC_FLUSH, () => (stream.off('error', reject), resolve()))
      })
    } finally {
      stream.off('data', hear)
    }
    return Buffer.concat(out)
  }

  close() {
    this.#stream?.close()
    this.#stream = null
  }
}

/** A client that packs and unpacks by what the server answered. */
async function packing(offer, { level = 6 } = {}) {
  const client = await Client.open({ offer })
  const says = (name) => new RegExp(`${name}(=(\\d+))?(;|$)`).exec(client.extension)
  const bits = (name) => Number(says(name)?.[2] ?? 15)
  assert.match(client.extension, /^permessage-deflate(;|$)/)
  const pack = new Stream(() => createDeflateRaw({ level, windowBits: Math.max(9, bits('client_max_window_bits')) }), !says('client_no_context_takeover'))
  // Exactly the window that was agreed on: a reference beyond it is an error.
  const unpack = new Stream(() => createInflateRaw({ windowBits: bits('server_max_window_bits') }), !says('server_no_context_takeover'))
  return Object.assign(client, {
    async pack(payload) {
      const bytes = await pack.run(Buffer.from(payload))
      assert.equal(bytes.toString('hex', bytes.length - 4), '0000ffff')
      return bytes.subarray(0, -4)
    },
    async hearsPacked(op, payload) {
      const got = await this.message()
      assert.ok(got !== null && got.op === op && (got.rsv === 4 || got.rsv === 0), `got ${got?.op} ${got?.rsv}`)
      const bytes = got.rsv === 0 ? got.payload : await unpack.run(Buffer.concat([got.payload, Buffer.from('0000ffff', 'hex')]))
      assert.ok(bytes.equals(Buffer.from(payload)), `${bytes.length} bytes came for ${Buffer.byteLength(payload)}`)
      return got
    },
    finish() {
      pack.close()
      unpack.close()
      this.dispose()
    },
  })
}

/** A message of one stream without a window. */
const packed = (bytes) => deflateRawSync(Buffer.from(bytes), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
const isRefusedPacked = (frames, code) => isRefused(frames, code, { offer: D })

describe('offers of compression', () => {
  const answers = [
    [undefined, ''],
    [D, D],
    [D + CLIENT_BITS, D],
    [D + CLIENT_BITS + '=10', D + CLIENT_BITS + '=10'],
    [D + CLIENT_BITS + '=8', D + CLIENT_BITS + '=8'],
    [D + SERVER_BITS + '=9', D + SERVER_BITS + '=9'],
    [D + SERVER_BITS + '="12"', D + SERVER_BITS + '=12'],
    [D + SERVER_NO + CLIENT_NO, D + SERVER_NO + CLIENT_NO],
    [`PERMESSAGE-DEFLATE ;${SERVER_NO.slice(1)}`, D + SERVER_NO],
    [`foo, ${D}; bar, ${D}${SERVER_BITS}=10, ${D}`, D + SERVER_BITS + '=10'],
    [['foo; a="b"', D + SERVER_NO], D + SERVER_NO],
    [D + SERVER_BITS + '=8', ''], // what zlib cannot do is declined
    ...['=7', '=16', '=08', '', '=x', '=10' + SERVER_BITS + '=10'].map((value) => [D + SERVER_BITS + value, '']),
    ...['=7', '=16', '=015', CLIENT_BITS].map((value) => [D + CLIENT_BITS + value, '']),
    [D + SERVER_NO + '=1', ''],
    [D + SERVER_NO + SERVER_NO, ''],
    [D + '; unknown', ''],
    ['x-webkit-deflate-frame', ''],
  ]

  test('are answered as the RFC says', () => each(answers, async ([offer, answer]) => {
    const client = await Client.open({ offer })
    assert.equal(client.extension, answer)
    client.write(frame(TEXT, 'works'), closing(1000))
    await client.hears(TEXT, 'works')
    await client.ends(1000)
  }))

  const malformed = [D + ';', D + '; =9', D + SERVER_BITS + '=', D + SERVER_BITS + '="9', D + SERVER_BITS + '=""', `${D}, (`, `"${D}"`,
    `${D} ${D}`, Array(17).fill('x').join(), D + ';x'.repeat(17), `${D}; x="a,b"`]
  test('that cannot be read fail the handshake', () => each(malformed, async (offer) => {
    const client = await Client.open({ offer })
    assert.match(client.head, /^HTTP\/1.1 400 /)
    client.dispose()
  }))

  test('are not taken up elsewhere, and the echo is not served unless asked for', async () => {
    const plain = await Client.open({ offer: D, path: '/socket/websocket?vsn=2.0.0' })
    assert.match(plain.head, /^HTTP\/1.1 101 /)
    assert.equal(plain.extension, '')
    plain.dispose()
    const page = await Client.open({ headers: 'Origin: http://evil.example\r\n' })
    assert.match(page.head, /^HTTP\/1.1 403 /)
    page.dispose()
    const other = await serve()
    const none = await Client.open({ port: other.port })
    assert.match(none.head, /^HTTP\/1.1 404 /)
    none.dispose()
    await end(other)
  })
})

describe('packed messages', () => {
  // RFC 7692 §7.2.3: what one text may look like.
  const hellos = {
    'one block': ['f248cdc9c90700'],
    'no compression': ['000500faff48656c6c6f00'],
    'a block that says that it is the last': ['f348cdc9c9070000'],
    'the same, and nothing behind it': ['f348cdc9c90700'],
    'two blocks': ['f248050000' + '00ffffcac9c90700'],
    'two fragments': ['f248cd', 'c9c90700'],
    'fragments of one byte': ['f2', '48', 'cd', 'c9', 'c9', '07', '00'],
    'fragments with empty ones': ['', 'f248cd', '', 'c9c90700', ''],
  }
  for (const [name, parts] of Object.entries(hellos)) {
    test(`are understood: ${name}`, async () => {
      const client = await Client.open({ offer: D })
      for (let again = 0; again < 3; again++) {
        parts.forEach((hex, i) => client.write(
          frame(i === 0 ? TEXT : CONTINUE, Buffer.from(hex, 'hex'), { rsv: i === 0 ? 4 : 0, fin: i === parts.length - 1 ? 1 : 0 }), frame(PING, 'between')))
        for (let i = 1; i < parts.length; i++) await client.hears(PONG, 'between')
        await client.hears(TEXT, 'Hello')
        await client.hears(PONG, 'between')
      }
      client.dispose()
    })
  }

  test('may be empty, and may stand beside others that are not packed', async () => {
    const client = await Client.open({ offer: D })
    const [first, second] = ['f248cdc9c90700', 'f200110000'].map((hex) => frame(TEXT, Buffer.from(hex, 'hex'), { rsv: 4 }))
    client.write(frame(TEXT, Buffer.from([0]), { rsv: 4 }), first, frame(BINARY, 'plain'), frame(TEXT, Buffer.from([0]), { rsv: 4 }), second)
    for (const [op, text] of [[TEXT, ''], [TEXT, 'Hello'], [BINARY, 'plain'], [TEXT, ''], [TEXT, 'Hello']]) await client.hears(op, text)
    client.dispose()
  })

  const offers = ['', SERVER_NO, CLIENT_NO, SERVER_NO + CLIENT_NO].flatMap((no) => ['', CLIENT_BITS, SERVER_BITS + '=9', SERVER_BITS + '=15',
    CLIENT_BITS + '=9', CLIENT_BITS + '=8', CLIENT_BITS + '=12' + SERVER_BITS + '=11'].map((bits) => D + no + bits))
  const kinds = {
    text: (i) => JSON.stringify({ number: i, text: words(50 + ((i * 977) % 4000)), again: words(300) }),
    noise: (i) => noise((i * 331) % 3000),
    both: (i) => Buffer.concat([noise(200), Buffer.from(words(2000)), noise(i * 10)]),
    large: (i) => Buffer.concat([noise(60_000), Buffer.from(words(60_000 + i))]),
  }
  test(`come back whatever was agreed on: ${offers.length} sets of parameters`, () => each(offers, async (offer) => {
    for (const [kind, make] of Object.entries(kinds)) {
      const client = await packing(offer)
      const count = kind === 'large' ? 2 : 12
      const sent = []
      for (let i = 0; i < count; i++) {
        const payload = Buffer.from(make(i))
        const op = kind === 'text' ? TEXT : BINARY
        sent.push([op, payload])
        client.write(fragments(op, await client.pack(payload), [[1 << 20], [100], [1000, 0, 1]][i % 3], { rsv: 4 }))
      }
      for (const [op, payload] of sent) await client.hearsPacked(op, payload)
      client.finish()
    }
  }))

  test('use the window of the message before exactly where that was agreed on', async () => {
    for (const [no, keeps] of [['', true], [SERVER_NO, false]]) {
      const client = await packing(D + no)
      const text = noise(1500).toString('base64')
      const sizes = []
      for (let i = 0; i < 2; i++) {
        client.write(frame(TEXT, await client.pack(text), { rsv: 4 }))
        sizes.push((await client.hearsPacked(TEXT, text)).payload.length)
      }
      assert.equal(sizes[1] < sizes[0] / 10, keeps, `${sizes}`)
      client.finish()
    }
  })

  test('refer to the message before only where that was agreed on', async () => {
    const [first, second] = ['f248cdc9c90700', 'f200110000'].map((hex) => frame(TEXT, Buffer.from(hex, 'hex'), { rsv: 4 }))
    const client = await Client.open({ offer: D + CLIENT_NO })
    client.write(first, second)
    await client.hears(TEXT, 'Hello')
    await client.ends(1007)
  })

  test('with reserved bits in a wrong place are refused', async () => {
    const begun = frame(TEXT, Buffer.from('f248cd', 'hex'), { rsv: 4, fin: 0 })
    const wrong = [
      ...[1, 2, 3, 5, 6, 7].map((rsv) => frame(TEXT, '', { rsv })),
      ...[PING, PONG, CLOSE].map((op) => frame(op, '', { rsv: 4 })),
      [begun, frame(CONTINUE, '', { rsv: 4 })],
      [begun, frame(PING, '', { rsv: 4 })],
      [frame(TEXT, 'x', { fin: 0 }), frame(CONTINUE, '', { rsv: 4 })],
      [begun, frame(TEXT, '')],
    ]
    await each(wrong, (frames) => isRefusedPacked(frames, 1002))
  })

  test('that cannot be unpacked are refused', () =>
    each(['06', '000500fbff', 'f200110000', 'ff'], (hex) => isRefusedPacked(frame(BINARY, Buffer.from(hex, 'hex'), { rsv: 4 }), 1007)))

  test('are text only if what they become is', async () => {
    const bad = Buffer.from('caf\xe9 au lait', 'latin1')
    await isRefusedPacked(frame(TEXT, packed(bad), { rsv: 4 }), 1007)
    await isRefusedPacked(fragments(TEXT, packed(bad), [1], { rsv: 4 }), 1007)
    await isRefusedPacked(frame(TEXT, packed(Buffer.from([0x61, 0xc3])), { rsv: 4 }), 1007)
    const client = await Client.open({ offer: D })
    client.write(frame(BINARY, packed(bad), { rsv: 4 }))
    await client.hears(BINARY, bad)
    for (let cut = 1; cut < 30; cut++) client.write(fragments(TEXT, packed('größer als 東京 🌌'), [cut], { rsv: 4 }))
    for (let cut = 1; cut < 30; cut++) await client.hears(TEXT, 'größer als 東京 🌌')
    client.dispose()
    // A stored block that promises 4096 bytes, and a bad one among the first: refused before the rest comes.
    const early = Buffer.concat([Buffer.from([0x00, 0x00, 0x10, 0xff, 0xef]), Buffer.from('good'), Buffer.from([0xff])])
    await isRefusedPacked(frame(TEXT, early, { rsv: 4, claim: 4101, form: 16 }), 1007)
  })
})

describe('bombs', () => {
  const zeros = (len) => packed(Buffer.alloc(len))

  test('are refused where they would become more than 64 KB and a hundred times what came', async () => {
    await isRefusedPacked(frame(BINARY, zeros(65537), { rsv: 4 }), 1009)
    await isRefusedPacked(frame(BINARY, zeros(1 << 20), { rsv: 4 }), 1009)
    await isRefusedPacked(fragments(BINARY, zeros(1 << 20), [10], { rsv: 4 }), 1009)
    const client = await Client.open({ offer: D + SERVER_NO })
    const large = Buffer.concat([noise(20_000), Buffer.alloc(1_800_000)]) // ninety times
    client.write(frame(BINARY, zeros(65536), { rsv: 4 }), frame(BINARY, packed(large), { rsv: 4 }))
    assert.equal((await client.message()).op, BINARY)
    assert.equal((await client.message()).op, BINARY)
    client.write(closing(1000))
    await client.ends(1000)
  })

  test('are refused where they would become more than a message may', async () => {
    const much = Buffer.concat([noise(400_000), Buffer.alloc(MESSAGE_MAX - 400_000)])
    const client = await packing(D + SERVER_NO)
    client.write(frame(BINARY, packed(much), { rsv: 4 }))
    await client.hearsPacked(BINARY, much)
    client.finish()
    await isRefusedPacked(frame(BINARY, packed(Buffer.concat([much, Buffer.alloc(1)])), { rsv: 4 }), 1009)
    await isRefusedPacked(frame(BINARY, '', { rsv: 4, claim: 2n ** 40n, form: 64 }), 1009)
  })

  test('cost no memory', async () => {
    const bomb = zeros(64 << 20)
    const before = peakOfWorker()
    await each(Array(20).fill(0), () => isRefusedPacked(frame(BINARY, bomb, { rsv: 4 }), 1009))
    assert.ok(peakOfWorker() - before < 16 << 20)
  })

  test('of blocks that become nothing end too', async () => {
    const client = await Client.open({ offer: D })
    const block = Buffer.from('000000ffff', 'hex')
    const empties = Buffer.concat(Array(200_000).fill(block))
    client.write(frame(BINARY, empties, { rsv: 4, fin: 0 }))
    for (let i = 0; i < 20; i++) client.write(frame(CONTINUE, empties, { fin: 0 }))
    await client.ends(1009)
  })
})

// ---- both ----

describe('a client that does not read', () => {
  test('is slowed down, and gets everything in the end', async () => {
    const [size, count] = [1 << 20, 64]
    const bytes = noise(size)
    const before = peakOfWorker()
    const client = await Client.open()
    client.socket.pause()
    const one = frame(BINARY, bytes)
    for (let i = 0; i < count; i++) client.write(one)
    await sleep(400)
    const taken = client.socket.bytesWritten - client.socket.writableLength
    assert.ok(taken < 48 << 20, `the server took ${taken >> 20} MB`)
    assert.ok(peakOfWorker() - before < 96 << 20)
    client.socket.resume()
    for (let i = 0; i < count; i++) await client.hears(BINARY, bytes)
    client.dispose()
  })

  test('is slowed down also where few bytes become many', async () => {
    const client = await Client.open({ offer: D + SERVER_NO + CLIENT_NO })
    const bytes = Buffer.concat([noise(30), Buffer.alloc(60_000)])
    const one = frame(BINARY, packed(bytes), { rsv: 4 })
    const count = 1000
    client.write(Buffer.concat(Array(count).fill(one)))
    for (let i = 0; i < count; i++) assert.equal((await client.message()).op, BINARY)
    client.write(closing(1000))
    await client.ends(1000)
  })
})
