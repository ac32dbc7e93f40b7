// The version history: a slider from the oldest version to now, what the document said there, who wrote what had changed, and the
// way back.
import { useCallback, useEffect, useMemo, useRef, useState, type CSSProperties, type FormEvent, type KeyboardEvent } from 'react'
import { reasonOf, useSight, useVersions, type Stop } from './sight.ts'
import { CloseIcon, NextIcon, PreviousIcon, SaveIcon, WarningIcon } from './icons.tsx'
import { Menu } from './Menu.tsx'
import { personOf, type Person } from './people.ts'
import type { Room, RoomState } from './room.ts'
import { FRAGMENT, isSeedClient } from './seed.ts'
import { VersionView } from './VersionView.tsx'
import type { Changes, NodeChange, Version } from './versions.ts'

/** What was made again, and the version that has what was there before. */
export interface Restored {
  readonly what: string
  readonly before: number | undefined
}

interface Props {
  readonly name: string
  readonly room: Room
  readonly state: RoomState
  readonly canWrite: boolean
  onClose(): void
  onRestored(restored: Restored): void
}

const NAME_LENGTH_MAX = 60 // in no language more than the server's 256 bytes

// ---- words

const times = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

function titleOf(stop: Stop): string {
  if (stop === undefined) return 'Now'
  const { name, at, id } = stop
  return name ?? (at === undefined ? `Version ${id}` : times.format(at))
}

/** What the title leaves out. */
function detailOf({ name, at, by, automatic }: Version): string {
  const when = name !== undefined && at !== undefined ? times.format(at) : undefined
  const how = by !== undefined ? `saved by ${by}` : automatic ? 'kept by itself' : 'saved'
  return [when, how].filter((part) => part !== undefined).join(', ')
}

function problemText(reason: string): string {
  switch (reason) {
    case 'LK_ERR_COLLECTED': return 'This version shows what was deleted before versions were kept: that is gone.'
    case 'LK_ERR_NOT_FOUND': return 'This version is not there any more.'
    case 'LK_ERR_LIMIT': return 'The document has as many versions as the server keeps.'
    case 'read_only': return 'You may read this document, but not change it.'
    case 'disconnected': case 'timeout': return 'The server does not answer. Try it again when you are online.'
    default: return `The server says no: ${reason}.`
  }
}

function Problem({ reason }: { reason: string }) {
  return <p className="notice bad" role="alert"><WarningIcon />{problemText(reason)}</p>
}

/** How it is switched on, where it is not. */
function NoVersions() {
  return (
    <div className="notice" id="no-versions">
      <p>The server keeps no versions of this document, so what is deleted in it is gone. Whoever runs it can switch that on: with{' '}
        <code>laniakea serve --versions 'doc:*=1h'</code> it keeps one by itself at most every hour, with <code>'doc:*=saved'</code> those
        that somebody saves.</p>
    </div>
  )
}

// ---- who

interface Author extends Person {
  readonly added: number
}

/** Who wrote what came, one line for each name. */
function authorsOf({ clients }: Changes, whose: (client: number) => Person): readonly Author[] {
  const authors = new Map<string, Author>()
  for (const { client, added } of clients) {
    if (added === 0 || isSeedClient(client)) continue
    const person = whose(client)
    authors.set(person.name, { ...person, added: added + (authors.get(person.name)?.added ?? 0) })
  }
  return [...authors.values()].sort((a, b) => b.added - a.added)
}

/** Who a client is: the subject that the server knows, or who shows itself as that client now. */
function useWhose({ awareness, doc }: Room, changes: Changes | undefined): (client: number) => Person {
  return useMemo(() => {
    const users = new Map(changes?.clients.map(({ client, user }) => [client, user]))
    return (client) => {
      const person = personOf(awareness.getStates().get(client), client)
      const user = users.get(client)
      if (client === doc.clientID) return { ...person, name: 'You' }
      return user === undefined ? person : { ...person, name: user }
    }
  }, [awareness, doc, changes])
}

function Authors({ changes, whose }: { changes: Changes; whose(client: number): Person }) {
  const authors = authorsOf(changes, whose)
  const isDeleted = changes.clients.some(({ deleted }) => deleted > 0)
  if (authors.length === 0) return <p className="authors">{isDeleted ? 'Something was deleted since the version before.' : 'The same as the version before.'}</p>
  return (
    <p className="authors">Written by{' '}
      {authors.map(({ name, color }) => <span key={name} className="author" style={{ '--by': color } as CSSProperties}>{name}</span>)}
    </p>
  )
}

// ---- the slider

interface SliderProps {
  readonly all: readonly Version[]
  /** Of a version; their count stands for now. */
  readonly index: number
  onMove(index: number): void
}

function Slider({ all, index, onMove }: SliderProps) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current!.focus(), [])
  const stop = all[index]
  const place = stop === undefined ? 'Now' : `${titleOf(stop)}, version ${index + 1} of ${all.length}`
  return (
    <div className="slider">
      <button type="button" className="button" aria-label="Earlier version" title="Earlier version" aria-disabled={index === 0} onClick={() => onMove(Math.max(0, index - 1))}><PreviousIcon /></button>
      <input ref={input} type="range" aria-label="Version" aria-valuetext={place} min={0} max={all.length} step={1} value={index}
        onChange={({ target }) => onMove(Number(target.value))} />
      <button type="button" className="button" aria-label="Later version" title="Later version" aria-disabled={index === all.length} onClick={() => onMove(Math.min(all.length, index + 1))}><NextIcon /></button>
    </div>
  )
}

// ---- what can be done

function Save({ room, onProblem }: { room: Room; onProblem(reason: string): void }) {
  const save = (event: FormEvent<HTMLFormElement>, close: () => void): void => {
    event.preventDefault()
    const name = String(new FormData(event.currentTarget).get('name')).trim()
    room.versions.save(name).catch((error: unknown) => onProblem(reasonOf(error)))
    close()
  }
  return (
    <Menu label="Save a version" button={<><SaveIcon /><span className="wide">Save a version</span></>}>
      {(close) => (
        <form onSubmit={(event) => save(event, close)}>
          <label className="field">What to call it
            <input type="text" name="name" maxLength={NAME_LENGTH_MAX} autoComplete="off" placeholder="Optional" />
          </label>
          <button type="submit" className="button main">Save</button>
        </form>
      )}
    </Menu>
  )
}

function Restore({ version, isDisabled, onRestore }: { version: Version; isDisabled: boolean; onRestore(version: Version): void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const close = (): void => dialog.current!.close()
  return (
    <>
      <button type="button" className="button main" aria-disabled={isDisabled} onClick={() => { if (!isDisabled) dialog.current!.showModal() }}>Restore</button>
      <dialog ref={dialog} aria-labelledby="restore-title" onKeyDown={(event) => event.stopPropagation()}>
        <h2 id="restore-title">Restore “{titleOf(version)}”?</h2>
        <p>The document will say again what it said then, for everybody. What it says now is kept as a version, so you can come back to it.</p>
        <p className="answers">
          <button type="button" className="button" onClick={close}>Cancel</button>
          <button type="button" className="button main" onClick={() => { close(); onRestore(version) }}>Restore it</button>
        </p>
      </dialog>
    </>
  )
}

// ---- all of it

const NO_CHANGES: readonly NodeChange[] = []

export function History({ name, room, state, canWrite, onClose, onRestored }: Props) {
  const { all, problem: listProblem } = useVersions(room, state.link)
  const [id, setId] = useState<number>() // of the version that is looked at; none is now
  const [isMarked, setMarked] = useState(true)
  const [refusal, setRefusal] = useState<string>()
  const closer = useRef<HTMLButtonElement>(null)
  useEffect(() => closer.current!.focus(), [])
  const found = all?.findIndex((version) => version.id === id) ?? -1
  const index = found < 0 ? all?.length ?? 0 : found
  const stop = all?.[index]
  const { sight, isBusy, problem: sightProblem } = useSight(room, all?.[index - 1]?.id, stop, all !== undefined && state.link === 'online')
  const whose = useWhose(room, sight?.changes)
  const move = (to: number): void => { setRefusal(undefined); setId(all![to]?.id) }
  const restore = useCallback((version: Version): void => {
    room.versions.restore(version.id).then(
      ({ before }) => onRestored({ what: titleOf(version), before: before ?? all!.at(-1)?.id }),
      (error: unknown) => setRefusal(reasonOf(error)))
  }, [room, all, onRestored])
  const onKeyDown = ({ key, target }: KeyboardEvent): void => {
    if (key === 'Escape' && (target as Element).closest('.menu:has([aria-expanded="true"])') === null) onClose()
  }
  const shown = isMarked && all?.length !== 0 ? sight?.changes.roots[FRAGMENT] ?? NO_CHANGES : NO_CHANGES
  const problem = refusal ?? listProblem ?? sightProblem
  return (
    <section className="history" aria-label={`Version history of ${name}`} onKeyDown={onKeyDown}>
      <div className="timeline">
        <div className="row">
          <h2>Version history</h2>
          {canWrite && all !== undefined && <Save room={room} onProblem={setRefusal} />}
          <button ref={closer} type="button" className="button" aria-label="Close the version history" title="Back to the document" onClick={onClose}><CloseIcon /></button>
        </div>
        {all !== undefined && all.length > 0 && <Slider all={all} index={index} onMove={move} />}
        {all !== undefined && (
          <div className="row">
            <p className="stop"><strong>{titleOf(stop)}</strong> <span>{stop === undefined ? all.length === 0 ? 'No version is kept yet.' : 'What the document says' : detailOf(stop)}</span></p>
            {canWrite && stop !== undefined && <Restore version={stop} isDisabled={state.link !== 'online'} onRestore={restore} />}
          </div>
        )}
        {sight !== undefined && all?.length !== 0 && (
          <div className="row">
            <Authors changes={sight.changes} whose={whose} />
            <label className="check"><input type="checkbox" checked={isMarked} onChange={({ target }) => setMarked(target.checked)} />Show changes</label>
          </div>
        )}
        {problem === 'LK_ERR_UNSUPPORTED' ? <NoVersions /> : problem !== undefined && <Problem reason={problem} />}
        {state.link !== 'online' && <p className="notice wait" role="status">The history is on the server. It is here again when you are online.</p>}
      </div>
      <div className="version" aria-busy={isBusy}>
        {sight !== undefined && <VersionView update={sight.update} changes={shown} whose={whose} />}
      </div>
    </section>
  )
}
