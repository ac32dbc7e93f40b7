// tests/e2e/yjs_page.mjs -- a page with CodeMirror, Tiptap and BlockNote over @laniakea/yjs, bundled by esbuild, and hands for it.
//
// In the page window.app.open(options) makes a document with a provider and, with `editor`, an editor for it.
import { createServer } from 'node:http'
import { build } from 'esbuild'
import { focusEditor, turn, until } from './browser.mjs'
import { root } from './program.mjs'

const APP = `
import { Socket } from 'phoenix'
import * as Y from 'yjs'
import { EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { yCollab } from 'y-codemirror.next'
import { Editor, Extension } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { Document } from '@tiptap/extension-document'
import { Paragraph } from '@tiptap/extension-paragraph'
import { Text } from '@tiptap/extension-text'
import { yCursorPlugin } from '@tiptap/y-tiptap'
import { BlockNoteEditor } from '@blocknote/core'
import { PhoenixProvider, WebsocketProvider, indexeddb } from '@laniakea/yjs'

const place = () => document.body.appendChild(document.createElement('div'))
const editors = {
  codemirror(doc, provider) {
    const text = doc.getText('codemirror')
    const state = EditorState.create({ doc: text.toString(), extensions: [yCollab(text, provider.awareness)] })
    const view = new EditorView({ state, parent: place() })
    return [view.contentDOM, () => view.state.doc.toString()]
  },
  tiptap(doc, provider) {
    const carets = Extension.create({ name: 'carets', addProseMirrorPlugins: () => [yCursorPlugin(provider.awareness)] })
    const editor = new Editor({ element: place(), extensions: [Document, Paragraph, Text, Collaboration.configure({ document: doc }), carets] })
    return [editor.view.dom, () => editor.getText({ blockSeparator: '\\n' })]
  },
  blocknote(doc, provider, name) {
    const collaboration = { fragment: doc.getXmlFragment('blocknote'), provider, user: { name, color: '#30bced' }, showCursorLabels: 'always' }
    const editor = BlockNoteEditor.create({ collaboration })
    editor.mount(place())
    return [editor.prosemirrorView.dom, () => editor.document.map(({ content }) => content.map(({ text }) => text).join('')).join('\\n').trim()]
  },
}

const log = []
window.app = {
  log, Y, indexeddb,
  open({ server, name, keep, kind = 'phoenix', editor, user = 'somebody' }) {
    const doc = new Y.Doc()
    const persistence = keep ? indexeddb(keep) : undefined
    let provider
    if (kind === 'phoenix') {
      const socket = new Socket(server.replace('http', 'ws') + '/socket', { reconnectAfterMs: () => 50, rejoinAfterMs: () => 50 })
      socket.connect()
      provider = new PhoenixProvider({ socket, topic: 'doc:' + name, doc, persistence })
    } else {
      provider = new WebsocketProvider(server.replace('http', 'ws') + '/y', name, doc, { persistence, maxBackoffTime: 100 })
    }
    for (const event of ['diverged', 'refused', 'persistence-error']) provider.on(event, (what) => log.push([event, what?.reason ?? String(what)]))
    provider.awareness.setLocalStateField('user', { name: user, color: '#30bced' })
    Object.assign(window.app, { doc, provider, text: doc.getText('t') })
    if (!editor) return
    const [element, read] = editors[editor](doc, provider, user)
    element.id = 'editor'
    window.app.read = read
  },
}
`

const PAGE = '<!doctype html><meta charset="utf-8"><title>yjs</title><body><script type="module" src="/app.js"></script>'

/** Serves the page at `url`, until close(). */
export async function servePage() {
  const { outputFiles } = await build({
    stdin: { contents: APP, resolveDir: root }, bundle: true, format: 'esm', target: 'es2022', write: false,
    conditions: ['browser'], define: { 'process.env.NODE_ENV': '"production"' }, logLevel: 'error',
  })
  const script = outputFiles[0].contents
  const pages = createServer((request, response) => {
    if (request.url === '/app.js') response.writeHead(200, { 'content-type': 'text/javascript' }).end(script)
    else if (request.url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
    else response.writeHead(204).end()
  })
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${pages.address().port}/`, close: () => pages.close() }
}

// ---- hands

/** How an editor shows where others are, and who they are. */
export const carets = {
  codemirror: { caret: '.cm-ySelectionCaret', label: '.cm-ySelectionInfo' },
  tiptap: { caret: '.ProseMirror-yjs-cursor', label: '.ProseMirror-yjs-cursor > div' },
  blocknote: { caret: '.bn-collaboration-cursor__base', label: '.bn-collaboration-cursor__label' },
}

export async function bring(page) {
  await page.bringToFront()
  await focusEditor(page, page.locator('#editor'))
}

/** Whether the cursor stands at the `edge` of all that is written, cursors of others left out. */
const isAt = (page, edge) => page.evaluate(([edge, carets]) => {
  const editor = document.getElementById('editor')
  const { focusNode, focusOffset } = getSelection()
  if (!editor.contains(focusNode)) return false
  const beyond = document.createRange()
  beyond.selectNodeContents(editor)
  if (edge === 'start') beyond.setEnd(focusNode, focusOffset)
  else beyond.setStart(focusNode, focusOffset)
  const copy = beyond.cloneContents()
  for (const caret of copy.querySelectorAll(carets)) caret.remove()
  return copy.textContent.trim() === ''
}, [edge, Object.values(carets).map(({ caret }) => caret).join()])

/** Moves the cursor. An editor that shows what comes from others may put it back meanwhile: then it is moved again. */
export async function go(page, edge) {
  await until(async () => {
    await page.keyboard.press(edge === 'start' ? 'Control+Home' : 'Control+End')
    await turn(page, 20)
    return isAt(page, edge)
  }, () => `the cursor goes to the ${edge}`)
}
