// JSON as the catalogue takes it and gives it.
import { LaniakeaError } from './errors.ts'

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Unlike JSON.stringify() alone, which writes null for a number that is none. */
export function jsonOf(value: unknown): string {
  let text: string | undefined
  try {
    text = typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(value, checkNumber)
  } catch (cause) {
    if (cause instanceof LaniakeaError) throw cause
    throw new LaniakeaError('LK_ERR_TYPE', cause instanceof Error ? cause.message : String(cause))
  }
  if (text === undefined) throw new LaniakeaError('LK_ERR_TYPE', `${typeof value} is not JSON`)
  return text
}

function checkNumber(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new LaniakeaError('LK_ERR_RANGE', `${value} is not JSON`)
  return value
}

/** The value of a text whose every leaf is an integer, each as a bigint with all its digits. */
export function parseIntegers(text: string): unknown {
  const quoted = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+/g, (token) => (token.startsWith('"') ? token : `"${token}"`))
  return JSON.parse(quoted, (_key, leaf: unknown) => (typeof leaf === 'string' ? BigInt(leaf) : leaf))
}
