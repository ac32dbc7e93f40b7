// The counter's page: shows a counter and increments it. Everything else is the SDK's.
import { createClient, loadCore, type Client, type CrdtTopic } from '@laniakea/sdk'

type Shown = 'offline' | 'connecting' | 'online'

const statusTexts: Readonly<Record<Shown, string>> = { offline: 'Offline', connecting: 'Connecting', online: 'Online' }

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

function pendingText(pending: number, isOnline: boolean): string {
  if (pending === 0) return isOnline ? 'All increments are on the server.' : 'Nothing is waiting. You can go on counting.'
  return pending === 1 ? '1 increment is waiting for the server.' : `${pending.toLocaleString('en')} increments are waiting for the server.`
}

let statusTimer: ReturnType<typeof setTimeout> | undefined

function showStatus(status: Shown): void {
  clearTimeout(statusTimer)
  const show = (): void => {
    statusElement.dataset['status'] = status
    setText(statusElement, statusTexts[status])
  }
  if (status === 'connecting') statusTimer = setTimeout(show, STATUS_DELAY_MS)
  else show()
}

function showValue(value: bigint): void {
  const text = value.toLocaleString('en')
  setText(valueElement, text)
  valueElement.toggleAttribute('data-long', text.length > 7)
}

function showState({ status: { state } }: Client, { status }: CrdtTopic<'gcounter'>): void {
  const pending = Math.max(status.pending, status.unsaved)
  setText(pendingElement, pendingText(pending, state === 'online' && status.state === 'joined'))
  pendingElement.toggleAttribute('data-waiting', pending > 0)
  // What was counted here would outlive the page.
  pendingElement.toggleAttribute('data-kept', status.unsaved === 0)
  showStatus(state === 'starting' ? 'connecting' : state)
  if (status.state === 'refused' || status.state === 'failed') showProblem(`the server does not take this counter (${status.reason})`)
}

function showProblem(message: string): void {
  problemElement.hidden = false
  setText(problemElement, `Something went wrong: ${message}`)
}

/** "?counter=name" shows another counter than the usual one. */
function topic(): string {
  return `crdt:${new URLSearchParams(location.search).get('counter') ?? 'demo'}`
}

async function start(): Promise<void> {
  const client = await createClient({
    url: '/socket',
    core: await loadCore({ url: '/client/laniakea-client-base.wasm', parts: { objects: '/client/laniakea-client-part-objects.wasm' } }),
    worker: () => new Worker('/client/worker.js', { type: 'module', name: 'laniakea' }),
    onError: (error) => console.warn(error.code, error.message),
  })
  const counter = await client.crdt(topic(), 'gcounter')
  const show = (): void => showState(client, counter)
  counter.object.subscribe(showValue)
  counter.onStatus(show)
  client.onStatus(show)
  showValue(counter.object.value)
  show()
  button.addEventListener('click', () => {
    try {
      counter.object.increment()
    } catch (error) {
      showProblem((error as Error).message)
    }
  })
  button.disabled = false
}

start().catch((error: Error) => showProblem(error.message))
