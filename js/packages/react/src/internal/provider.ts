// The client of a part of the page.
import type { Client, ClientOptions, ClientStatus } from '@laniakea/sdk'
import { createContext, createElement, useContext, useEffect, useState, useSyncExternalStore, type Context, type ReactElement, type ReactNode } from 'react'
import { ownSource, sourceOf, STARTING, type Source } from './source.ts'

/** Either a client that is made, or going to be, elsewhere; or the `options` that createClient() of `@laniakea/sdk` is to be given. */
export type LaniakeaProviderProps = { readonly children?: ReactNode } & (
  | { readonly client: Client | Promise<Client>; readonly options?: never }
  | { readonly options: ClientOptions; readonly client?: never }
)

const Sources: Context<Source | undefined> = createContext<Source | undefined>(undefined)

/** Gives a client to the hooks of all components below. One that it makes itself it makes once, when it is shown, and closes a moment
 * after it is gone. Of the options, functions and the token may change; give it another `key` where others do, such as the user's name.
 *
 * Where there can be no client it throws, for the error boundary above. */
export function LaniakeaProvider({ children, client, options }: LaniakeaProviderProps): ReactElement {
  const [own] = useState(() => {
    const latest = { options }
    return { latest, source: ownSource(() => latest.options as ClientOptions) }
  })
  const source = client === undefined ? own.source : sourceOf(client)
  useEffect(() => {
    own.latest.options = options
  })
  const error = useSyncExternalStore(source.subscribe, () => source.error, () => undefined)
  if (error !== undefined) throw error
  return createElement(Sources.Provider, { value: source }, children)
}

export function useSource(hook: string): Source {
  const source = useContext(Sources)
  if (source === undefined) throw new Error(`${hook}() needs a <LaniakeaProvider> above it`)
  return source
}

/** The client itself, for what has no hook; `undefined` until it is there. */
export function useClient(): Client | undefined {
  const source = useSource('useClient')
  return useSyncExternalStore(source.subscribe, () => source.client, () => undefined)
}

/** How this device is doing. With `select` the component renders only when what that returns is another value: a text, a number. */
export function useStatus(): ClientStatus
export function useStatus<T>(select: (status: ClientStatus) => T): T
export function useStatus<T>(select?: (status: ClientStatus) => T): ClientStatus | T {
  const source = useSource('useStatus')
  const read = (status: ClientStatus): ClientStatus | T => (select === undefined ? status : select(status))
  return useSyncExternalStore(source.subscribe, () => read(source.status), () => read(STARTING))
}
