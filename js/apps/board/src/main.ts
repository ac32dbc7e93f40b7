// The board's page: two devices, the network between them, and what became of what they did apart.
//
// Each device is a client of its own: a store, a connection, a worker. All that they have in common is the server, so to cut the
// network is to take both from it. Whether it is cut, and what the board was then, survives the page as the devices do.
import { createClient, loadCore, type Client, type Core } from '@laniakea/sdk'
import { Board, freshName, type Snapshot } from './board.ts'
import { byId, h, setText } from './dom.ts'
import { explain, type Merge } from './merge.ts'
import { Pane } from './pane.ts'

const people = [{ key: 'ada', who: 'Ada' }, { key: 'ben', who: 'Ben' }] as const

const network = byId<HTMLButtonElement>('network')
const agreement = byId('agreement')
const summary = byId('summary')
const conflicts = byId('conflicts')
const problem = byId('problem')

// ---- what survives the page ----

const memory = {
  read: (name: string): unknown => {
    try {
      return JSON.parse(localStorage.getItem(`laniakea board ${name}`) ?? 'null')
    } catch {
      return null
    }
  },
  write: (name: string, value: unknown): void => {
    try {
      localStorage.setItem(`laniakea board ${name}`, JSON.stringify(value))
    } catch {
      // A browser that keeps nothing: the next page begins anew.
    }
  },
}

/** This browser, as far as it votes. */
function visitor(): string {
  const known = memory.read('visitor')
  if (typeof known === 'string') return known
  const fresh = freshName()
  memory.write('visitor', fresh)
  return fresh
}

/** "?board=name", else the one that was here last; "?new" and who was never here get a new one. */
function boardName(): { readonly name: string; readonly isNew: boolean } {
  const query = new URLSearchParams(location.search)
  const known = query.get('board') || (query.has('new') ? null : memory.read('last'))
  const isNew = typeof known !== 'string'
  const name = isNew ? freshName() : known
  memory.write('last', name)
  history.replaceState(null, '', `?board=${encodeURIComponent(name)}`)
  return { name, isNew }
}

function fill(board: Board): void {
  board.add('Write the announcement', 'todo')
  board.add('Order the cake', 'todo')
  board.add('Test on a train', 'doing')
  board.add('Choose a name', 'done')
}

// ---- the outage ----

interface Outage {
  /** By person: the board when the network was cut. */
  readonly before: Readonly<Record<string, Snapshot>>
  /** And when it came back. */
  after?: Readonly<Record<string, Snapshot>>
}

class Page {
  readonly #name: string
  readonly #clients: readonly Client[]
  #panes: readonly Pane[] = []
  #isCut = memory.read('cut') === true
  #outage: Outage | undefined
  #isDue = false

  constructor(name: string, clients: readonly Client[]) {
    this.#name = name
    this.#clients = clients
    const before = memory.read(`outage ${name}`)
    if (this.#isCut && before !== null) this.#outage = { before: before as Outage['before'] }
  }

  async open(isNew: boolean): Promise<void> {
    this.#panes = await Promise.all(people.map(async ({ key, who }, i) => {
      const client = this.#clients[i] as Client
      const topic = await client.crdt(`crdt:board-${this.#name}`, 'ormap')
      const voter = `${visitor()}.${key}`
      if (isNew && i === 0) fill(new Board(topic.object, voter))
      return new Pane({ key, who, client, topic, voter, onChange: () => this.#note(), onProblem: complain })
    }))
    byId('panes').replaceChildren(...this.#panes.map(({ element }) => element))
    network.addEventListener('click', () => this.setCut(!this.#isCut))
    // Devices are those of all tabs, and so is the network.
    addEventListener('storage', ({ key }) => {
      const isCut = memory.read('cut') === true
      if (key?.endsWith(' cut') && isCut !== this.#isCut) this.setCut(isCut)
    })
    if (this.#isCut && this.#outage === undefined) this.#beginOutage()
    this.#showNetwork()
    this.#note()
    network.disabled = false
  }

  setCut(isCut: boolean): void {
    this.#isCut = isCut
    memory.write('cut', isCut)
    for (const client of this.#clients) isCut ? client.disconnect() : client.connect()
    if (isCut) this.#beginOutage()
    else if (this.#outage) this.#outage = { ...this.#outage, after: this.#snapshots() }
    this.#showNetwork()
    this.#note()
  }

  /** One that did not end yet goes on. */
  #beginOutage(): void {
    this.#outage = { before: this.#outage?.before ?? this.#snapshots() }
    memory.write(`outage ${this.#name}`, this.#outage.before)
    setText(summary, 'Nothing of what you do on one side reaches the other one now. Both go on.')
    conflicts.replaceChildren()
  }

  #snapshots(): Readonly<Record<string, Snapshot>> {
    return Object.fromEntries(people.map(({ key }, i) => [key, this.#panes[i]?.snapshot as Snapshot]))
  }

  #showNetwork(): void {
    network.setAttribute('aria-checked', String(!this.#isCut))
    document.documentElement.toggleAttribute('data-cut', this.#isCut)
  }

  /** Once for all that a turn brought. */
  #note(): void {
    if (this.#isDue) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      const [ada, ben] = this.#panes
      if (ada && ben) this.#compare(ada, ben)
    })
  }

  #compare(ada: Pane, ben: Pane): void {
    const isSame = ada.digest === ben.digest
    agreement.dataset['same'] = String(isSame)
    setText(agreement, isSame ? 'Both devices have the same data.' : this.#isCut ? 'The devices differ, as they may without a network.' : 'The devices are about to agree.')
    if (this.#isCut || !isSame || !ada.isSettled || !ben.isSettled) return
    const { before, after } = this.#outage ?? {}
    this.#outage = undefined
    if (before === undefined || after === undefined) return
    memory.write(`outage ${this.#name}`, null)
    const [a, b] = people.map(({ key, who }) => ({ who, before: before[key] as Snapshot, after: after[key] as Snapshot }))
    if (a && b) tellMerge(explain(a, b, ada.snapshot))
  }
}

function tellMerge({ summary: text, lines }: Merge): void {
  setText(summary, text)
  conflicts.replaceChildren(...lines.map((line) => h('li', {}, line)))
}

function complain(message: string): void {
  problem.hidden = false
  setText(problem, `Something went wrong: ${message}`)
}

// ---- the devices ----

function openDevice(core: Core, who: string, isCut: boolean): Promise<Client> {
  return createClient({
    url: '/socket',
    name: who,
    core,
    connect: !isCut,
    worker: () => new Worker('/client/worker.js', { type: 'module', name: `laniakea ${who}` }),
    onError: (error) => console.warn(who, error.code, error.message),
  })
}

async function start(): Promise<void> {
  const { name, isNew } = boardName()
  const isCut = memory.read('cut') === true
  const core = await loadCore({ url: '/client/laniakea-client-base.wasm', parts: { objects: '/client/laniakea-client-part-objects.wasm' } })
  const clients = await Promise.all(people.map(({ who }) => openDevice(core, who, isCut)))
  await new Page(name, clients).open(isNew)
}

start().catch((error: Error) => complain(error.message))
