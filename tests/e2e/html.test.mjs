// tests/e2e/html.test.mjs -- what users write is never part of a page's tree.
//
//   node --test tests/e2e/html.test.mjs      runs build/laniakea; LK_PROGRAM names another one, LK_SEED another seed
//
// Goal: for any data the tree of a page is that of harmless data of the same structure, as a browser builds it.
// Method: parse5, which builds trees as the standard says. Hostile strings are drawn from pieces that have broken pages before,
// and put in every place that the program shows: blocks, marks and attributes of documents by the table of render.c, objects of
// all types of types.def, names of topics and roots, and the fields of the form.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { parse } from 'parse5'
import * as Y from 'yjs'
import { Program, root } from './program.mjs'

const seed = Number(process.env.LK_SEED ?? 7)
const ROUNDS = 15

/** A stream of numbers below `n`, the same for the same seed (mulberry32). */
function generator(state) {
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

const pieces = [
  '<', '>', '&', '"', "'", '`', '=', '/', '\\', ' ', '\t', '\n', '\r', '\r\n', '\0', '\x01', '\x0b', '\x0c', '\x1b', '\x7f', '\x85', '\xa0',
  '<script>', '</script>', '<script src=//x>', '</style>', '<style>', '</title>', '</textarea>', '<plaintext>', '<xmp>', '<noscript>', '</noscript>', '<template>', '</template>',
  '</pre>', '</p>', '</li></ul>', '</dd></dl>', '</td></tr></table>', '<table><td>', '</section>', '</main>', '</body></html>', '</figure>', '</code>', '</span>', '</a>', '<a href=x>',
  '<svg>', '<svg/onload=x>', '<math><mi>', '</svg>', '<!--', '-->', '--!>', '<!', '<![CDATA[', ']]>', '<?x', '?>', '</', '< /p>', '<p', '<input autofocus onfocus=x>', '<form action=//x>', '</form>', '<base href=//x>',
  '" onload="x', "' onload='x", '" autofocus onfocus=x "', '"><img src=x onerror=x>', "'><img>", 'javascript:x', 'data:text/html,x', '{{x}}', '${x}', '<%x%>',
  '&lt;', '&amp;lt;', '&#60;', '&#x3c', '&lt', '&NotEqualTilde;', '&#0;', '&#xD800;', '&ampersand', '&;', '&#;',
  '\u2028', '\u2029', '\u202e', '\u2066', '\u200f', '\u200d', '\ufeff', '\ufffe', '\uffff', '\ud800', '\udc00', '\udbff\udfff', '😀', 'é', 'e\u0301', '\uff1cb\uff1e', '＂', 'x', 'word',
]

/** Begins and ends as HARMLESS does: it is not empty, and has its place in an object whose names are in order. */
const HARMLESS = 'a harmless text z'
function draw(below) {
  let text = ''
  for (let left = 1 + below(12); left > 0; left--) text += pieces[below(pieces.length)]
  return `a${text}${below(4) === 0 ? pieces[below(pieces.length)].repeat(50) : ''}z`
}

/** Elements with the names of their attributes, and comments; line breaks of a text are none of it. */
function shapeOf(node) {
  if (node.nodeName === '#text' || node.nodeName === 'br') return ''
  if (node.nodeName === '#comment') return `<!--${node.data}-->`
  if (node.nodeName === '#documentType') return `<!${node.name}>`
  const inside = [...(node.childNodes ?? []), ...(node.content === undefined ? [] : [node.content])].map(shapeOf).join('')
  if (node.tagName === undefined) return inside
  return `${node.tagName}${(node.attrs ?? []).map(({ name }) => `[${name}]`).sort().join('')}(${inside})`
}

const ELEMENTS = new Set('html head meta title style body main article section h1 h2 h3 h4 h5 h6 p pre code br hr ul ol li dl dt dd table tbody tr td th blockquote div span strong em u s sub sup a img figure figcaption video audio input label button form output nav header footer'.split(' '))
const ATTRIBUTES = new Set('lang charset name content href src alt class style start colspan rowspan type disabled checked controls aria-label aria-live data-type method min step value required'.split(' '))

/** Nothing that is no part of our pages, and no address that runs something. */
function judge(node) {
  if (node.tagName !== undefined) assert.ok(ELEMENTS.has(node.tagName), `<${node.tagName}>`)
  for (const { name, value } of node.attrs ?? []) {
    assert.ok(ATTRIBUTES.has(name), `${node.tagName}[${name}]`)
    if (name === 'href' || name === 'src') assert.match(new URL(value, 'https://page.example/').href, /^(https?|mailto|tel):|^data:image\/(png|jpeg|gif|webp)[;,]/)
    if (name === 'style' && node.tagName === 'span') assert.match(value, /^(background-)?color:[\w#(),. %]+$/)
  }
  for (const child of [...(node.childNodes ?? []), ...(node.content === undefined ? [] : [node.content])]) judge(child)
}

function textOf(node) {
  if (node.nodeName === '#text') return node.value
  if (node.nodeName === 'br') return '\n'
  return (node.childNodes ?? []).map(textOf).join('')
}

/** As pages show it: halves of pairs and what HTML has not become U+FFFD. */
const shown = (text) => text.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, '\ufffd')

function treeOf(html) {
  const tree = parse(html)
  judge(tree)
  return tree
}

const server = new Program({ data: false })
before(() => server.start())
after(() => server.dispose())

const ask = (path, options) => fetch(`${server.url}${path}`, options)
let names = 0
const freshName = () => `t${++names}`

/** The tree of a topic's page. The topic goes: all are in memory, which has a limit. */
async function showAndForget(topic) {
  const tree = treeOf(await (await ask(`/render/${topic}`)).text())
  assert.equal((await ask(`/api/topics/${topic}`, { method: 'DELETE' })).status, 204)
  return tree
}

/** The tree of the page of a document that has what `write` puts into it. */
async function treeOfDocument(write) {
  const doc = new Y.Doc()
  doc.clientID = 1
  write(doc)
  const name = freshName()
  const made = await ask(`/api/topics/doc:${name}`, { method: 'PUT', headers: { 'content-type': 'application/octet-stream' }, body: Y.encodeStateAsUpdate(doc) })
  assert.ok(made.ok, `${made.status} ${await made.text()}`)
  return showAndForget(`doc:${name}`)
}

const shapeOfDocument = async (write) => shapeOf(await treeOfDocument(write))

/** [name, kind] of every element that is rendered as something. */
const blocks = [...readFileSync(`${root}/src/doc/render.c`, 'utf8').matchAll(/\{ LK_LIT_INIT\("(\w+)"\), ([A-Z_]+) \}/g)].map(([, name, kind]) => [name, kind])
const marks = [...readFileSync(`${root}/src/doc/render_inline.c`, 'utf8').matchAll(/\{ LK_LIT_INIT\("(\w+)"\), LK_MARK_/g)].map(([, name]) => name)
/** What editors set on blocks: values that are text, and values that decide something. */
const TEXTS = ['name', 'caption', 'alt', 'title', 'label', 'id']
const CHOICES = { url: 'https://a.example/b', src: 'https://a.example/c', language: 'js', textAlignment: 'center', textAlign: 'right', level: '2', start: '3', order: '4', colspan: '2', rowspan: '3', checked: 'true', textColor: 'red', backgroundColor: 'blue', style: 'color: red', onclick: 'x' }

/** One block called `name`, of all that may be in one: `value(slot, plain)` says what stands where. */
function block(name, kind, value) {
  const element = new Y.XmlElement(name)
  for (const attribute of TEXTS) element.setAttribute(attribute, value(`text:${name}.${attribute}`, 'plain'))
  for (const [attribute, plain] of Object.entries(CHOICES)) {
    const said = value(`choice:${attribute}`, plain)
    if (said !== undefined) element.setAttribute(attribute, said)
  }
  const words = new Y.XmlText()
  const inner = (...path) => path.reduceRight((child, each) => {
    const around = new Y.XmlElement(each)
    around.insert(0, [child])
    return around
  }, words)
  const child = kind === 'TABLE' ? inner('tableRow', 'tableCell', 'tableParagraph') : kind.startsWith('LIST') ? inner('listItem', 'paragraph') : ['GROUP', 'CONTAINER', 'QUOTE', 'ITEM', 'CELL', 'HEADER'].includes(kind) ? inner('paragraph') : words
  element.insert(0, [child])
  words.insert(0, value(`text:${name}`, 'plain'))
  return element
}

/** A document with a block of each kind, text with each mark, and one in Quill's form. */
function everything(value) {
  return (doc) => {
    const prose = doc.getXmlFragment('prose')
    for (const [name, kind] of blocks) prose.push([block(name, kind, value)])
    const container = new Y.XmlElement('blockContainer')
    container.insert(0, [new Y.XmlElement('bulletListItem'), new Y.XmlElement('blockGroup')])
    prose.push([container])
    const marked = new Y.XmlText()
    const paragraph = new Y.XmlElement('paragraph')
    paragraph.insert(0, [marked])
    prose.push([paragraph])
    const color = value('choice:color', 'red'), href = value('choice:href', 'https://a.example/d')
    for (const mark of marks) {
      const says = /olor|highlight|textStyle|background/.test(mark) ? { color, stringValue: color } : mark === 'link' ? { href } : true
      marked.insert(marked.length, value(`text:${mark}`, 'plain'), { [mark]: says })
      marked.insert(marked.length, ' ', { [mark]: null })
    }
    const quill = doc.getText('quill')
    quill.insert(0, value('text:quill', 'plain'), { bold: true, link: href ?? null, color: color ?? null })
    quill.insertEmbed(quill.length, { image: value('choice:image', 'https://a.example/e.png') ?? '' })
    quill.insertEmbed(quill.length, { [value('choice:embed', 'formula') ?? 'formula']: value('choice:embedded', 'x') ?? 'x' })
    doc.getMap('map').set(value('text:key', 'plain'), [value('text:item', 'plain')])
    doc.getArray('list').push([{ k: value('text:deep', 'plain') }])
  }
}

describe('documents', () => {
  // Quill's line feeds end blocks: there they are structure.
  test('each text of each block is text', async () => {
    const below = generator(seed)
    const plain = await shapeOfDocument(everything((_, value) => value))
    for (const tag of ['h2', 'pre', 'table', 'figure', 'blockquote', 'ol', 'a[href]', 'span[style]', 'img[alt][src]']) assert.ok(plain.includes(tag), `nothing shows ${tag}`)
    for (let i = 0; i < ROUNDS; i++) {
      const text = draw(below)
      const tree = await treeOfDocument(everything((slot, value) => (slot === 'text:quill' ? text.replaceAll('\n', ' ') : slot.startsWith('text:') ? text : value)))
      assert.equal(shapeOf(tree), plain, `seed ${seed}: ${JSON.stringify(text)}`)
      assert.ok(shown(textOf(tree)).includes(shown(text)), `seed ${seed}: not all there of ${JSON.stringify(text)}`)
    }
  })

  test('what decides something is what it may be, or as if it were not there', async () => {
    const below = generator(seed + 1)
    const slots = [...Object.keys(CHOICES), 'color', 'href', 'image', 'embed', 'embedded'].map((name) => `choice:${name}`)
    for (const slot of slots) {
      const harmless = new Set()
      for (const value of [undefined, '', 'word', 'https://a.example/x', 'unknown:x', '1', '7', 'true', 'red', '#00f', 'center', 'image']) {
        if (value === undefined || value !== '' || !slot.endsWith('embed')) harmless.add(await shapeOfDocument(everything((each, plain) => (each === slot ? value : plain))))
      }
      harmless.add(await shapeOfDocument(everything((_, plain) => plain)))
      for (let i = 0; i < 6; i++) {
        const text = ['', 'https://a.example/', 'js', 'red', '2'][below(5)] + draw(below).slice(below(2))
        const shape = await shapeOfDocument(everything((each, plain) => (each === slot ? text : plain)))
        assert.ok(harmless.has(shape), `seed ${seed}: ${slot} ${JSON.stringify(text)}\n${shape}\n${[...harmless].join('\n')}`)
      }
    }
  })

  test('names of elements, attributes, marks and roots are never written', async () => {
    const below = generator(seed + 2)
    const odd = (name) => (doc) => {
      const element = new Y.XmlElement(name)
      const text = new Y.XmlText()
      element.insert(0, [text])
      element.setAttribute(name, name)
      doc.getXmlFragment(`prose ${name}`).push([element])
      text.insert(0, 'x', { [name]: name })
      doc.getText(`text ${name}`).insert(0, 'y', { [name]: { [name]: name } })
      doc.getMap(`map ${name}`).set(name, name)
    }
    const plain = await shapeOfDocument(odd(HARMLESS))
    for (let i = 0; i < ROUNDS; i++) {
      const name = draw(below)
      assert.equal(await shapeOfDocument(odd(name)), plain, `seed ${seed}: ${JSON.stringify(name)}`)
    }
  })
})

describe('objects', () => {
  const add = (element) => ['crdt.add', { element }]
  const set = (value) => ['crdt.set', { value }]
  const label = (s) => [...s.toWellFormed()].slice(0, 10).join('')
  const fill = {
    gcounter: (s) => [['crdt.increment', { amount: 2, node_id: label(s) }]],
    pncounter: (s) => [['crdt.increment', { amount: 2, node_id: label(s) }], ['crdt.decrement', { amount: 1 }]],
    bcounter: (s) => [['crdt.increment', { amount: 5 }], ['crdt.transfer', { to: label(s), amount: 2 }]],
    gset: (s) => [add(s), add({ [s]: [s] })],
    orset: (s) => [add(s), add({ [s]: [s] })],
    rwset: (s) => [add(s), add([s, null, true])],
    ewflag: () => [['crdt.enable', {}]],
    dwflag: () => [['crdt.disable', {}]],
    lww: (s) => [set({ [s]: s, b: [[s]] })],
    mvreg: (s) => [set(s), set([s])],
    ormap: (s) => [['crdt.set', { at: [['lww', s]], value: s }], ['crdt.add', { at: [['ormap', 'in'], ['orset', s]], element: s }]],
    list: (s) => [['crdt.insert', { index: 0, value: s }], ['crdt.insert', { index: 1, value: { [s]: s } }]],
    text: (s) => [['crdt.insert', { index: 0, text: s }]],
  }
  const types = [...readFileSync(`${root}/src/crdt/types.def`, 'utf8').matchAll(/^CRDT_TYPE\((\w+),/gm)].map(([, type]) => type)

  /** The page of an object that commands have filled; undefined where one was refused, which is an answer, too. */
  async function pageOf(type, commands) {
    const name = freshName()
    for (const [i, [event, payload]] of commands.entries()) {
      const path = `/api/topics/crdt:${name}${i === 0 ? `?type=${type}` : ''}`
      const said = await ask(path, { method: i === 0 ? 'PUT' : 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ type: event, payload }) })
      assert.ok(said.status < 500, `${said.status} ${await said.text()}`)
      if (!said.ok) return undefined
    }
    return showAndForget(`crdt:${name}`)
  }

  assert.deepEqual(Object.keys(fill), types)
  for (const type of types) {
    test(`${type}: values are text`, async () => {
      const below = generator(seed + types.indexOf(type))
      const plain = shapeOf(await pageOf(type, fill[type](HARMLESS)))
      let shownCount = 0
      for (let i = 0; i < ROUNDS; i++) {
        const text = draw(below)
        const tree = await pageOf(type, fill[type](text))
        if (tree === undefined) continue
        shownCount++
        assert.equal(shapeOf(tree), plain, `seed ${seed}: ${JSON.stringify(text)}`)
        if (['gset', 'lww', 'list', 'text'].includes(type)) assert.ok(shown(textOf(tree)).includes(shown(text)), `seed ${seed}: not all there of ${JSON.stringify(text)}`)
      }
      assert.ok(shownCount > ROUNDS / 2, `only ${shownCount} were taken`)
    })
  }

  test('a very long text is cut where it is text', async () => {
    for (const text of ['<b>', '&', '"\'', '</pre><script>x</script>']) {
      const shapes = []
      for (const each of ['x', text]) {
        const tree = await pageOf('lww', [['crdt.set', { value: [each.repeat(Math.floor(200_000 / each.length)), 'end'] }]])
        shapes.push(tree === undefined ? 'refused' : shapeOf(tree))
      }
      assert.ok(shapes[1] === 'refused' || shapes[1].includes('ul('), shapes[1])
    }
  })
})

describe('names and forms', () => {
  test('a topic may be called anything', async () => {
    const below = generator(seed + 3)
    for (const kind of ['crdt', 'counter', 'doc']) {
      const shapes = new Map()
      for (let i = 0; i < ROUNDS; i++) {
        const name = i === 0 ? HARMLESS : draw(below).slice(0, 40).toWellFormed()
        const page = await ask(`/render/${kind}:${encodeURIComponent(name)}`)
        const shape = shapeOf(treeOf(await page.text()))
        if (!shapes.has(page.status)) shapes.set(page.status, shape)
        assert.equal(shape, shapes.get(page.status), `seed ${seed}: ${kind} ${JSON.stringify(name)}`)
      }
    }
  })

  test('a form may say anything', async () => {
    const below = generator(seed + 4)
    const press = (fields) => ask('/render/counter:form', { method: 'POST', redirect: 'manual', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(fields).toString() })
    const plain = shapeOf(treeOf(await (await press({ amount: 'none' })).text()))
    for (let i = 0; i < ROUNDS; i++) {
      const text = draw(below).slice(0, 200)
      const said = await press(i % 2 === 0 ? { amount: text } : { [text]: text, amount: 'none' })
      assert.equal(said.status, 400)
      assert.equal(shapeOf(treeOf(await said.text())), plain, `seed ${seed}: ${JSON.stringify(text)}`)
    }
    assert.equal((await press({ amount: '3', [draw(below).slice(0, 100)]: draw(below).slice(0, 100) })).status, 303)
  })
})
