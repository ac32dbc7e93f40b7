// Cards that follow a pointer: a mouse takes them anywhere, a finger by the handle, so that it can scroll elsewhere.

export interface DropPlace {
  readonly list: HTMLElement
  /** The card in front of which it would stand; undefined: behind all. */
  readonly before: HTMLElement | undefined
}

const BEGIN_PX = 5

/** Lets the cards in `lists` be dragged among these lists; `onDrop` hears where one was let go. */
export function makeDraggable(lists: readonly HTMLElement[], onDrop: (card: HTMLElement, place: DropPlace) => void): void {
  for (const list of lists) {
    list.addEventListener('pointerdown', (event) => {
      const target = event.target as Element
      const card = target.closest<HTMLElement>('.card')
      if (card === null || event.button !== 0 || target.closest('input, select, form, .like, .names')) return
      if (event.pointerType !== 'mouse' && !target.closest('.handle')) return
      follow(card, event, lists, onDrop)
    })
  }
}

function follow(card: HTMLElement, start: PointerEvent, lists: readonly HTMLElement[], onDrop: (card: HTMLElement, place: DropPlace) => void): void {
  let place: DropPlace | undefined
  const line = document.createElement('li')
  line.className = 'drop'
  line.setAttribute('aria-hidden', 'true')
  const controller = new AbortController()
  const { signal } = controller

  const end = (): void => {
    controller.abort()
    line.remove()
    card.style.transform = ''
    delete card.dataset['dragged']
  }
  const move = (event: PointerEvent): void => {
    if (event.pointerId !== start.pointerId) return
    const [x, y] = [event.clientX - start.clientX, event.clientY - start.clientY]
    if (card.dataset['dragged'] === undefined) {
      if (Math.hypot(x, y) < BEGIN_PX) return
      card.setPointerCapture(start.pointerId)
      card.dataset['dragged'] = ''
    }
    event.preventDefault()
    card.style.transform = `translate(${x}px, ${y}px)`
    place = placeAt(event.clientX, event.clientY, card, lists)
    if (place === undefined) line.remove()
    else place.list.insertBefore(line, place.before ?? null)
  }
  const drop = (event: PointerEvent): void => {
    if (event.pointerId !== start.pointerId) return
    const isDragged = card.dataset['dragged'] !== undefined
    end()
    if (!isDragged) return
    // The click that follows is the end of this, and no click; browsers differ in where it goes.
    const clicks = new AbortController()
    card.addEventListener('click', (click) => click.stopPropagation(), { capture: true, signal: clicks.signal })
    setTimeout(() => clicks.abort())
    if (place !== undefined) onDrop(card, place)
  }
  document.addEventListener('pointermove', move, { signal })
  document.addEventListener('pointerup', drop, { signal })
  document.addEventListener('pointercancel', end, { signal })
}

function placeAt(x: number, y: number, card: HTMLElement, lists: readonly HTMLElement[]): DropPlace | undefined {
  const column = lists.find((list) => {
    const box = (list.closest('.column') ?? list).getBoundingClientRect()
    return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom
  })
  if (column === undefined) return undefined
  const others = [...column.querySelectorAll<HTMLElement>('.card')].filter((other) => other !== card)
  return { list: column, before: others.find((other) => y < middleOf(other)) }
}

function middleOf(element: HTMLElement): number {
  const { top, height } = element.getBoundingClientRect()
  return top + height / 2
}
