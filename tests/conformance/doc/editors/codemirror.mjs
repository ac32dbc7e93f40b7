// tests/conformance/doc/editors/codemirror.mjs -- CodeMirror with y-codemirror.next.
import { makePlace } from './dom.mjs'
import { EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { ySync, YSyncConfig, ySyncFacet } from 'y-codemirror.next'
import { whole, word } from './words.mjs'

export const roots = [['codemirror', 'text']]
export const origins = [YSyncConfig]

const at = (random, text) => whole(text, random.below(text.length + 1))

function change(random, text) {
  const [from, to] = [at(random, text), at(random, text)].sort((a, b) => a - b)
  if (random.chance(0.6)) return { from, insert: random.chance(0.2) ? '\n' : word(random) }
  return { from, to: Math.min(to, from + 8) === to ? to : from, insert: random.chance(0.3) ? word(random) : '' }
}

export function open(doc) {
  const text = doc.getText('codemirror')
  const view = new EditorView({ state: EditorState.create({ doc: text.toString(), extensions: [ySyncFacet.of(new YSyncConfig(text)), ySync] }), parent: makePlace() })
  return {
    act: (random) => {
      const now = view.state.doc.toString()
      const first = change(random, now)
      const second = random.chance(0.2) ? change(random, now) : null
      const changes = second && second.from > (first.to ?? first.from) ? [first, second] : first
      view.dispatch({ changes })
    },
    close: () => view.destroy(),
  }
}
