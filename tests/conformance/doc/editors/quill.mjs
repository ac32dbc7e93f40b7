// tests/conformance/doc/editors/quill.mjs -- Quill with y-quill.
import { makePlace } from './dom.mjs'
import Quill from 'quill'
import { QuillBinding } from 'y-quill'
import { whole, word } from './words.mjs'

export const roots = [['quill', 'text']]
export const origins = [QuillBinding]

const FORMATS = [{ bold: true }, { italic: true }, { bold: false }, { color: 'red' }, { link: 'https://a.b/?q=1&r' }, { link: false }, { size: 'large', bold: true }]
const LINES = [{ header: 1 }, { header: false }, { list: 'bullet' }, { list: 'checked', indent: 1 }, { blockquote: true }, { 'code-block': true }, { align: 'center' }]

/** The text with a unit for each image. */
const textOf = (quill) => quill.getContents().ops.map(({ insert }) => (typeof insert === 'string' ? insert : '\uFFFC')).join('')
const at = (random, quill) => whole(textOf(quill), random.below(quill.getLength()))
function stretch(random, quill, longest) {
  const from = at(random, quill)
  return [from, whole(textOf(quill), from + random.range(1, longest)) - from]
}

const actions = [
  [10, (random, quill) => quill.insertText(at(random, quill), word(random), 'user')],
  [3, (random, quill) => quill.insertText(at(random, quill), word(random), random.pick(FORMATS), 'user')],
  [3, (random, quill) => quill.insertText(at(random, quill), '\n', 'user')],
  [5, (random, quill) => quill.deleteText(...stretch(random, quill, 6), 'user')],
  [6, (random, quill) => quill.formatText(...stretch(random, quill, 10), random.pick(FORMATS), 'user')],
  [4, (random, quill) => quill.formatLine(at(random, quill), random.range(1, 5), random.pick(LINES), 'user')],
  [1, (random, quill) => quill.insertEmbed(at(random, quill), 'image', 'https://x/y.png', 'user')],
  [1, (random, quill) => {
    const retain = at(random, quill)
    quill.updateContents([...(retain > 0 ? [{ retain }] : []), { insert: word(random), attributes: random.pick(FORMATS) }], 'user')
  }],
]

export function open(doc) {
  const quill = new Quill(makePlace())
  const binding = new QuillBinding(doc.getText('quill'), quill)
  return {
    act: (random) => random.weighted(actions)(random, quill),
    close: () => binding.destroy(),
  }
}
