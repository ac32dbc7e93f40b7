// The primitives of the wire, beside those of lib0, which y-protocols is made of.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { fromBase64, message, readerOf, toBase64, undress } from '../src/internal/bytes.ts'

const LENGTHS = [0, 1, 127, 128, 129, 16_383, 16_384, 100_000]
const bytesOf = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, i) => (i * 31) & 255)

test('messages are what lib0 makes of the same numbers and bytes', () => {
  for (const length of LENGTHS) {
    const body = bytesOf(length)
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    encoding.writeVarUint(encoder, 2)
    encoding.writeVarUint8Array(encoder, body)
    assert.deepEqual(message([0, 2], body), encoding.toUint8Array(encoder))
  }
  assert.deepEqual(message([3]), Uint8Array.of(3))
})

test('what lib0 writes is read, and what is cut short is not', () => {
  for (const length of LENGTHS) {
    for (const number of [0, 1, 127, 128, 300, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]) {
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, number)
      encoding.writeVarUint8Array(encoder, bytesOf(length))
      const whole = encoding.toUint8Array(encoder)
      const reader = readerOf(whole)
      assert.equal(reader.number(), number)
      assert.deepEqual(reader.bytes(), bytesOf(length))
      assert.equal(reader.hasMore, false)
      const cut = readerOf(whole.subarray(0, whole.length - 1))
      assert.throws(() => [cut.number(), cut.bytes()], RangeError)
    }
  }
  assert.throws(() => readerOf(Uint8Array.of(...new Uint8Array(12).fill(255), 1)).number(), RangeError)
  assert.equal(decoding.readVarUint(decoding.createDecoder(message([], bytesOf(5)))), 5)
})

test('base64 is that of everybody', () => {
  for (const length of LENGTHS) {
    const text = Buffer.from(bytesOf(length)).toString('base64')
    assert.equal(toBase64(bytesOf(length)), text)
    assert.deepEqual(fromBase64(text), bytesOf(length))
  }
})

test('bytes are found in every dress, and in nothing else', () => {
  const bytes = Uint8Array.of(1, 2, 255)
  for (const dress of [bytes.buffer, 'AQL/', [1, 2, 255], { b64: 'AQL/' }, { bin: [1, 2, 255] }]) assert.deepEqual(undress(dress), bytes)
  for (const none of [{}, null, undefined, 7]) assert.equal(undress(none), undefined)
})
