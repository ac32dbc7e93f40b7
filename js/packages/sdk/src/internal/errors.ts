// What is broken is thrown as a LaniakeaError; what a caller should expect is a value instead.
import { errorTable, type ErrorCode } from './errors.gen.ts'

/** An error of the engine: `code` is stable and the same in C, `message` is for people. */
export class LaniakeaError extends Error {
  override readonly name = 'LaniakeaError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, detail?: string) {
    super(detail === undefined ? textOf(code) : `${textOf(code)} (${detail})`)
    this.code = code
  }
}

function textOf(code: ErrorCode): string {
  for (const entry of Object.values(errorTable)) if (entry.code === code) return entry.text
  return code
}

/** Throws what an lk_err other than LK_OK means. */
export function checkResult(result: number, detail?: string): void {
  if (result === 0) return
  const entry = errorTable[result]
  if (entry === undefined) throw new LaniakeaError('LK_ERR_VERSION', `the core gave the error ${result}`)
  throw new LaniakeaError(entry.code, detail)
}
