// A third voice on tests/vectors/crypto.json: the cases that our providers are tested with, run
// against node:crypto. Run: node --test tests/vectors/check_crypto.mjs
//
// What node lacks (HChaCha20 and the XChaCha20 built on it) is written out here in a few lines.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import * as crypto from 'node:crypto'
import { readFileSync } from 'node:fs'

const vectors = JSON.parse(readFileSync(new URL('crypto.json', import.meta.url), 'utf8'))
const hex = (text) => Buffer.from(text, 'hex')
const b64 = (bytes) => Buffer.from(bytes).toString('base64url')
const seen = new Set(['about'])

/** One test for each case of a group. */
function each(group, run) {
  seen.add(group)
  assert.ok(vectors[group].length > 0, `no vectors for ${group}`)
  vectors[group].forEach((one, index) => test(`${group} ${index}: ${one.source}`, () => run(one)))
}

// ---- hashes ----

for (const name of ['sha1', 'sha256']) {
  each(name, ({ message, repeat = 1, digest }) => {
    const hash = crypto.createHash(name)
    for (let i = 0; i < repeat; i++) hash.update(hex(message))
    assert.equal(hash.digest('hex'), digest)
  })
}

each('hmac_sha256', ({ key, message, mac }) => {
  const got = crypto.createHmac('sha256', hex(key)).update(hex(message)).digest('hex')
  assert.equal(got.slice(0, mac.length), mac)
})

each('hkdf_sha256', ({ material, salt, info, prk, okm }) => {
  assert.equal(crypto.createHmac('sha256', hex(salt)).update(hex(material)).digest('hex'), prk)
  const got = crypto.hkdfSync('sha256', hex(material), hex(salt), hex(info), okm.length / 2)
  assert.equal(Buffer.from(got).toString('hex'), okm)
})

each('pbkdf2_sha256', ({ password, salt, iterations, key }) => {
  const got = crypto.pbkdf2Sync(hex(password), hex(salt), iterations, key.length / 2, 'sha256')
  assert.equal(got.toString('hex'), key)
})

// ---- Ed25519 and X25519: node takes raw keys only as JWK ----

const okpPublic = (crv, x) =>
  crypto.createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv, x: b64(hex(x)) } })
// The fixed part of a PKCS #8 private key (RFC 8410) in front of the 32 bytes.
const okpSecret = (oid, d) =>
  crypto.createPrivateKey({
    format: 'der',
    type: 'pkcs8',
    key: Buffer.concat([hex(`302e020100300506032b65${oid}04220420`), hex(d)]),
  })
const rawPublic = (key) =>
  Buffer.from(crypto.createPublicKey(key).export({ format: 'jwk' }).x, 'base64url').toString('hex')
const edSecret = (d) => okpSecret('70', d)
const xSecret = (d) => okpSecret('6e', d)

each('ed25519', ({ seed, public: key, message, signature }) => {
  assert.equal(rawPublic(edSecret(seed)), key)
  assert.equal(crypto.sign(null, hex(message), edSecret(seed)).toString('hex'), signature)
  assert.ok(crypto.verify(null, hex(message), okpPublic('Ed25519', key), hex(signature)))
})

const agree = (secret, key) =>
  crypto.diffieHellman({ privateKey: xSecret(secret), publicKey: okpPublic('X25519', key) })

each('x25519', ({ secret, public: key, shared }) => {
  assert.equal(agree(secret, key).toString('hex'), shared)
})

each('x25519_public', ({ secret, public: key }) => assert.equal(rawPublic(xSecret(secret)), key))

each('x25519_iterated', ({ count, result }) => {
  let k = '09'.padEnd(64, '0')
  let u = k
  for (let i = 0; i < count; i++) [k, u] = [agree(k, u).toString('hex'), k]
  assert.equal(k, result)
})

each('x25519_refused', ({ public: key }) => {
  assert.throws(() => agree('01'.repeat(32), key))
})

// ---- P-256 ----

const point = (key) => ({
  kty: 'EC',
  crv: 'P-256',
  x: b64(hex(key).subarray(1, 33)),
  y: b64(hex(key).subarray(33)),
})

each('p256', ({ secret, public: key, message, signature }) => {
  const ecdh = crypto.createECDH('prime256v1')
  ecdh.setPrivateKey(hex(secret))
  assert.equal(ecdh.getPublicKey('hex'), key)
  const dsaEncoding = 'ieee-p1363'
  const publicKey = crypto.createPublicKey({ format: 'jwk', key: point(key) })
  assert.ok(crypto.verify('sha256', hex(message), { key: publicKey, dsaEncoding }, hex(signature)))
})

// Hybrid points and points that node reads as another form are ours alone to refuse.
each('p256_refused', ({ public: key }) => {
  if (!key.startsWith('04')) return
  assert.throws(() => crypto.createPublicKey({ format: 'jwk', key: point(key) }))
})

each('p256_secret_refused', ({ secret }) => {
  assert.throws(() => crypto.createECDH('prime256v1').setPrivateKey(hex(secret)))
})

// ---- authenticated encryption ----

function checkAead(algorithm, key, nonce, { ad, plain, sealed }) {
  const text = hex(plain)
  const plaintextLength = text.length
  const cipher = crypto.createCipheriv(algorithm, key, nonce, { authTagLength: 16 })
  cipher.setAAD(hex(ad), { plaintextLength })
  const got = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()])
  assert.equal(got.toString('hex'), sealed)

  const open = (bytes) => {
    const decipher = crypto.createDecipheriv(algorithm, key, nonce, { authTagLength: 16 })
    decipher.setAAD(hex(ad), { plaintextLength })
    decipher.setAuthTag(bytes.subarray(plaintextLength))
    return Buffer.concat([decipher.update(bytes.subarray(0, plaintextLength)), decipher.final()])
  }
  assert.equal(open(got).toString('hex'), plain)
  got[got.length - 1] ^= 1
  assert.throws(() => open(got))
}

each('aes256gcm', (one) => checkAead('aes-256-gcm', hex(one.key), hex(one.nonce), one))

/** draft-irtf-cfrg-xchacha section 2.2: ChaCha20's rounds without the last addition. */
function hchacha20(key, nonce) {
  const input = Buffer.concat([Buffer.from('expand 32-byte k'), key, nonce])
  const s = Uint32Array.from({ length: 16 }, (_, i) => input.readUInt32LE(i * 4))
  const step = (a, b, c, bits) => {
    s[a] += s[b]
    const mixed = s[c] ^ s[a]
    s[c] = (mixed << bits) | (mixed >>> (32 - bits))
  }
  const quarter = (a, b, c, d) => {
    step(a, b, d, 16)
    step(c, d, b, 12)
    step(a, b, d, 8)
    step(c, d, b, 7)
  }
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(i, i + 4, i + 8, i + 12)
    for (let i = 0; i < 4; i++) quarter(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3))
  }
  const out = Buffer.alloc(32)
  const words = [0, 1, 2, 3, 12, 13, 14, 15]
  words.forEach((word, i) => out.writeUInt32LE(s[word], i * 4))
  return out
}

each('hchacha20', ({ key, nonce, subkey }) => {
  assert.equal(hchacha20(hex(key), hex(nonce)).toString('hex'), subkey)
})

each('xchacha20poly1305', (one) => {
  const nonce = hex(one.nonce)
  const subkey = hchacha20(hex(one.key), nonce.subarray(0, 16))
  const rest = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)])
  checkAead('chacha20-poly1305', subkey, rest, one)
})

test('every group of the file was checked, and every case names its source', () => {
  assert.deepEqual(Object.keys(vectors).sort(), [...seen].sort())
  for (const cases of Object.values(vectors)) {
    if (Array.isArray(cases)) cases.forEach((one) => assert.match(one.source, /\d/))
  }
})
