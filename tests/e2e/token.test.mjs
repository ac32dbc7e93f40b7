// tests/e2e/token.test.mjs -- `laniakea token`: tokens of Phoenix at a shell.
//
//   node --test tests/e2e/token.test.mjs        runs build/laniakea; LK_PROGRAM names another one
//
// Goal: what stands in --help holds: secrets from a file or the environment, tokens through files and pipes, one line
// and an exit code where something is wrong. Method: genuine tokens of tests/vectors/phoenix_token.json, and node:crypto
// as somebody else who reads what the program made.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHmac, pbkdf2Sync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { root } from './program.mjs'

const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-token-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const vectors = JSON.parse(readFileSync(join(root, 'tests/vectors/phoenix_token.json'), 'utf8'))
const { secret, salt } = vectors.keys[0]
const AT = ['--at', '1700000000000']
const secretFile = join(folder, 'secret')
writeFileSync(secretFile, `${secret}\n`)
const KEY = ['--salt', salt, '--secret-file', secretFile]

/** Runs `laniakea token ...` to its end: { code, text, err }. */
function token(args, input = '', env = {}) {
  const { SECRET_KEY_BASE, ...rest } = process.env
  const { status, stdout, stderr, error } = spawnSync(program, ['token', ...args], { input, env: { ...rest, ...env }, timeout: 30_000 })
  if (error?.code !== 'EPIPE') assert.equal(error, undefined)
  const err = stderr.toString()
  assert.doesNotMatch(err, /assertion failed|Sanitizer|runtime error/)
  return { code: status, text: stdout.toString(), err }
}

function must(args, input, env) {
  const { code, text, err } = token(args, input, env)
  assert.equal(err, '')
  assert.equal(code, 0, args.join(' '))
  return text
}

function refuses(code, pattern, args, input, env) {
  const said = token(args, input, env)
  assert.equal(said.code, code, `${args.join(' ')}: ${said.err}`)
  assert.match(said.err, pattern)
  assert.match(said.err, /^laniakea: [^\n]*\n$/)
  assert.equal(said.text, '')
}

describe('mint', () => {
  const claims = (...args) => JSON.parse(must(['verify', '--salt', 'user socket', '--secret-file', secretFile], must(['mint', '--secret-file', secretFile, ...args])))

  test('makes tokens that say who may do what where', () => {
    assert.deepEqual(claims(), {})
    assert.deepEqual(claims('--subject', 'ann', '--id', '7', '--topic', 'doc:*=write', '-t', 'a=b=read', '--encrypt'),
      { sub: 'ann', jti: '7', topics: { 'doc:*': 'write', 'a=b': 'read' } })
    assert.match(must(['mint', '--secret-file', secretFile, '--json']), /^{"token":"SFMyNTY\.[^"]*"}\n$/)
  })

  test('makes none that the server would not understand', () => {
    for (const topic of ['doc:*', 'doc:*=own', '=read', 'a*b=read', `${'a'.repeat(256)}=read`])
      refuses(2, /PATTERN=|TOKEN_CLAIMS|TOO_BIG/, ['mint', '--secret-file', secretFile, '--topic', topic])
    refuses(2, /TOO_BIG/, ['mint', '--secret-file', secretFile, '--subject', 'a'.repeat(256)])
  })
})

describe('verify', () => {
  test('prints what genuine tokens say', () => {
    for (const { token: text, json } of vectors.signed) assert.equal(must(['verify', ...KEY, ...AT], text), `${json}\n`)
    for (const { token: text, json } of vectors.encrypted) assert.equal(must(['verify', ...KEY], `${text}\n`), `${json}\n`)
  })

  test('takes the token from a file and the secret from the environment or standard input', () => {
    const file = join(folder, 'token')
    writeFileSync(file, vectors.signed[0].token)
    assert.equal(must(['verify', '--salt', salt, ...AT, file], '', { SECRET_KEY_BASE: secret }), '42\n')
    assert.equal(must(['verify', '--salt', salt, '-k', '-', ...AT, file], secret), '42\n')
  })

  test('ends with 1 and the name of the error', () => {
    const good = vectors.signed[0].token
    refuses(1, /LK_ERR_TOKEN_EXPIRED/, ['verify', ...KEY], good)
    refuses(1, /LK_ERR_TOKEN_EXPIRED/, ['verify', ...KEY, '--max-age', '5', '--at', '1700000005001'], good)
    refuses(1, /LK_ERR_TOKEN_INVALID/, ['verify', ...KEY, '--at', '1699999939999'], good)
    refuses(1, /LK_ERR_TOKEN_INVALID/, ['verify', ...KEY, '--algorithm', 'HS512', ...AT], good)
    refuses(1, /LK_ERR_TOKEN_INVALID/, ['verify', '-k', secretFile, '-s', 'other', ...AT], good)
    refuses(1, /LK_ERR_TOKEN_INVALID/, ['verify', ...KEY, ...AT], `${good}x`)
    refuses(1, /LK_ERR_TOKEN_MISSING/, ['verify', ...KEY, ...AT], '\n')
    refuses(1, /LK_ERR_TOO_BIG/, ['verify', ...KEY, ...AT], 'a'.repeat(9000))
  })

  test('--json says it in an object', () => {
    const good = vectors.signed[0].token
    assert.deepEqual(JSON.parse(must(['verify', ...KEY, '--json', ...AT], good)),
      { ok: true, data: 42, signed_at_ms: 1700000000000, expires_at_ms: 1700086400000 })
    assert.equal(JSON.parse(must(['verify', ...KEY, '--json', '--max-age', 'infinity'], good)).expires_at_ms, null)
    const { code, text, err } = token(['verify', ...KEY, '--json'], good)
    assert.deepEqual([code, JSON.parse(text), err], [1, { ok: false, error: 'LK_ERR_TOKEN_EXPIRED' }, ''])
  })
})

describe('sign', () => {
  test('makes the genuine token where the data has no atoms', () => {
    for (const { token: text, json } of vectors.signed.filter(({ same }) => same)) {
      assert.equal(must(['sign', ...KEY, '--signed-at', '1700000000000'], json), `${text}\n`)
    }
  })

  test('makes a token with a signature that node:crypto makes as well, whatever the key\'s options', () => {
    const options = ['--iterations', '7', '--key-length', '64', '--key-digest', 'sha512']
    const text = must(['sign', ...KEY, ...options], '{"user_id":7}').trim()
    const [header, payload, signature] = text.split('.')
    const key = pbkdf2Sync(secret, salt, 7, 64, 'sha512')
    assert.equal(createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url'), signature)
    assert.equal(must(['verify', ...KEY, ...options], text), '{"user_id":7}\n')
  })

  test('--encrypt hides the data, and verify finds out', () => {
    const made = JSON.parse(must(['sign', ...KEY, '--encrypt', '--json'], '"hello"\n')).token
    assert.match(made, /^XCP\.[\w-]+$/)
    assert.equal(must(['verify', ...KEY], made), '"hello"\n')
  })

  test('refuses data that is no JSON, or means two things', () => {
    refuses(1, /LK_ERR_SYNTAX/, ['sign', ...KEY], 'hello')
    refuses(1, /LK_ERR_TRUNCATED/, ['sign', ...KEY], '')
    refuses(1, /LK_ERR_EXISTS/, ['sign', ...KEY], '{"a":1,"a":2}')
    refuses(1, /LK_ERR_KEY/, ['sign', ...KEY, '--key-length', '64', '--encrypt'], '1')
  })
})

describe('the command line', () => {
  test('is refused with 2 where it cannot be meant', () => {
    refuses(2, /salt/, ['verify', '-k', secretFile])
    refuses(2, /not one of HS256, HS384, HS512/, ['verify', ...KEY, '--algorithm', 'none'])
    refuses(2, /not one of sha256/, ['sign', ...KEY, '--key-digest', 'md5'])
    refuses(2, /not a number/, ['verify', ...KEY, '--max-age', '-1'])
    refuses(2, /nobody accepts/, ['sign', ...KEY, '--max-age', '0'], '1')
    refuses(2, /standard input/, ['verify', '--salt', salt, '-k', '-'])
    refuses(2, /there is no command token sing; did you mean sign\?/, ['sing'])
    refuses(2, /has no option --secret/, ['sign', '--secret', secret])
  })

  test('without a secret, or with a short one, the command ends with 1', () => {
    refuses(1, /SECRET_KEY_BASE/, ['verify', '--salt', salt], 'x')
    refuses(1, /at least 20 bytes/, ['verify', '--salt', salt], 'x', { SECRET_KEY_BASE: 'short' })
    refuses(1, /cannot open/, ['verify', '--salt', salt, '-k', join(folder, 'none')], 'x')
  })
})
