// Goal: the manual page says what the table says, and no troff formatter objects to it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { must, run, source, tool, tree } from './fixture.mjs'

const table = `COMMAND(serve, "[--port N] [--quiet]", "serve topics",
        "Opens a port. " ".hidden and 'quoted' text, a back\\\\slash, and a sentence that is long enough to be wrapped."
        "\\n\\n"
        "A second paragraph.")
OPTION(serve, "port", "p", "N", "listen on port N")
OPTION(serve, "quiet", "", "", "print nothing")
COMMAND(help, "", "explain", "Lists the commands.")
`
const clean = { VERSION: '1.2.3\n', 'src/cli/commands.def': table }

let mandoc = true
try {
  run('mandoc', ['-V'])
} catch {
  mandoc = false
}

test('the page shows commands, options and version, dated by the environment', (t) => {
  process.env.SOURCE_DATE_EPOCH = '86400'
  const root = tree(t, clean)
  assert.equal(tool('gen_man', root, join(root, 'page.1')).status, 0)
  delete process.env.SOURCE_DATE_EPOCH
  const page = readFileSync(join(root, 'page.1'), 'utf8')
  assert.match(page, /^\.TH LANIAKEA 1 1970-01-02 "laniakea 1\.2\.3"/m)
  assert.match(page, /^\.SS "laniakea serve \[\\-\\-port N\] \[\\-\\-quiet\]"$/m)
  assert.match(page, /^\\fB\\-p\\fR, \\fB\\-\\-port\\fR \\fIN\\fR\nListen on port N\.$/m)
  assert.match(page, /^\\fB\\-\\-quiet\\fR\nPrint nothing\.$/m)
  assert.match(page, /^\\&\.hidden and 'quoted' text, a back\\eslash/m)
  assert.match(page, /\n\.PP\nA second paragraph\.\n/)
})

test('mandoc has nothing to say about it', { skip: mandoc ? false : 'mandoc is not installed' }, (t) => {
  const root = tree(t, clean)
  assert.deepEqual(tool('gen_man', root, '--check').lines, ['man: the table of commands makes clean pages'])
  must('node', [join(source, 'tools/gen_man.mjs'), join(root, 'page.1')], { env: { ...process.env, LK_ROOT: root } })
  assert.equal(run('mandoc', ['-T', 'lint', '-W', 'all', join(root, 'page.1')]).stdout, '')
  const text = run('mandoc', ['-T', 'utf8', join(root, 'page.1')]).stdout.replace(/.\x08/g, '')
  assert.match(text.replace(/\s+/g, ' '), /Opens a port\. \.hidden and 'quoted' text, a back\\slash, and a sentence that is long enough to be wrapped\./)
})

test('a command of two words is printed as it is typed, and an option that is needed stands without brackets', (t) => {
  const two = `COMMAND(doc_diff, "--sv SVFILE [--quiet] [--quite-long-option-one VALUE] [--quite-long-option-two VALUE] FILE", "differ", "Writes what differs.")
OPTION(doc_diff, "sv", "", "SVFILE", "the state vector")
OPTION(doc_diff, "quiet", "", "", "print nothing")
OPTION(doc_diff, "quite-long-option-one", "", "VALUE", "one")
OPTION(doc_diff, "quite-long-option-two", "", "VALUE", "two")
`
  const root = tree(t, { ...clean, 'src/cli/commands.def': table + two })
  assert.deepEqual(tool('gen_man', root, '--check').lines, ['man: the table of commands makes clean pages'])
  tool('gen_man', root, join(root, 'page.1'))
  const page = readFileSync(join(root, 'page.1'), 'utf8')
  assert.match(page, /^\.B laniakea doc diff$/m)
  assert.doesNotMatch(page, /^\\-.{80}/m, 'a long synopsis is wrapped')
  assert.match(page, /^\.SS "laniakea doc diff \\-\\-sv SVFILE /m)
})

test('settings are options where the table includes them, and have pages of their own', (t) => {
  const withSettings = table.replace('[--port N] [--quiet]', '[OPTION...]') + `#include "server/settings.def"
COMMAND(check__config, "[FILE]", "check", "Checks.")
`
  const root = tree(t, {
    ...clean,
    'src/cli/commands.def': withSettings.replace(/COMMAND\(help.*\n/, ''),
    'src/server/settings.def': 'SETTING(stop_time, "stop.time", DURATION, "5s", 1000, 60000, "", "stop-time", "", "TIME", RESTART,\n  "how long a stop may take")\n',
    'src/base/limits.def': 'LIMIT(line_bytes, 4096u, (1u << 20), "one line")\n',
  })
  assert.deepEqual(tool('gen_man', root, '--check').lines, ['man: the table of commands makes clean pages'])
  tool('gen_man', root, join(root, 'page.1'))
  const [page, serve, file] = ['page.1', 'laniakea-serve.1', 'laniakea.toml.5'].map((name) => readFileSync(join(root, name), 'utf8'))
  assert.match(serve, /^\\fB\\-\\-stop\\-time\\fR \\fITIME\\fR\nHow long a stop may take:\na time from 1s to 1m, .* \(default 5s\)\.$/m)
  assert.match(serve, /^\\fBLANIAKEA_STOP_TIME\\fR$/m)
  assert.match(file, /^\\fBstop\.time\\fR\nHow long a stop may take:/m)
  assert.match(file, /^\\fBlimit\.line_bytes\\fR\none line \(default 4K, at most 1M\)\.$/m)
  assert.match(page, /^\.SS "laniakea check\\-config \[FILE\]"$/m)
  assert.match(page, /^\.BR laniakea-serve \(1\) ,\n\.BR laniakea\.toml \(5\)$/m)
  assert.doesNotMatch(page, /stop\\-time/)
})

const wrong = [
  ['an option that its usage does not show', table.replace('[--quiet]', ''), /^src\/cli\/commands\.def:6: the usage of serve does not show \[--quiet\]/],
  ['an option of no command', `${table}OPTION(stop, "now", "", "", "at once")\n`, /^src\/cli\/commands\.def:8: --now belongs to stop, which no COMMAND above names/],
  ['an unknown macro', `${table}ALIAS(halt, "stop")\n`, /^src\/cli\/commands\.def:8: ALIAS is not known here/],
  ['a command without a description', `${table}COMMAND(stop, "", "end")\n`, /^src\/cli\/commands\.def:8: stop lacks one of/],
]

for (const [name, text, expected] of wrong) {
  test(`${name} is refused`, (t) => {
    const { status, stdout } = tool('gen_man', tree(t, { ...clean, 'src/cli/commands.def': text }), '--check')
    assert.match(stdout, expected)
    assert.equal(status, 1)
  })
}

test('C reads the table of this tree', (t) => {
  const root = tree(t, {
    'a.c': `#define COMMAND(name, usage, summary, description) { #name, usage, summary, description },
#define OPTION(command, long, short, argument, text) { #command, long, short, argument text },
static const char *const rows[][4] = {
#include "cli/commands.def"
};
int main(void) { return rows[0][0] == 0; }
`,
  })
  must('gcc', ['-std=c11', '-Wall', '-Wextra', '-Wpedantic', '-Werror', `-I${join(source, 'src')}`, 'a.c', '-o', 'a.out'], { cwd: root })
  assert.equal(run(join(root, 'a.out'), []).status, 0)
})
