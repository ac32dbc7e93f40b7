// tests/vectors/wasm.test.mjs -- the cases of tests/vectors/ through WebAssembly.
//
//   node --test tests/vectors/wasm.test.mjs         after `ninja -C build/wasm`
//
// Goal: the same bytes in a browser as natively. Method: the unit tests in C run these files over the
// native build; here laniakea-vectors.wasm, made of the same sources, gets the same cases. And what
// exists in WebAssembly only is looked at: memory functions, allocator, panics, imports.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { defEntries } from '../../tools/lib.mjs'

const at = (path) => new URL(`../../${path}`, import.meta.url)
const vectors = (name) => JSON.parse(readFileSync(at(`tests/vectors/${name}.json`), 'utf8'))
const module = new WebAssembly.Module(readFileSync(at('build/laniakea-vectors.wasm')))
const operations = Object.fromEntries(
  defEntries(readFileSync(at('wasm/vectors.def'), 'utf8')).map(({ args: [name, number] }) => [name, Number(number)]),
)
const errors = new Map(
  defEntries(readFileSync(at('src/base/errors.def'), 'utf8')).map(({ args: [name, number] }) => [Number(number), `LK_ERR_${name}`]),
)

function instantiate() {
  const { exports } = new WebAssembly.Instance(module)

  /** The result's bytes, or the name of the error. */
  function run(operation, ...parts) {
    const bytes = Buffer.concat(parts.flatMap((part) => {
      const body = Buffer.from(part)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(body.length)
      return [length, body]
    }))
    const scratch = exports.scratch(bytes.length)
    new Uint8Array(exports.memory.buffer).set(bytes, scratch)
    const result = exports.vector(operations[operation], bytes.length)
    if (result !== 0) return errors.get(result) ?? `error ${result}`
    return Buffer.from(exports.memory.buffer, exports.out_ptr(), exports.out_len()).subarray()
  }
  const text = (address) => {
    const memory = Buffer.from(exports.memory.buffer)
    return memory.toString('utf8', address, memory.indexOf(0, address))
  }
  return { exports, run, text }
}

const { run, exports } = instantiate()
const fromHex = (hex) => Buffer.from(hex, 'hex')
const hexOf = (result) => (Buffer.isBuffer(result) ? result.toString('hex') : result)
const textOf = (result) => (Buffer.isBuffer(result) ? result.toString('utf8') : result)

test('neither module wants anything of its host', () => {
  assert.deepEqual(WebAssembly.Module.imports(module), [])
  assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(at('build/laniakea.wasm')))), [])
})

test('laniakea.wasm exports what wasm/exports.def says, and its memory', () => {
  const product = new WebAssembly.Module(readFileSync(at('build/laniakea.wasm')))
  const names = defEntries(readFileSync(at('wasm/exports.def'), 'utf8')).filter(({ macro }) => macro === 'EXPORT').map(({ args }) => args[0])
  assert.deepEqual(WebAssembly.Module.exports(product).map(({ name }) => name).sort(), ['memory', ...names].sort())
})

// What abi/wasm-doc-imports.txt says in full: the gate compares types as well.
const wanted = { doc: ['host.now', 'host.print_number', 'host.read_number', 'host.tell'], update: [] }

for (const part of ['doc', 'update']) {
  test(`laniakea-${part}.wasm wants ${wanted[part].join(' and ') || 'nothing'}, and exports what wasm/${part}.def says and what all modules have`, () => {
    const product = new WebAssembly.Module(readFileSync(at(`build/laniakea-${part}.wasm`)))
    const namesOf = (path) => defEntries(readFileSync(at(path), 'utf8')).filter(({ macro }) => macro === 'EXPORT').map(({ args }) => args[0])
    const shared = namesOf('wasm/exports.def').filter((name) => !/^(peer|crdt)_/.test(name))
    assert.deepEqual(WebAssembly.Module.imports(product).map(({ module, name }) => `${module}.${name}`).sort(), wanted[part])
    assert.deepEqual(WebAssembly.Module.exports(product).map(({ name }) => name).sort(), ['memory', ...shared, ...namesOf(`wasm/${part}.def`)].sort())
  })
}

// ---- crypto ----

const message = ({ message, repeat = 1 }) => fromHex(message.repeat(repeat))

for (const [name, cases] of Object.entries(vectors('crypto'))) {
  const check = {
    sha1: (c) => assert.equal(hexOf(run('sha1', message(c))), c.digest),
    sha256: (c) => assert.equal(hexOf(run('sha256', message(c))), c.digest),
    hmac_sha256: (c) => assert.equal(hexOf(run('hmac_sha256', fromHex(c.key), message(c))).slice(0, c.mac.length), c.mac),
    hkdf_sha256: (c) => {
      const result = run('hkdf_sha256', fromHex(c.salt), fromHex(c.material), fromHex(c.info), `${c.okm.length / 2}`)
      assert.equal(hexOf(result), c.prk + c.okm)
    },
    pbkdf2_sha256: (c) => {
      const result = run('pbkdf2_sha256', fromHex(c.password), fromHex(c.salt), `${c.iterations}`, `${c.key.length / 2}`)
      assert.equal(hexOf(result), c.key)
    },
  }[name]
  if (!check) continue // the portable provider has no such thing
  test(`crypto.json: ${name}`, () => cases.forEach(check))
}

// ---- tokens ----

test('phoenix_token.json: keys, genuine tokens, and their refusals', () => {
  const { keys, signed, results } = vectors('phoenix_token')
  const [{ secret, salt }] = keys
  for (const c of keys) assert.equal(hexOf(run('phoenix_derive', c.secret, c.salt, `${c.iterations}`, `${c.digest}`)), c.key)
  for (const c of signed) assert.equal(textOf(run('phoenix_verify', secret, salt, c.token, '1700000000000')), c.json, c.name)
  for (const c of results) assert.equal(textOf(run('phoenix_verify', secret, c.salt, c.token, `${c.now}`)), c.error ?? c.json, c.name)
})

// ---- lib0 ----

const lib0 = vectors('lib0')
const signed = ({ magnitude, negative }) => (negative ? '-' : '') + magnitude
const encoded = (name, value, c) => c.canonical !== false && assert.equal(hexOf(run(name, value)), c.hex)

test('lib0.json: integers of variable length', () => {
  for (const c of lib0.varuint) {
    assert.equal(textOf(run('varuint_decode', fromHex(c.hex))), String(c.value))
    encoded('varuint_encode', String(c.value), c)
  }
  for (const c of lib0.varint) {
    assert.equal(textOf(run('varint_decode', fromHex(c.hex))), signed(c))
    encoded('varint_encode', signed(c), c)
  }
})

test('lib0.json: strings and byte arrays', () => {
  for (const c of lib0.string) {
    assert.equal(hexOf(run('string_decode', fromHex(c.hex))), c.text)
    encoded('string_encode', fromHex(c.text), c)
  }
  for (const c of lib0.bytes) {
    assert.equal(hexOf(run('bytes_decode', fromHex(c.hex))), c.bytes)
    encoded('bytes_encode', fromHex(c.bytes), c)
  }
})

test('lib0.json: values of any type', () => {
  for (const c of lib0.any) {
    assert.equal(textOf(run('any_items', fromHex(c.hex))), c.items)
    if (c.canonical) assert.equal(hexOf(run('any_recode', fromHex(c.hex))), c.hex)
  }
})

test('lib0.json: columns of numbers', () => {
  for (const c of lib0.columns.filter(({ kind }) => kind !== 'text')) {
    assert.equal(hexOf(run('column_encode', c.kind, String(c.start), c.values.join(' '))), c.hex, JSON.stringify(c))
    const decoded = run('column_decode', c.kind, String(c.start), fromHex(c.hex), String(c.values.length))
    assert.equal(textOf(decoded), c.values.map((value) => `${value} `).join(''), JSON.stringify(c))
  }
})

test('lib0.json: what is refused', () => {
  const operation = { varuint: 'varuint_decode', varint: 'varint_decode', string: 'string_decode', bytes: 'bytes_decode', any: 'any_items' }
  for (const c of lib0.refused.filter(({ kind }) => operation[kind])) {
    assert.match(run(operation[c.kind], fromHex(c.hex)).toString(), /^LK_ERR_/, JSON.stringify(c))
  }
})

// ---- text and numbers ----

test('utf.json: UTF-8 and UTF-16', () => {
  const { decode, encode, split } = vectors('utf')
  for (const c of decode) assert.equal(hexOf(run('utf8_to_utf16', fromHex(c.hex))), c.utf16 ?? 'LK_ERR_UTF8')
  for (const c of encode) assert.equal(hexOf(run('utf16_to_utf8', fromHex(c.utf16))), c.hex)
  for (const c of split) assert.equal(hexOf(run('utf8_split', fromHex(c.text), String(c.index))), `${c.left}ff${c.right}`)
})

test('double.json: doubles printed and read', () => {
  const { print, parse } = vectors('double')
  for (const [bits, text] of print) assert.equal(textOf(run('f64_print', fromHex(bits))), text)
  for (const [text, bits] of parse) assert.equal(hexOf(run('f64_parse', text)), bits, text)
})

test('json.json: texts and what a writer makes of them', () => {
  for (const c of vectors('json').cases) {
    const text = Buffer.concat([fromHex(c.hex.repeat(c.repeat ?? 1)), fromHex(c.then ?? '')])
    assert.equal(textOf(run('json_canonical', text)), c.canonical ?? c.expect, c.name)
  }
})

test('jcs.json: the canonical form of texts, and why others have none', () => {
  const { canonical, refused } = vectors('jcs')
  for (const c of canonical) assert.equal(textOf(run('json_jcs', c.text)), c.canonical, c.text)
  for (const c of canonical) assert.equal(textOf(run('json_jcs', c.canonical)), c.canonical)
  for (const c of refused) assert.equal(textOf(run('json_jcs', c.text)), c.error, c.text)
})

test('base64, hex and CRC-32C agree with what Node and RFC 3720 say', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 151 + length) & 255))
    assert.equal(textOf(run('base64_encode', bytes)), bytes.toString('base64'))
    assert.equal(hexOf(run('base64_decode', bytes.toString('base64'))), bytes.toString('hex'))
    assert.equal(textOf(run('hex_encode', bytes)), bytes.toString('hex'))
    assert.equal(hexOf(run('hex_decode', bytes.toString('hex'))), bytes.toString('hex'))
  }
  assert.equal(run('hex_decode', '0g'), 'LK_ERR_SYNTAX')
  assert.equal(hexOf(run('crc32c', Buffer.alloc(32))), '8a9136aa')
  assert.equal(hexOf(run('crc32c', Buffer.alloc(32, 255))), '62a8ab43')
})

// ---- what only WebAssembly has ----

/* Goal: overlapping moves in both directions and every small length. Method: against Buffer's own. */
test('bytes are moved within each other as Buffer.copyWithin moves them', () => {
  const bytes = Buffer.from(Array.from({ length: 40 }, (_, i) => i + 1))
  for (let to = 0; to < 24; to += 3) {
    for (let from = 0; from < 24; from += 5) {
      for (let length = 0; length <= 16; length++) {
        const expected = Buffer.from(bytes).copyWithin(to, from, from + length)
        assert.equal(hexOf(run('mem_move', bytes, `${to}`, `${from}`, `${length}`)), expected.toString('hex'))
      }
    }
  }
})

test('bytes compare as Buffer.compare says, wherever they differ', () => {
  for (let length = 0; length <= 20; length++) {
    const same = Buffer.alloc(length, 7)
    assert.equal(textOf(run('mem_compare', same, same)), '0')
    for (let place = 0; place < length; place++) {
      const other = Buffer.from(same)
      other[place] = place % 2 ? 255 : 0
      // A later byte says the opposite and must not count.
      if (place + 1 < length) other[length - 1] = place % 2 ? 0 : 255
      assert.equal(textOf(run('mem_compare', same, other)), String(Buffer.compare(same, other)))
    }
  }
})

test('a failed assertion traps, and says where', () => {
  const { run, exports, text } = instantiate()
  assert.equal(exports.panic_line(), 0)
  assert.throws(() => run('panic', ''), WebAssembly.RuntimeError)
  assert.equal(text(exports.panic_file()), 'wasm/vectors.c')
  assert.match(text(exports.panic_expr()), /parts\[0\]\.len > 0/)
  assert.ok(exports.panic_line() > 0)
})

test('memory runs out with an error, and what was freed serves again', () => {
  const { run, exports } = instantiate()
  assert.equal(run('allocate', String(1 << 30)), 'LK_ERR_NOMEM')
  assert.equal(textOf(run('allocate', String(200 << 20))), '9')
  const { byteLength } = exports.memory.buffer
  for (let i = 0; i < 20; i++) assert.equal(textOf(run('allocate', String((200 << 20) - i * 99_999))), '9')
  assert.equal(exports.memory.buffer.byteLength, byteLength)
})

test('an operation leaves nothing allocated but scratch and result', () => {
  run('json_canonical', '[1]')
  const before = exports.memory_used()
  for (let i = 0; i < 50; i++) {
    run('json_canonical', `{"a":["${'x'.repeat(50)}\\n",${i}]}`)
    run('utf8_to_utf16', 'é'.repeat(50))
  }
  run('json_canonical', '[1]')
  assert.equal(exports.memory_used(), before)
})
