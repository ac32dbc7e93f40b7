// tests/e2e/doc.test.mjs -- `laniakea doc`: files and pipes of Yjs updates.
//
//   node --test tests/e2e/doc.test.mjs        runs build/laniakea; LK_PROGRAM names another one
//
// Goal: what stands in --help holds: bytes in and out through files and pipes, one line and an exit code where
// something is wrong. Method: updates that Yjs 13.6 wrote for one small session, as hex. What the engine makes of all
// kinds of documents is tested elsewhere.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { root } from './program.mjs'

const program = process.env.LK_PROGRAM ?? join(root, 'build/laniakea')
const folder = mkdtempSync(join(tmpdir(), 'laniakea-doc-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const hex = (text) => Buffer.from(text.replace(/\s/g, ''), 'hex')

// Client 1 writes "hello", then " world" behind it, and deletes the first letter: the three updates, in both formats,
// and the document with its state vector.
const V1 = ['01010100040104746578740568656c6c6f00', '010101058401040620776f726c6400', '000101010001'].map(hex)
const V2 = ['00000101000001040c097465787468656c6c6f04050101000001010000', '00000241000108000184080620776f726c640600000001010500',
  '0000000000000100000000000101010000'].map(hex)
const FULL_V1 = hex('0102010001010474657874018401000a656c6c6f20776f726c640101010001')
const FULL_V2 = hex('000002410001000003010084110e74657874656c6c6f20776f726c64040a01010001010102000101010000')
const FULL_SV = hex('01010b')
const MERGED_V1 = hex('01020100040104746578740568656c6c6f8401040620776f726c640101010001')
const EMPTY_V1 = hex('0000')
const EMPTY_V2 = hex('00000000000001000000000000')
// Reads as V2, and as V1 too, with deletions in order: no real update, made up column by column.
const EITHER = hex(`0003600881 020184 020187 02018a 02018d 0302c284 03018080 0401808080 080120010101100385 000114011e01`)

let files = 0
function file(bytes) {
  const path = join(folder, `f${files++}`)
  writeFileSync(path, bytes)
  return path
}

/** A row of updates, each behind its length. */
function framed(updates) {
  return Buffer.concat(updates.flatMap((update) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(update.length)
    return [length, update]
  }))
}

/** Runs `laniakea doc ...` to its end: { code, out, text, err }. */
function doc(args, input = Buffer.alloc(0)) {
  const { status, stdout, stderr, error } = spawnSync(program, ['doc', ...args], { input, maxBuffer: 1 << 28, timeout: 30_000 })
  // a program that refuses its arguments may be gone before it is given its input
  if (error?.code !== 'EPIPE') assert.equal(error, undefined)
  const err = stderr.toString()
  assert.doesNotMatch(err, /assertion failed|Sanitizer|runtime error/)
  return { code: status, out: stdout, text: stdout.toString(), err }
}

/** The same; it must succeed without a word. */
function must(args, input) {
  const { code, out, err } = doc(args, input)
  assert.equal(err, '')
  assert.equal(code, 0, args.join(' '))
  return out
}

/** The same; it must fail with that code and one line. */
function refuses(code, pattern, args, input) {
  const said = doc(args, input)
  assert.equal(said.code, code, `${args.join(' ')}: ${said.err}`)
  assert.match(said.err, pattern)
  assert.match(said.err, /^laniakea: [^\n]*\n$/)
  assert.equal(said.text, '')
}

describe('bytes to bytes', () => {
  test('merge gives the bytes of Yjs, of files and of standard input', () => {
    assert.deepEqual(must(['merge', ...V1.map(file)]), MERGED_V1)
    assert.deepEqual(must(['merge', file(V1[0]), '-', file(V1[2])], V1[1]), MERGED_V1)
  })

  test('merge --compact leaves out what was deleted', () => {
    assert.deepEqual(must(['merge', '--compact', ...V1.map(file)]), FULL_V1)
    assert.deepEqual(must(['merge', '-c', ...V2.map(file)]), FULL_V2)
  })

  test('sv and diff give the bytes of Yjs', () => {
    assert.deepEqual(must(['sv', file(FULL_V1)]), FULL_SV)
    assert.deepEqual(must(['sv', '-'], FULL_V2), FULL_SV)
    const sv = must(['sv', file(V1[0])])
    assert.deepEqual(must(['diff', '--sv', '-', file(FULL_V1)], sv), hex('010101058401040620776f726c640101010001'))
    assert.deepEqual(must(['diff', `--sv=${file('')}`, file(FULL_V1)]), FULL_V1)
  })

  test('convert gives the bytes of Yjs, both ways, and reads its own output from a pipe', () => {
    assert.deepEqual(must(['convert', '--to', 'v2', file(FULL_V1)]), FULL_V2)
    assert.deepEqual(must(['convert', '--to', 'v1', file(FULL_V2)]), FULL_V1)
    assert.deepEqual(must(['convert', '--to', 'v1', '-'], must(['convert', '--to', 'v2', '-'], EMPTY_V1)), EMPTY_V1)
  })

  test('a pipeline of the shell works', () => {
    const [a, b, c] = V1.map(file)
    const line = `"${program}" doc merge ${a} ${b} ${c} | "${program}" doc convert --to v2 - | "${program}" doc cat --as text -`
    assert.equal(spawnSync('sh', ['-c', line]).stdout.toString(), 'ello world\n')
  })
})

describe('which format', () => {
  test('is found out, for deletions alone and for nothing at all too', () => {
    for (const [bytes, format] of [...V1.map((b) => [b, 'v1']), ...V2.map((b) => [b, 'v2']), [EMPTY_V1, 'v1'], [EMPTY_V2, 'v2']]) {
      assert.equal(JSON.parse(must(['inspect', '--json', '-'], bytes)).format, format, bytes.toString('hex'))
    }
  })

  test('is asked for where bytes are an update in both', () => {
    refuses(1, /either format; say which by --v1 or --v2/, ['cat', '-'], EITHER)
    assert.equal(JSON.parse(must(['inspect', '--json', '--v1', '-'], EITHER)).deleted_units, 13)
    assert.equal(JSON.parse(must(['inspect', '--json', '--v2', '-'], EITHER)).deleted_units, 2)
  })

  test('of a V2 update whose columns look like deletions by chance is V2', () => {
    const bytes = hex('0001000aa1c9d9cf13bd83bf9202000100014704026831020001030001010300')
    assert.equal(JSON.parse(must(['inspect', '--json', '-'], bytes)).format, 'v2')
    assert.equal(doc(['inspect', '--v1', '-'], bytes).code, 0)
  })

  test('must be the same for what is merged', () => {
    refuses(1, /V1 and .* in V2; laniakea doc convert/, ['merge', file(V1[0]), file(V2[1])])
  })

  test('that is claimed and wrong is an error', () => {
    refuses(1, /LK_ERR_/, ['verify', '--v2', '-'], FULL_V1)
    refuses(2, /exclude each other/, ['verify', '--v1', '--v2', '-'], FULL_V1)
  })
})

describe('cat', () => {
  // A map root "m" and a text root "t"; a text root "other"; a paragraph "<&a>" as ProseMirror stores it.
  const two = hex('010205002801016d016b017701610401017402616200')
  const other = hex('0101060004 0105 6f74686572 017a 00')
  const xml = hex('0103030007010b70726f73656d6972726f720309706172616772617068070003000604000301043c26613e00')

  test('prints each form', () => {
    assert.equal(must(['cat', file(FULL_V1)]).toString(), '{"text":"ello world"}\n')
    for (const [form, expected] of [['text', 'ello world\n'], ['json', '{"text":"ello world"}\n'], ['delta', '[{"insert":"ello world"}]\n'],
      ['html', '<p>ello world</p>'], ['markdown', 'ello world\n']]) {
      const printed = must(['cat', '--as', form, file(FULL_V2)]).toString()
      assert.ok(form === 'html' ? printed.includes(expected) : printed === expected, `${form}: ${printed}`)
      assert.ok(printed.endsWith('\n'))
    }
  })

  test('joins updates of both formats in any order, and tells of what is missing', () => {
    assert.equal(must(['cat', file(V2[2]), file(V1[1]), file(V2[0]), '--as', 'text']).toString(), 'ello world\n')
    const { code, text, err } = doc(['cat', file(V1[1])])
    assert.deepEqual([code, text], [0, '{}\n'])
    assert.match(err, /^laniakea: 1 structs and 0 ranges .* wait .*\n$/)
    assert.equal(must(['cat', '--quiet', file(V1[1])]).toString(), '{}\n')
  })

  test('asks for a root where several can be meant, and names those that there are', () => {
    assert.deepEqual(JSON.parse(must(['cat', '-'], two)), { m: { k: 'a' }, t: 'ab' })
    assert.equal(must(['cat', '--as', 'text', '-'], two).toString(), 'ab\n')
    assert.equal(must(['cat', '--root', 'm', '-'], two).toString(), '{"k":"a"}\n')
    refuses(1, /no root nothing; there are: m, t\n/, ['cat', '--root', 'nothing', '-'], two)
    for (const form of ['delta', 'text', 'html']) refuses(1, /root m: .*\(LK_ERR_TYPE, /, ['cat', '--root', 'm', '--as', form, '-'], two)
    refuses(1, /--root NAME: t, other\n/, ['cat', '--as', 'text', file(two), file(other)])
    refuses(1, /no root can be printed as delta; there are: prosemirror/, ['cat', '--as', 'delta', '-'], xml)
  })

  test('an empty document is empty in each form', () => {
    for (const [form, text] of [['json', '{}\n'], ['text', '\n'], ['delta', '[]\n'], ['html', '\n'], ['markdown', '\n']]) {
      assert.equal(must(['cat', '--as', form, '-'], EMPTY_V1).toString(), text)
    }
  })

  test('HTML escapes what a stranger wrote', () => {
    const html = must(['cat', '--as', 'html', '-'], xml).toString()
    assert.match(html, /<p>&lt;&amp;a&gt;<\/p>/)
  })
})

describe('inspect', () => {
  test('counts, in a table and as JSON', () => {
    const seen = JSON.parse(must(['inspect', '--json', file(MERGED_V1)]))
    assert.equal(seen.bytes, MERGED_V1.length)
    assert.deepEqual(seen.clients, [{ client: 1, from: 0, to: 11, structs: 2, deleted_units: 1 }])
    assert.deepEqual(seen.content.string, { structs: 2, bytes: 11 })
    assert.deepEqual(seen.sizes, { compacted: FULL_V1.length, collected: FULL_V1.length, v1: MERGED_V1.length, v2: seen.sizes.v2 })
    assert.deepEqual([seen.document.structs, seen.document.tombstones, seen.document.pending_structs], [2, 1, 0])
    assert.deepEqual(seen.document.roots, [{ name: 'text', kind: 'text', length: 10 }])
    const table = must(['inspect', file(MERGED_V1)]).toString()
    for (const line of [/^format +V1, 32 bytes$/m, /^string +2 +11$/m, /^1 +0 +11 +2 +1$/m, /^compacted +31 /m, /^root +text, length 10: text$/m]) {
      assert.match(table, line)
    }
  })

  test('prints a root whose name would move the cursor as escapes', () => {
    const evil = Buffer.concat([hex('010101000401'), hex('04'), Buffer.from('\x1b[2J'), hex('016100')])
    assert.match(must(['inspect', '-'], evil).toString(), /length 1: \\x1b\[2J\n/)
    assert.equal(JSON.parse(must(['inspect', '--json', '-'], evil)).document.roots[0].name, '\x1b[2J')
  })

  test('shows the clients with the most structs where there are many, and all in JSON', () => {
    const count = 30
    const sections = Array.from({ length: count }, (_, i) => hex(`01${(i + 1).toString(16).padStart(2, '0')}0004010174 0161`))
    const bytes = Buffer.concat([Buffer.from([count]), ...sections.reverse(), hex('00')])
    const table = must(['inspect', '-'], bytes).toString()
    assert.match(table, /^and 10 more; --json has all$/m)
    assert.equal(table.match(/^\d+ +0 +1 +1 +0$/gm).length, 20)
    assert.equal(JSON.parse(must(['inspect', '--json', '-'], bytes)).clients.length, count)
  })
})

describe('replay and verify', () => {
  test('replay measures updates of files and of one row, in the order given', () => {
    const forward = JSON.parse(must(['replay', '--json', ...V1.map(file)]))
    assert.equal(forward.updates, 3)
    assert.equal(forward.bytes, V1[0].length + V1[1].length + V1[2].length)
    assert.deepEqual(forward.pending, { structs: 0, delete_ranges: 0, most: 0 })
    assert.deepEqual([forward.document.v1_bytes, forward.document.v2_bytes], [FULL_V1.length, FULL_V2.length])
    const backward = JSON.parse(must(['replay', '--json', '--framed', '--verify-each', '-'], framed([V1[2], V2[1], V1[0]])))
    assert.deepEqual(backward.pending, { structs: 0, delete_ranges: 0, most: 2 })
    assert.equal(backward.document.v1_bytes, FULL_V1.length)
    assert.match(must(['replay', '-'], FULL_V2).toString(), /^updates +1, 43 bytes\ntime .*\npending .*\ndocument .*\nmemory .*\nsize +31 bytes as V1, 43 as V2\n$/)
  })

  test('verify says what it saw, and nothing when it is to be quiet', () => {
    assert.equal(must(['verify', ...V1.map(file), ...V2.map(file)]).toString(), `ok: 6 updates of ${[...V1, ...V2].reduce((sum, { length }) => sum + length, 0)} bytes, 2 structs of 1 clients\n`)
    assert.match(must(['verify', file(V1[1])]).toString(), /^ok: 1 update of .*; 1 structs and 0 ranges of deletions wait for other updates\n$/)
    assert.equal(must(['verify', '--quiet', '--framed', '-'], framed(V2)).length, 0)
    assert.match(must(['verify', '--framed', '-']).toString(), /^ok: 0 updates/)
  })

  test('verify refuses every update that was cut off, in either format', () => {
    for (const whole of [FULL_V1, FULL_V2]) {
      const flag = whole === FULL_V1 ? '--v1' : '--v2'
      for (let length = 0; length < whole.length; length++) {
        refuses(1, /^laniakea: standard input: .*\(LK_ERR_[A-Z_0-9]+, decoding\)$/m, ['verify', flag, '-'], whole.subarray(0, length))
      }
    }
  })

  test('says which update of a row is wrong', () => {
    refuses(1, /, update 2: .*LK_ERR_/, ['verify', '--framed', file(framed([V1[0], hex('0101'), V1[1]]))])
    refuses(1, /standard input, update 3: .*LK_ERR_TRUNCATED/, ['replay', '--framed', '-'], framed(V1).subarray(0, -1))
    refuses(1, /update 1: .*LK_ERR_TRUNCATED/, ['replay', '--framed', '-'], hex('0100'))
    refuses(1, /update 1: .*LK_ERR_TOO_BIG, doc_update_bytes/, ['replay', '--framed', '-'], hex('ffffffff'))
    refuses(1, /update 1: .*LK_ERR_TRUNCATED/, ['replay', '--framed', '-'], hex('04000000'))
  })
})

describe('what cannot be done', () => {
  const commands = [['merge'], ['merge', '--compact'], ['diff', '--sv', file(FULL_SV)], ['sv'], ['convert', '--to', 'v2'], ['cat'],
    ['inspect'], ['inspect', '--json'], ['replay'], ['verify']]

  test('bad bytes end every command with 1 and the name of the error', () => {
    for (const command of commands) {
      for (const bytes of [hex(''), hex('ff'), hex('01'), hex('0101'), hex('010101000401047465787405ff6c6c6f6f00'), Buffer.concat([FULL_V1, hex('00')])]) {
        refuses(1, /^laniakea: standard input.*\(LK_ERR_[A-Z_0-9]+/, [...command, '-'], bytes)
      }
    }
  })

  test('a bad state vector is named, not the update', () => {
    const sv = file(hex('0101'))
    refuses(1, new RegExp(`^laniakea: ${sv}: .*LK_ERR_TRUNCATED`), ['diff', '--sv', sv, file(FULL_V1)])
    refuses(1, /^laniakea: standard input: /, ['diff', '--sv', sv, '-'], hex('0101'))
  })

  test('the first of several files that is wrong is named', () => {
    const bad = file(hex('0102'))
    refuses(1, new RegExp(`^laniakea: ${bad}: `), ['merge', file(V1[0]), bad, file(V1[1])])
  })

  test('a file that is not there, or is a directory', () => {
    for (const command of commands) refuses(1, /cannot open .*nowhere: No such file/, [...command, join(folder, 'nowhere')])
    refuses(1, /cannot read .*: Is a directory/, ['cat', folder])
  })

  test('more than the limit is refused, from a file at once, and from a pipe when it has come', () => {
    const huge = file('')
    truncateSync(huge, (64 << 20) + 1)
    for (const command of commands) refuses(1, /LK_ERR_TOO_BIG, doc_update_bytes is 67108864 bytes/, [...command, huge])
    rmSync(huge)
    const { stderr, status } = spawnSync('sh', ['-c', `head -c 80000000 /dev/zero | "${program}" doc verify -`])
    assert.match(stderr.toString(), /^laniakea: standard input: .*LK_ERR_TOO_BIG, doc_update_bytes/)
    assert.equal(status, 1)
  })

  test('wrong usage ends with 2, and says what is right', () => {
    for (const [args, pattern] of [
      [[], /doc needs COMMAND; laniakea doc --help/], [['mrege', 'x'], /no command doc mrege; did you mean merge\?/],
      [['launch'], /no command doc launch; laniakea doc --help lists them/], [['merge'], /doc merge needs FILE/],
      [['merge', '--compat', 'x'], /doc merge has no option --compat; did you mean --compact\?/], [['sv', 'a', 'b'], /doc sv takes no further argument b/],
      [['diff', 'x'], /--sv SVFILE/], [['diff', '--sv', '-', '-'], /only once/], [['merge', '-', '-'], /only once/], [['convert', 'x'], /--to v1 or --to v2/],
      [['convert', '--to', 'v3', 'x'], /--to v1 or --to v2/], [['cat', '--as', 'pdf', 'x'], /--as pdf is not one of json, text, delta, html, markdown/],
      [['--', 'x'], /no command doc x/], [['inspect', '--output', 'x', 'y'], /no option --output/],
    ]) refuses(2, pattern, args)
    assert.equal(spawnSync(program, ['doc_merge', 'x']).status, 2)
  })

  test('help explains each command, in both ways of asking', () => {
    const list = must(['--help']).toString()
    const names = [...list.matchAll(/^ {2}doc (\w+) /gm)].map(([, name]) => name)
    assert.deepEqual(names, ['merge', 'diff', 'sv', 'convert', 'cat', 'inspect', 'replay', 'verify'])
    for (const name of names) {
      const help = must([name, '--help']).toString()
      assert.match(help, new RegExp(`^usage: laniakea doc ${name} `))
      assert.equal(spawnSync(program, ['help', 'doc', name]).stdout.toString(), help)
    }
  })
})

describe('where the result goes', () => {
  test('--output replaces a file as a whole, also one that was read, and keeps its mode', () => {
    const path = file(V1[0])
    const [mode] = [statSync(path).mode]
    must(['merge', '-o', path, path, file(V1[1]), file(V1[2])])
    assert.deepEqual(readFileSync(path), MERGED_V1)
    assert.equal(statSync(path).mode, mode)
    must(['cat', '--output', path, path])
    assert.equal(readFileSync(path, 'utf8'), '{"text":"ello world"}\n')
  })

  test('a failure leaves the file of --output as it was, and nothing beside it', () => {
    const path = file('precious')
    const before = readdirSync(folder).length
    refuses(1, /LK_ERR_/, ['merge', '-o', path, '-'], hex('01'))
    assert.equal(readFileSync(path, 'utf8'), 'precious')
    refuses(1, /cannot write .*nowhere/, ['merge', '-o', join(folder, 'nowhere/x'), '-'], FULL_V1)
    // A disk that is full in the middle: no file may grow.
    const { status, stderr } = spawnSync('sh', ['-c', `trap '' XFSZ; ulimit -f 0; "${program}" doc merge -o ${path} -`], { input: FULL_V1 })
    assert.match(stderr.toString(), /^laniakea: cannot write .*: File too large\n$/)
    assert.equal(status, 1)
    assert.equal(readFileSync(path, 'utf8'), 'precious')
    assert.equal(readdirSync(folder).length, before)
  })

  test('what is no regular file is written to and stays what it is', () => {
    const target = file('')
    const link = join(folder, 'link')
    symlinkSync(target, link)
    must(['merge', '-o', link, '-'], FULL_V1)
    assert.deepEqual(readFileSync(target), FULL_V1)
    must(['merge', '-o', '/dev/null', '-'], FULL_V1)
    assert.ok(statSync('/dev/null').isCharacterDevice())
  })

  test('a full disk is no success', { skip: existsSync('/dev/full') ? false : 'no /dev/full' }, () => {
    const path = file(FULL_V1)
    for (const command of ['merge', 'cat', 'inspect', 'inspect --json', 'replay', 'verify']) {
      const { status, stderr } = spawnSync('sh', ['-c', `"${program}" doc ${command} ${path} > /dev/full`])
      assert.equal(status, 1, command)
      assert.match(stderr.toString(), /^laniakea: cannot write to standard output.*\n$/)
    }
  })
})

// `script` gives the program a terminal; what it writes to it, to standard output and error, is one stream.
const hasScript = spawnSync('script', ['--version']).status === 0
describe('on a terminal', { skip: hasScript ? false : 'there is no script(1)' }, () => {
  const terminal = (line) => {
    const { stdout, status } = spawnSync('script', ['-qec', line, '/dev/null'], { timeout: 20_000 })
    return { code: status, text: stdout.toString('latin1').replaceAll('\r\n', '\n') }
  }

  test('bytes are not written unless forced', () => {
    const path = file(V1[0])
    for (const command of ['merge', 'sv', 'convert --to v2', `diff --sv ${file(FULL_SV)}`]) {
      const { code, text } = terminal(`"${program}" doc ${command} ${path}`)
      assert.match(text, /^laniakea: the result is bytes and standard output is a terminal; .*\n$/)
      assert.equal(code, 2)
    }
    assert.equal(terminal(`"${program}" doc merge --force ${path}`).text, V1[0].toString('latin1'))
  })

  test('text keeps its lines and loses its control characters', () => {
    const bytes = Buffer.concat([hex('01010100040101740a'), Buffer.from('a\nb\tc\x1b[2J\x07'), hex('00')])
    assert.equal(must(['cat', '--as', 'text', '-'], bytes).toString(), 'a\nb\tc\x1b[2J\x07\n')
    assert.match(terminal(`"${program}" doc cat --as text ${file(bytes)}`).text, /^a\nb\tc\\x1b\[2J\\x07\n$/)
  })

  test('a line shows after a second that something is done, and is gone at the end', () => {
    const path = file(V1[0])
    const slow = (flags) => terminal(`(sleep 1.7; cat ${path}) | "${program}" doc verify ${flags} -`).text
    const shown = slow('')
    assert.match(shown, /\r\x1b\[Kreading, 1 s/)
    assert.match(shown, /\r\x1b\[Kok: 1 update of 18 bytes, [^\n]*\n$/)
    assert.equal(slow('--quiet'), '')
    assert.ok(!terminal(`"${program}" doc verify ${path}`).text.includes('\r'))
  })
})
