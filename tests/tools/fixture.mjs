// tests/tools/fixture.mjs -- small trees for the tests of tools/: made in a temporary folder, gone
// when the test ends.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const source = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** Writes { path: text } into a fresh folder and returns its path. */
export function tree(test, files) {
  const root = mkdtempSync(join(tmpdir(), 'laniakea-tools-'))
  test.after(() => rmSync(root, { recursive: true, force: true }))
  write(root, files)
  return root
}

export function write(root, files) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** Runs a program to its end; what it must not do is fail to start. */
export function run(command, args, options = {}) {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error) throw error
  return { status, stdout, stderr, lines: stdout.split('\n').filter(Boolean) }
}

/** As run(), for a preparation that has to succeed. */
export function must(command, args, options) {
  const done = run(command, args, options)
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}${done.stdout}`)
  return done
}

/** Runs tools/<name>.mjs over `root`. */
export function tool(name, root, ...args) {
  return run(process.execPath, [join(source, 'tools', `${name}.mjs`), ...args], { cwd: root, env: { ...process.env, LK_ROOT: root } })
}

/** A git repository whose commits depend on nothing of this machine. */
export function git(root, ...args) {
  const identity = { GIT_AUTHOR_NAME: 'test', GIT_AUTHOR_EMAIL: 'test@localhost', GIT_COMMITTER_NAME: 'test', GIT_COMMITTER_EMAIL: 'test@localhost', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' }
  return must('git', ['-C', root, ...args], { env: { ...process.env, ...identity } })
}
