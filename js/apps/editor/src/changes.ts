// What changed between two versions, as marks on the text of the later one.
//
// The server names each node that changed by its path in the Yjs document. The editor's nodes stand in the same order, so
// a path is walked in both at once. A text of Yjs is as long as the editor's; an element is found with its name, and where
// that differs (the editor does not know a block, say) the change is not marked.
//
// What was deleted has no place in the later version. The list that lost it says between which others it stood: it is
// shown there, each of its texts on a line.
import type { Node } from 'prosemirror-model'
import { Decoration, DecorationSet } from 'prosemirror-view'
import * as Y from 'yjs'
import type { Person } from './people.ts'
import type { NodeChange, Step } from './versions.ts'

type Whose = (client: number) => Person

interface Place {
  readonly type: Y.XmlFragment | Y.XmlText
  /** The position in front of its first child, or of its text. */
  readonly start: number
}

interface Walk {
  readonly root: Node
  readonly fragment: Y.XmlFragment
  readonly whose: Whose
  readonly marks: Decoration[]
}

/** The position in front of the child `index` of an element that begins at `start`. */
function positionOf(root: Node, { type, start }: Place, index: number): number | undefined {
  const children = (type as Y.XmlFragment).toArray()
  let at = start
  for (const child of children.slice(0, index)) {
    const size = child instanceof Y.XmlText ? child.length : root.nodeAt(at)?.nodeSize
    if (size === undefined) return undefined
    at += size
  }
  return at <= root.content.size ? at : undefined
}

function placeOf({ root, fragment }: Walk, path: readonly number[]): Place | undefined {
  let place: Place = { type: fragment, start: 0 }
  for (const index of path) {
    const child = place.type instanceof Y.XmlText ? undefined : place.type.get(index)
    const at = child === undefined ? undefined : positionOf(root, place, index)
    if (child === undefined || at === undefined) return undefined
    if (child instanceof Y.XmlText) {
      place = { type: child, start: at }
    } else {
      if (root.nodeAt(at)?.type.name !== (child as Y.XmlElement).nodeName) return undefined
      place = { type: child as Y.XmlElement, start: at + 1 }
    }
  }
  return place
}

// ---- marks

const lookOf = ({ color }: Person): string => `--by: ${color};`

function gone(text: string, tag: 'span' | 'div', whose: Person): () => HTMLElement {
  return () => {
    const place = document.createElement(tag)
    const mark = document.createElement('del')
    place.className = 'gone'
    place.style.cssText = lookOf(whose)
    place.title = `Deleted: ${whose.name} wrote it`
    mark.textContent = text
    place.append(mark)
    return place
  }
}

const sizeOf = (content: unknown): number => typeof content === 'string' || Array.isArray(content) ? content.length : 1

function markText({ marks, whose }: Walk, start: number, delta: readonly Step[]): void {
  let at = start
  for (const { retain, formats, insert, delete: deleted, client = 0 } of delta) {
    const by = whose(client)
    const size = retain ?? (insert === undefined ? 0 : sizeOf(insert))
    if (insert !== undefined) marks.push(Decoration.inline(at, at + size, { nodeName: 'ins', class: 'new', style: lookOf(by), title: `Written by ${by.name}` }))
    else if (formats !== undefined) marks.push(Decoration.inline(at, at + size, { class: 'altered', title: 'Formatted' }))
    else if (typeof deleted === 'string') marks.push(Decoration.widget(at, gone(deleted, 'span', by), { side: -1 }))
    at += size
  }
}

/** The positions where the children stood that the element at `place` lost, in their order. */
function gapsOf({ root }: Walk, place: Place, delta: readonly Step[]): (number | undefined)[] {
  const gaps: (number | undefined)[] = []
  let index = 0
  for (const { retain, insert, delete: deleted } of delta) {
    if (deleted !== undefined) gaps.push(positionOf(root, place, index))
    index += retain ?? (insert === undefined ? 0 : sizeOf(insert))
  }
  return gaps
}

export function marksOf(root: Node, fragment: Y.XmlFragment, changes: readonly NodeChange[], whose: Whose): DecorationSet {
  const walk: Walk = { root, fragment, whose, marks: [] }
  const gaps = new Map<string, (number | undefined)[]>()
  /** By path, where that which is deleted is shown; a node that is there has none. Two may have had one path: the last one named counts. */
  const anchors = new Map<string, number | undefined>()
  for (const { path, state, delta = [], entries } of changes) {
    const key = path.join('.'), parent = path.slice(0, -1).join('.')
    if (state === 'deleted') {
      const anchor = anchors.get(parent) ?? gaps.get(parent)?.shift()
      anchors.set(key, anchor)
      for (const { delete: text, client = 0 } of delta) {
        if (typeof text === 'string' && anchor !== undefined) walk.marks.push(Decoration.widget(anchor, gone(text, 'div', whose(client)), { side: -1 }))
      }
      continue
    }
    anchors.delete(key)
    const place = placeOf(walk, path)
    if (place === undefined) continue
    if (place.type instanceof Y.XmlText) {
      markText(walk, place.start, delta)
      continue
    }
    gaps.set(key, gapsOf(walk, place, delta))
    if (entries !== undefined && state === undefined) walk.marks.push(nodeMark(root, place))
  }
  return DecorationSet.create(root, walk.marks)
}

function nodeMark(root: Node, { start }: Place): Decoration {
  return Decoration.node(start - 1, start - 1 + root.nodeAt(start - 1)!.nodeSize, { class: 'altered', title: 'Changed' })
}
