// tools/settings.mjs -- src/server/settings.def and the limits of src/base/limits.def, for what is made of them.
//
// Says of a setting what `laniakea serve --help` says of it (src/cli/cmd_help.c): the texts are the table's.
import { defEntries, readText } from './lib.mjs'

export const SETTINGS_DEF = 'src/server/settings.def'
export const LIMITS_DEF = 'src/base/limits.def'

/** [{ name, type, preset, least, most, words, flag, short, argument, when, text, line }] */
export function readSettings(root) {
  return defEntries(readText(root, SETTINGS_DEF)).filter(({ macro }) => macro === 'SETTING').map(({ args, texts, line }) => ({
    name: texts[1], type: args[2], preset: texts[3], least: Number(args[4]), most: Number(args[5]), words: texts[6],
    flag: texts[7], short: texts[8], argument: texts[9], when: args[10], text: texts[11], line,
  }))
}

/** 4096u, 0x7FFFFFFFu, (1u << 20) */
function numberOf(text) {
  const [, base, shift = '0'] = text.match(/^\(?\s*(0x[0-9A-Fa-f]+|\d+)u?(?:\s*<<\s*(\d+))?\s*\)?$/) ?? []
  if (base === undefined) throw new Error(`${LIMITS_DEF}: not a number: ${text}`)
  return Number(base) * 2 ** Number(shift)
}

/** [{ name: 'limit.json_depth', preset, most, text, isBytes }] */
export function readLimits(root) {
  return defEntries(readText(root, LIMITS_DEF)).filter(({ macro }) => macro === 'LIMIT').map(({ args, texts }) => ({
    name: `limit.${args[0]}`, preset: numberOf(args[1]), most: numberOf(args[2]), text: texts[3], isBytes: args[0].endsWith('_bytes'),
  }))
}

export const variableOf = (name) => `LANIAKEA_${name.toUpperCase().replaceAll(/[.-]/g, '_')}`

const BYTES = [['G', 2 ** 30], ['M', 2 ** 20], ['K', 2 ** 10], ['', 1]]
const TIMES = [['d', 86400000], ['h', 3600000], ['m', 60000], ['s', 1000], ['ms', 1]]
export function quantity(value, units) {
  const [unit, factor] = units.find(([, factor]) => value > 0 && value % factor === 0) ?? units.at(-1)
  return `${value / factor}${unit}`
}
export const bytes = (value) => quantity(value, BYTES)

/** What a value must be; '' where the text says it. */
export function expectation({ type, least, most, words }) {
  switch (type) {
    case 'ADDRESS': return 'an address in numbers, such as 127.0.0.1 or ::1'
    case 'PORT': case 'COUNT': return `a number from ${least} to ${most}`
    case 'BYTES': return `a number of bytes from ${bytes(least)} to ${bytes(most)}, such as 65536, 64K or 4M`
    case 'DURATION': return `a time from ${quantity(least, TIMES)} to ${quantity(most, TIMES)}, such as 250ms, 10s, 5m, 12h or 7d`
    case 'CHOICE': return `one of: ${words}`
    default: return ''
  }
}

/** The text of its option. */
export function optionText(setting) {
  const { type, preset, when, text } = setting
  const wanted = expectation(setting)
  const isGiven = preset !== '' && type !== 'FLAG'
  return `${text}${wanted && `: ${wanted}`}${isGiven ? ` (default ${preset})` : ''}${when === 'RESERVED' ? '; reserved for a later version' : ''}`
}

/** `name = value` as it may stand in a file. */
const lists = {
  origins: '["https://app.example", "https://*.app.example"]',
  'trusted-proxies': '["127.0.0.1", "10.0.0.0/8"]',
  'y.off': '["doc:live-*"]',
}

export function example({ name, type, preset, words }) {
  const value = {
    ADDRESS: '"::1"', PORT: '4443', PATH: '"/var/lib/laniakea"', SECRET: '"/etc/laniakea/secret"', COUNT: '2', BYTES: '"4M"',
    DURATION: '"30s"', CHOICE: `"${words.split(' ')[0]}"`, FLAG: 'true', LIST: lists[name] ?? '["one.example", "two.example"]',
    TEXT: `"${preset || 'https://login.example'}"`, PATHS: '["/etc/laniakea/this.pem", "/etc/laniakea/next.pem"]', SECRETS: '["/etc/laniakea/this", "/etc/laniakea/next"]',
  }[type]
  return `${name} = ${preset !== '' && ['PORT', 'COUNT'].includes(type) ? preset : value}`
}
