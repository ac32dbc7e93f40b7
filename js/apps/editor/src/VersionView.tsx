// The document as it was at a version, to be read, with marks on what changed since the one before.
import { useEffect } from 'react'
import { createExtension } from '@blocknote/core'
import { yXmlFragmentToBlocks } from '@blocknote/core/yjs'
import { BlockNoteView } from '@blocknote/mantine'
import { useCreateBlockNote } from '@blocknote/react'
import { Plugin, PluginKey } from 'prosemirror-state'
import { DecorationSet } from 'prosemirror-view'
import * as Y from 'yjs'
import { marksOf } from './changes.ts'
import type { Person } from './people.ts'
import { schema } from './schema.ts'
import { FRAGMENT } from './seed.ts'
import type { NodeChange } from './versions.ts'

interface Props {
  /** What makes an empty document the one that is shown. */
  readonly update: Uint8Array
  /** To be marked. */
  readonly changes: readonly NodeChange[]
  whose(client: number): Person
}

const key = new PluginKey<DecorationSet>('changes')

const markPlugin = new Plugin<DecorationSet>({
  key,
  state: {
    init: () => DecorationSet.empty,
    apply: (transaction, marks) => (transaction.getMeta(key) as DecorationSet | undefined) ?? marks.map(transaction.mapping, transaction.doc),
  },
  props: { decorations: (state) => key.getState(state) },
})

const Marks = createExtension(() => ({ key: 'changes', prosemirrorPlugins: [markPlugin] }))

export function VersionView({ update, changes, whose }: Props) {
  const editor = useCreateBlockNote({
    schema,
    extensions: [Marks()],
    domAttributes: { editor: { 'aria-label': 'The document at this version', role: 'textbox', 'aria-multiline': 'true', 'aria-readonly': 'true' } },
  })
  useEffect(() => {
    const doc = new Y.Doc()
    Y.applyUpdate(doc, update)
    const fragment = doc.getXmlFragment(FRAGMENT)
    const blocks = yXmlFragmentToBlocks(editor, fragment)
    editor.replaceBlocks(editor.document, blocks.length > 0 ? blocks : [{ type: 'paragraph' }])
    const marks = marksOf(editor.prosemirrorState.doc, fragment, changes, whose)
    editor.transact((transaction) => transaction.setMeta(key, marks))
    doc.destroy()
  }, [editor, update, changes, whose])
  return (
    <BlockNoteView editor={editor} editable={false} className="editor" formattingToolbar={false} linkToolbar={false} slashMenu={false}
      sideMenu={false} filePanel={false} tableHandles={false} emojiPicker={false} />
  )
}
