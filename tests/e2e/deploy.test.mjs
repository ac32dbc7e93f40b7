// docs/guides/deploy.md: what it tells people to write is what the server takes.
//
//   node --test tests/e2e/deploy.test.mjs        runs build/laniakea; LK_PROGRAM names another one
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Program, root } from './program.mjs'

const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const guide = readFileSync(join(root, 'docs/guides/deploy.md'), 'utf8')
const blocks = (language) => [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text)
const folder = mkdtempSync(join(tmpdir(), 'laniakea-deploy-'))
after(() => rmSync(folder, { recursive: true, force: true }))

describe('the guide', () => {
  test('has a configuration that holds, with the secret that the command made', () => {
    execFileSync(program, ['token', 'mint', '--data', folder], { env: { ...process.env, SECRET_KEY_BASE: undefined } })
    const [text] = blocks('toml')
    const path = join(folder, 'laniakea.toml')
    writeFileSync(path, text.replaceAll('/var/lib/laniakea', folder))
    const { ok, problems } = JSON.parse(execFileSync(program, ['check-config', '--json', path]))
    assert.deepEqual([ok, problems], [true, []])
  })

  test('names settings, options and files that there are', () => {
    const { settings } = JSON.parse(execFileSync(program, ['check-config', '--json'], { env: { PATH: process.env.PATH } }))
    const names = new Set(settings.map(({ name }) => name))
    for (const name of ['hosts', 'origins', 'trusted-proxies', 'ephemeral', 'y.off', 'limit.api_body_bytes', 'drain', 'stop-timeout']) {
      assert.ok(names.has(name), name)
      assert.ok(guide.includes(name.replace('limit.', '')) || readFileSync(join(root, 'packaging/laniakea.service'), 'utf8').includes(name), name)
    }
    for (const [, path] of guide.matchAll(/\]\(([^)#]+)\)/g)) assert.ok(existsSync(join(root, 'docs/guides', path)), path)
  })

  test('has a unit that systemd can read', { skip: spawnSync('systemd-analyze', ['--version']).error ? 'there is no systemd-analyze here' : false }, () => {
    const path = join(folder, 'laniakea.service')
    writeFileSync(path, readFileSync(join(root, 'packaging/laniakea.service'), 'utf8').replace('/usr/local/bin/laniakea', process.execPath))
    const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
    assert.equal(stdout + stderr, '')
  })

  test('has an image of files that there are, with all that npm reads before it installs', () => {
    const lines = readFileSync(join(root, 'Containerfile'), 'utf8').split('\n')
    const copied = (line) => (line.startsWith('COPY ') && !line.includes('--from') ? line.split(' ').slice(1, -1) : [])
    for (const path of lines.flatMap(copied)) assert.ok(existsSync(join(root, path)), path)
    const early = lines.slice(0, lines.indexOf('RUN tools/bootstrap.sh run')).flatMap(copied)
    const packages = Object.keys(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages)
    const folders = packages.filter((path) => !path.includes('node_modules')) // this one, and the workspaces
    // Without .npmrc, packages run code while they are installed, which wants tools that are not there.
    for (const path of ['.npmrc', 'package-lock.json', ...folders.map((folder) => join(folder, 'package.json'))])
      assert.ok(early.includes(path), `${path} is not copied before npm ci`)
  })
})

describe('laniakea health', () => {
  const ask = (url) => spawnSync(program, ['health', '--url', url], { encoding: 'utf8' })

  test('says whether a server takes work', async () => {
    const server = new Program()
    await server.start()
    try {
      assert.deepEqual([ask(server.url).status, ask(server.url).stdout], [0, `${server.url} takes work\n`])
    } finally {
      await server.dispose()
    }
    const { status, stderr } = ask(server.url)
    assert.equal(status, 1)
    assert.match(stderr, /^laniakea: http:\S+: Connection refused\n$/)
    assert.equal(ask('http://example.test').status, 2)
  })
})
