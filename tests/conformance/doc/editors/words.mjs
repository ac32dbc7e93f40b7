// tests/conformance/doc/editors/words.mjs -- what editors are told to write.
export const WORDS = ['a', 'b', ' ', 'the ', 'over', 'lazy ', 'fox ', '42', 'é', 'Ωμέγα', '漢字', '🙂', '👨‍👩‍👧‍👦', '</p>&', 'all work and no play ']
export const word = (random) => random.pick(WORDS) + (random.chance(0.25) ? random.pick(WORDS) : '')

export const MARKDOWN = [
  'one *two* **three**\n', '# A heading\n\nand text\n', '- a\n- b\n  - c\n', '1. first\n2. second\n', '> quoted\n>\n> - deep\n', '```\ncode();\n```\n',
  'a [link](https://a.b/?q=1&r "title") here\n', 'before\n\n---\n\nafter\n', '![picture](https://x/y.png)\n', '`code` and *`both`*\n\n## Two\n',
]

/** `at`, or the place before it where it is in the middle of a pair: nobody puts a cursor there. */
export function whole(text, at) {
  const unit = text.charCodeAt(at)
  return at > 0 && unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at
}

/** The same in a document of ProseMirror. */
export function wholeIn(doc, at) {
  const { parent, parentOffset } = doc.resolve(at)
  return parent.isTextblock ? at - parentOffset + whole(parent.textBetween(0, parent.content.size, '', '\uFFFC'), parentOffset) : at
}
