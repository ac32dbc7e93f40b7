// The editor's page: /edit/NAME edits the document of the topic doc:NAME. /edit/ makes a name up.
import '@blocknote/mantine/style.css'
import './style.css'
import './history.css'
import { createRoot } from 'react-dom/client'
import { App } from './App.tsx'
import { documentNameOf, makeDocumentName, pathOf } from './names.ts'
import { openRoom } from './room.ts'

let name = documentNameOf(location.pathname)
if (name === undefined) {
  name = makeDocumentName()
  // The address without a name would make another one of the way back.
  history.replaceState(null, '', pathOf(name) + location.search)
}
/** A link may bring a token, for a server that asks for one. It is not left in the address, which is shared. */
function takeToken(): string | undefined {
  const address = new URL(location.href)
  const token = address.searchParams.get('token')
  if (token === null) return sessionStorage.getItem('laniakea.token') ?? undefined
  sessionStorage.setItem('laniakea.token', token)
  address.searchParams.delete('token')
  history.replaceState(null, '', address)
  return token
}

document.title = `${name} · Laniakea`
createRoot(document.getElementById('app')!).render(<App name={name} room={openRoom(name, takeToken())} />)
