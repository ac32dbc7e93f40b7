// tests/e2e/certificates.mjs -- authorities and what they sign, made anew for each run by openssl(1): there is no key in the tree.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

function openssl(...args) {
  const made = spawnSync('openssl', args, { encoding: 'utf8' })
  assert.equal(made.status, 0, `openssl ${args.join(' ')}\n${made.stderr}`)
}

/** Somebody who signs certificates: its own is in `file`. */
export class Authority {
  #folder
  #name
  #key

  constructor(folder, name) {
    this.#folder = folder
    this.#name = name
    this.#key = join(folder, `${name}.key`)
    this.file = join(folder, `${name}.pem`)
    openssl('req', '-x509', ...CURVE, '-days', '2', '-subj', `/CN=${name}`, '-keyout', this.#key, '-out', this.file)
  }

  /** { cert, key }: files of a server's certificate for `names` (DNS:x, IP:x), which is valid for `days` from now on. */
  sign(file, names, { days = 2, purpose = 'serverAuth' } = {}) {
    const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((kind) => join(this.#folder, `${file}.${kind}`))
    writeFileSync(extensions, `subjectAltName=${names}\nextendedKeyUsage=${purpose}\nbasicConstraints=CA:false\n`)
    openssl('req', '-new', ...CURVE, '-subj', `/CN=${this.#name} signed this`, '-keyout', key, '-out', request)
    openssl('x509', '-req', '-in', request, '-CA', this.file, '-CAkey', this.#key, '-CAcreateserial', '-days', String(days), '-extfile', extensions, '-out', cert)
    return { cert, key }
  }
}
