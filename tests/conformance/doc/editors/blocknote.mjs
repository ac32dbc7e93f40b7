// tests/conformance/doc/editors/blocknote.mjs -- BlockNote, and what its server utilities put into documents.
import { makePlace } from './dom.mjs'
import { BlockNoteEditor } from '@blocknote/core'
import { withCollaboration } from '@blocknote/core/yjs'
import { ServerBlockNoteEditor } from '@blocknote/server-util'
import { TextSelection } from 'prosemirror-state'
import { ySyncPluginKey } from 'y-prosemirror'
import { MARKDOWN, wholeIn, word } from './words.mjs'

export const roots = [['document-store', 'xml']]
export const origins = [ySyncPluginKey]

const STYLES = [{ bold: true }, { italic: true, underline: true }, { strike: true }, { code: true }, { textColor: 'red' }, { backgroundColor: 'blue', bold: true }]
const inline = (random) => Array.from({ length: random.range(1, 3) }, () =>
  random.weighted([
    [6, { type: 'text', text: word(random), styles: random.chance(0.4) ? random.pick(STYLES) : {} }],
    [1, { type: 'link', href: 'https://a.b/?q=1&r', content: [{ type: 'text', text: word(random), styles: {} }] }],
  ]))

function someBlock(random, depth = 0) {
  const content = inline(random)
  const children = depth < 2 && random.chance(0.25) ? [someBlock(random, depth + 1)] : []
  return random.weighted([
    [6, { type: 'paragraph', content, children }],
    [2, { type: 'heading', props: { level: random.range(1, 3), textAlignment: random.pick(['left', 'center']) }, content, children }],
    [2, { type: 'bulletListItem', content, children }],
    [1, { type: 'numberedListItem', content, children }],
    [2, { type: 'checkListItem', props: { checked: random.chance(0.5) }, content, children }],
    [1, { type: 'quote', content }],
    [1, { type: 'codeBlock', props: { language: 'c' }, content: 'int main;' }],
    [1, { type: 'divider' }],
    [1, { type: 'image', props: { url: 'https://x/y.png', caption: '🙂', previewWidth: 128 } }],
    [1, { type: 'table', content: { type: 'tableContent', rows: [{ cells: ['a', content] }, { cells: ['', 'd'] }] } }],
  ])
}

/** All blocks, children behind their parents. */
const all = (blocks) => blocks.flatMap((block) => [block, ...all(block.children)])
const some = (random, editor) => random.pick(all(editor.document))
const someOf = (random, editor) => {
  const { document } = editor
  const from = random.below(document.length)
  return document.slice(from, from + random.range(1, 2))
}

/** The cursor in a block, with something selected where `length` is not 0. */
function put(random, editor, length) {
  editor.setTextCursorPosition(some(random, editor), random.pick(['start', 'end']))
  const view = editor.prosemirrorView
  const { doc, selection } = view.state
  const from = wholeIn(doc, Math.max(1, selection.from - random.below(length + 1)))
  view.dispatch(view.state.tr.setSelection(TextSelection.between(doc.resolve(from), doc.resolve(selection.to))))
}

const actions = [
  [12, (random, editor) => {
    put(random, editor, 6)
    editor.prosemirrorView.dispatch(editor.prosemirrorView.state.tr.insertText(word(random)))
  }],
  [4, (random, editor) => {
    put(random, editor, 6)
    editor.prosemirrorView.dispatch(editor.prosemirrorView.state.tr.deleteSelection())
  }],
  [4, (random, editor) => {
    put(random, editor, 0)
    editor.insertInlineContent(inline(random))
  }],
  [6, (random, editor) => editor.insertBlocks([someBlock(random)], some(random, editor), random.pick(['before', 'after']))],
  [3, (random, editor) => editor.removeBlocks(someOf(random, editor))],
  [2, (random, editor) => editor.replaceBlocks(someOf(random, editor), [someBlock(random)])],
  [4, (random, editor) => editor.updateBlock(some(random, editor), someBlock(random))],
  [2, (random, editor) => editor.updateBlock(some(random, editor), { props: { textColor: random.pick(['red', 'default']), backgroundColor: 'blue' } })],
  [3, (random, editor) => {
    put(random, editor, 8)
    editor.toggleStyles(random.pick(STYLES))
  }],
  [1, (random, editor) => {
    put(random, editor, 5)
    editor.createLink('https://c.d/', random.chance(0.5) ? word(random) : undefined)
  }],
  [2, (random, editor) => {
    put(random, editor, 0)
    random.pick([() => editor.nestBlock(), () => editor.unnestBlock(), () => editor.moveBlocksUp(), () => editor.moveBlocksDown()])()
  }],
  [2, (random, editor) => editor.insertBlocks(editor.tryParseMarkdownToBlocks(random.pick(MARKDOWN)), some(random, editor), 'after')],
]

const server = ServerBlockNoteEditor.create()

/** A program without an editor writes into the document. */
function importBlocks(random, doc) {
  const blocks = Array.from({ length: random.range(1, 3) }, () => someBlock(random))
  server.blocksToYXmlFragment(blocks, doc.getXmlFragment('document-store'))
}

/** The first client may find a document that a server has made. */
export function open(doc, random, index) {
  if (index === 0 && random.chance(0.5)) importBlocks(random, doc)
  const collaboration = { fragment: doc.getXmlFragment('document-store'), user: { name: 'a', color: '#000000' } }
  const editor = BlockNoteEditor.create(withCollaboration({ collaboration, disableExtensions: ['yUndo'] }))
  editor.mount(makePlace())
  return {
    act: (random) => random.weighted(actions)(random, editor),
    close: () => editor.unmount(),
  }
}
