// tests/e2e/start.test.mjs -- the start page in a real browser, and what it offers to copy.
//
//   node --test tests/e2e/start.test.mjs
//
// Needs build/laniakea (or LK_PROGRAM) with the pages of build/web inside, liblaniakea.a beside it, and what browser.mjs says.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { artifact, assertFits, everyLook, leave, until, useBrowser, violations } from './browser.mjs'
import { saved } from './editor.mjs'
import { Program, root } from './program.mjs'

const beside = join(dirname(realpathSync(process.env.LK_PROGRAM ?? join(root, 'build/laniakea'))), 'liblaniakea.a')
const library = existsSync(beside) ? beside : join(root, 'build/liblaniakea.a')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-start-'))
const server = new Program()
const browser = useBrowser(server)

after(() => rmSync(folder, { recursive: true, force: true }))

test('the start page fits a desk and a phone, by day and by night, and axe finds nothing serious', async () => {
  const ann = await browser.newPerson()
  const page = await browser.newPage(ann, 'start')
  await page.goto(server.url)
  await page.getByText(/Running: \d+ rooms? open/).waitFor()
  await everyLook(page, async (device, colorScheme) => {
    await page.screenshot({ path: artifact(`start-${device}-${colorScheme}.png`), fullPage: true, animations: 'disabled' })
    await assertFits(page, `the start page on a ${device}`)
    assert.deepEqual(await violations(page), [], `${device} ${colorScheme}`)
  })
  await page.getByRole('link', { name: /New document/ }).click()
  await saved(page)
  await page.goBack()
  await page.getByRole('link', { name: /Counter/ }).click()
  await page.locator('#increment:enabled').waitFor()
  await page.goBack()
  await page.getByRole('link', { name: /Board/ }).click()
  await page.getByRole('switch', { name: 'Network' }).and(page.locator(':enabled')).waitFor()
  await leave(ann)
})

// ---- what it offers to copy

/** Runs until its output matches, and what it said has arrived. */
async function runUntil(pattern, command, args, arrived) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  try {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${args.join(' ')} said only: ${output}`)), 60_000)
      const hear = (bytes) => {
        output += bytes
        if (!pattern.test(output)) return
        clearTimeout(timer)
        resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.on('exit', (code) => code !== 0 && reject(new Error(`${args.join(' ')} ended with ${code}: ${output}`)))
    })
    await arrived?.()
  } finally {
    child.kill('SIGKILL')
  }
}

test('what is copied from the start page works as it is', async () => {
  const ann = await browser.newPerson()
  const page = await browser.newPage(ann, 'snippets')
  await page.goto(server.url)
  const copied = async (name) => {
    await page.getByRole('button', { name: `Copy the code ${name}` }).click()
    await page.getByText('Copied').waitFor()
    const code = await page.evaluate(() => navigator.clipboard.readText())
    await page.getByText('Copied').waitFor({ state: 'detached' })
    return code
  }
  const script = async (name, label) => {
    const file = artifact(`snippet-${name}.mjs`) // inside the project, where its packages are found
    writeFileSync(file, await copied(label))
    return file
  }
  const read = async () => (await fetch(`${server.url}/api/topics/doc:hello?as=text`)).text()
  const arrived = () => until(async () => (await read()).includes('y-websocket'), read)
  await runUntil(/^Hello from y-websocket\. \n/m, process.execPath, [await script('y-websocket', 'for y-websocket')], arrived)
  await runUntil(/^Hello from phoenix\.js\. Hello from y-websocket\. \n/m, process.execPath, [await script('phoenix', 'for phoenix.js')])
  const likes = async () => Number(await (await fetch(`${server.url}/api/topics/crdt:likes`)).text())
  const told = () => until(async () => (await read()).includes('the SDK') && (await likes()) === 1, async () => `${await read()} ${await likes()}`)
  await runUntil(/^Hello from the SDK\. [^]*^1 likes|^1 likes[^]*^Hello from the SDK\. /m, process.execPath, [await script('sdk', 'for the SDK')], told)
  const code = await copied('in C')
  const [source, binary, update] = ['hello.c', 'hello', 'hello.bin'].map((name) => join(folder, name))
  writeFileSync(source, code)
  const libraries = execFileSync('pkg-config', ['--libs', 'libcrypto', 'libsodium', 'zlib'], { encoding: 'utf8' }).trim().split(' ')
  execFileSync('cc', ['-Wall', '-Werror', source, '-I', join(root, 'include'), library, ...libraries, '-lpthread', '-lm', '-o', binary])
  writeFileSync(update, execFileSync(binary))
  const [, address] = /^ \*   (http\S+) \*\/$/m.exec(code)
  const response = await fetch(address, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: readFileSync(update) })
  assert.equal(response.status, 200, await response.text())
  const said = await read()
  for (const who of ['y-websocket', 'the SDK', 'C']) assert.ok(said.includes(`Hello from ${who}. `), said)
  await leave(ann)
})

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
