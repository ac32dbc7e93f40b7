// tests/conformance/doc/editors/dom.mjs -- a page for editors, by jsdom: import it before them.
//
// It has what editors look at and nobody sees: rectangles of no size, a selection that stays where it is put.
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('<!doctype html><body></body>', { pretendToBeVisual: false })
const names = ['window', 'document', 'Node', 'Element', 'HTMLElement', 'Text', 'DocumentFragment', 'Document', 'DOMParser', 'MutationObserver',
  'Range', 'Selection', 'getSelection', 'getComputedStyle', 'Event', 'KeyboardEvent', 'MouseEvent', 'HTMLImageElement', 'HTMLInputElement',
  'HTMLStyleElement', 'ShadowRoot', 'SVGElement', 'Image', 'XMLSerializer', 'CSSStyleSheet']
for (const name of names) {
  const value = name === 'window' ? window : window[name]
  if (value !== undefined) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
}
const box = () => ({ left: 0, right: 0, top: 0, bottom: 0, width: 0, height: 0, x: 0, y: 0 })
window.Range.prototype.getClientRects = () => []
window.Range.prototype.getBoundingClientRect = box
window.Element.prototype.scrollIntoView = () => {}
window.document.elementFromPoint = () => null
// Nothing is ever painted.
globalThis.requestAnimationFrame = window.requestAnimationFrame = () => 0
globalThis.cancelAnimationFrame = window.cancelAnimationFrame = () => {}
globalThis.ResizeObserver = window.ResizeObserver = class { observe() {} unobserve() {} disconnect() {} }
globalThis.IntersectionObserver = window.IntersectionObserver = class { observe() {} unobserve() {} disconnect() {} }
globalThis.innerWidth = window.innerWidth
globalThis.innerHeight = window.innerHeight
globalThis.matchMedia = window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} })
window.__TEST_OPTIONS = {} // BlockNote numbers blocks then, which else have random names

/** Blocks are numbered from the beginning again. */
export const restartNumbers = () => { window.__TEST_OPTIONS.mockID = undefined }

/** A place on the page for an editor. */
export function makePlace() {
  const place = document.createElement('div')
  document.body.append(place)
  return place
}
