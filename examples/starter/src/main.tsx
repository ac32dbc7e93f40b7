import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { LaniakeaProvider, Supervised } from '@laniakea/react'
import { App } from './App'
import './style.css'

const server = import.meta.env.VITE_SERVER ?? 'http://127.0.0.1:4000'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Supervised fallback={({ error, retry }) => <p>{String(error)} <button onClick={retry}>Try again</button></p>}>
      <LaniakeaProvider options={{ url: `${server}/socket` }}>
        <App />
      </LaniakeaProvider>
    </Supervised>
  </StrictMode>,
)
