// Elements, a line each.

type Child = Node | string

export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

export function button(text: string, attributes: Readonly<Record<string, string>>, onClick: () => void): HTMLButtonElement {
  const element = h('button', { type: 'button', ...attributes }, text)
  element.addEventListener('click', onClick)
  return element
}

export function byId<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as T
}

/** Screen readers hear what is written anew, so nothing is written twice. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text
}

/** Makes `nodes` the children of `parent`, in that order; those that stand right are not touched. */
export function arrange(parent: HTMLElement, nodes: readonly Node[]): void {
  for (const child of [...parent.children]) if (!nodes.includes(child)) child.remove()
  for (const [i, node] of nodes.entries()) if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null)
}

/** Runs `body`, which moves elements: the one that has the focus keeps it, as long as it is there. */
export function keepingFocus(body: () => void): void {
  const focused = document.activeElement
  body()
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true })
}
