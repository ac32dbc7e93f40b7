// What is said while documents come in: a line for each, in words or as JSON, and on a terminal where it is, once that takes long.
const PATIENCE_MS = 1000
const REDRAW_MS = 200

/** Of what something is said. */
export interface Place {
  readonly document?: string
  readonly from: string
}

export class Report {
  readonly #isJson: boolean
  readonly #began = Date.now()
  readonly #timer: NodeJS.Timeout | undefined
  #documents = 0
  #bytes = 0
  #largest = { bytes: -1, document: '' }
  #errors = 0
  #now = ''
  #isDrawn = false

  constructor(isJson: boolean) {
    this.#isJson = isJson
    if (process.stderr.isTTY) this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref()
  }

  begin({ document, from }: Place): void {
    this.#now = document ?? from
  }

  /** Without a level it was read, and not sent. */
  came(place: Place, bytes: number, level: string | undefined): void {
    this.#documents++
    this.#bytes += bytes
    if (bytes > this.#largest.bytes) this.#largest = { bytes, document: place.document ?? '' }
    this.#say(process.stdout, `${place.document}: ${bytes} bytes, ${level ?? 'not sent'}`, { ...place, bytes, level })
  }

  failed(place: Place, error: string): void {
    this.#errors++
    this.#say(process.stderr, `${place.document || place.from}: ${error}`, { ...place, error })
  }

  stop(): void {
    this.#say(process.stderr, 'stopped; what has come in stays, and to do all of it again does no harm')
  }

  /** The exit code. */
  end(): number {
    clearInterval(this.#timer)
    const { bytes, document } = this.#largest
    const sums = { documents: this.#documents, bytes: this.#bytes, errors: this.#errors }
    const words = `${count(sums.documents, 'document')}, ${sums.bytes} bytes${this.#documents > 1 ? `, of which ${document} has ${bytes}` : ''}; ${count(sums.errors, 'error')}`
    if (this.#isJson || this.#documents + this.#errors !== 1) this.#say(process.stdout, words, sums)
    else this.#erase()
    return this.#errors === 0 ? 0 : 1
  }

  #say(to: NodeJS.WriteStream, words: string, json?: object): void {
    this.#erase()
    if (!this.#isJson) to.write(`${words}\n`)
    else if (json !== undefined) process.stdout.write(`${JSON.stringify(json)}\n`)
  }

  #draw(): void {
    if (Date.now() - this.#began < PATIENCE_MS) return
    this.#erase()
    const line = `${count(this.#documents, 'document')}, ${(this.#bytes / 1e6).toFixed(1)} MB, ${this.#now} ...`
    process.stderr.write(line.slice(0, (process.stderr.columns || 80) - 1))
    this.#isDrawn = true
  }

  #erase(): void {
    if (this.#isDrawn) process.stderr.write('\r\x1b[K')
    this.#isDrawn = false
  }
}

const count = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
