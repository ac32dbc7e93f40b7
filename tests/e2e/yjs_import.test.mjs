// tests/e2e/yjs_import.test.mjs -- documents of other servers come in, whole, by `laniakea-yjs import`.
//
//   node --test tests/e2e/yjs_import.test.mjs        after tools/build_js.mjs; needs Node 22.15
//
// Goal: what people had in Hocuspocus, in y-websocket's server or in files is here afterwards, every document as Yjs reads it there;
// what cannot come in is named, and takes nothing else along. Method: the genuine servers write what is read, their genuine
// providers talk to them; then the importer as people call it, against the real program, and each document compared byte by byte.
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Server as Hocuspocus } from '@hocuspocus/server'
import { LeveldbPersistence } from 'y-leveldb'
import { WebsocketProvider } from 'y-websocket'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import { Program, root } from './program.mjs'

// better-sqlite3 compiles itself while it is installed, which nothing does here. Node's own has the same methods, as far as
// Hocuspocus calls them.
registerHooks({
  resolve(name, context, next) {
    if (name !== 'better-sqlite3') return next(name, context)
    return { url: "data:text/javascript,export { DatabaseSync as default } from 'node:sqlite'", shortCircuit: true }
  },
})
process.removeAllListeners('warning') // that node:sqlite is young
const { SQLite } = await import('@hocuspocus/extension-sqlite')
const { DatabaseSync } = await import('node:sqlite')

const program = new Program()
const folder = mkdtempSync(join(tmpdir(), 'laniakea-import-'))
const cli = join(root, 'js/packages/yjs/dist/cli.js')
before(() => program.start())
after(async () => {
  await program.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** What the command line says. */
const runIn = (cwd, command, ...args) => new Promise((resolve) => {
  execFile(process.execPath, [...command, ...args], { cwd, timeout: 30_000 }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }))
})
const run = (...args) => runIn(folder, [cli, 'import', '--url', program.url], ...args)

async function until(what, isSo, millis = 15_000) {
  for (const end = Date.now() + millis; !(await isSo()); await sleep(10)) if (Date.now() > end) assert.fail(`waited ${millis} ms until ${what}`)
}

const inFolder = (name) => join(folder, name)
const write = (name, bytes) => {
  mkdirSync(join(inFolder(name), '..'), { recursive: true })
  writeFileSync(inFolder(name), bytes)
}

function docOf(text) {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, text)
  return doc
}
const updateOf = (text) => Y.encodeStateAsUpdate(docOf(text))

/** The updates that a document went through. */
function steps(...texts) {
  const doc = new Y.Doc()
  const updates = []
  doc.on('update', (update) => updates.push(update))
  for (const text of texts) doc.getText('t').insert(doc.getText('t').length, text)
  return updates
}

function read(...updates) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

/** What the server has: a document, or null. */
async function served(topic) {
  const response = await fetch(`${program.url}/api/topics/${encodeURIComponent(topic)}?as=update`)
  return response.ok ? read(new Uint8Array(await response.arrayBuffer())) : null
}
const textOf = async (topic) => (await served(topic))?.getText('t').toString() ?? null

async function assertSame(topic, doc) {
  const there = await served(topic)
  assert.notEqual(there, null, `${topic} is not there`)
  assert.deepEqual(there.getText('t').toDelta(), doc.getText('t').toDelta(), topic)
  assert.ok(Buffer.compare(Y.encodeStateAsUpdate(there), Y.encodeStateAsUpdate(doc)) === 0, `${topic} is another document`)
}

/** Somebody writes with all that documents have. */
function scribble(doc, seed) {
  const text = doc.getText('t')
  for (let i = 0; i < 60; i++) {
    text.insert((i * seed) % (text.length + 1), `${seed}.${i} `)
    if (i % 5 === 4) text.delete((i * 7) % (text.length - 3), 3)
    if (i % 9 === 8) text.format(0, 5, { bold: i % 2 === 0 ? true : null })
  }
  const paragraph = new Y.XmlElement('paragraph')
  paragraph.insert(0, [new Y.XmlText(`paragraph of ${seed}`)])
  doc.getXmlFragment('x').insert(0, [paragraph])
  doc.getMap('m').set(`key ${seed}`, { seed, list: [1, 2.5, null, true] })
  doc.getArray('a').push([seed, new Uint8Array([seed, 0, 255])])
}

// ---- Hocuspocus ----

test('every document of a genuine Hocuspocus with its SQLite comes in', async (t) => {
  const path = inFolder('hocuspocus.sqlite')
  const hocuspocus = new Hocuspocus({ address: '127.0.0.1', port: 0, quiet: true, debounce: 20, extensions: [new SQLite({ database: path })] })
  await hocuspocus.listen()
  t.after(() => hocuspocus.destroy())
  const url = `ws://127.0.0.1:${hocuspocus.httpServer.address().port}`
  const sockets = [1, 2].map(() => new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket }))
  const names = ['hp/notes', 'hp/ä 100%', 'hp/a%2Fb', 'x'.repeat(251)]
  for (const [i, name] of names.entries()) {
    const people = sockets.map((websocketProvider, j) => {
      const provider = new HocuspocusProvider({ websocketProvider, name, document: new Y.Doc() })
      provider.attach()
      scribble(provider.document, i + j + 1)
      return provider
    })
    await until(`${name} agrees`, () => people.every((one) => one.isSynced && !one.hasUnsyncedChanges && one.document.getArray('a').length === 4))
    for (const one of people) {
      one.destroy()
      one.document.destroy()
    }
  }
  const database = new DatabaseSync(path, { readOnly: true })
  const rows = () => database.prepare('SELECT name, data FROM documents').all()
  await until('all are stored', () => rows().length === names.length)
  sockets.forEach((socket) => socket.destroy())

  const { code, stdout, stderr } = await run(path)
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^doc:hp\/notes: \d+ bytes, durable$/m)
  assert.match(stdout, /\n4 documents, \d+ bytes, of which doc:.* has \d+; 0 errors\n$/)
  for (const { name, data } of rows()) await assertSame(`doc:${name}`, read(data))
  assert.deepEqual(await run(path), { code, stdout, stderr }) // once more does no harm
  for (const { name, data } of rows()) await assertSame(`doc:${name}`, read(data))
  database.close()
})

// ---- y-websocket ----

test('every document of a genuine y-websocket server with its LevelDB comes in, under the name by which pages ask for it', async (t) => {
  const path = inFolder('leveldb')
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
  const home = join(root, 'node_modules/@y/websocket-server')
  const child = spawn(process.execPath, [join(home, 'src/server.js')], { env: { ...process.env, HOST: '127.0.0.1', PORT: port, YPERSISTENCE: path }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  await new Promise((resolve) => child.stdout.on('data', (data) => String(data).includes('running') && resolve()))
  const names = ['yws', 'yws/plan', 'yws/ä b', 'yws%2F100%25', 'y'.repeat(251)]
  const expected = new Map()
  const person = (url, name) => {
    const provider = new WebsocketProvider(url, name, new Y.Doc(), { WebSocketPolyfill: WebSocket, disableBc: true })
    t.after(() => {
      provider.destroy()
      provider.doc.destroy()
    })
    return provider
  }
  for (const [i, name] of names.entries()) {
    const both = [1, 2].map(() => person(`ws://127.0.0.1:${port}`, name))
    both.forEach(({ doc }, j) => scribble(doc, i + j + 1))
    await until(`${name} agrees`, () => both.every(({ synced }) => synced) && both[0].doc.getText('t').toString() === both[1].doc.getText('t').toString() && both[0].doc.getArray('a').length === 4)
    expected.set(name, both[0].doc)
    both.forEach((one) => one.destroy())
  }
  await sleep(200) // it stores what it was sent when it gets to it
  assert.deepEqual(await run(path), { code: 1, stdout: '', stderr: `${path}: somebody has it open: stop its server first\n` })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  child.kill()
  await ended

  // Level 8 of the tree's y-leveldb, and level 6 of the server's own.
  for (const cwd of [root, home]) {
    const { code, stdout, stderr } = await runIn(cwd, [cli, 'import', '--url', program.url], path)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /\n5 documents, \d+ bytes, of which doc:.* has \d+; 0 errors\n$/)
    for (const [name, doc] of expected) await assertSame(`doc:${decodeURIComponent(name)}`, doc)
  }
  for (const [name, doc] of expected) {
    const one = person(`${program.url.replace('http', 'ws')}/y`, name)
    await until(`a page has ${name}`, () => one.synced)
    assert.deepEqual(one.doc.getText('t').toDelta(), doc.getText('t').toDelta())
  }
})

test('without y-leveldb, and without SQLite in Node, one is told what is missing', async () => {
  const alone = inFolder('alone')
  cpSync(join(cli, '..'), join(alone, 'dist'), { recursive: true })
  write('alone/package.json', '{"type": "module"}')
  mkdirSync(join(alone, 'node_modules'))
  symlinkSync(join(root, 'node_modules/yjs'), join(alone, 'node_modules/yjs'))
  write('alone/level/CURRENT', 'MANIFEST-000001\n')
  assert.deepEqual(await runIn(alone, ['dist/cli.js', 'import'], 'level'), { code: 1, stdout: '', stderr: 'level: it is read with the package y-leveldb: npm install y-leveldb\n' })
  write('alone/db.sqlite', 'SQLite format 3\0')
  const old = await runIn(alone, ['--no-experimental-sqlite', 'dist/cli.js', 'import'], 'db.sqlite')
  assert.deepEqual(old, { code: 1, stdout: '', stderr: `db.sqlite: SQLite is read by Node 22.13 or later, and this is ${process.version}\n` })
})

// ---- tables ----

function database(name, sql, ...rows) {
  const database = new DatabaseSync(inFolder(name))
  database.exec(sql)
  const [, table] = /CREATE TABLE (\w+)/.exec(sql)
  const insert = database.prepare(`INSERT INTO ${table} VALUES (${rows[0].map(() => '?').join(', ')})`)
  for (const row of rows) insert.run(...row)
  database.close()
}

test('a document may have many rows, in any order', async () => {
  const [a, b] = [steps('one ', 'two ', 'three'), steps('eins ', 'zwei')]
  database('ystore.db', 'CREATE TABLE yupdates (path TEXT NOT NULL, yupdate BLOB, metadata BLOB, timestamp REAL NOT NULL)',
    ['many/a', a[2], null, 3], ['many/b', b[0], null, 2], ['many/a', a[0], null, 1], ['many/b', b[1], null, 4], ['many/a', a[1], null, 5])
  const { code, stdout, stderr } = await run('ystore.db')
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^doc:many\/a: \d+ bytes, durable\ndoc:many\/b: \d+ bytes, durable\n2 documents/)
  await assertSame('doc:many/a', read(...a))
  await assertSame('doc:many/b', read(...b))
})

test('a table may have any name', async () => {
  const updates = steps('any ', 'name')
  database('any.db', 'CREATE TABLE log (doc_id INTEGER, clock INTEGER, "the update" BLOB, PRIMARY KEY (doc_id, clock)) WITHOUT ROWID', [7, 1, updates[0]], [7, 2, updates[1]])
  const there = 'there are log(doc_id, clock, the update)\n'
  assert.deepEqual(await run('any.db'), { code: 1, stdout: '', stderr: `any.db: none of its tables is known; say which with --table 'TABLE(NAME, UPDATE)': ${there}` })
  assert.deepEqual(await run('any.db', '--table', 'log(name, data)'), { code: 1, stdout: '', stderr: `any.db: it has no such --table 'TABLE(NAME, UPDATE)': ${there}` })
  assert.match((await run('any.db', '--table', 'log')).stderr, /^any\.db: --table is to be 'TABLE\(NAME, UPDATE\)'/)
  assert.equal((await run('any.db', '--table', 'log(doc_id, the update)')).code, 0)
  await assertSame('doc:7', read(...updates))
})

test('what is wrong with a row is told, and all else comes in', async () => {
  const [first, second, third] = steps('first ', 'second ', 'third')
  const good = updateOf('good')
  database('bad.db', 'CREATE TABLE documents (name TEXT, data BLOB)',
    ['bad/garbage', Uint8Array.of(1, 2, 3, 4)], ['bad/cut', good.subarray(0, good.length - 2)], ['bad/text', 'no bytes'], ['bad/null', null],
    ['bad/v2', Y.encodeStateAsUpdateV2(docOf('second format'))], ['bad/half', second],
    ['bad/hole', first], ['bad/hole', Uint8Array.of(255)], ['bad/hole', third],
    ['', good], [null, good], ['x'.repeat(252), good], ['bad/good', good], ['bad/empty', Y.encodeStateAsUpdate(new Y.Doc())])
  const { code, stdout, stderr } = await run('bad.db')
  assert.equal(code, 1)
  const said = stderr.trimEnd().split('\n').map((line) => line.replace(/ \(.*\)$/, '')).sort()
  assert.deepEqual(said, [
    'bad.db: a document has no name; --topic gives it one',
    'doc:bad/cut: row 1 of documents: not an update of Yjs',
    'doc:bad/garbage: row 1 of documents: not an update of Yjs',
    'doc:bad/half: it builds on updates that are not here',
    'doc:bad/hole: a part of it builds on updates that are not here, and was left out',
    'doc:bad/hole: row 2 of documents: not an update of Yjs',
    'doc:bad/null: row 1 of documents: not an update of Yjs but nothing',
    'doc:bad/text: row 1 of documents: not an update of Yjs but of type string',
    'doc:bad/v2: row 1 of documents: nothing is in it, unless it is of the second format: see --v2',
    `${'x'.repeat(252)}: its name is longer than 251 bytes; --topic gives it another`,
  ])
  assert.deepEqual(stdout.match(/^doc:\S+(?=: )/gm), ['doc:bad/empty', 'doc:bad/good', 'doc:bad/hole'])
  assert.match(stdout, /\n3 documents, .*; 10 errors\n$/)
  assert.equal(await textOf('doc:bad/good'), 'good')
  await assertSame('doc:bad/hole', read(first)) // and nothing waits in it
  for (const name of ['garbage', 'cut', 'text', 'null', 'v2', 'half']) assert.equal(await textOf(`doc:bad/${name}`), null, name)
})

test('a file that only looks like a database is told, and the next source is read', async () => {
  write('torn.sqlite', 'SQLite format 3\0 and then nothing of it')
  write('beside.bin', updateOf('beside'))
  const { code, stdout, stderr } = await run('torn.sqlite', 'nowhere', 'beside.bin')
  assert.equal(code, 1)
  assert.match(stderr, /^torn\.sqlite: file is not a database\nnowhere: there is no such file or folder\n$/)
  assert.match(stdout, /^doc:beside: /)
})

// ---- files ----

test('files of updates come in, of either format', async () => {
  const doc = docOf('imported')
  write('one.bin', Y.encodeStateAsUpdate(doc))
  write('two.v2', Y.encodeStateAsUpdateV2(doc))
  const size = Y.encodeStateAsUpdate(doc).length
  const [first, second] = steps('imported', ' in two parts')
  write('part1', first)
  write('part2', second)
  assert.deepEqual(await run('one.bin'), { code: 0, stdout: `doc:one: ${size} bytes, durable\n`, stderr: '' })
  assert.deepEqual(await run('--url', `${program.url}/socket/`, '--v2', 'two.v2'), { code: 0, stdout: `doc:two: ${size} bytes, durable\n`, stderr: '' })
  const parts = await run('--topic', 'doc:team/parts', 'part2', 'part1')
  assert.deepEqual([parts.code, parts.stderr], [0, ''])
  assert.equal((await run('one.bin')).code, 0)
  for (const [name, text] of [['one', 'imported'], ['two', 'imported'], ['team/parts', 'imported in two parts']]) assert.equal(await textOf(`doc:${name}`), text)
})

test('a folder is its files, and a document may be in several', async () => {
  const [first, second] = steps('in two ', 'files')
  write('tree/plan.bin', updateOf('plan'))
  write('tree/team/2026%2Fa%20b.bin', updateOf('escaped'))
  write('tree/team/100%.bin', updateOf('percent'))
  write('tree/team/both.1', second)
  write('tree/team/both.2', first)
  write('tree/.hidden', 'not ours')
  mkdirSync(inFolder('hollow'))
  const { code, stdout, stderr } = await run('tree/', 'hollow')
  assert.deepEqual([code, stderr], [1, 'hollow: there is no file in it\n'])
  assert.match(stdout, /\n4 documents/)
  for (const [name, text] of [['plan', 'plan'], ['team/2026/a b', 'escaped'], ['team/100%', 'percent'], ['team/both', 'in two files']]) assert.equal(await textOf(`doc:${name}`), text, name)
})

test('what is no update is told, and the others come in', async () => {
  write('broken.bin', Uint8Array.of(1, 2, 3, 4))
  write('half.bin', steps('a', 'b')[1])
  write('good.bin', updateOf('good'))
  const { code, stdout, stderr } = await run('broken.bin', 'half.bin', 'good.bin')
  assert.equal(code, 1)
  assert.match(stdout, /^doc:good: \d+ bytes, durable\n1 document, \d+ bytes; 2 errors\n$/)
  assert.match(stderr, /^doc:broken: broken\.bin: not an update of Yjs .+\ndoc:half: it builds on updates that are not here\n$/)
  assert.equal((await run('--topic', 'nothing:x', 'good.bin')).stderr, 'nothing:x: unmatched topic\n')
  assert.equal((await run()).code, 2)
  assert.equal((await run('--no-such')).code, 2)
  assert.match((await run('--help')).stdout, /^usage: npx @laniakea\/yjs import/)
})

// ---- how it is told, and to whom ----

test('a dry run reads everything and sends nothing', async () => {
  write('dry.bin', updateOf('dry'))
  const { code, stdout, stderr } = await run('--dry-run', '--url', 'http://127.0.0.1:1', 'dry.bin', 'nowhere')
  assert.deepEqual([code, stderr], [1, 'nowhere: there is no such file or folder\n'])
  assert.match(stdout, /^doc:dry: \d+ bytes, not sent\n1 document, \d+ bytes; 1 error\n$/)
  assert.equal((await run('--dry-run', 'dry.bin')).code, 0)
  assert.equal(await textOf('doc:dry'), null)
})

test('with --json each line is for a program', async () => {
  write('j1.bin', updateOf('one'))
  write('j2.bin', Uint8Array.of(9))
  const { code, stdout, stderr } = await run('--json', 'j1.bin', 'j2.bin', 'nowhere')
  assert.deepEqual([code, stderr], [1, ''])
  const [missing, came, failed, sums, ...more] = stdout.trimEnd().split('\n').map((line) => JSON.parse(line))
  const { length: bytes } = updateOf('one')
  assert.deepEqual(missing, { from: 'nowhere', error: 'there is no such file or folder' })
  assert.equal(came.bytes > bytes - 5, true)
  assert.deepEqual(came, { document: 'doc:j1', from: 'j1.bin', bytes: came.bytes, level: 'durable' })
  assert.match(failed.error, /^j2\.bin: not an update/)
  assert.deepEqual([sums, more], [{ documents: 1, bytes: came.bytes, errors: 2 }, []])
})

test('a server that does not answer is tried once', async () => {
  for (const name of ['s1', 's2', 's3']) write(`${name}.bin`, updateOf(name))
  const { code, stdout, stderr } = await run('--url', 'http://127.0.0.1:1', 's1.bin', 's2.bin', 's3.bin')
  assert.deepEqual([code, stdout], [1, ''])
  assert.equal(stderr, 'doc:s1: http://127.0.0.1:1 does not answer, or does not let us in\nstopped; what has come in stays, and to do all of it again does no harm\n')
})

test('a document that is too big for a message is told, and those behind it come in', async () => {
  const narrow = new Program('--limit', 'ws_message_bytes=20000')
  await narrow.start()
  try {
    database('big.db', 'CREATE TABLE documents (name TEXT, data BLOB)', ['1 small', updateOf('small')], ['2 big', updateOf('x'.repeat(30_000))], ['3 huge', updateOf('x'.repeat(1_000_000))], ['4 last', updateOf('last')])
    const { code, stdout, stderr } = await run('--url', narrow.url, 'big.db')
    assert.equal(code, 1)
    assert.match(stderr, /^doc:2 big: .*ws_message_bytes.*\ndoc:3 huge: .*ws_message_bytes.*\n$/)
    assert.match(stdout, /^doc:1 small: \d+ bytes, durable\ndoc:4 last: \d+ bytes, durable\n2 documents, .*; 2 errors\n$/)
  } finally {
    await narrow.dispose()
  }
})

const hasScript = spawnSync('script', ['--version']).status === 0
test('on a terminal one sees where it is, once it takes longer than a second', { skip: hasScript ? false : 'there is no script(1)' }, async () => {
  const silent = createServer(() => {})
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
  write('slow.bin', updateOf('slow'))
  const command = `exec ${process.execPath} ${cli} import --url http://127.0.0.1:${silent.address().port} slow.bin`
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
  let said = ''
  const began = Date.now()
  child.stdout.on('data', (data) => (said += data))
  try {
    await until('it is seen', () => said.includes('0 documents, 0.0 MB, doc:slow ...'))
    assert.ok(Date.now() - began > 1000)
  } finally {
    const ended = new Promise((resolve) => child.on('exit', resolve))
    child.kill()
    await ended
    silent.close()
  }
})

// ---- what the guides say ----

/** The commands of a guide that import something, and the functions that it has. */
async function readGuide(name) {
  const text = readFileSync(join(root, 'docs/guides', name), 'utf8')
  const commands = [...text.matchAll(/^    npx @laniakea\/yjs (import .*)$/gm)].map(([, line]) => line.replace('http://127.0.0.1:4000', program.url).split(' '))
  const [, code] = /^```js\n([\s\S]*?)^```$/m.exec(text)
  const path = join(root, 'build', `guide-${process.pid}.mjs`) // where the tree's packages are in reach
  writeFileSync(path, code)
  try {
    return { commands, ...(await import(`${pathToFileURL(path).href}?${name}`)) }
  } finally {
    rmSync(path)
  }
}

async function follow(guide, commands, documents) {
  for (const command of commands) {
    const { code, stderr } = await runIn(inFolder(guide), [cli], ...command)
    assert.deepEqual([code, stderr], [0, ''], command.join(' '))
  }
  for (const [name, update] of documents) await assertSame(`doc:${name}`, read(update))
  assert.equal((await runIn(inFolder(guide), [cli], 'import', '--url', program.url, 'out')).code, 0)
  for (const [name, update] of documents) await assertSame(`doc:${name}.file`, read(update))
}

test('the guide for Hocuspocus is right', async () => {
  const { commands, toFiles } = await readGuide('moving-from-hocuspocus.md')
  const documents = [['guide/h', updateOf('one of theirs')], ['ä 100%', updateOf('another')]]
  mkdirSync(inFolder('guide-h/out'), { recursive: true })
  database('guide-h/db.sqlite', 'CREATE TABLE documents (name TEXT, data BLOB)', ...documents)
  toFiles(documents.map(([name, update]) => [`${name}.file`, update]), inFolder('guide-h/out'))
  assert.equal(commands.length, 3)
  await follow('guide-h', commands, documents)
})

test('the guide for y-websocket is right', async () => {
  const { commands, toFiles } = await readGuide('moving-from-y-websocket.md')
  const documents = [['guide/y', updateOf('one of theirs')], ['ü 100%', updateOf('another')]]
  mkdirSync(inFolder('guide-y/out'), { recursive: true })
  const store = new LeveldbPersistence(inFolder('guide-y/yjs-data'))
  for (const [name, update] of documents) await store.storeUpdate(encodeURI(name), update)
  const persistence = { getYDoc: (name) => store.getYDoc(encodeURI(name.replace(/\.file$/, ''))) }
  await toFiles(persistence, documents.map(([name]) => `${name}.file`), inFolder('guide-y/out'))
  await store.destroy()
  assert.equal(commands.length, 3)
  await follow('guide-y', commands, documents)
})
