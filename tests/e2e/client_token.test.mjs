// tests/e2e/client_token.test.mjs -- createClient() with tokens that end, are refused, and allow too little.
//
//   node --test tests/e2e/client_token.test.mjs        after tools/build_js.mjs
import { after, afterEach, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@laniakea/sdk'
import { Program } from './program.mjs'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-client-token-'))
const secret = randomBytes(32).toString('hex')
const keyFile = join(folder, 'jwt')
writeFileSync(keyFile, secret, { mode: 0o600 })
const server = new Program('--token-jwt-secret-file', keyFile)
const opened = []

before(() => server.start())
afterEach(() => Promise.all(opened.splice(0).map((client) => client.close())))
after(async () => {
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function jwt(claims, key = secret) {
  const part = (object) => Buffer.from(JSON.stringify(object)).toString('base64url')
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

const tokenFor = (seconds, topics = { 'crdt:*': 'write', 'doc:*': 'write' }) => jwt({ sub: 'ann', topics, exp: Math.floor(Date.now() / 1000) + seconds })

async function open(options) {
  const client = await createClient({ url: `${server.url}/socket`, ...options })
  opened.push(client)
  return client
}

async function until(what, isSo) {
  for (const end = Date.now() + 20_000; !isSo(); await sleep(5)) if (Date.now() > end) assert.fail(`it does not happen: ${what()}`)
}

test('a token is renewed before it ends, and the connection goes on', async () => {
  let asked = 0
  const client = await open({ token: () => (asked++, tokenFor(4)) })
  const states = []
  client.onStatus(({ state }) => states.at(-1) === state || states.push(state))
  const likes = await client.crdt('crdt:renewed', 'gcounter')
  likes.object.increment()
  await likes.acknowledged()
  await until(() => `${asked} tokens`, () => asked >= 3)
  likes.object.increment()
  await likes.acknowledged()
  assert.equal(states.filter((state) => state === 'offline').length, 0, states.join())
})

test('a token that the server does not take is asked for again; what was counted meanwhile arrives', async () => {
  const tokens = [jwt({ sub: 'ann' }, 'another secret, that is long enough to be one'), tokenFor(-100), tokenFor(3600)]
  let asked = 0
  const client = await open({ token: async () => tokens[Math.min(asked++, tokens.length - 1)] })
  const likes = await client.crdt('crdt:refused', 'gcounter')
  likes.object.increment(5)
  await likes.acknowledged()
  assert.equal(asked, 3)
})

test('where no token is to be had the client stays offline, says why, and asks again', async () => {
  let isThere = false
  const problems = []
  const token = async () => {
    if (!isThere) throw new Error('nobody has logged in')
    return tokenFor(3600)
  }
  const client = await open({ token, onError: ({ code, message }) => problems.push(`${code} ${message}`) })
  const likes = await client.crdt('crdt:nobody', 'gcounter')
  likes.object.increment()
  await until(() => problems.join(), () => problems.some((text) => /LK_ERR_TOKEN_MISSING.*nobody has logged in/.test(text)))
  await until(() => JSON.stringify(likes.status), () => likes.status.pending === 1)
  isThere = true
  await likes.acknowledged()
})

test('who may only read sees what others do; what is written stays here until there are rights', async () => {
  const writer = await open({ token: tokenFor(3600) })
  const notes = await writer.doc('doc:rights')
  notes.doc.getText('t').insert(0, 'Hello')
  await notes.acknowledged()
  const reader = await open({ token: tokenFor(3600, { 'doc:*': 'read' }) })
  const copy = await reader.doc('doc:rights')
  await until(() => copy.doc.getText('t').toString(), () => copy.doc.getText('t').toString() === 'Hello')
  assert.equal(copy.status.readOnly, true)
  copy.doc.getText('t').insert(5, '!')
  await until(() => JSON.stringify(copy.status), () => copy.status.state === 'refused' && copy.status.reason === 'read_only')
  assert.equal(copy.status.pending, 1)
  notes.doc.getText('t').insert(0, 'Oh. ')
  await until(() => copy.doc.getText('t').toString(), () => copy.doc.getText('t').toString() === 'Oh. Hello!')
  assert.equal(notes.doc.getText('t').toString(), 'Oh. Hello')
})

test('what is no token is said to be none', async () => {
  const given = [null, {}, 5, undefined]
  const problems = []
  const client = await open({ token: () => (given.length > 0 ? given.shift() : tokenFor(3600)), onError: ({ code, message }) => problems.push(`${code} ${message}`) })
  const likes = await client.crdt('crdt:no-token', 'gcounter')
  likes.object.increment()
  await likes.acknowledged()
  assert.equal(problems.filter((text) => /LK_ERR_TOKEN_MISSING.*a token is a text/.test(text)).length, 4, problems.join())
})
