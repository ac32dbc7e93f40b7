// A card as it is shown: its title, likes and handle; a form while it is edited; and what a merge did to it.
import { columnTitles, columns, titleOf, type Card, type Column } from './board.ts'
import { button, h, setText } from './dom.ts'

export interface CardDeeds {
  readonly like: (id: string) => void
  readonly rename: (id: string, title: string) => void
  readonly place: (id: string, column: Column) => void
  readonly delete: (id: string) => void
  /** An arrow key was pressed on the handle. */
  readonly step: (id: string, key: string) => void
}

export const TITLE_MAX = 120

export class CardView {
  readonly id: string
  readonly element: HTMLLIElement
  readonly #deeds: CardDeeds
  readonly #title: HTMLButtonElement
  readonly #likes: HTMLButtonElement
  readonly #handle: HTMLButtonElement
  readonly #face: HTMLElement
  readonly #names: HTMLElement
  readonly #label: HTMLElement
  #card: Card
  #form: HTMLFormElement | undefined

  constructor(card: Card, deeds: CardDeeds) {
    this.id = card.id
    this.#card = card
    this.#deeds = deeds
    this.#title = button('', { class: 'title' }, () => this.#edit())
    this.#likes = button('', { class: 'like' }, () => deeds.like(card.id))
    this.#handle = button('⠿', { class: 'handle', 'aria-keyshortcuts': 'ArrowUp ArrowDown ArrowLeft ArrowRight' }, () => {})
    this.#handle.addEventListener('keydown', (event) => {
      if (!event.key.startsWith('Arrow') || event.altKey || event.ctrlKey || event.metaKey) return
      event.preventDefault()
      deeds.step(card.id, event.key)
    })
    this.#names = h('div', { class: 'names', hidden: '' })
    this.#label = h('span', { class: 'label', 'aria-hidden': 'true' })
    this.#face = h('div', { class: 'face' }, this.#title, this.#names, h('div', { class: 'row' }, this.#likes, this.#label, this.#handle))
    this.element = h('li', { class: 'card', 'data-id': card.id }, this.#face)
    this.element.addEventListener('animationend', ({ animationName }) => {
      if (animationName === 'merged') delete this.element.dataset['merged']
    })
    this.show(card)
  }

  show(card: Card): void {
    this.#card = card
    const title = card.titles.length > 1 ? card.titles.join(' / ') : titleOf(card)
    setText(this.#title, title)
    this.#title.setAttribute('aria-label', `Edit “${title}”`)
    setText(this.#likes, `♥ ${card.likes}`)
    this.#likes.setAttribute('aria-label', `Like “${title}”, ${card.likes} until now`)
    this.#handle.setAttribute('aria-label', `Move “${title}” by arrow keys`)
    this.#showNames(card.titles)
  }

  /** What was written apart stands side by side, until somebody chooses. */
  #showNames(titles: readonly string[]): void {
    this.#names.hidden = titles.length < 2
    const shown = JSON.stringify(titles)
    if (this.#names.dataset['titles'] === shown) return
    this.#names.dataset['titles'] = shown
    const choices = titles.map((title) => button(title, { 'aria-label': `Keep the name “${title}”` }, () => this.#deeds.rename(this.id, title)))
    this.#names.replaceChildren(h('span', {}, 'Two names. Keep'), ...choices)
  }

  /** Shows for a while what a merge did: `label` says what. */
  highlight(label: string): void {
    setText(this.#label, label)
    delete this.element.dataset['merged']
    void this.element.offsetWidth // so that the animation begins again
    this.element.dataset['merged'] = label
  }

  focusHandle(): void {
    this.#handle.focus()
  }

  #edit(): void {
    if (this.#form !== undefined) return
    const { id } = this
    const before = titleOf(this.#card)
    const title = h('input', { name: 'title', maxlength: String(TITLE_MAX), required: '', autocomplete: 'off', 'aria-label': 'Title' })
    title.value = before
    const column = h('select', { name: 'column', 'aria-label': 'Column' }, ...columns.map((each) => h('option', { value: each }, columnTitles[each])))
    column.value = this.#card.column
    const cancel = (): void => this.#close()
    const form = h('form', { class: 'edit' }, title, column, h('div', { class: 'row' },
      h('button', { type: 'submit' }, 'Save'), button('Cancel', {}, cancel), button('Delete', { class: 'danger' }, () => this.#deeds.delete(id))))
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const text = title.value.trim()
      const wanted = column.value as Column
      this.#close()
      if (text !== '' && text !== before) this.#deeds.rename(id, text)
      if (wanted !== this.#card.column) this.#deeds.place(id, wanted)
    })
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') cancel()
    })
    this.#form = form
    this.#face.hidden = true
    this.element.append(form)
    title.focus()
    title.select()
  }

  #close(): void {
    this.#form?.remove()
    this.#form = undefined
    this.#face.hidden = false
    this.#title.focus()
  }
}
