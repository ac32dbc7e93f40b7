// tests/e2e/shape.mjs -- the tree of a page without its texts, by a strict reader of the little HTML that we write: whatever is
// not a tag, a reference or plain text of it is an error.
const VOID = new Set(['meta', 'input', 'img', 'br', 'hr'])
const RAW = new Set(['style'])

/** 'html(head(meta title) body(main(h1)))'; attributes by their names. Throws where a page is not well-formed. */
export function shapeOf(page) {
  let at = 0
  const fail = (why) => { throw new Error(`${why} at ${at}: ${JSON.stringify(page.slice(at, at + 60))}`) }
  const take = (pattern) => {
    pattern.lastIndex = at
    const match = pattern.exec(page)
    if (match !== null) at += match[0].length
    return match
  }
  take(/<!doctype html>\n?/y) ?? fail('no doctype')
  const open = []
  let out = ''
  while (at < page.length) {
    const text = take(/(?:[^<>&\0]|&(?:lt|gt|amp|quot|#39|#13);)+/y)
    if (text !== null) continue
    const end = take(/<\/([a-z][a-z0-9]*)>/y)
    if (end !== null) {
      if (open.pop() !== end[1]) fail(`</${end[1]}> ends nothing`)
      out += ')'
      continue
    }
    const begin = take(/<([a-z][a-z0-9]*)((?: [a-z-]+(?:="[^"<>]*")?)*)>/y) ?? fail('neither text nor tag')
    const names = [...begin[2].matchAll(/ ([a-z-]+)(?:="[^"]*")?/g)].map((each) => each[1])
    if (names.some((name) => name.startsWith('on'))) fail('a handler')
    if (begin[1] === 'script') fail('a script')
    out += ` ${begin[1]}${names.length > 0 ? `[${names.join(',')}]` : ''}`
    if (RAW.has(begin[1])) {
      take(new RegExp(`[^<]*</${begin[1]}>`, 'y')) ?? fail(`${begin[1]} does not end`)
    } else if (!VOID.has(begin[1])) {
      open.push(begin[1])
      out += '('
    }
  }
  if (open.length > 0) fail(`<${open.at(-1)}> does not end`)
  return out
}
