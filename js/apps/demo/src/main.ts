// The demo page: shows a counter and increments it. Everything else is the SDK's.
import { createCounter, loadCore, type Counter, type CounterState, type LaniakeaError, type Status } from '@laniakea/sdk'

const statusTexts: Readonly<Record<Status, string>> = { offline: 'Offline', connecting: 'Connecting', online: 'Online' }

/** A short try to connect is not worth a flicker in the corner. */
const STATUS_DELAY_MS = 400

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

const valueElement = element<HTMLOutputElement>('value')
const pendingElement = element('pending')
const statusElement = element('status')
const problemElement = element('problem')
const button = element<HTMLButtonElement>('increment')

function setText(target: HTMLElement, text: string): void {
  // Screen readers hear what is written anew, so nothing is written twice.
  if (target.textContent !== text) target.textContent = text
}

function pendingText({ pending, status }: CounterState): string {
  if (pending === 0n) return status === 'online' ? 'All increments are on the server.' : 'Nothing is waiting. You can go on counting.'
  const number = pending.toLocaleString('en')
  return pending === 1n ? '1 increment is waiting for the server.' : `${number} increments are waiting for the server.`
}

let statusTimer: ReturnType<typeof setTimeout> | undefined

function showStatus(status: Status): void {
  clearTimeout(statusTimer)
  const show = (): void => {
    statusElement.dataset['status'] = status
    setText(statusElement, statusTexts[status])
  }
  if (status === 'connecting') statusTimer = setTimeout(show, STATUS_DELAY_MS)
  else show()
}

function show(state: CounterState): void {
  const text = state.value.toLocaleString('en')
  setText(valueElement, text)
  valueElement.toggleAttribute('data-long', text.length > 7)
  setText(pendingElement, pendingText(state))
  pendingElement.toggleAttribute('data-waiting', state.pending > 0n)
  showStatus(state.status)
}

function showProblem(error: unknown): void {
  const { message } = error as LaniakeaError
  problemElement.hidden = false
  setText(problemElement, `Something went wrong: ${message}`)
}

/** "?counter=name" shows another counter than the usual one. */
function topic(): string {
  return `crdt:${new URLSearchParams(location.search).get('counter') ?? 'demo'}`
}

async function start(): Promise<void> {
  const counter: Counter = await createCounter({
    url: '/socket',
    topic: topic(),
    core: await loadCore({ url: '/counter/laniakea.wasm' }),
    worker: () => new Worker('/counter/worker.js', { type: 'module', name: 'laniakea' }),
    onError: (error) => console.warn(error.code, error.message),
  })
  counter.subscribe(show)
  show(counter.state)
  button.disabled = false
  button.addEventListener('click', () => {
    counter.increment().catch(showProblem)
  })
}

start().catch(showProblem)
