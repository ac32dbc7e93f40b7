// tools/gen_man.mjs -- makes the manual pages from src/cli/commands.def and the settings that it includes:
// laniakea(1), laniakea-serve(1) and laniakea.toml(5), the configuration file.
//
//   node tools/gen_man.mjs [OUTPUT]     writes laniakea.1 there (default build/man/laniakea.1), the others beside it
//   node tools/gen_man.mjs --check      writes nothing; exits 1 where the table or a page is wrong
//
// The pages are made at build time and not checked in, so --check has nothing to compare: it looks
// whether each option belongs to a command and stands in its usage, and, where mandoc is installed,
// lets it judge the pages. The date is SOURCE_DATE_EPOCH's, else that of the last commit, else 1970:
// the same tree gives the same page.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createReport, defEntries, hasProgram, lineAt, parseArgs, readText, run } from './lib.mjs'
import { bytes, example, optionText, readLimits, readSettings, variableOf } from './settings.mjs'

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
const STOP_TEXT =
  'The server stops: it takes no new connections, answers what it was asked, and closes its connections over the time of --drain, ' +
  'so that not all clients come back at once. A second signal ends it at once.'
const EXAMPLES = ['port', 'data', 'edges', 'drain', 'log.level']
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

/** The head that each page has. */
function head(title, section, date, version, volume) {
  return [
    '.\\" made by tools/gen_man.mjs from src/cli/commands.def',
    `.TH ${title} ${section} ${date} "laniakea ${version}" "${volume}"`,
  ]
}

const seeAlso = (...pages) => ['.SH SEE ALSO', pages.map((page) => `.BR ${page.replace(/\((\d)\)$/, ' ($1)')}`).join(' ,\n')]

const EXITS = [
  '.SH EXIT STATUS',
  '.TP', '0', 'The command did what it was asked to.',
  '.TP', '1', 'It failed; the reason is on standard error.',
  '.TP', '2', 'The command line was not understood.',
]

function environmentLines() {
  const variable = ({ name }) => ['.TP', `\\fB${variableOf(name)}\\fR`, paragraph(`The setting ${name}.`)]
  return [
    '.SH ENVIRONMENT',
    '.TP', '\\fBLANIAKEA_CONFIG\\fR', 'The configuration file, where the command line names none.',
    ...readSettings(root).flatMap(variable),
    '.TP', '\\fBLANIAKEA_LIMIT_NAME\\fR', 'The limit called limit.NAME.',
  ]
}

function mainPage(commands, version, date) {
  // What the server can be told stands on its own page.
  const hasSettings = readText(root, TABLE).includes(INCLUDE)
  const brief = commands.map((command) => !hasSettings || command.name !== 'serve' ? command
    : { ...command, options: [], description: `${command.description}\n\nlaniakea-serve(1) has its options.` })
  return [
    ...head('LANIAKEA', 1, date, version, 'User commands'),
    '.SH NAME',
    'laniakea \\- sync engine in which every node holds the data',
    '.SH SYNOPSIS',
    ...commands.flatMap(synopsisLines),
    '.SH DESCRIPTION',
    paragraphs(DESCRIPTION),
    '.SH COMMANDS',
    ...brief.flatMap(commandLines),
    ...EXITS,
    ...(hasSettings ? seeAlso('laniakea-serve(1)', 'laniakea.toml(5)') : []),
    '',
  ].join('\n')
}

function servePage(command, version, date) {
  return [
    ...head('LANIAKEA-SERVE', 1, date, version, 'User commands'),
    '.SH NAME',
    `laniakea\\-serve \\- ${escape(command.summary)}`,
    '.SH SYNOPSIS',
    ...synopsisLines(command, 0),
    '.SH DESCRIPTION',
    paragraphs(command.description),
    '.SH OPTIONS',
    ...command.options.flatMap(optionLines),
    '.SH SIGNALS',
    '.TP', '\\fBSIGTERM\\fR, \\fBSIGINT\\fR, \\fBSIGHUP\\fR', paragraphs(STOP_TEXT),
    ...environmentLines(),
    ...EXITS,
    ...seeAlso('laniakea(1)', 'laniakea.toml(5)'),
    '',
  ].join('\n')
}

function filePage(version, date) {
  const limit = ({ name, preset, most, text, isBytes }) => {
    const shown = (value) => (isBytes ? bytes(value) : String(value))
    return ['.TP', `\\fB${escape(name)}\\fR`, paragraph(`${text} (default ${shown(preset)}, at most ${shown(most)}).`)]
  }
  const setting = (row) => {
    const text = optionText(row)
    const sentence = text[0].toUpperCase() + text.slice(1)
    return ['.TP', `\\fB${escape(row.name)}\\fR`, paragraph(sentence.endsWith('.') ? sentence : `${sentence}.`)]
  }
  const examples = readSettings(root).filter(({ name, when }) => when !== 'RESERVED' && EXAMPLES.includes(name))
  return [
    ...head('LANIAKEA.TOML', 5, date, version, 'File formats'),
    '.SH NAME',
    'laniakea.toml \\- configuration file of laniakea serve',
    '.SH DESCRIPTION', paragraphs(FILE_TEXT),
    '.SH SETTINGS', ...readSettings(root).flatMap(setting),
    '.SH LIMITS', paragraphs(LIMITS_TEXT), ...readLimits(root).flatMap(limit),
    '.SH EXAMPLES', '.nf', ...examples.map((row) => escape(example(row))), '.fi',
    ...seeAlso('laniakea(1)', 'laniakea-serve(1)'),
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
    report.add(TABLE, 0, `a page made from it: ${line}`)
  }
}

const report = createReport('man')
if (!existsSync(join(root, TABLE))) {
  report.add(TABLE, 0, 'is not there; the program has no table of commands')
} else {
  const commands = readCommands(report)
  checkCommands(commands, report)
  if (report.count() === 0) {
    const version = readText(root, 'VERSION').trim()
    const date = pageDate()
    const pages = { 'laniakea.1': mainPage(commands, version, date) }
    if (readText(root, TABLE).includes(INCLUDE)) {
      pages['laniakea-serve.1'] = servePage(commands.find(({ name }) => name === 'serve'), version, date)
      pages['laniakea.toml.5'] = filePage(version, date)
    }
    const output = resolve(args.rest[0] ?? join(root, 'build/man/laniakea.1'))
    if (!args.check) mkdirSync(dirname(output), { recursive: true })
    for (const [name, text] of Object.entries(pages)) {
      if (args.check) lint(text, report)
      else writeFileSync(name === 'laniakea.1' ? output : join(dirname(output), name), text)
    }
  }
}
report.finish(args.check ? 'the table of commands makes clean pages' : 'wrote the pages')
