import { useState } from 'react'
import { useCounter, useMap, usePresence, useStatus, useValue, type UsedMap } from '@laniakea/react'

const me = `guest ${Math.floor(Math.random() * 1000)}`

export function App() {
  return (
    <main>
      <h1>my-app</h1>
      <Status />
      <Counter />
      <Tasks />
    </main>
  )
}

function Status() {
  const { state, pending } = useStatus()
  const { present } = usePresence('relay:my-app', { key: me, meta: {} })
  return <p>{state}{pending > 0 && `, ${pending} to be sent`}. Here: {Object.keys(present).join(', ') || 'nobody else'}</p>
}

function Counter() {
  const { value, increment, decrement } = useCounter('my-app.likes')
  return (
    <p className="counter">
      <button onClick={() => decrement()} aria-label="one less">−</button>
      <output>{String(value)}</output>
      <button onClick={() => increment()} aria-label="one more">+</button>
    </p>
  )
}

function Tasks() {
  const tasks = useMap('my-app.tasks')
  const [title, setTitle] = useState('')
  const add = () => {
    tasks.at(`${Date.now()} ${me}`, 'ormap').at('title', 'lww').set(title)
    setTitle('')
  }
  return (
    <form action={add}>
      <ul>{Object.keys(tasks.value).map((id) => <Task key={id} tasks={tasks} id={id} />)}</ul>
      <input value={title} onChange={({ target }) => setTitle(target.value)} placeholder="What is to be done?" required />
      <button>add</button>
    </form>
  )
}

function Task({ tasks, id }: { tasks: UsedMap; id: string }) {
  const task = tasks.at(id, 'ormap')
  const done = task.at('done', 'ewflag')
  const isDone = useValue(done)
  const title = useValue(task.at('title', 'lww'))
  return (
    <li>
      <label>
        <input type="checkbox" checked={isDone} onChange={() => (isDone ? done.disable() : done.enable())} />
        {isDone ? <s>{String(title)}</s> : String(title)}
      </label>
      <button type="button" onClick={() => tasks.remove(id)} aria-label="remove">×</button>
    </li>
  )
}
