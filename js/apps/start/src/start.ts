// The start page: puts this server's address into what is to be copied, and says how the server is.

function element(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

// ---- what is to be copied

/** What the snippets have as an example is replaced by where this page comes from. */
function address(): void {
  for (const code of document.querySelectorAll('pre code')) {
    code.textContent = code.textContent!.replaceAll('ws://127.0.0.1:4000', location.origin.replace(/^http/, 'ws')).replaceAll('http://127.0.0.1:4000', location.origin)
  }
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const code = element(button.dataset['copies']!)
  try {
    await navigator.clipboard.writeText(code.textContent!)
    button.textContent = 'Copied'
  } catch {
    // No permission, or a page that is not secure: it is selected, and copied by hand.
    getSelection()?.selectAllChildren(code)
    button.textContent = 'Selected'
  }
  setTimeout(() => { button.textContent = 'Copy' }, 2000)
}

function offerCopies(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>('[data-copies]')) {
    button.hidden = false
    button.addEventListener('click', () => void copy(button))
  }
}

// ---- how the server is

const LOOK_EVERY_MS = 5000

/** The samples without labels of a page of metrics. */
function readMetrics(text: string): ReadonlyMap<string, number> {
  return new Map([...text.matchAll(/^(\w+) (\d+(?:\.\d+)?)$/gm)].map(([, name, value]) => [name!, Number(value)]))
}

const count = (number: number, one: string, many: string): string => `${number.toLocaleString('en')} ${number === 1 ? one : many}`

function say(text: string, isWell: boolean): void {
  const state = element('state')
  state.dataset['state'] = isWell ? 'well' : 'away'
  if (state.textContent !== text) state.textContent = text
}

async function look(): Promise<void> {
  try {
    const response = await fetch('/metrics')
    const metrics = response.ok ? readMetrics(await response.text()) : new Map<string, number>()
    const rooms = metrics.get('laniakea_rooms'), members = metrics.get('laniakea_members')
    say(rooms === undefined || members === undefined ? 'Running' : `Running: ${count(rooms, 'room', 'rooms')} open, ${count(members, 'member', 'members')} in them`, true)
  } catch {
    say('The server does not answer', false)
  }
}

function watch(): void {
  void look()
  setInterval(() => {
    if (document.visibilityState === 'visible') void look()
  }, LOOK_EVERY_MS)
}

address()
offerCopies()
watch()
