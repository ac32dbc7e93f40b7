// tools/coverage.mjs -- runs the unit tests of build/cov and tells which lines and branches they reached.
//
//   node tools/coverage.mjs            (make cov)
//
// Prints a table by file and writes build/cov/html/index.html, where the lines can be looked at.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const folder = join(root, 'build/cov')
const must = (command, args, options = {}) => {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })
  if (result.status !== 0) {
    console.error(`${command} failed\n${result.stdout ?? ''}${result.stderr ?? result.error}`)
    process.exit(1)
  }
  return result.stdout
}

const binaries = readdirSync(folder).filter((name) => /^test_[a-z]+$/.test(name)).sort()
if (binaries.length === 0) {
  console.error('no test binaries in build/cov: run `make cov`')
  process.exit(2)
}
const profiles = binaries.map((name) => {
  const profile = join(folder, `${name}.profraw`)
  must(join(folder, name), [], { env: { ...process.env, LLVM_PROFILE_FILE: profile, LK_TEST_CASES: '300' } })
  return profile
})
must('llvm-profdata-22', ['merge', '-sparse', '-o', join(folder, 'all.profdata'), ...profiles])
const objects = binaries.flatMap((name, i) => (i === 0 ? [join(folder, name)] : ['-object', join(folder, name)]))
const common = [...objects, `-instr-profile=${join(folder, 'all.profdata')}`, '-ignore-filename-regex=(tests|fuzz|bench)/']
must('llvm-cov-22', ['show', ...common, '-format=html', `-output-dir=${join(folder, 'html')}`])
process.stdout.write(must('llvm-cov-22', ['report', ...common, '-show-region-summary=false']))
console.log('build/cov/html/index.html shows the lines')
