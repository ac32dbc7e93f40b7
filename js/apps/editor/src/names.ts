// Names that are made up: of documents, so that a link can be read aloud, and of people.

const QUALITIES = ['amber', 'brave', 'bright', 'calm', 'clear', 'early', 'fresh', 'gentle', 'golden', 'green', 'happy', 'kind',
  'light', 'lucky', 'mellow', 'misty', 'noble', 'open', 'plain', 'quick', 'quiet', 'round', 'silver', 'simple', 'sunny', 'swift',
  'tidy', 'warm', 'wide', 'wild', 'wise', 'young'] as const
const THINGS = ['beach', 'bridge', 'brook', 'canyon', 'cloud', 'comet', 'dune', 'field', 'forest', 'garden', 'harbor', 'hill',
  'island', 'lake', 'lantern', 'meadow', 'moon', 'mountain', 'ocean', 'orchard', 'path', 'planet', 'pond', 'prairie', 'reef',
  'river', 'shore', 'sky', 'star', 'stone', 'valley', 'willow'] as const
const ANIMALS = ['Badger', 'Bear', 'Crane', 'Deer', 'Dolphin', 'Falcon', 'Finch', 'Fox', 'Hare', 'Hedgehog', 'Heron', 'Koala',
  'Lark', 'Lynx', 'Marten', 'Otter', 'Owl', 'Panda', 'Puffin', 'Raven', 'Seal', 'Stork', 'Swan', 'Tiger', 'Turtle', 'Wren'] as const

function pick(words: readonly string[]): string {
  const [random] = crypto.getRandomValues(new Uint32Array(1))
  return words[random! % words.length]!
}

/** "quiet-river-k3vf9a": two words to remember, and 31 bits that nobody guesses by accident. */
export function makeDocumentName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  const tail = Array.from(bytes, (byte) => 'abcdefghijkmnpqrstuvwxyz23456789'[byte % 32]).join('')
  return `${pick(QUALITIES)}-${pick(THINGS)}-${tail}`
}

/** "Quiet Otter". */
export function makePersonName(): string {
  const quality = pick(QUALITIES)
  return `${quality[0]!.toUpperCase()}${quality.slice(1)} ${pick(ANIMALS)}`
}

/** The name of the document in a path "/edit/NAME"; undefined where there is none. */
export function documentNameOf(path: string): string | undefined {
  const name = path.replace(/^\/edit\/?/, '')
  if (name === '') return undefined
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** What a browser puts into a path as it is stays readable there. */
export const pathOf = (name: string): string => `/edit/${name.split('/').map(encodeURIComponent).join('/')}`
