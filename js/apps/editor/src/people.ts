// Who writes here: this person, kept in the browser, and the others, of whom nothing is trusted.
import type { Awareness } from 'y-protocols/awareness'
import { makePersonName } from './names.ts'

export interface Person {
  readonly name: string
  readonly color: string
}

export interface Present extends Person {
  readonly client: number
  readonly isMe: boolean
}

/** White text on each has a contrast of at least 4.5 to 1. */
export const COLORS = [
  { name: 'Violet', value: '#6741d9' }, { name: 'Blue', value: '#1864ab' }, { name: 'Teal', value: '#08705f' },
  { name: 'Green', value: '#2b6e34' }, { name: 'Brown', value: '#8a4b08' }, { name: 'Red', value: '#b3262e' },
  { name: 'Pink', value: '#a61e6d' }, { name: 'Slate', value: '#46566b' },
] as const

export const NAME_LENGTH_MAX = 40
const KEY = 'laniakea.person'
const VALID_COLOR = /^#[0-9a-f]{6}$/i

function colorOf(seed: number): string {
  return COLORS[seed % COLORS.length]!.value
}

/** What somebody else says about themselves, as it can be shown: their color becomes part of a style. */
export function personOf(state: unknown, client: number): Person {
  const user = (state as { user?: { name?: unknown; color?: unknown } } | undefined)?.user
  const name = typeof user?.name === 'string' ? user.name.replace(/\s+/g, ' ').trim().slice(0, NAME_LENGTH_MAX) : ''
  const color = typeof user?.color === 'string' && VALID_COLOR.test(user.color) ? user.color : colorOf(client)
  return { name: name === '' ? 'Somebody' : name, color }
}

export function loadPerson(): Person {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '') as unknown
    if (kept !== null && typeof kept === 'object') return personOf({ user: kept }, 0)
  } catch { /* there is none, or no storage */ }
  const [random] = crypto.getRandomValues(new Uint32Array(1))
  const made = { name: makePersonName(), color: colorOf(random!) }
  savePerson(made)
  return made
}

export function savePerson(person: Person): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(person))
  } catch { /* then it holds as long as the tab */ }
}

export function presentOf(awareness: Awareness): readonly Present[] {
  return [...awareness.getStates()]
    .map(([client, state]) => ({ ...personOf(state, client), client, isMe: client === awareness.clientID }))
    .sort((a, b) => Number(b.isMe) - Number(a.isMe) || a.client - b.client)
}

/** `awareness` for the editor, whose selections put the color of others into style attributes as it comes. */
export function guarded(awareness: Awareness): Awareness {
  const getStates = (): Map<number, unknown> =>
    new Map([...awareness.getStates()].map(([client, state]) => [client, { ...state, user: { ...personOf(state, client), client } }]))
  return new Proxy(awareness, {
    get(target, key) {
      if (key === 'getStates') return getStates
      const value = Reflect.get(target, key) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Letters for a small circle. */
export function initialsOf(name: string): string {
  const words = name.split(' ').filter((word) => word !== '')
  return words.slice(0, 2).map((word) => [...word][0]!.toUpperCase()).join('')
}
