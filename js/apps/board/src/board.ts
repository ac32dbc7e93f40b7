// A board with cards and a poll, on one object that merges.
//
//   ormap ─┬─ order    list: the cards' names, of all columns one behind the other
//          ├─ cards    ormap ── NAME ─┬─ title   mvreg: of names that were given apart, all
//          │                          ├─ column  lww: of moves that were made apart, the later one
//          │                          └─ likes   gcounter: everybody's
//          └─ votes    ormap ── VOTER ── lww: what somebody wants, once
//
// A card is there as long as its name is in the order. To delete it takes it out there and nowhere else: in a list, who moves or
// sets an element at the same time wins over who deletes it, and so the whole card comes back with what somebody did to it
// meanwhile. To rename sets it there, too, for that reason. To like does not. What a deleted card was stays in the object, which
// is a few bytes; were it removed, a card that comes back would have lost what the remover had seen of it.
import type { Crdt } from '@laniakea/sdk'

export const columns = ['todo', 'doing', 'done'] as const
export type Column = (typeof columns)[number]
export const columnTitles: Readonly<Record<Column, string>> = { todo: 'To do', doing: 'Doing', done: 'Done' }

export const question = 'When do we launch?'
export const options = ['Monday', 'Wednesday', 'Friday'] as const

export interface Card {
  readonly id: string
  /** Several: they were given apart, and nobody has chosen yet. */
  readonly titles: readonly string[]
  readonly column: Column
  readonly likes: number
}

/** What a board amounts to. */
export interface Snapshot {
  /** In the order in which they stand, whatever their column is. */
  readonly cards: readonly Card[]
  /** By voter. */
  readonly votes: Readonly<Record<string, string>>
}

/** As the object says it; other programs may have written there as well. */
interface Written {
  readonly order?: unknown
  readonly cards?: Readonly<Record<string, { readonly title?: unknown; readonly column?: unknown; readonly likes?: unknown }>>
  readonly votes?: Readonly<Record<string, unknown>>
}

export const titleOf = ({ titles }: Card): string => titles[0] ?? 'Untitled'

export const cardsIn = ({ cards }: Snapshot, column: Column): readonly Card[] => cards.filter((card) => card.column === column)

export class Board {
  readonly #object: Crdt<'ormap'>
  readonly #voter: string

  constructor(object: Crdt<'ormap'>, voter: string) {
    this.#object = object
    this.#voter = voter
  }

  read(): Snapshot {
    const { cards = {}, votes = {} } = this.#object.value as Written
    const ids = [...new Set(this.#names())]
    return {
      cards: ids.map((id) => {
        const { title, column, likes } = cards[id] ?? {}
        const titles = (Array.isArray(title) ? title : []).filter((each) => typeof each === 'string')
        return { id, titles, column: columns.find((each) => each === column) ?? 'todo', likes: typeof likes === 'number' ? likes : 0 }
      }),
      votes: Object.fromEntries(Object.entries(votes).filter((vote): vote is [string, string] => typeof vote[1] === 'string')),
    }
  }

  get vote(): string | undefined {
    return this.read().votes[this.#voter]
  }

  get voter(): string {
    return this.#voter
  }

  add(title: string, column: Column): string {
    const id = freshName()
    this.#object.batch(() => {
      const card = this.#card(id)
      card.at('title', 'mvreg').set(title)
      card.at('column', 'lww').set(column)
      this.#order.insert(this.#names().length, id)
    })
    return id
  }

  rename(id: string, title: string): void {
    this.#object.batch(() => {
      this.#card(id).at('title', 'mvreg').set(title)
      this.#order.set(this.#indexOf(id), id)
    })
  }

  /** In front of the card `before`, or behind all others of the column. */
  move(id: string, column: Column, before?: string): void {
    const from = this.#indexOf(id)
    const to = before === undefined ? this.#endOf(column, id) : this.#indexOf(before)
    this.#object.batch(() => {
      if (this.#card(id).at('column', 'lww').value !== column) this.#card(id).at('column', 'lww').set(column)
      // An index is counted before the move: what stands behind comes one nearer.
      this.#order.move(from, to === undefined ? from : from < to ? to - 1 : to)
    })
  }

  delete(id: string): void {
    this.#object.batch(() => {
      for (let index = this.#names().lastIndexOf(id); index >= 0; index = this.#names().lastIndexOf(id)) this.#order.delete(index)
    })
  }

  like(id: string): void {
    this.#card(id).at('likes', 'gcounter').increment(1)
  }

  /** The same again takes it back. */
  choose(option: string): void {
    const votes = this.#object.at('votes', 'ormap')
    if (this.vote === option) votes.remove(this.#voter)
    else votes.at(this.#voter, 'lww').set(option)
  }

  get #order() {
    return this.#object.at('order', 'list')
  }

  #names(): readonly string[] {
    return this.#order.value.map(String)
  }

  #card(id: string) {
    return this.#object.at('cards', 'ormap').at(id, 'ormap')
  }

  #indexOf(id: string): number {
    const index = this.#names().indexOf(id)
    if (index < 0) throw new RangeError('somebody has deleted this card')
    return index
  }

  /** Behind the last card of `column` that is not `id`; undefined where there is none. */
  #endOf(column: Column, id: string): number | undefined {
    const last = cardsIn(this.read(), column).filter((card) => card.id !== id).at(-1)
    return last === undefined ? undefined : this.#indexOf(last.id) + 1
  }
}

/** One that nobody else gives, wherever they are. */
export function freshName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
