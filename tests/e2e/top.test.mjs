// /metrics and `laniakea top`: what the real server says of itself, read as strictly as Prometheus' format is written,
// and shown on a real terminal, in a pipe, and as JSON.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const program = process.env.LK_PROGRAM ?? fileURLToPath(new URL('../../build/laniakea', import.meta.url))
const data = mkdtempSync(join(tmpdir(), 'laniakea-top-'))
let child, url, socket

/** Joins a topic and changes it, so that there is something to tell. */
async function work() {
  socket = new WebSocket(`${url.replace('http', 'ws')}/socket/websocket?vsn=2.0.0`)
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }))
  const ask = (ref, event, payload) => new Promise((resolve) => {
    socket.onmessage = ({ data }) => JSON.parse(data)[1] === ref && resolve(JSON.parse(data)[4])
    socket.send(JSON.stringify(['1', ref, 'crdt:demo', event, payload]))
  })
  assert.equal((await ask('1', 'phx_join', {})).status, 'ok')
  for (let i = 2; i < 12; i++) assert.equal((await ask(String(i), 'crdt.increment', { payload: { amount: 1 } })).status, 'ok')
}

before(async () => {
  child = spawn(program, ['serve', '--port', '0', '--data', data], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = await once(child.stdout, 'data')
  url = /http:\S+/.exec(text)[0]
  await work()
})
after(async () => {
  socket.close()
  child.kill('SIGTERM')
  await once(child, 'exit')
  rmSync(data, { recursive: true, force: true })
})

/** Every sample by its name and labels; throws at whatever Prometheus' format does not allow. */
function parse(text) {
  const samples = new Map()
  const families = new Map()
  let family = null
  assert.ok(text.endsWith('\n'))
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-zA-Z_:][\w:]*) (\S.*)$/.exec(line)
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/.exec(line)
    const sample = /^([a-zA-Z_:][\w:]*)(\{[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*")*\})? (\S+)$/.exec(line)
    if (help) {
      assert.ok(!families.has(help[1]), `${help[1]} has two parts`)
      families.set(help[1], (family = { name: help[1], type: null, count: 0 }))
    } else if (type) {
      assert.equal(type[1], family?.name, line)
      assert.equal(family.type, null, line)
      family.type = type[2]
    } else {
      assert.ok(sample, `not a line of the format: ${line}`)
      const suffix = sample[1].slice(family.name.length)
      assert.ok(sample[1].startsWith(family.name) && (family.type === 'histogram' ? /^_(bucket|sum|count)$/.test(suffix) : suffix === ''), line)
      assert.ok(family.type === 'counter' ? family.name.endsWith('_total') : true, line)
      const value = sample[3] === '+Inf' ? Infinity : Number(sample[3])
      assert.ok(!Number.isNaN(value), line)
      assert.ok(!samples.has(sample[1] + (sample[2] ?? '')), `twice: ${line}`)
      samples.set(sample[1] + (sample[2] ?? ''), value)
      family.count++
    }
  }
  for (const { name, type, count } of families.values()) assert.ok(type !== null && count > 0, `${name} is not whole`)
  return { samples, families }
}

const metrics = async () => {
  const response = await fetch(`${url}/metrics`)
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  return parse(await response.text())
}

describe('/metrics', () => {
  test('is Prometheus\' format, with a help text for each family', async () => {
    const { samples, families } = await metrics()
    assert.ok(families.size >= 15)
    assert.equal(samples.get('laniakea_rooms'), 1)
    assert.equal(samples.get('laniakea_process_ready{process="room",index="0"}'), 1)
    assert.ok(samples.get('laniakea_process_resident_bytes{process="edge",index="0"}') > 100_000)
  })

  test('has histograms whose buckets grow, end with all, and agree with sum and count', async () => {
    const { samples } = await metrics()
    for (const [name, least] of [['laniakea_request_seconds', 11], ['laniakea_journal_sync_seconds', 1]]) {
      const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`)).map(([key, value]) => [Number(/le="(.*)"/.exec(key)[1].replace('+Inf', 'Infinity')), value])
      assert.equal(buckets.length, 18)
      for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i][0] > buckets[i - 1][0] && buckets[i][1] >= buckets[i - 1][1], name)
      assert.equal(buckets.at(-1)[0], Infinity)
      assert.equal(buckets.at(-1)[1], samples.get(`${name}_count`))
      assert.ok(samples.get(`${name}_count`) >= least, `${name}: ${samples.get(`${name}_count`)}`)
      assert.ok(samples.get(`${name}_sum`) > 0)
    }
  })

  test('counts on where a process died', async () => {
    const messages = async () => (await metrics()).samples.get('laniakea_journals_total')
    const earlier = await messages()
    assert.ok(earlier > 0)
    const [room] = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').startsWith(`${pid} (laniakea-room) `) && readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1] === String(child.pid)
      } catch {
        return false
      }
    })
    process.kill(Number(room), 'SIGTERM') // not the server's own: another one is started
    for (let i = 0; i < 200 && (await metrics()).samples.get('laniakea_restarts_total{process="room"}') === 0; i++) await sleep(20)
    assert.ok((await messages()) >= earlier)
    for (let i = 0; i < 200 && (await fetch(`${url}/readyz`)).status !== 200; i++) await sleep(20)
    assert.equal((await fetch(`${url}/readyz`)).status, 200)
  })
})

// ---- top ----

const top = (...args) => {
  const { stdout, stderr, status } = spawnSync(program, ['top', ...args], { encoding: 'utf8', timeout: 20_000 })
  return { out: stdout, err: stderr, code: status }
}

describe('laniakea top', () => {
  test('shows a server once', () => {
    const { out, err, code } = top('--once', '--url', url)
    assert.equal(code, 0, err)
    assert.match(out, /^Laniakea at http:\S+: ready\n/)
    assert.match(out, /^ {2}rooms +1$/m)
    assert.match(out, /^ {2}request +[\d.]+ ms +[\d.]+ ms$/m)
    assert.match(out, /^ {2}edge 0 +[\d.]+ MiB +ready$/m)
    assert.ok(!out.includes('\x1b'))
  })

  test('says it as JSON', () => {
    const { out, code } = top('--once', '--json', '--url', `${url}/`)
    assert.equal(code, 0)
    const said = JSON.parse(out)
    assert.equal(said.ready, true)
    assert.equal(said.numbers.rooms, 1)
    assert.equal(said.per_second.messages_in, null)
    assert.ok(said.times.request.count >= 11 && said.times.request.p50_seconds > 0)
    assert.deepEqual(said.processes.map(({ process, index }) => `${process} ${index}`), ['edge 0', 'room 0', 'supervisor 0'])
  })

  test('goes on in a pipe, with rates from the second view on, until nobody reads it', async () => {
    const running = spawn(program, ['top', '--json', '--url', url], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    running.stdout.on('data', (text) => {
      out += text
      if (out.split('\n').length > 2) running.stdout.destroy()
    })
    const [code] = await once(running, 'exit')
    assert.equal(code, 0)
    const [first, second] = out.split('\n').slice(0, 2).map((line) => JSON.parse(line))
    assert.equal(first.per_second.accepted, null)
    assert.ok(second.per_second.accepted > 0)
  })

  test('asks this machine only, unless told otherwise, and says what is wrong', () => {
    for (const [args, code, words] of [
      [['--url', 'http://192.0.2.1:4000'], 2, /is not on this machine; --any-host/],
      [['--url', 'http://localhost.evil.example'], 2, /is not on this machine/],
      [['--url', 'https://127.0.0.1'], 2, /is not a URL such as/],
      [['--url', 'http://127.0.0.1:0'], 2, /is not a URL such as/],
      [['--url', 'http://127.0.0.1:1/x'], 2, /is not a URL such as/],
      [['--url', 'http://127.0.0.1:1'], 1, /^laniakea: http:\/\/127\.0\.0\.1:1: Connection refused\n$/],
      [['--interval', '0'], 2, /from 1 to 3600/],
    ]) {
      const done = top('--once', ...args)
      assert.equal(done.code, code, args.join(' '))
      assert.match(done.err, words)
    }
  })

  test('trusts nobody\'s answer', async () => {
    const bad = {
      '/a': (response) => response.end('<html>'),
      '/b': (response) => response.writeHead(404).end(),
      '/c': (response) => response.socket.end('SSH-2.0-x\r\n'),
      '/d': (response) => response.socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'),
      '/e': (response) => { response.end('x'.repeat(6 << 20)) },
      '/f': (response) => response.end('# HELP laniakea_process_ready x\n# TYPE laniakea_process_ready gauge\nlaniakea_process_ready{process="\x1b[31m",index="0"} 1\n'),
    }
    let turn = null
    const server = createServer((_, response) => turn(response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (const [name, answer] of Object.entries(bad)) {
      turn = answer
      const running = spawn(program, ['top', '--once', '--url', `http://127.0.0.1:${server.address().port}`])
      let said = ''
      for (const stream of [running.stdout, running.stderr]) stream.on('data', (text) => (said += text))
      const [code] = await once(running, 'close')
      assert.ok(!said.includes('\x1b'), name)
      assert.equal(code, name === '/f' ? 0 : 1, `${name}: ${said}`)
    }
    server.close()
  })
})

const hasScript = spawnSync('script', ['--version']).status === 0
describe('laniakea top on a terminal', { skip: hasScript ? false : 'there is no script(1)' }, () => {
  /** Runs `line` on a terminal; types `keys` after the view has come. */
  async function terminal(line, keys, ms = 700) {
    const running = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let out = ''
    running.stdout.setEncoding('utf8').on('data', (text) => (out += text))
    for (let i = 0; i < 200 && !out.includes('q quits'); i++) await sleep(20)
    const ended = once(running, 'exit')
    await sleep(ms)
    running.stdin.on('error', () => {}).write(keys)
    const [code] = await ended
    return { out, code }
  }

  test('takes the alternate screen, and gives it and the keyboard back when q is typed', async () => {
    const { out, code } = await terminal(`stty rows 40 cols 100; "${program}" top --url ${url}; stty -a`, 'q', 1300)
    assert.equal(code, 0)
    assert.ok(out.includes('\x1b[?1049h') && out.indexOf('\x1b[?1049l') > out.indexOf('\x1b[?1049h'))
    assert.ok(out.split('\x1b[H').length > 2, 'more than one view')
    assert.match(out, /Laniakea at http:\S+: ready\x1b\[K\r\n/)
    assert.match(out, /[\d.]+ a second/)
    assert.match(out.slice(out.indexOf('\x1b[?1049l')), / icanon .* echo /s)
  })

  test('fits a small terminal, and one that is resized', async () => {
    const line = `stty rows 24 cols 80; (sleep 0.8; stty rows 4 cols 20 < /dev/tty) & "${program}" top --interval 60 --url ${url}`
    const { out, code } = await terminal(line, 'q', 1600)
    assert.equal(code, 0)
    const views = out.split('\x1b[H').slice(1).map((view) => view.split('\x1b[J')[0].split('\x1b[K\r\n').slice(0, -1))
    assert.equal(views[0].length, 23)
    assert.equal(views.at(-1).length, 3, 'one row is the last line\'s')
    for (const line of views.at(-1)) assert.ok(line.length <= 20, line)
  })

  test('ends with the signals that end programs, and gives the screen back', async () => {
    for (const key of ['\x03', 'Q']) {
      const { out, code } = await terminal(`"${program}" top --interval 60 --url ${url}`, key, 100)
      assert.equal(code, 0)
      assert.ok(out.includes('\x1b[?1049l'))
    }
    const path = join(data, 'pid')
    const done = terminal(`sh -c 'echo $$ > ${path}; exec "${program}" top --interval 60 --url ${url}'`, '', 1500)
    await sleep(1000)
    process.kill(Number(readFileSync(path, 'utf8')), 'SIGTERM')
    const { out, code } = await done
    assert.equal(code, 0)
    assert.ok(out.includes('\x1b[?1049h') && out.includes('\x1b[?1049l'))
  })
})
