// Goal: a base and its parts compute together what the module did that they were made of, the base does without parts whatever needs none, and
// parts of another one cannot be put beside it.
// Method: sources in C, compiled and linked as the client's are, with functions that are called directly, over the table and by exports; each
// part alone beside the base, both, and neither.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { split } from '../../tools/split_wasm.mjs'

const folder = mkdtempSync(join(tmpdir(), 'laniakea-split-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const SHARED = `
typedef struct kind { int (*weigh)(int); int (*grow)(int); } kind;
extern const kind documents, objects, plain;
int twice(int x);
int host_sum(int a, int b) __attribute__((import_module("host"), import_name("sum")));
`
/** Static functions of all three have the same names: by their sources alone it is known whose they are. */
const SOURCES = {
  'src/base/core.c': `
    int twice(int x) { return 2 * x; }
    static int total = 5;
    static int weigh(int x) { return x + total; }
    static int grow(int x) { return total += x; }
    const kind plain = { weigh, grow };
    static const kind *const all[] = { &plain, &documents, &objects };
    __attribute__((export_name("client_weigh"))) int client_weigh(int which, int x) { return all[which]->weigh(x); }
    __attribute__((export_name("client_grow"))) int client_grow(int which, int x) { return all[which]->grow(x); }`,
  'src/doc/doc.c': `
    static int pages = 100;
    __attribute__((noinline)) int pages_and(int x) { return host_sum(pages, x); }
    static int weigh(int x) { return twice(pages_and(x)); }
    static int grow(int x) { return pages += x; }
    const kind documents = { weigh, grow };
    __attribute__((export_name("doc_pages"))) int doc_pages(int x) { return pages_and(x); }`,
  'src/crdt/crdt.c': `
    static int seen[400000];
    static int weigh(int x) { return seen[x] + plain.weigh(1); }
    static int grow(int x) { return seen[x] = twice(x + 1); }
    const kind objects = { weigh, grow };
    __attribute__((export_name("crdt_seen"))) int crdt_seen(int x) { return seen[x]; }`,
}

function must(command, args) {
  const { status, stderr, stdout } = spawnSync(command, args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}

function build(sources) {
  const objects = Object.entries(sources).map(([path, code]) => {
    const from = join(folder, path)
    const object = `made.dir/${path}.obj`
    for (const name of [from, join(folder, object)]) mkdirSync(join(name, '..'), { recursive: true })
    writeFileSync(from, SHARED + code)
    must('clang-22', ['--target=wasm32-unknown-unknown', '-Oz', '-flto', '-ffreestanding', '-nostdlib', '-funique-internal-linkage-names', '-c', path, '-o', object])
    return object
  })
  must('wasm-ld-22', ['--no-entry', '--gc-sections', '--strip-debug', '--no-demangle', '--stack-first', ...objects, '-o', 'linked.wasm'])
  return { linked: readFileSync(join(folder, 'linked.wasm')), symbols: must('llvm-nm-22', ['--print-file-name', '--defined-only', '--quiet', ...objects]) }
}

const host = { sum: (a, b) => a + b }

function open(base, ...parts) {
  let { exports } = new WebAssembly.Instance(new WebAssembly.Module(base), { host })
  for (const part of parts) exports = { ...exports, ...new WebAssembly.Instance(new WebAssembly.Module(part), { host, core: exports }).exports }
  return exports
}

const PLAIN = 0
const DOCUMENTS = 1
const OBJECTS = 2

function askDocuments({ client_weigh, client_grow, doc_pages }) {
  return [client_weigh(DOCUMENTS, 3), client_grow(DOCUMENTS, 7), doc_pages(1), client_weigh(DOCUMENTS, 0)]
}

function askObjects({ client_weigh, client_grow, crdt_seen }) {
  return [client_grow(OBJECTS, 399_999), client_weigh(OBJECTS, 399_999), crdt_seen(399_999), crdt_seen(4)]
}

const askPlain = ({ client_weigh, client_grow }) => [client_weigh(PLAIN, 1), client_grow(PLAIN, 2), client_weigh(PLAIN, 1)]

test('a base and its parts answer as the whole does, whichever comes first', () => {
  const { linked, symbols } = build(SOURCES)
  const { base, parts } = split(linked, symbols, ['documents', 'objects'])
  const ask = (exports) => [askDocuments(exports), askPlain(exports), askObjects(exports)]
  const wanted = ask(new WebAssembly.Instance(new WebAssembly.Module(linked), { host }).exports)
  assert.deepEqual(wanted, [[206, 107, 108, 214], [6, 7, 8], [800_000, 800_008, 800_000, 0]])
  assert.deepEqual(ask(open(base, parts.documents, parts.objects)), wanted)
  assert.deepEqual(ask(open(base, parts.objects, parts.documents)), wanted)
  assert.deepEqual(askDocuments(open(base, parts.documents)), wanted[0])
  assert.deepEqual(askObjects(open(base, parts.objects))[0], wanted[2][0])
  // The same in gives the same out.
  const again = split(linked, symbols, ['documents', 'objects'])
  assert.ok(again.base.equals(base) && again.parts.documents.equals(parts.documents))
})

test('a part has what is its own alone, and the base works without', () => {
  const { linked, symbols } = build(SOURCES)
  const { base, parts } = split(linked, symbols, ['documents', 'objects'])
  const alone = open(base)
  assert.deepEqual(askPlain(alone), [6, 7, 8])
  assert.throws(() => alone.client_weigh(DOCUMENTS, 3), WebAssembly.RuntimeError)
  assert.deepEqual([alone.doc_pages, alone.crdt_seen], [undefined, undefined])
  assert.deepEqual(Object.keys(open(base, parts.documents)).filter((name) => /^(doc|crdt)_/.test(name)), ['doc_pages'])
  // Of what the base calls by its name nothing may be missing, whoever's source it is.
  const reaching = build({ ...SOURCES, 'src/base/core.c': `${SOURCES['src/base/core.c']}
    int pages_and(int x);
    __attribute__((export_name("client_pages"))) int client_pages(int x) { return pages_and(x); }` })
  const reached = split(reaching.linked, reaching.symbols, ['documents', 'objects'])
  assert.equal(open(reached.base).client_pages(4), 104)
  assert.equal(open(reached.base, reached.parts.documents).doc_pages(4), 104)
})

test('parts of another base are refused', () => {
  const one = build(SOURCES)
  const other = build({ ...SOURCES, 'src/doc/doc.c': SOURCES['src/doc/doc.c'].replace('pages = 100', 'pages = 200') })
  const { base } = split(one.linked, one.symbols, ['documents', 'objects'])
  const { parts } = split(other.linked, other.symbols, ['documents', 'objects'])
  assert.throws(() => open(base, parts.documents), WebAssembly.LinkError)
  // Nor are those of the same one that was divided in another way: its functions have other numbers.
  const { base: less } = split(one.linked, one.symbols, ['documents'])
  assert.throws(() => open(less, split(one.linked, one.symbols, ['documents', 'objects']).parts.documents), { name: 'LinkError', message: /table/ })
})

test('a part is the same wherever its objects lie', () => {
  const { linked, symbols } = build(SOURCES)
  const elsewhere = symbols.replaceAll('made.dir/', '/elsewhere/.cache/my.checkout/made.dir/./')
  const [one, other] = [symbols, elsewhere].map((said) => split(linked, said, ['documents', 'objects']))
  assert.ok(one.base.equals(other.base))
})

test('what is of two sources by its name is told, not guessed', () => {
  const { linked, symbols } = build(SOURCES)
  const name = /\S*weigh\S*/.exec(symbols)[0]
  const both = ['doc/doc', 'crdt/crdt'].map((source) => `made.dir/src/${source}.c.obj: -------- t ${name}`)
  assert.throws(() => split(linked, [symbols, ...both].join('\n'), ['documents', 'objects']), /several sources; compile with -funique-internal-linkage-names/)
})
