// tests/e2e/yjs_editors.test.mjs -- two people in one editor, one of whom loses the network.
//
//   node --test tests/e2e/yjs_editors.test.mjs        after tools/build_js.mjs
//   ... --test-name-pattern='tiptap over phoenix'     one of them
//
// Goal: CodeMirror, Tiptap and BlockNote over either provider: who types at once agrees; who was away while both wrote, and comes
// back, has lost nothing and neither has the other; carets of others are seen, go when those go, and come back. Method: each
// person is a browser of its own with a cable of its own, a proxy that can be cut; real key strokes on both at once.
import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { leave, useBrowser } from './browser.mjs'
import { Program } from './program.mjs'
import { bring, carets, go, servePage } from './yjs_page.mjs'

const program = new Program()
const browser = useBrowser(program)
let pages
before(async () => (pages = await servePage()))
after(() => pages?.close())

/** A way to the program that can be cut, and mended. */
class Cable {
  #sockets = new Set()
  #isCut = false
  #server = createServer((near) => {
    if (this.#isCut) return near.destroy()
    const far = connect(Number(new URL(program.url).port), '127.0.0.1')
    for (const [socket, other] of [[near, far], [far, near]]) {
      this.#sockets.add(socket)
      socket.on('error', () => {}).on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })

  async lay() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${this.#server.address().port}`
  }

  cut() {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend() {
    this.#isCut = false
  }

  close() {
    this.cut()
    this.#server.close()
  }
}

/** Somebody before an editor. */
async function sit(t, user, options) {
  const cable = new Cable()
  const server = await cable.lay()
  const person = await browser.newPerson()
  t.after(async () => {
    await leave(person)
    cable.close()
  })
  const page = await browser.newPage(person, `${user} ${options.name}`)
  await page.goto(pages.url)
  await page.waitForFunction(() => window.app !== undefined)
  await page.evaluate((options) => window.app.open(options), { server, user, ...options })
  await page.waitForFunction(() => window.app.provider.synced)
  await bring(page)
  return { page, cable, user }
}

const type = async ({ page }, ...texts) => {
  for (const text of texts) await (text === '\n' ? page.keyboard.press('Enter') : page.keyboard.type(text, { delay: 5 }))
}

/** Resolves when everybody reads `text`, and nobody has anything that the server has not. */
async function agree(people, text) {
  await Promise.all(people.map(async ({ page, user }) => {
    const isSo = await page.waitForFunction((text) => window.app.read() === text && window.app.provider.pending !== true, text).then(() => true, () => false)
    if (!isSo) assert.equal(await page.evaluate(() => window.app.read()), text, user)
    assert.ok(isSo, `${user} has changes that the server has not`)
  }))
}

const sees = ({ page }, editor, who) => page.waitForFunction(([selector, who]) => {
  const labels = [...document.querySelectorAll(selector)].map(({ textContent }) => textContent.replaceAll('\u2060', ''))
  return labels.join() === who
}, [carets[editor].label, who])

for (const editor of ['codemirror', 'tiptap', 'blocknote']) {
  for (const kind of ['phoenix', 'websocket']) {
    test(`${editor} over ${kind}: both type at once, one goes offline, both write, both have all of it`, async (t) => {
      const options = { name: `${editor}-${kind}`, kind, editor }
      const [ada, ben] = [await sit(t, 'Ada', options), await sit(t, 'Ben', options)]
      const both = [ada, ben]

      await type(ada, 'Ada:', '\n', 'Ben:')
      await agree(both, 'Ada:\nBen:')
      await go(ada.page, 'start')
      await go(ben.page, 'end')
      await Promise.all([sees(ada, editor, 'Ben'), sees(ben, editor, 'Ada')])
      await Promise.all([type(ada, 'this is written at the top '), type(ben, ' and this at the end, at the same time')])
      const before = 'this is written at the top Ada:\nBen: and this at the end, at the same time'
      await agree(both, before)

      ben.cable.cut()
      await ben.page.waitForFunction(() => !window.app.provider.synced)
      await sees(ada, editor, '')
      const isWritten = type(ben, '\n', 'far away', '\n', 'and alone').then(() => ben.page.keyboard.press('Backspace'))
      await type(ada, 'still ')
      await go(ada.page, 'end')
      await type(ada, '!')
      await isWritten
      const [atHome, away] = await Promise.all(both.map(({ page }) => page.evaluate(() => window.app.read())))
      assert.equal(atHome, `${before.replace('Ada:', 'still Ada:')}!`)
      assert.equal(away, `${before}\nfar away\nand alon`)

      ben.cable.mend()
      await Promise.all(both.map(({ page }) => page.waitForFunction(() => window.app.provider.synced)))
      const after = await ada.page.waitForFunction(() => window.app.read().includes('and alon') && window.app.read()).then((handle) => handle.jsonValue())
      await agree(both, after)
      const [first, ...rest] = after.split('\n')
      assert.equal(first, 'this is written at the top still Ada:')
      // Ada wrote at the end of the line that Ben went on from: hers may stand there, or behind all of his.
      const end = 'Ben: and this at the end, at the same time'
      const possible = [[`${end}!`, 'far away', 'and alon'], [end, 'far away', 'and alon!'], [end, '!far away', 'and alon']].map((lines) => lines.join('\n'))
      assert.ok(possible.includes(rest.join('\n')), after)
      await Promise.all([sees(ada, editor, 'Ben'), sees(ben, editor, 'Ada')])

      const late = await sit(t, 'Eve', options)
      await agree([...both, late], after)
    })
  }
}

test('no page complained of anything', () => {
  assert.deepEqual(browser.complaints, [])
})
