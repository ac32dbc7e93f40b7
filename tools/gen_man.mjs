// tools/gen_man.mjs -- makes the manual page laniakea(1) from src/cli/commands.def and the settings that it includes.
//
//   node tools/gen_man.mjs [OUTPUT]     writes the page (default build/man/laniakea.1)
//   node tools/gen_man.mjs --check      writes nothing; exits 1 where the table or the page is wrong
//
// The page is made at build time and not checked in, so --check has nothing to compare: it looks
// whether each option belongs to a command and stands in its usage, and, where mandoc is installed,
// lets it judge the page. The date is SOURCE_DATE_EPOCH's, else that of the last commit, else 1970:
// the same tree gives the same page.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createReport, defEntries, hasProgram, lineAt, parseArgs, readText, run } from './lib.mjs'
import { bytes, optionText, readLimits, readSettings, variableOf } from './settings.mjs'

const TABLE = 'src/cli/commands.def'
const DESCRIPTION =
  'State lives on every node and is changed there at once; nodes converge when they can reach each other. ' +
  'This program serves the topics that browsers and other programs share, and has the commands to look after them.'
const args = parseArgs({ flags: ['check'] })
const root = resolve(args.root)

const INCLUDE = '#include "server/settings.def"'
const FILE_TEXT =
  'A configuration file is written in TOML: name = value, one to a line. Texts, also paths and quantities with a unit, stand in quotes; ' +
  'numbers, true and false do not; a list of texts stands in brackets. What has a dot in its name may stand below a section instead: ' +
  'limit.rooms_count is rooms_count below [limit]. A # begins a comment. Names that are not known, or stand twice, are errors.' +
  '\n\n' +
  'Each setting can be given in the environment as well: its name in capitals, dots and dashes as underscores, behind LANIAKEA_. ' +
  'There, and in options, nothing stands in quotes, and the texts of a list have commas between them. An empty variable counts as not given. ' +
  'An option is stronger than the environment, that than the file, and that than the default.' +
  '\n\n' +
  'Secrets are given as files, which others on the machine may not read.'
const LIMITS_TEXT =
  'Each can be set as limit.NAME in a configuration file, as LANIAKEA_LIMIT_NAME in the environment, or by --limit NAME=N, from 1 to ' +
  'its ceiling. Bytes may have one of the units K, M and G.'

/** [{ name, usage, summary, description, line, options: [{ long, short, argument, text, line }] }] */
function readCommands(report) {
  const commands = []
  const table = readText(root, TABLE)
  for (const { macro, line, args, texts } of defEntries(table)) {
    if (macro === 'COMMAND') {
      const [, usage, summary, description] = texts
      commands.push({ name: args[0], usage, summary, description, line, options: [] })
    } else if (macro === 'OPTION') {
      const [, long, short, argument, text] = texts
      const command = commands.find(({ name }) => name === args[0])
      if (!command) report.add(TABLE, line, `--${long} belongs to ${args[0]}, which no COMMAND above names`)
      else command.options.push({ long, short, argument, text, line })
    } else report.add(TABLE, line, `${macro} is not known here; use COMMAND or OPTION`)
  }
  if (table.includes(INCLUDE)) addSettings(commands, table)
  return commands
}

/** The settings are options of the command in whose midst the table includes them, in that place. */
function addSettings(commands, table) {
  const line = lineAt(table, table.indexOf(INCLUDE))
  const command = commands.findLast((command) => command.line < line)
  const settings = readSettings(root).map((setting) => ({
    long: setting.flag, short: setting.short, argument: setting.argument, text: optionText(setting), line,
  }))
  const place = command.options.findIndex((option) => option.line > line)
  command.options.splice(place < 0 ? command.options.length : place, 0, ...settings)
}

function checkCommands(commands, report) {
  for (const { name, usage, summary, description, line, options } of commands) {
    const complete = [usage, summary, description].every((text) => typeof text === 'string')
    if (!complete) report.add(TABLE, line, `${name} lacks one of usage, summary, description`)
    for (const { long, argument, text, line } of options) {
      const needed = argument ? `--${long} ${argument}` : `--${long}`
      const written = `[${needed}]`
      if (text === undefined) report.add(TABLE, line, `--${long} of ${name} has no text`)
      // An option that cannot be left out stands in its usage without brackets, and first.
      else if (!usage?.includes('[OPTION...]') && !usage?.includes(written) && !usage?.startsWith(`${needed} `)) {
        report.add(TABLE, line, `the usage of ${name} does not show ${written}; add it`)
      }
    }
  }
}

/** A command a_b is typed as two words, and a__b as one with a dash. */
const typed = (name) => name.replaceAll('__', '-').replaceAll('_', ' ')

// ---- roff ----

/** Text as roff prints it literally: no escapes, no requests, a hyphen that can be copied. */
function escape(text) {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^([.'])/gm, '\\&$1')
}

/** A macro's argument in quotes. */
const quoted = (text) => `"${escape(text).replaceAll('"', '\\(dq')}"`

/** Each sentence on a line of its own, as roff wants it, and no line longer than 78. */
const paragraph = (text) => text.split(/(?<=[.;:?!])\s+/).map(wrap).map(escape).join('\n')
const wrap = (sentence) => sentence.replace(/(?=.{79})(.{1,78})\s/g, '$1\n')
const paragraphs = (text) => text.split('\n\n').map(paragraph).join('\n.PP\n')

function optionLines({ long, short, argument, text }) {
  const value = argument ? ` \\fI${escape(argument)}\\fR` : ''
  const names = [short && `\\fB\\-${short}\\fR`, `\\fB\\-\\-${escape(long)}\\fR`].filter(Boolean)
  const sentence = text[0].toUpperCase() + text.slice(1)
  return ['.TP', names.join(', ') + value, paragraph(sentence.endsWith('.') ? sentence : `${sentence}.`)]
}

function commandLines({ name, usage, description, options }) {
  const title = `laniakea ${typed(name)}${usage && ` ${usage}`}`
  return [`.SS ${quoted(title)}`, paragraphs(description), ...options.flatMap(optionLines)]
}

function synopsisLines({ name, usage }, index) {
  return [...(index > 0 ? ['.br'] : []), `.B laniakea ${escape(typed(name))}`, ...(usage ? [wrap(escape(usage))] : [])]
}

function settingLines() {
  const limit = ({ name, preset, most, text, isBytes }) => {
    const shown = (value) => (isBytes ? bytes(value) : String(value))
    return ['.TP', `\\fB${escape(name)}\\fR`, paragraph(`${text} (default ${shown(preset)}, at most ${shown(most)}).`)]
  }
  const variable = ({ name }) => ['.TP', `\\fB${variableOf(name)}\\fR`, paragraph(`The setting ${name}.`)]
  return [
    '.SH CONFIGURATION', paragraphs(FILE_TEXT),
    '.SS "Limits"', paragraphs(LIMITS_TEXT), ...readLimits(root).flatMap(limit),
    '.SH ENVIRONMENT',
    '.TP', '\\fBLANIAKEA_CONFIG\\fR', 'The configuration file, where the command line names none.',
    ...readSettings(root).flatMap(variable),
    '.TP', '\\fBLANIAKEA_LIMIT_NAME\\fR', 'The limit called limit.NAME.',
  ]
}

function page(commands, version, date) {
  const hasSettings = readText(root, TABLE).includes(INCLUDE)
  return [
    '.\\" made by tools/gen_man.mjs from src/cli/commands.def',
    `.TH LANIAKEA 1 ${date} "laniakea ${version}" "User commands"`,
    '.SH NAME',
    'laniakea \\- sync engine in which every node holds the data',
    '.SH SYNOPSIS',
    ...commands.flatMap(synopsisLines),
    '.SH DESCRIPTION',
    paragraphs(DESCRIPTION),
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    ...(hasSettings ? settingLines() : []),
    '.SH EXIT STATUS',
    '.TP', '0', 'The command did what it was asked to.',
    '.TP', '1', 'It failed; the reason is on standard error.',
    '.TP', '2', 'The command line was not understood.',
    '',
  ].join('\n')
}

function pageDate() {
  const epoch = process.env.SOURCE_DATE_EPOCH
  if (epoch) return new Date(Number(epoch) * 1000).toISOString().slice(0, 10)
  const commit = spawnSync('git', ['-C', root, 'log', '-1', '--format=%cs'], { encoding: 'utf8' })
  return commit.status === 0 && commit.stdout.trim() !== '' ? commit.stdout.trim() : '1970-01-01'
}

function lint(text, report) {
  if (!hasProgram('mandoc')) return
  const said = run('mandoc', ['-T', 'lint', '-W', 'style'], { input: text }).stdout
  for (const line of said.split('\n').filter((line) => line.startsWith('mandoc:'))) {
    report.add(TABLE, 0, `the page made from it: ${line}`)
  }
}

const report = createReport('man')
if (!existsSync(join(root, TABLE))) {
  report.add(TABLE, 0, 'is not there; the program has no table of commands')
} else {
  const commands = readCommands(report)
  checkCommands(commands, report)
  if (report.count() === 0) {
    const text = page(commands, readText(root, 'VERSION').trim(), pageDate())
    if (args.check) lint(text, report)
    else {
      const output = resolve(args.rest[0] ?? join(root, 'build/man/laniakea.1'))
      mkdirSync(dirname(output), { recursive: true })
      writeFileSync(output, text)
    }
  }
}
report.finish(args.check ? 'the table of commands makes a clean page' : 'wrote the page')
