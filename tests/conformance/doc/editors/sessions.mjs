// tests/conformance/doc/editors/sessions.mjs -- sessions in which editors write Yjs documents, as records.
//
//   node sessions.mjs --seed 1 --count 100 | doc_conformance
//   node sessions.mjs --seed 1 --only 17 --steps 5 | doc_conformance --session 17 --stop-after 1
//
// The options are those of ../sessions.mjs; with --record the records go into recorded.br, compressed. What an editor does to its document is written down by recorder.mjs, so
// that our documents do the same and must send the same bytes. Where that cannot be (said on standard error),
// the session has no L records: then our documents receive only.
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { brotliCompressSync } from 'node:zlib'

// Yjs must be there once, whoever imports it.
const here = import.meta.url
registerHooks({ resolve: (name, context, next) => next(name, name === 'yjs' ? { ...context, parentURL: here } : context) })
const { restartNumbers } = await import('./dom.mjs')
const { UndoManager } = await import('yjs')
const { makeClient } = await import('../model.mjs')
const { Session, write } = await import('../session.mjs')
const { MAGIC, record, str } = await import('../stream.mjs')
const { Recorder } = await import('./recorder.mjs')

const editors = {}
for (const name of ['prosemirror', 'blocknote', 'quill', 'codemirror']) editors[name] = await import(`./${name}.mjs`)

const profiles = {}
for (const [editor, { roots }] of Object.entries(editors)) {
  profiles[editor] = { editor, roots, formats: true, asks: roots.some(([, kind]) => kind === 'text') }
  profiles[`${editor} undo`] = { ...profiles[editor], undo: true }
}

/** Editors refuse what their schemas do not allow, and y-prosemirror fails where its selection is gone. */
function attempt(something) {
  try {
    something()
    return true
  } catch (error) {
    if (process.env.LK_LOUD) console.error(error.stack)
    return false
  }
}

class EditorSession extends Session {
  replies = true

  makeClient(id, say) {
    const { doc } = makeClient(id, this.gc, { ...this.profile, undo: false }, (v1, v2) => say({ v1, v2 }))
    const recorder = new Recorder(doc, (ops, origin) => {
      recorder.broken ??= this.#whyNotAlone(doc, origin)
      say({ ops })
    })
    for (const [root, kind] of this.roots) {
      if (kind === 'text') doc.getText(root).observe((event) => this.#isOwn(event.transaction.origin) || say({ root, delta: event.delta }))
    }
    return { id, doc, recorder, say }
  }

  #isOwn(origin) {
    return this.origins.includes(origin) || this.origins.includes(origin?.constructor)
  }

  /** Our transactions come one after the other, and our undo manager knows a single origin. */
  #whyNotAlone(doc, origin) {
    if (this.profile.undo && !this.#isOwn(origin)) return 'an editor does something that cannot be undone'
    return doc._transactionCleanups.length > 2 ? 'answers to an update that Yjs looks at together' : null
  }

  get origins() {
    return editors[this.profile.editor].origins
  }

  get isScripted() {
    return this.whyNot === undefined
  }

  get whyNot() {
    return this.clients.find(({ recorder }) => recorder.broken !== null)?.recorder.broken
  }

  /** Editors are at work from now on. */
  open() {
    restartNumbers()
    for (const client of this.clients) {
      if (this.profile.undo) {
        const types = this.roots.map(([name]) => client.doc.share.get(name))
        client.undoManager = new UndoManager(types, { captureTimeout: 0, trackedOrigins: new Set(this.origins) })
      }
      client.editor = editors[this.profile.editor].open(client.doc, this.random, client.index)
    }
  }

  act({ editor, undoManager, recorder, say }) {
    const { random } = this
    if (undoManager && random.chance(0.25)) {
      const name = random.chance(0.65) ? 'undo' : 'redo'
      recorder.undoes = true
      say({ ops: [[name]] })
      if (!attempt(() => undoManager[name]())) recorder.broken ??= 'an undo that failed, nobody knows where'
      recorder.undoes = false
      return
    }
    for (let i = random.range(1, 3); i > 0; i--) {
      attempt(() => editor.act(random))
    }
  }

  /** Yjs is done with an update when its observers have failed. */
  take(doc, version, update) {
    attempt(() => super.take(doc, version, update))
  }

  close() {
    for (const { editor, undoManager } of this.clients) {
      undoManager?.destroy()
      editor.close()
    }
    document.body.replaceChildren()
  }
}

const options = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    profile: { type: 'string' },
    steps: { type: 'string' },
    seconds: { type: 'string', default: 'Infinity' },
    record: { type: 'boolean' },
  },
}).values
const names = options.profile === undefined ? Object.keys(profiles) : options.profile.split(',')
const unknown = names.find((name) => !(name in profiles))
if (unknown !== undefined) {
  console.error(`no profile ${unknown}; there are ${Object.keys(profiles).join(', ')}`)
  process.exit(2)
}

console.log = console.warn = console.error // editors say things, and standard output is for records
const seed = Number(options.seed)
const first = Number(options.only ?? options.from)
const count = options.only === undefined ? Number(options.count) || Infinity : 1
const kept = []
const put = options.record ? (piece) => kept.push(piece) : write
put(Buffer.concat([MAGIC, record('H', str(JSON.stringify({ format: 1, yjs: '13.6.33', seed })))]))
const end = performance.now() + 1000 * Number(options.seconds)
for (let i = first; i < first + count && performance.now() < end; i++) {
  const session = new EditorSession(seed, i, names[i % names.length], options.steps && Number(options.steps), profiles)
  session.open()
  const records = session.play()
  if (!session.isScripted) console.error(`session ${i} (${session.name}) has no operations: ${session.whyNot}`)
  session.close()
  await new Promise((resolve) => setTimeout(resolve)) // what editors put off
  if (!put(Buffer.concat(records))) break
}
if (options.record) writeFileSync(join(import.meta.dirname, 'recorded.br'), brotliCompressSync(Buffer.concat(kept)))
process.exit(0) // what is left of editors has timers
