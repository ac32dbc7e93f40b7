// BlockNote over the room's document, with the cursors of the others.
import { useEffect, useState } from 'react'
import type { BlockNoteEditor } from '@blocknote/core'
import { filterSuggestionItems, YCursorExtension } from '@blocknote/core/extensions'
import { BlockNoteView } from '@blocknote/mantine'
import { SuggestionMenuController, getDefaultReactSlashMenuItems, useCreateBlockNote } from '@blocknote/react'
import { guarded, personOf, type Person } from './people.ts'
import { schema } from './schema.ts'
import { FRAGMENT } from './seed.ts'
import type { Room } from './room.ts'

interface Props {
  readonly room: Room
  readonly person: Person
  readonly isEditable: boolean
  onReady(editor: BlockNoteEditor): void
}

/** What needs files of other servers, which the page's policy does not let in. */
const NEEDS_FILES = new Set(['image', 'video', 'audio', 'file'])

function paintCursor(cursor: Element, { name, color }: Person): void {
  const label = cursor.querySelector<HTMLElement>('.bn-collaboration-cursor__label')!
  const caret = cursor.querySelector<HTMLElement>('.bn-collaboration-cursor__caret')!
  label.textContent = name
  label.style.backgroundColor = color
  caret.style.backgroundColor = color
}

/** As BlockNote makes it, but with no markup of the other's making. */
function makeCursor(person: Person): HTMLElement {
  const cursor = document.createElement('span')
  const caret = document.createElement('span')
  const label = document.createElement('span')
  cursor.className = 'bn-collaboration-cursor__base'
  caret.className = 'bn-collaboration-cursor__caret'
  caret.contentEditable = 'false'
  label.className = 'bn-collaboration-cursor__label'
  caret.append(label)
  cursor.append('\u2060', caret, '\u2060')
  paintCursor(cursor, person)
  return cursor
}

/** BlockNote asks once for each client's cursor, and keeps it. Whoever changes their name changes it there, too. */
function useCursors({ awareness }: Room): (user: Person & { client?: number }) => HTMLElement {
  const [cursors] = useState(() => new Map<number, HTMLElement>())
  useEffect(() => {
    const repaint = ({ updated }: { updated: number[] }): void => {
      for (const client of updated) {
        const cursor = cursors.get(client)
        if (cursor !== undefined) paintCursor(cursor, personOf(awareness.getStates().get(client), client))
      }
    }
    awareness.on('change', repaint)
    return () => awareness.off('change', repaint)
  }, [awareness, cursors])
  return (user) => {
    const cursor = makeCursor(user)
    if (user.client !== undefined) cursors.set(user.client, cursor)
    return cursor
  }
}

export function Editor({ room, person, isEditable, onReady }: Props) {
  const renderCursor = useCursors(room)
  const editor = useCreateBlockNote({
    schema,
    collaboration: {
      provider: { awareness: guarded(room.awareness) },
      fragment: room.doc.getXmlFragment(FRAGMENT),
      user: { name: person.name, color: person.color },
      renderCursor,
    },
    domAttributes: { editor: { 'aria-label': 'Document', role: 'textbox', 'aria-multiline': 'true', 'aria-describedby': 'hint' } },
  })
  useEffect(() => onReady(editor as unknown as BlockNoteEditor), [editor])
  useEffect(() => {
    editor.getExtension(YCursorExtension)?.updateUser({ name: person.name, color: person.color })
  }, [editor, person])
  return (
    <BlockNoteView editor={editor} editable={isEditable} slashMenu={false} className="editor">
      <SuggestionMenuController
        triggerCharacter="/"
        getItems={async (query) => filterSuggestionItems(
          getDefaultReactSlashMenuItems(editor).filter((item) => !NEEDS_FILES.has((item as { key?: string }).key ?? '')), query)}
      />
    </BlockNoteView>
  )
}
