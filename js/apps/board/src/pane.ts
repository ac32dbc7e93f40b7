// One device: its board, its poll, and how it is.
import type { Client, ClientStatus, CrdtTopic } from '@laniakea/sdk'
import { Board, cardsIn, columnTitles, columns, options, question, titleOf, type Column, type Snapshot } from './board.ts'
import { CardView, TITLE_MAX } from './card.ts'
import { arrange, button, h, keepingFocus, setText } from './dom.ts'
import { makeDraggable } from './drag.ts'
import { changesBetween, countOf, labelOf, sentenceOf } from './merge.ts'

export interface PaneOptions {
  readonly key: string
  /** "Ada" */
  readonly who: string
  readonly client: Client
  readonly topic: CrdtTopic<'ormap'>
  readonly voter: string
  /** Anything here may be otherwise than before. */
  readonly onChange: () => void
  readonly onProblem: (message: string) => void
}

const statusTexts: Readonly<Record<ClientStatus['state'], string>> = { starting: 'Starting', offline: 'Offline', connecting: 'Connecting', online: 'Online' }
/** A short try to connect is not worth a flicker. */
const STATUS_DELAY_MS = 400
/** More than that nobody listens to. */
const SENTENCES_MAX = 3

interface ColumnView {
  readonly list: HTMLUListElement
  readonly count: HTMLElement
}

interface OptionView {
  readonly button: HTMLButtonElement
  readonly bar: HTMLElement
  readonly count: HTMLElement
  readonly noun: HTMLElement
}

export class Pane {
  readonly element: HTMLElement
  readonly board: Board
  readonly #options: PaneOptions
  readonly #status: HTMLElement
  readonly #pending: HTMLElement
  /** For those who do not see what happens. */
  readonly #voice: HTMLElement
  readonly #columns = new Map<Column, ColumnView>()
  readonly #cards = new Map<string, CardView>()
  /** Cards that were here at some time: what was deleted may come back. */
  readonly #known = new Set<string>()
  readonly #poll = new Map<string, OptionView>()
  #shown: Snapshot
  #isOurs = false
  #statusTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: PaneOptions) {
    const { key, who, client, topic, voter, onChange } = options
    this.#options = options
    this.board = new Board(topic.object, voter)
    this.#status = h('p', { class: 'status', 'data-status': 'connecting' }, 'Starting')
    this.#pending = h('p', { class: 'pending' })
    this.#voice = h('p', { class: 'voice hidden', role: 'status' })
    const title = h('h2', { id: `${key}-title` }, `${who}’s device`)
    this.element = h('section', { class: 'pane', id: key, 'aria-labelledby': title.id },
      h('div', { class: 'bar' }, title, this.#pending, this.#status), h('div', { class: 'columns' }, ...columns.map((column) => this.#makeColumn(column))), this.#makePoll(), this.#voice)
    makeDraggable([...this.#columns.values()].map(({ list }) => list), (card, { list, before }) => {
      const column = columns.find((each) => this.#columns.get(each)?.list === list)
      if (column !== undefined) this.#do(() => this.board.move(card.dataset['id'] ?? '', column, before?.dataset['id']))
    })
    this.#shown = this.board.read()
    this.#render(this.#shown)
    this.#remember()
    topic.object.subscribe(() => this.#take())
    const showStatus = (): void => {
      this.#showStatus()
      onChange()
    }
    client.onStatus(showStatus)
    topic.onStatus(showStatus)
    this.#showStatus()
  }

  get snapshot(): Snapshot {
    return this.#shown
  }

  /** Everything that was changed here is with the server. */
  get isSettled(): boolean {
    const { status } = this.#options.topic
    return status.state === 'joined' && status.pending === 0 && status.unsaved === 0
  }

  get pending(): number {
    const { pending, unsaved } = this.#options.topic.status
    return Math.max(pending, unsaved)
  }

  /** The same on every device that knows the same. */
  get digest(): string {
    return this.#options.topic.object.digest()
  }

  // ---- what it looks like ----

  #makeColumn(column: Column): HTMLElement {
    const { key, who } = this.#options
    const list = h('ul', { 'data-column': column })
    const count = h('span', { class: 'count' })
    const title = h('h3', { id: `${key}-${column}` }, `${columnTitles[column]} `, count)
    const input = h('input', { name: 'title', maxlength: String(TITLE_MAX), placeholder: 'New card', autocomplete: 'off', 'aria-label': `New card in ${columnTitles[column]} on ${who}’s device` })
    const form = h('form', { class: 'add' }, input, h('button', { type: 'submit', 'aria-label': `Add to ${columnTitles[column]}` }, '+'))
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const text = input.value.trim()
      if (text === '') return input.focus()
      input.value = ''
      this.#do(() => this.board.add(text, column))
    })
    this.#columns.set(column, { list, count })
    return h('section', { class: 'column', 'aria-labelledby': title.id }, title, list, form)
  }

  #makePoll(): HTMLElement {
    const { key } = this.#options
    const title = h('h3', { id: `${key}-poll` }, question)
    const rows = options.map((option) => {
      const bar = h('span', { class: 'fill' })
      const count = h('span', { class: 'votes' })
      const noun = h('span', { class: 'hidden' })
      const each = button('', { 'aria-pressed': 'false', 'data-option': option }, () => this.#do(() => this.board.choose(option)))
      each.append(bar, h('span', { class: 'option' }, option), count, noun)
      this.#poll.set(option, { button: each, bar, count, noun })
      return h('li', {}, each)
    })
    return h('section', { class: 'poll', 'aria-labelledby': title.id }, title, h('ul', {}, ...rows))
  }

  #showStatus(): void {
    const { client: { status: { state } } } = this.#options
    clearTimeout(this.#statusTimer)
    const show = (): void => {
      this.#status.dataset['status'] = state === 'starting' ? 'connecting' : state
      setText(this.#status, statusTexts[state])
    }
    if (state === 'connecting' || state === 'starting') this.#statusTimer = setTimeout(show, STATUS_DELAY_MS)
    else show()
    const { pending } = this
    setText(this.#pending, pending === 0 ? '' : pending === 1 ? '1 change waits' : `${pending} changes wait`)
    // What was done here would outlive the page.
    this.element.dataset['kept'] = String(this.#options.topic.status.unsaved === 0)
    const { state: topic, reason } = this.#options.topic.status
    if (topic === 'refused' || topic === 'failed') this.#options.onProblem(`the server does not take this board (${reason})`)
  }

  #render(snapshot: Snapshot): void {
    keepingFocus(() => {
      for (const { id } of snapshot.cards) if (!this.#cards.has(id)) this.#cards.set(id, this.#makeCard(snapshot, id))
      for (const card of snapshot.cards) this.#cards.get(card.id)?.show(card)
      for (const [column, { list, count }] of this.#columns) {
        const cards = cardsIn(snapshot, column)
        arrange(list, cards.map(({ id }) => (this.#cards.get(id) as CardView).element))
        setText(count, String(cards.length))
        count.setAttribute('aria-label', cards.length === 1 ? '1 card' : `${cards.length} cards`)
      }
      for (const id of this.#cards.keys()) if (!snapshot.cards.some((card) => card.id === id)) this.#cards.delete(id)
    })
    const votes = Object.values(snapshot.votes)
    const most = Math.max(1, ...options.map((option) => votes.filter((vote) => vote === option).length))
    for (const [option, { button, bar, count, noun }] of this.#poll) {
      const number = votes.filter((vote) => vote === option).length
      bar.style.inlineSize = `${(100 * number) / most}%`
      setText(count, String(number))
      button.setAttribute('aria-pressed', String(snapshot.votes[this.board.voter] === option))
      setText(noun, number === 1 ? ' vote' : ' votes')
    }
  }

  #makeCard(snapshot: Snapshot, id: string): CardView {
    return new CardView(snapshot.cards.find((card) => card.id === id) as Snapshot['cards'][number], {
      like: (id) => this.#do(() => this.board.like(id)),
      rename: (id, title) => this.#do(() => this.board.rename(id, title)),
      place: (id, column) => this.#do(() => this.board.move(id, column)),
      delete: (id) => this.#do(() => this.board.delete(id)),
      step: (id, key) => this.#step(id, key),
    })
  }

  // ---- what happens ----

  /** Changes the board, as somebody here wants it. */
  #do(body: () => void): void {
    this.#isOurs = true
    try {
      body()
    } catch (error) {
      this.#options.onProblem((error as Error).message)
    } finally {
      this.#isOurs = false
    }
  }

  /** The board is otherwise than before. What others did is pointed out. */
  #take(): void {
    const before = this.#shown
    this.#shown = this.board.read()
    this.#render(this.#shown)
    if (!this.#isOurs) this.#pointOut(before)
    this.#remember()
    this.#options.onChange()
  }

  #remember(): void {
    for (const { id } of this.#shown.cards) this.#known.add(id)
  }

  #pointOut(before: Snapshot): void {
    const changes = changesBetween(before, this.#shown)
    if (countOf(changes) === 0) return
    for (const [id, change] of changes.cards) this.#cards.get(id)?.highlight(labelOf(change, this.#known.has(id)))
    const all = [...changes.cards.values()].map((change) => sentenceOf(change, this.#known.has(change.id)))
    if (changes.votes.length > 0) all.push('the votes have changed')
    const rest = all.length - SENTENCES_MAX
    const sentences = rest > 0 ? [...all.slice(0, SENTENCES_MAX), `${rest} more`] : all
    setText(this.#voice, `On ${this.#options.who}’s device: ${sentences.join('; ')}.`)
  }

  /** Up and down within the column, left and right to the end of the next one. */
  #step(id: string, key: string): void {
    const card = this.#shown.cards.find((each) => each.id === id)
    if (card === undefined) return
    const cards = cardsIn(this.#shown, card.column)
    const at = cards.indexOf(card)
    if (key === 'ArrowUp' || key === 'ArrowDown') {
      const isUp = key === 'ArrowUp'
      if (isUp ? at === 0 : at === cards.length - 1) return
      this.#do(() => this.board.move(id, card.column, cards[isUp ? at - 1 : at + 2]?.id))
    } else {
      const column = columns[columns.indexOf(card.column) + (key === 'ArrowRight' ? 1 : -1)]
      if (column === undefined) return
      this.#do(() => this.board.move(id, column))
    }
    this.#cards.get(id)?.focusHandle()
    const now = this.#shown.cards.find((each) => each.id === id)
    if (now === undefined) return
    const neighbours = cardsIn(this.#shown, now.column)
    setText(this.#voice, `“${titleOf(now)}”: ${columnTitles[now.column]}, ${neighbours.indexOf(now) + 1} of ${neighbours.length}.`)
  }
}
