// tests/conformance/doc/editors/prosemirror.mjs -- ProseMirror with y-prosemirror, with the schema of prosemirror-markdown.
import { makePlace } from './dom.mjs'
import { joinBackward, lift, setBlockType, splitBlock, toggleMark, wrapIn } from 'prosemirror-commands'
import { defaultMarkdownParser, schema } from 'prosemirror-markdown'
import { EditorState, NodeSelection, TextSelection } from 'prosemirror-state'
import { EditorView } from 'prosemirror-view'
import { ySyncPlugin, ySyncPluginKey } from 'y-prosemirror'
import { MARKDOWN, wholeIn, word } from './words.mjs'

export const roots = [['prosemirror', 'xml']]
export const origins = [ySyncPluginKey]

const { nodes, marks } = schema
const MARKS = [[marks.strong], [marks.em], [marks.code], [marks.link, { href: 'https://a.b/', title: null }], [marks.link, { href: 'x', title: '🙂' }]]

/** A place in a text, or the beginning of the document where there is none. */
function place(random, doc) {
  const found = doc.resolve(random.below(doc.content.size + 1))
  return wholeIn(doc, TextSelection.near(found, random.chance(0.5) ? 1 : -1).head)
}

function select(random, view, longest) {
  const { doc } = view.state
  const from = place(random, doc)
  const to = wholeIn(doc, Math.min(doc.content.size, from + random.below(longest + 1)))
  view.dispatch(view.state.tr.setSelection(TextSelection.between(doc.resolve(from), doc.resolve(to))))
}

const command = (make, longest = 0) => (random, view) => {
  select(random, view, longest)
  make(random)(view.state, view.dispatch, view)
}

const actions = [
  [12, (random, view) => view.dispatch(view.state.tr.insertText(word(random), place(random, view.state.doc)))],
  [6, (random, view) => {
    select(random, view, 6)
    view.dispatch(view.state.tr.deleteSelection())
  }],
  [1, (random, view) => {
    select(random, view, 30)
    view.dispatch(view.state.tr.deleteSelection())
  }],
  [6, command((random) => toggleMark(...random.pick(MARKS)), 12)],
  [4, command(() => splitBlock)],
  [2, command(() => joinBackward)],
  [2, command((random) => setBlockType(...random.pick([[nodes.heading, { level: random.range(1, 6) }], [nodes.paragraph], [nodes.code_block]])), 8)],
  [2, command((random) => wrapIn(...random.pick([[nodes.blockquote], [nodes.bullet_list], [nodes.ordered_list, { order: 3 }]])))],
  [1, command(() => lift)],
  [1, command((random) => (state, dispatch) => dispatch(state.tr.replaceSelectionWith(
    random.pick([() => nodes.horizontal_rule.create(), () => nodes.hard_break.create(), () => nodes.image.create({ src: 'https://x/y.png', alt: '🙂' })])())))],
  [3, command((random) => (state, dispatch) => dispatch(state.tr.replaceSelection(defaultMarkdownParser.parse(random.pick(MARKDOWN)).slice(0))))],
  [1, (random, view) => {
    const at = random.below(view.state.doc.childCount)
    let from = 0
    for (let i = 0; i < at; i++) from += view.state.doc.child(i).nodeSize
    const moved = view.state.tr.setSelection(NodeSelection.create(view.state.doc, from))
    const node = moved.selection.node
    moved.deleteSelection()
    view.dispatch(moved.insert(TextSelection.near(moved.doc.resolve(0)).$from.before(1), node))
  }],
]

/** What the schema or the place does not allow is not done. */
export function open(doc) {
  const view = new EditorView(makePlace(), { state: EditorState.create({ schema, plugins: [ySyncPlugin(doc.getXmlFragment('prosemirror'))] }) })
  return {
    act: (random) => random.weighted(actions)(random, view),
    close: () => view.destroy(),
  }
}
