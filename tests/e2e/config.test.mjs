// Settings of the real program: where they come from, which one wins, and what is said of a mistake.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'laniakea-config-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
function file(text, mode = 0o600) {
  const path = join(folder, `${++files}.toml`)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

function run(args, env = {}) {
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', env: { PATH: process.env.PATH, ...env }, timeout: 10_000 })
  return { out: stdout, err: stderr, code: status }
}
const settingsOf = ({ out }) => Object.fromEntries(JSON.parse(out).settings.map((setting) => [setting.name, setting]))

describe('laniakea check-config', () => {
  test('prints every setting with its value and where that came from', () => {
    const path = file('port = 4001\n[limit]\nrooms_count = 9\n')
    const { out, err, code } = run(['check-config', path], { LANIAKEA_EDGES: '3' })
    assert.equal(code, 0, err)
    assert.equal(err, '')
    assert.match(out, new RegExp(`^port +4001 +${path}:1$`, 'm'))
    assert.match(out, /^edges +3 +LANIAKEA_EDGES$/m)
    assert.match(out, /^listen +127\.0\.0\.1 +default$/m)
    assert.match(out, new RegExp(`^limit\\.rooms_count +9 +${path}:3$`, 'm'))
  })

  test('tells all that is wrong as FILE:LINE: and ends with 1', () => {
    const path = file('prot = 1\nlisten = 127.0.0.1\n\nport = 1\nport = 2\n')
    const { out, err, code } = run(['check-config', path])
    assert.equal(code, 1)
    assert.equal(out, '')
    assert.deepEqual(err.split('\n'), [
      `${path}:1: there is no setting prot; did you mean port?`,
      `${path}:2: put quotes around a value that is not a whole number, true or false`,
      `${path}:5: port stands on line 4 already; leave one of them out`, '',
    ])
  })

  test('has all of it as JSON, too', () => {
    const good = run(['check-config', '--json', file('hosts = []\ndata = "a\\u001bb"\nlimit.ws_message_bytes = "2M"\n')])
    assert.deepEqual(settingsOf(good).data, { name: 'data', value: 'a\u001bb', source: 'file', line: 2 })
    assert.equal(settingsOf(good)['limit.ws_message_bytes'].value, 2 ** 21)
    assert.equal(JSON.parse(good.out).ok, !JSON.parse(good.out).problems.some(({ kind }) => kind === 'error'))
    const bad = run(['check-config', '--json', file('\nx')])
    assert.equal(bad.code, 1)
    assert.deepEqual(JSON.parse(bad.out).problems.map(({ kind, line }) => [kind, line]), [['error', 2]])
  })

  test('lets nothing in a file steer a terminal', () => {
    const { out, err } = run(['check-config', file('data = "\\u001b[31mred\\n"\n')])
    assert.match(out, /\\x1b\[31mred\\x0a/)
    assert.ok(!(out + err).includes('\u001b'))
  })

  test('reads what LANIAKEA_CONFIG names, and says where there is none', () => {
    assert.equal(settingsOf(run(['check-config', '--json'], { LANIAKEA_CONFIG: file('port = 7\n') })).port.value, 7)
    const { err, code } = run(['check-config', join(folder, 'none')])
    assert.equal(code, 1)
    assert.match(err, /^laniakea: cannot open .*none: No such file or directory\n$/)
    assert.equal(run(['check-config', file('#'.repeat(300_000))]).code, 1)
  })

  test('looks whether a secret is one, and never prints it', () => {
    const secret = file('open sesame', 0o644)
    const { out, err, code } = run(['check-config', file(`token.secret-file = "${secret}"\n`)])
    assert.equal(code, 1)
    assert.match(err, /:1: token\.secret-file: everybody on this machine may read .*; chmod 600 makes it a secret/)
    assert.ok(!(out + err).includes('sesame'))
  })
})

describe('laniakea serve', () => {
  /** Starts, takes the words, stops. */
  async function serve(args, env = {}) {
    const child = spawn(program, ['serve', ...args], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = '', err = ''
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
    child.stdout.setEncoding('utf8').on('data', (text) => {
      if (!out.includes('\n')) setTimeout(() => child.kill('SIGTERM'), 50)
      out += text
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    return { out, err, code }
  }

  test('takes a flag before the environment, and that before the file', async () => {
    const config = file('port = 1\nlisten = "::1"\n')
    const { out, err, code } = await serve(['--config', config, '--listen', '127.0.0.1'], { LANIAKEA_PORT: '0' })
    assert.equal(code, 0, err)
    assert.match(out, /listens on http:\/\/127\.0\.0\.1:\d{2,5}\n/)
  })

  test('does not start with a file that has a mistake, with a wrong variable or a wrong limit', async () => {
    for (const [args, env, code, words] of [
      [['--config', file('port = "x"\n')], {}, 1, /toml:1: port is a text in quotes; it must be a number from 0 to 65535, without quotes/],
      [['--port', '0'], { LANIAKEA_EDGES: '99' }, 1, /LANIAKEA_EDGES 99 is not a number from 1 to 32/],
      [['--port', '0', '--limit', 'rooms_count=9', '--limit', 'rooms=1'], {}, 2, /there is no limit rooms/],
      [['--port', '0', '--limit', 'ws_message_bytes=64M'], {}, 1, /--limit ws_message_bytes 64M does not go with limit\.bus_frame_bytes 17M: set limit\.bus_frame_bytes to 65664K or more/],
    ]) {
      const done = await serve(args, env)
      assert.equal(done.code, code, done.err)
      assert.match(done.err, words)
      assert.equal(done.out, '')
    }
  })

  test('warns of a variable that is none of its own, and starts', async () => {
    const { err, code } = await serve(['--port', '0'], { LANIAKEA_SERVICE_HOST: '10.0.0.1', LANIAKEA_DATA: '' })
    assert.equal(code, 0)
    assert.equal(err, 'laniakea: warning: LANIAKEA_SERVICE_HOST of the environment is no setting, and has no effect\n')
  })

  test('tells of its life as JSON, as text, or not at all', async () => {
    const { err } = await serve(['--port', '0', '--log-level', 'info'])
    const lines = err.trimEnd().split('\n').map((line) => JSON.parse(line))
    assert.deepEqual(lines.map(({ event, level, process }) => [event, level, process]), [['server_started', 'info', 'supervisor'], ['server_stopping', 'info', 'supervisor']])
    assert.match(lines[0].time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const text = await serve(['--port', '0', '--log-level', 'info', '--log-format', 'text'])
    assert.match(text.err, /^laniakea: \S+Z info: Laniakea \S+ listens on http:\S+\nlaniakea: \S+Z info: signal 15 \(Terminated\): the server stops\n$/)
    assert.equal((await serve(['--port', '0'])).err, '')
  })
})
