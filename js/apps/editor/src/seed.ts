// The first paragraph of a document.
//
// An editor needs one to write into. Were each to make its own, two people who open an empty document at once would have
// two beginnings, of which the editor can show one. So all make the same: as the same changes of the same client, which
// Yjs takes once, however often they come.
import * as Y from 'yjs'

/** Where BlockNote's examples keep the document, so that editors of others show the same. */
export const FRAGMENT = 'document-store'
const SEED_CLIENT = 1

/** Whether it is nobody who wrote, but every editor. */
export const isSeedClient = (client: number): boolean => client === SEED_CLIENT

function makeSeed(): Uint8Array {
  const doc = new Y.Doc()
  doc.clientID = SEED_CLIENT
  const group = new Y.XmlElement('blockGroup')
  const container = new Y.XmlElement('blockContainer')
  const paragraph = new Y.XmlElement('paragraph')
  container.setAttribute('id', 'initialBlockId')
  for (const [name, value] of [['backgroundColor', 'default'], ['textColor', 'default'], ['textAlignment', 'left']] as const) paragraph.setAttribute(name, value)
  paragraph.insert(0, [new Y.XmlText()])
  container.insert(0, [paragraph])
  group.insert(0, [container])
  doc.getXmlFragment(FRAGMENT).insert(0, [group])
  return Y.encodeStateAsUpdate(doc)
}

/** Does nothing to a document that has a beginning. */
export function seed(doc: Y.Doc): void {
  if (doc.getXmlFragment(FRAGMENT).length === 0) Y.applyUpdate(doc, makeSeed(), 'seed')
}
