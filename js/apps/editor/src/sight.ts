// The history of a document while it is looked at: which versions there are, and what the one that is looked at says.
import { useCallback, useEffect, useRef, useState } from 'react'
import * as Y from 'yjs'
import type { Room, RoomState } from './room.ts'
import type { Changes, Version } from './versions.ts'

/** `undefined` is what the document says now. */
export type Stop = Version | undefined

export interface Sight {
  readonly update: Uint8Array
  readonly changes: Changes
}

/** The `reason` or `error` by which the server said no. */
export function reasonOf(error: unknown): string {
  const { error: code, reason } = (error ?? {}) as { error?: string; reason?: string }
  return code ?? reason ?? String(error)
}

/** What changed is asked for when others have stopped writing for a moment. */
const NOW_DELAY_MS = 300

/** All versions, the oldest first; undefined until the server has said which there are. */
export function useVersions({ versions }: Room, link: RoomState['link']): { all: readonly Version[] | undefined; problem: string | undefined } {
  const [all, setAll] = useState<readonly Version[]>()
  const [problem, setProblem] = useState<string>()
  useEffect(() => {
    if (link !== 'online') return
    let isCurrent = true
    let asked = 0
    const ask = async (): Promise<void> => {
      const mine = ++asked
      try {
        const list = await versions.list()
        if (!isCurrent || mine !== asked) return
        setAll(list)
        setProblem(undefined)
      } catch (error) {
        if (isCurrent && mine === asked) setProblem(reasonOf(error))
      }
    }
    void ask()
    const stop = versions.onChange(() => void ask())
    return () => {
      isCurrent = false
      stop()
    }
  }, [versions, link])
  return { all, problem }
}

/** Counts what others write while `isOn`, in steps of a moment. */
function useWriting({ doc }: Room, isOn: boolean): number {
  const [count, setCount] = useState(0)
  useEffect(() => {
    if (!isOn) return
    let timer: ReturnType<typeof setTimeout> | undefined
    const onUpdate = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => setCount((count) => count + 1), NOW_DELAY_MS)
    }
    doc.on('update', onUpdate)
    return () => {
      clearTimeout(timer)
      doc.off('update', onUpdate)
    }
  }, [doc, isOn])
  return count
}

/** What the document said at `stop`, and what had changed since the version `from`. The last one stays until the next is here. */
export function useSight(room: Room, from: number | undefined, stop: Stop, isReady: boolean): { sight: Sight | undefined; isBusy: boolean; problem: string | undefined } {
  const [sight, setSight] = useState<Sight>()
  const [problem, setProblem] = useState<string>()
  const [isBusy, setBusy] = useState(true)
  const seen = useRef(new Map<string, Sight>()) // what a version says never changes
  const writing = useWriting(room, stop === undefined)
  const to = stop?.id
  const look = useCallback(async (): Promise<Sight> => {
    const known = seen.current.get(`${from} ${to}`)
    if (known !== undefined) return known
    const [changes, then] = await Promise.all([room.versions.compare(from, to), to === undefined ? undefined : room.versions.read(to)])
    // The answer came behind all that it tells of.
    const sight = { changes, update: then ?? Y.encodeStateAsUpdate(room.doc) }
    if (to !== undefined) seen.current.set(`${from} ${to}`, sight)
    return sight
  }, [room, from, to])
  useEffect(() => {
    if (!isReady) return
    let isCurrent = true
    setBusy(true)
    look().then((sight) => { if (isCurrent) { setSight(sight); setProblem(undefined) } })
      .catch((error: unknown) => { if (isCurrent) { setSight(undefined); setProblem(reasonOf(error)) } })
      .finally(() => { if (isCurrent) setBusy(false) })
    return () => { isCurrent = false }
  }, [look, isReady, writing])
  return { sight, isBusy, problem }
}
