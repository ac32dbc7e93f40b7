// A button with a panel below it. Escape and a click elsewhere close the panel; what was focused comes back.
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'

interface Props {
  readonly label: string
  readonly className?: string
  readonly button: ReactNode
  children(close: () => void): ReactNode
}

export function Menu({ label, className = 'button', button, children }: Props) {
  const [isOpen, setOpen] = useState(false)
  const place = useRef<HTMLDivElement>(null)
  const opener = useRef<HTMLButtonElement>(null)
  const id = useId()
  const close = (): void => {
    setOpen(false)
    opener.current?.focus()
  }
  useEffect(() => {
    if (!isOpen) return
    const onPointer = (event: Event): void => {
      if (!place.current!.contains(event.target as Node)) setOpen(false)
    }
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') close()
    }
    place.current!.querySelector<HTMLElement>('.panel input, .panel button, .panel a')?.focus()
    document.addEventListener('pointerdown', onPointer)
    document.addEventListener('keydown', onKey)
    return () => {
      document.removeEventListener('pointerdown', onPointer)
      document.removeEventListener('keydown', onKey)
    }
  }, [isOpen])
  return (
    <div className="menu" ref={place}>
      <button ref={opener} type="button" className={className} aria-label={label} title={label} aria-expanded={isOpen} aria-controls={id} onClick={() => setOpen(!isOpen)}>
        {button}
      </button>
      <div id={id} className="panel" hidden={!isOpen}>{isOpen && children(close)}</div>
    </div>
  )
}
