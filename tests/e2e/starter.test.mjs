// tests/e2e/starter.test.mjs -- `laniakea new`, and the app that it makes.
//
//   node --test tests/e2e/starter.test.mjs        after make build
//
// Goal: what a newcomer types works: laniakea new, npm install, npm run dev, npm run build; and nothing that was there is lost. Method:
// type it, and count in two tabs of a real browser with the real program. npm takes the packages of others from its cache or its
// registry; where it can reach neither, this tree's own stand in for them, which are the same versions. Needs what browser.mjs says.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { listen, openWindow } from './browser.mjs'
import { Program, root } from './program.mjs'

const LINES_MAX = 150
const NAME = 'my-likes'
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' }
const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
// Below this tree, so that its packages are in reach.
mkdirSync(join(root, 'build/e2e'), { recursive: true })
const folder = mkdtempSync(join(root, 'build/e2e/starter-'))
const profile = mkdtempSync(join(tmpdir(), 'laniakea-starter-'))
const app = join(folder, NAME)
const server = new Program()
const complaints = []
let browser

before(async () => {
  await server.start()
  browser = await openWindow(profile)
})
after(async () => {
  await browser?.close()
  await server.dispose()
  for (const each of [folder, profile]) rmSync(each, { recursive: true, force: true })
})

const laniakea = (cwd, ...args) => spawnSync(program, args, { cwd, encoding: 'utf8' })
const filesIn = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort()
const env = { ...process.env, VITE_SERVER: undefined }

function must(command, args) {
  const done = spawnSync(command, args, { cwd: app, encoding: 'utf8', env: { ...env, VITE_SERVER: server.url }, timeout: 60_000 })
  assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stdout}${done.stderr}${done.error ?? ''}`)
}

test('it makes the app of examples/starter with its name, and the packages of this version', () => {
  const done = laniakea(folder, 'new', NAME)
  assert.deepEqual([done.status, done.stderr], [0, ''])
  assert.equal(statSync(app).mode & 0o777, 0o777 & ~process.umask())
  assert.match(done.stdout, /my-likes is ready.*npm install\n +npm run dev .*laniakea serve\n$/s)
  const sources = spawnSync('git', ['ls-files', '-co', '--exclude-standard', 'examples/starter'], { cwd: root, encoding: 'utf8' }).stdout.trim().split('\n')
  const names = sources.map((path) => path.slice('examples/starter/'.length))
  const vendor = filesIn(join(app, 'vendor'))
  assert.deepEqual(filesIn(app), [...names, ...vendor.map((name) => `vendor/${name}`)].sort())
  for (const name of names) {
    assert.equal(readFileSync(join(app, name), 'utf8'), readFileSync(join(root, 'examples/starter', name), 'utf8').replaceAll('my-app', NAME), name)
  }
  // Not deepEqual(): the difference of two such files takes minutes and gigabytes to tell.
  for (const name of vendor) assert.ok(readFileSync(join(app, 'vendor', name)).equals(readFileSync(join(root, 'build/npm', name))), `${name} is another one; make build`)
  const lines = names.filter((name) => name !== 'README.md').reduce((sum, name) => sum + readFileSync(join(app, name), 'utf8').trimEnd().split('\n').length, 0)
  assert.ok(lines < LINES_MAX, `${lines} lines`)
})

test('its packages have the versions with which this tree is tested', () => {
  const { dependencies, devDependencies, name } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  assert.equal(name, NAME)
  const others = Object.entries({ ...dependencies, ...devDependencies }).filter(([name]) => !name.startsWith('@laniakea/'))
  for (const [name, version] of others) assert.equal(version, packages[`node_modules/${name}`].version, name)
  assert.ok(others.length >= 6)
})

test('what is there is left as it is, and nothing is left of what failed', () => {
  const place = mkdtempSync(join(folder, 'place-'))
  mkdirSync(join(place, 'full'))
  writeFileSync(join(place, 'full/mine.txt'), 'mine')
  writeFileSync(join(place, 'file'), 'mine')
  symlinkSync('nowhere', join(place, 'link'))
  const before = filesIn(place)
  for (const name of ['full', 'full/', 'file', 'link', join(place, 'full')]) {
    const done = laniakea(place, 'new', name)
    assert.equal(done.status, 1, name)
    assert.match(done.stderr, /LK_ERR_EXISTS.*choose another name, or move it away; nothing was written/, name)
  }
  for (const [name, said] of [['missing/app', /No such file or directory; nothing was written/], ['file/app', /Not a directory/]]) {
    const done = laniakea(place, 'new', name)
    assert.equal(done.status, 1, name)
    assert.match(done.stderr, said)
  }
  for (const name of ['My-App', '.hidden', '-x', 'a b', '<b>', '"', '..', '.', '/', 'x'.repeat(65), '']) {
    const done = laniakea(place, 'new', '--', name)
    assert.equal(done.status, 2, name)
    assert.match(done.stderr, /lower-case letters, digits and -, such as my-app\n$/, name)
  }
  // A disk that is full after 64 KiB, which is in the middle of vendor/.
  const full = spawnSync('sh', ['-c', `trap '' XFSZ; ulimit -f 128; exec "$0" new disk`, program], { cwd: place, encoding: 'utf8' })
  assert.equal(full.status, 1)
  assert.match(full.stderr, /cannot write .*File too large; nothing was written/)
  assert.deepEqual([filesIn(place), readdirSync(place).sort()], [before, ['file', 'full', 'link']])
  mkdirSync(join(place, 'empty'))
  assert.equal(laniakea(place, 'new', 'empty/').status, 0)
  assert.ok(readdirSync(join(place, 'empty')).includes('package.json'))
})

test('npm installs it', (t) => {
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--no-update-notifier', '--fetch-retries=0', '--fetch-timeout=10000']
  const npm = (...args) => spawnSync('npm', args, { cwd: app, encoding: 'utf8', timeout: 60_000, env })
  const done = npm(...args)
  if (done.status !== 0) {
    // What npm says without a network is about anything but that.
    const asked = npm('view', 'react', 'name', '--prefer-online', '--fetch-retries=0', '--fetch-timeout=10000')
    assert.notEqual(asked.status, 0, `npm ${args.join(' ')}: ${done.stdout}${done.stderr}`)
    t.diagnostic(`npm reaches no registry (${/E[A-Z_]{4,}/.exec(asked.stderr)?.[0] ?? 'nothing comes'}): the packages of others are those of this tree`)
    for (const file of readdirSync(join(app, 'vendor'))) {
      const to = join(app, 'node_modules/@laniakea', /^laniakea-(\w+)-/.exec(file)[1])
      mkdirSync(to, { recursive: true })
      must('tar', ['-xzf', join(app, 'vendor', file), '--strip-components=1', '-C', to])
    }
  }
  const { version } = JSON.parse(readFileSync(join(app, 'node_modules/@laniakea/react/package.json'), 'utf8'))
  assert.equal(version, readFileSync(join(root, 'VERSION'), 'utf8').trim())
})

/** Two tabs that count, keep a list, and see each other. */
async function use(url) {
  const tabs = []
  for (const name of ['one', 'two']) {
    const page = await browser.newPage()
    listen(page, `${url} ${name}`, complaints)
    await page.goto(url)
    tabs.push(page)
  }
  try {
    const shows = (page, what) => page.waitForFunction((what) => document.body.innerText.includes(what), what).catch(async () => assert.fail(`${what} is not in: ${await page.innerText('body')}`))
    const value = async () => Number(await tabs[0].textContent('output'))
    for (const page of tabs) {
      await shows(page, 'online')
      await page.waitForFunction(() => document.body.innerText.match(/guest \d+/g)?.length === 2)
    }
    const before = await value()
    for (const page of tabs) {
      await page.bringToFront()
      await page.click('[aria-label="one more"]')
    }
    for (const page of tabs) await page.waitForFunction((value) => document.querySelector('output').textContent === String(value), before + 2)
    await tabs[1].fill('input[placeholder]', 'milk')
    await tabs[1].click('text=add')
    for (const page of tabs) await shows(page, 'milk')
    await tabs[1].click('text=milk')
    await tabs[0].waitForSelector('s')
    await tabs[0].bringToFront()
    await tabs[0].click('[aria-label="remove"]')
    for (const page of tabs) await page.waitForFunction(() => !document.body.innerText.includes('milk'))
    assert.equal(await tabs[1].inputValue('input[placeholder]'), '')
  } finally {
    for (const page of tabs) await page.close()
  }
}

test('npm run build makes pages that count in two tabs', async () => {
  must('npm', ['run', 'build'])
  const pages = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://page')
    if (pathname === '/favicon.ico') return response.writeHead(204).end()
    try {
      const path = join(app, 'dist', pathname === '/' ? 'index.html' : pathname)
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(readFileSync(path))
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  try {
    await use(`http://127.0.0.1:${pages.address().port}/`)
  } finally {
    pages.close()
  }
})

test('npm run dev serves it while it is written', async () => {
  // A group of its own, since npm does not pass signals on to all that it began.
  const child = spawn('npm', ['run', 'dev', '--', '--port', '0'], { cwd: app, env: { ...env, VITE_SERVER: server.url }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  try {
    const url = await new Promise((resolve, reject) => {
      let said = ''
      const hear = (bytes) => {
        said += bytes
        const [found] = /http:\/\/localhost:\d+\//.exec(said.replace(/\x1b\[\d*m/g, '')) ?? []
        if (found !== undefined) resolve(found)
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.on('exit', () => reject(new Error(`npm run dev ended: ${said}`)))
      child.on('error', reject)
    })
    await use(url)
  } finally {
    process.kill(-child.pid, 'SIGTERM')
  }
})

test('no page complained of anything', () => {
  assert.deepEqual(complaints, [])
})
