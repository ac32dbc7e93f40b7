// What has changed between two states of a board, and what a merge has made of changes that were made apart. No page, no network.
import { columnTitles, titleOf, type Card, type Column, type Snapshot } from './board.ts'

/** What happened to a card. */
export interface CardChange {
  readonly id: string
  /** As it was, or as it came. */
  readonly card: Card
  readonly isNew: boolean
  readonly isDeleted: boolean
  readonly titles: readonly string[] | undefined
  readonly column: Column | undefined
  /** Within its column. */
  readonly isMoved: boolean
  readonly likes: number
}

export interface Changes {
  readonly cards: ReadonlyMap<string, CardChange>
  /** Who voted otherwise than before. */
  readonly votes: readonly string[]
}

export const countOf = ({ cards, votes }: Changes): number => cards.size + votes.length

const isSame = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((each, i) => each === b[i])

/** Of `ids` as few as must move so that they stand as in `wanted`. */
function movedAmong(ids: readonly string[], wanted: readonly string[]): ReadonlySet<string> {
  const places = wanted.filter((id) => ids.includes(id)).map((id) => ids.indexOf(id))
  // The longest run of places that ascend stays: runs[i] ends with the place i.
  const runs: number[][] = []
  for (const [i, place] of places.entries()) {
    const before = runs.filter((run) => (run.at(-1) as number) < place).reduce<number[]>((best, run) => (run.length > best.length ? run : best), [])
    runs[i] = [...before, place]
  }
  const stays = new Set(runs.reduce((best, run) => (run.length > best.length ? run : best), []))
  return new Set(places.filter((place) => !stays.has(place)).map((place) => ids[place] as string))
}

export function changesBetween(before: Snapshot, after: Snapshot): Changes {
  const old = new Map(before.cards.map((card) => [card.id, card]))
  const now = new Map(after.cards.map((card) => [card.id, card]))
  const cards = new Map<string, CardChange>()
  const stayed = (each: Card): boolean => old.get(each.id)?.column === now.get(each.id)?.column
  const moved = new Set(Object.keys(columnTitles).flatMap((column) => {
    const idsOf = ({ cards }: Snapshot): string[] => cards.filter((card) => card.column === column && stayed(card)).map(({ id }) => id)
    return [...movedAmong(idsOf(before), idsOf(after))]
  }))
  for (const id of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(id), now.get(id)]
    const card = (was ?? is) as Card
    const change = {
      id, card, isNew: was === undefined, isDeleted: is === undefined,
      titles: was && is && !isSame(was.titles, is.titles) ? is.titles : undefined,
      column: was && is && was.column !== is.column ? is.column : undefined,
      isMoved: moved.has(id),
      likes: is === undefined ? 0 : is.likes - (was?.likes ?? 0),
    }
    if (change.isNew || change.isDeleted || change.titles || change.column || change.isMoved || change.likes > 0) cards.set(id, change)
  }
  const voters = new Set([...Object.keys(before.votes), ...Object.keys(after.votes)])
  return { cards, votes: [...voters].filter((voter) => before.votes[voter] !== after.votes[voter]) }
}

const quoted = (text: string): string => `“${text}”`
const likesOf = (count: number): string => (count === 1 ? '1 like' : `${count} likes`)
/** "2 cards", "1 vote" */
const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** In a few words, for a label on the card. */
export function labelOf(change: CardChange, isBack: boolean): string {
  if (change.isNew) return isBack ? 'is back' : 'new'
  return [
    change.titles && (change.titles.length > 1 ? `${change.titles.length} names` : 'renamed'),
    change.column ? `to ${columnTitles[change.column]}` : change.isMoved && 'moved',
    change.likes > 0 && `+${change.likes} ♥`,
  ].filter(Boolean).join(', ')
}

/** In a sentence, for those who do not see it. */
export function sentenceOf(change: CardChange, isBack: boolean): string {
  const title = quoted(titleOf(change.card))
  if (change.isNew) return isBack ? `${title} is back` : `${title} is new`
  if (change.isDeleted) return `${title} was deleted`
  return [
    change.titles && (change.titles.length > 1 ? `${title} has ${change.titles.length} names` : `${title} is now ${quoted(change.titles[0] ?? '')}`),
    change.column ? `${title} moved to ${columnTitles[change.column]}` : change.isMoved && `${title} moved`,
    change.likes > 0 && `${title} got ${likesOf(change.likes)}`,
  ].filter(Boolean).join(', ')
}

/** A device in an outage: how it was when the network was cut, and when it came back. */
export interface Absence {
  readonly who: string
  readonly before: Snapshot
  readonly after: Snapshot
}

export interface Merge {
  readonly summary: string
  /** Where both had changed the same thing. */
  readonly lines: readonly string[]
}

/** What became of what both did apart, `merged`. */
export function explain(a: Absence, b: Absence, merged: Snapshot): Merge {
  const [of, and] = [changesBetween(a.before, a.after), changesBetween(b.before, b.after)]
  const brought = [[a, of], [b, and]] as const
  const parts = brought.filter(([, changes]) => countOf(changes) > 0).map(([{ who }, { cards, votes }]) =>
    `${who} brought ${[cards.size > 0 && `changes to ${counted(cards.size, 'card')}`, votes.length > 0 && counted(votes.length, 'vote')].filter(Boolean).join(' and ')}`)
  const lines: string[] = []
  for (const [id, first] of of.cards) {
    const second = and.cards.get(id)
    if (second !== undefined) lines.push(...explainCard({ who: a.who, change: first }, { who: b.who, change: second }, merged.cards.find((card) => card.id === id)))
  }
  if (of.votes.length > 0 && and.votes.length > 0) lines.push('Both voted: each of the two votes counts, once.')
  if (parts.length === 0) return { summary: 'The network is back. Nothing had changed meanwhile.', lines }
  const tail = lines.length === 0 ? 'Nothing was in the way of anything.' : 'This is where they met:'
  return { summary: `Merged: ${parts.join(', ')}. ${tail}`, lines }
}

interface Deed {
  readonly who: string
  readonly change: CardChange
}

const isPlaced = ({ column, isMoved }: CardChange): boolean => column !== undefined || isMoved

function explainCard(a: Deed, b: Deed, merged: Card | undefined): string[] {
  const title = quoted(titleOf(a.change.card))
  if (a.change.isDeleted && b.change.isDeleted) return [`Both deleted ${title}.`]
  if (a.change.isDeleted) return [explainDeleted(a, b, merged)]
  if (b.change.isDeleted) return [explainDeleted(b, a, merged)]
  if (merged === undefined) return [`Somebody else deleted ${title}.`]
  const lines: string[] = []
  if (a.change.titles && b.change.titles) {
    const names = [a, b].map(({ who, change }) => `${who} ${quoted(change.titles?.[0] ?? '')}`)
    const outcome = merged.titles.length > 1 ? 'Both names are kept until somebody chooses.' : `It is ${quoted(titleOf(merged))}.`
    lines.push(`Both renamed the card ${title}: ${names.join(', ')}. ${outcome}`)
  }
  if (isPlaced(a.change) && isPlaced(b.change)) {
    const ways = [a, b].map(({ who, change }) => `${who} ${change.column ? `to ${columnTitles[change.column]}` : 'within its column'}`)
    lines.push(`Both moved ${title}: ${ways.join(', ')}. It stands once, in ${columnTitles[merged.column]}.`)
  }
  if (a.change.likes > 0 && b.change.likes > 0) {
    const { likes } = a.change.card
    lines.push(`Both liked ${title}: ${likes} + ${a.change.likes} + ${b.change.likes} = ${merged.likes}. No like is lost, none counts twice.`)
  }
  for (const [renamer, mover] of [[a, b], [b, a]] as const) {
    const isApart = renamer.change.titles && !isPlaced(renamer.change) && isPlaced(mover.change) && !mover.change.titles
    if (isApart) lines.push(`${renamer.who} renamed ${title} while ${mover.who} moved it: both hold.`)
  }
  return lines
}

function explainDeleted(deleter: Deed, other: Deed, merged: Card | undefined): string {
  const title = quoted(titleOf(deleter.change.card))
  const { titles, likes } = other.change
  const deeds = [titles && `renamed it to ${quoted(titles[0] ?? '')}`, isPlaced(other.change) && 'moved it', likes > 0 && 'liked it'].filter(Boolean).join(' and ')
  const outcome = merged === undefined ? 'It is gone: a like does not bring a card back.' : 'The card stays, so that nobody’s work is lost.'
  return `${deleter.who} deleted ${title} while ${other.who} ${deeds}. ${outcome}`
}
