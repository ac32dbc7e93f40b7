// The page around the editor: what it is called, who is here, how it stands with the server, and what can be done with it.
import { useCallback, useEffect, useRef, useState, useSyncExternalStore, type KeyboardEvent } from 'react'
import type { BlockNoteEditor } from '@blocknote/core'
import { downloadHtml, downloadMarkdown } from './download.ts'
import { Editor } from './Editor.tsx'
import { History, type Restored } from './History.tsx'
import { BackIcon, CheckIcon, CloudOffIcon, DownloadIcon, EyeIcon, HistoryIcon, HourglassIcon, LinkIcon, Logo, PlusIcon, WarningIcon } from './icons.tsx'
import { Menu } from './Menu.tsx'
import { COLORS, NAME_LENGTH_MAX, initialsOf, loadPerson, presentOf, savePerson, type Person, type Present } from './people.ts'
import type { Problem, Room, RoomState } from './room.ts'
import { seed } from './seed.ts'

interface Props {
  readonly name: string
  readonly room: Room
}

// ---- how it stands

/** A short loss of the connection is not worth a word. */
const OFFLINE_DELAY_MS = 600
const SAVING_DELAY_MS = 400

type Standing = 'connecting' | 'offline' | 'saving' | 'saved' | 'reading' | 'refused'

const standingTexts: Readonly<Record<Standing, string>> = {
  connecting: 'Connecting', offline: 'Offline', saving: 'Saving', saved: 'Saved', reading: 'Read only', refused: 'Not saved',
}

function standingOf({ link, access, isWaiting, problem }: RoomState): Standing {
  if (problem !== undefined) return 'refused'
  if (link !== 'online') return link
  if (access === 'read') return 'reading'
  return isWaiting ? 'saving' : 'saved'
}

/** What is true for a while: what comes and goes in a blink is left out. */
function useSettled(standing: Standing): Standing {
  const [shown, setShown] = useState(standing)
  useEffect(() => {
    const delay = standing === 'offline' ? OFFLINE_DELAY_MS : standing === 'saving' ? SAVING_DELAY_MS : 0
    const timer = setTimeout(() => setShown(standing), delay)
    return () => clearTimeout(timer)
  }, [standing])
  return shown
}

function Badge({ standing, durability }: { standing: Standing; durability: RoomState['durability'] }) {
  const text = standing === 'saved' && durability === 'memory' ? 'In sync' : standingTexts[standing]
  return <p className="badge" data-standing={standing} id="status" role="status"><span>{text}</span></p>
}

// ---- what is to be said

function offlineText({ durability, access }: RoomState): string {
  if (access === 'read') return 'You are offline. What others write comes when the server is back.'
  const where = durability === 'durable' ? 'kept in this browser' : 'kept in this tab'
  return `You are offline. Go on writing: your changes are ${where} and sent when the server is back.`
}

/** 900000 as "15 minutes": in the greatest unit of which it has two, or of which it is one. */
function lengthText(ms: number): string {
  const units = [[86_400_000, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], [1000, 'second']] as const
  const [length, name] = units.find(([unit]) => ms >= 2 * unit || ms === unit) ?? [1000, 'second']
  const count = Math.max(1, Math.round(ms / length))
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

function problemText({ kind, reason }: Problem): string {
  switch (kind) {
    case 'diverged': return 'The document of this name was erased and began again while you were away. What you see is your own copy of the old one. Export it if you want to keep it.'
    case 'refused': return `The server does not take what this tab writes: ${reason}. Your text is still here. Export it if you want to keep it.`
    case 'denied': return `The server does not let you into this document: ${reason}.`
  }
}

/** What this browser keeps would be sent, and refused, again. */
function ProblemNotice({ problem, room }: { problem: Problem; room: Room }) {
  const startOver = async (): Promise<void> => {
    if (!confirm('Forget what this browser has of the document, and open what the server has?')) return
    await room.forget()
    location.reload()
  }
  return (
    <div className="notice bad" role="alert">
      <WarningIcon />
      <p>{problemText(problem)} {problem.kind !== 'denied' && <button type="button" className="link" onClick={startOver}>Open what the server has</button>}</p>
    </div>
  )
}

function Notices({ room, state, standing }: { room: Room; state: RoomState; standing: Standing }) {
  return (
    <div className="notices">
      {state.problem !== undefined && <ProblemNotice problem={state.problem} room={room} />}
      {standing === 'offline' && state.isLoaded && (
        <p className="notice wait" role="status"><CloudOffIcon />{offlineText(state)}</p>
      )}
      {standing === 'reading' && <p className="notice" role="status"><EyeIcon />You may read this document, but not change it.</p>}
      {state.isLoaded && state.durability === 'memory' && (
        <p className="notice" id="ephemeral"><HourglassIcon />This document is in memory only. It is erased when nobody has been here for {state.idleMs === undefined ? 'a while' : lengthText(state.idleMs)}.</p>
      )}
    </div>
  )
}

/** A version was restored: there is a way back. */
function RestoredNotice({ room, restored: { what, before }, onDone }: { room: Room; restored: Restored; onDone(): void }) {
  const undo = (): void => {
    room.versions.restore(before!).then(onDone, (error: unknown) => alert(`It could not be undone: ${(error as Error).message}`))
  }
  return (
    <div className="notice" role="status" id="restored">
      <BackIcon />
      <p>The document says again what it said at “{what}”.{' '}
        {before !== undefined && <><button type="button" className="link" onClick={undo}>Undo</button>{' · '}</>}
        <button type="button" className="link" onClick={onDone}>Dismiss</button></p>
    </div>
  )
}

// ---- people

const SHOWN_MAX = 4

function usePresent({ awareness }: Room): readonly Present[] {
  const [present, setPresent] = useState(() => presentOf(awareness))
  useEffect(() => {
    const look = (): void => setPresent((before) => {
      const now = presentOf(awareness)
      return JSON.stringify(now) === JSON.stringify(before) ? before : now
    })
    look()
    awareness.on('change', look)
    return () => awareness.off('change', look)
  }, [awareness])
  return present
}

function Face({ person, label }: { person: Person; label?: string }) {
  return <span className="face" style={{ backgroundColor: person.color }} title={label} data-initials={initialsOf(person.name)} aria-hidden="true" />
}

function People({ room, person, onChange }: { room: Room; person: Person; onChange(person: Person): void }) {
  const present = usePresent(room)
  const others = present.filter(({ isMe }) => !isMe)
  const count = others.length + 1
  const label = `${count === 1 ? 'Only you are here' : `${count} people are here`}. Your name and color`
  const faces = (
    <>
      {others.slice(0, SHOWN_MAX).map((other) => <Face key={other.client} person={other} label={other.name} />)}
      {others.length > SHOWN_MAX && <span className="face more" data-initials={`+${others.length - SHOWN_MAX}`} aria-hidden="true" />}
      <Face person={person} label={`${person.name} (you)`} />
    </>
  )
  return (
    <Menu label={label} className="people" button={faces}>
      {(close) => (
        <form onSubmit={(event) => { event.preventDefault(); close() }}>
          <label className="field">Your name
            <input type="text" value={person.name} maxLength={NAME_LENGTH_MAX} autoComplete="nickname"
              onChange={({ target }) => onChange({ ...person, name: target.value })} />
          </label>
          <fieldset>
            <legend>Your color</legend>
            {COLORS.map(({ name, value }) => (
              <label key={value} className="swatch" style={{ backgroundColor: value }} title={name}>
                <input type="radio" name="color" aria-label={name} checked={person.color === value} onChange={() => onChange({ ...person, color: value })} />
              </label>
            ))}
          </fieldset>
          <h2>Here now</h2>
          <ul>
            <li><Face person={person} />{person.name || 'Somebody'} (you)</li>
            {others.map((other) => <li key={other.client}><Face person={other} />{other.name}</li>)}
          </ul>
        </form>
      )}
    </Menu>
  )
}

// ---- what can be done

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false // no permission, or a page that is not secure
  }
}

function Share() {
  const [isCopied, setCopied] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const share = async (): Promise<void> => {
    const link = location.origin + location.pathname
    if (!await copy(link)) {
      prompt('Copy this link', link)
      return
    }
    setCopied(true)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setCopied(false), 2500)
  }
  return (
    <>
      <button type="button" className="button main" id="share" aria-label={isCopied ? 'Copied' : 'Share: copy the link'} title="Copy the link to this document" onClick={share}>
        {isCopied ? <CheckIcon /> : <LinkIcon />}<span className="wide">{isCopied ? 'Copied' : 'Share'}</span>
      </button>
      <span className="hidden" role="status">{isCopied ? 'The link is copied.' : ''}</span>
    </>
  )
}

function Download({ editor, name }: { editor: BlockNoteEditor | undefined; name: string }) {
  return (
    <Menu label="Export" button={<><DownloadIcon /><span className="wide">Export</span></>}>
      {(close) => (
        <ul className="choices">
          <li><button type="button" disabled={editor === undefined} onClick={() => { downloadHtml(editor!, name); close() }}>HTML page</button></li>
          <li><button type="button" disabled={editor === undefined} onClick={() => { downloadMarkdown(editor!, name); close() }}>Markdown</button></li>
        </ul>
      )}
    </Menu>
  )
}

// ---- all of it

function usePerson(): [Person, (person: Person) => void] {
  const [person, setPerson] = useState(loadPerson)
  const change = useCallback((changed: Person) => {
    setPerson(changed)
    savePerson(changed)
  }, [])
  return [person, change]
}

function useRoom(room: Room): RoomState {
  return useSyncExternalStore(room.subscribe, room.state)
}

/** Tab indents in the text, so there must be another way out of it. A menu that is open takes the key for itself. */
function leaveByEscape(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== 'Escape' || document.querySelector('.bn-suggestion-menu, .bn-formatting-toolbar') !== null) return
  if ((event.target as HTMLElement).isContentEditable) document.getElementById('share')!.focus()
}

export function App({ name, room }: Props) {
  const state = useRoom(room)
  const standing = useSettled(standingOf(state))
  const [person, setPerson] = usePerson()
  const [editor, setEditor] = useState<BlockNoteEditor>()
  const canWrite = state.access !== 'read' && state.problem === undefined
  const [isSeeded, setSeeded] = useState(false)
  const [isHistory, setHistory] = useState(false)
  const [restored, setRestored] = useState<Restored>()
  const historyButton = useRef<HTMLButtonElement>(null)
  const closeHistory = useCallback(() => {
    setHistory(false)
    historyButton.current!.focus()
  }, [])
  const onRestored = useCallback((restored: Restored) => {
    setRestored(restored)
    closeHistory()
  }, [closeHistory])
  useEffect(() => {
    if (!state.isLoaded || isSeeded) return
    if (canWrite) seed(room.doc)
    setSeeded(true)
  }, [state.isLoaded, isSeeded, canWrite, room])
  return (
    <>
      <a className="skip" href="#document">Skip to the document</a>
      <header>
        <a className="home" href="/" aria-label="Laniakea, start page" title="Start page"><Logo /></a>
        <h1 title={name}>{name}</h1>
        <Badge standing={standing} durability={state.durability} />
        <nav aria-label="Document">
          <People room={room} person={person} onChange={setPerson} />
          <a className="button" href="/edit/" aria-label="New document" title="New document"><PlusIcon /><span className="wide">New</span></a>
          <button ref={historyButton} type="button" className="button" aria-label="Version history" title="Version history" aria-pressed={isHistory}
            disabled={!state.isLoaded} onClick={() => setHistory(!isHistory)}><HistoryIcon /><span className="wide">History</span></button>
          <Download editor={editor} name={name} />
          <Share />
        </nav>
      </header>
      <Notices room={room} state={state} standing={standing} />
      {isHistory && <History name={name} room={room} state={state} canWrite={canWrite} onClose={closeHistory} onRestored={onRestored} />}
      {restored !== undefined && !isHistory && (
        <div className="notices"><RestoredNotice room={room} restored={restored} onDone={() => setRestored(undefined)} /></div>
      )}
      <main id="document" hidden={isHistory} tabIndex={-1} onKeyDown={leaveByEscape}>
        <p className="hidden" id="hint">Tab indents. Press Escape to leave the text.</p>
        {isSeeded
          ? <Editor room={room} person={person} isEditable={canWrite} onReady={setEditor} />
          : state.problem === undefined && <p className="loading"><span />Opening the document</p>}
      </main>
    </>
  )
}
