// The blocks of the documents here: all of BlockNote's. What an editor does not know, it takes out of the document.
import { BlockNoteSchema, defaultBlockSpecs } from '@blocknote/core'

/** As it is, and the box to check has a name. */
function withNamedBox<Spec extends { implementation: object }>(spec: Spec): Spec {
  const { render } = spec.implementation as { render(...parameters: unknown[]): { dom: ParentNode } }
  return {
    ...spec,
    implementation: {
      ...spec.implementation,
      render(...parameters: unknown[]) {
        const made = render.apply(this, parameters)
        made.dom.querySelector('input')?.setAttribute('aria-label', 'Done')
        return made
      },
    },
  }
}

export const schema = BlockNoteSchema.create().extend({
  blockSpecs: { checkListItem: withNamedBox(defaultBlockSpecs.checkListItem) },
})
