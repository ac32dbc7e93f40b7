// The harness in front of tests that must fail: each is reported as failed, by its reason, and the
// exit code says so. What cannot fail proves nothing, and every other test runs in this harness.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const folder = mkdtempSync(join(tmpdir(), 'harness-'))
const binary = join(folder, 'tests')
const sources = (path) => readdirSync(join(root, path)).filter((name) => name.endsWith('.c')).map((name) => join(root, path, name))

const body = `
#include "harness/test.h"
#include <stdlib.h>
TEST(good) { CHECK(true); }
TEST(bad_plain_check) { CHECK(1 + 1 == 3); }
TEST(bad_leak) { (void)lk_alloc_bytes(test_alloc(), 8); }
TEST(bad_size_when_freeing) { lk_free_bytes(test_alloc(), lk_alloc_bytes(test_alloc(), 8), 9); }
TEST(bad_assertion) { LK_ASSERT(false); }
TEST(bad_absent_panic) { CHECK_PANICS((void)0); }
TEST(bad_check_inside_of_panics) { CHECK_PANICS(CHECK(false)); }
TEST(bad_branch_not_covered) { CHECK_COVERED(no_such_branch); }
TEST(bad_fault_loop_without_faults) { FAULT_LOOP(faults, test_alloc()) { } }
TEST(bad_only_under_a_fault) {
  FAULT_LOOP(faults, test_alloc()) {
    void *p = lk_alloc_bytes(faulty_alloc(&faults), 8), *q = lk_alloc_bytes(faulty_alloc(&faults), 8);
    CHECK(q != NULL || p == NULL || !faults.lasting);
    lk_free_bytes(test_alloc(), p, 8);
    lk_free_bytes(test_alloc(), q, 8);
  }
}
PROPERTY(bad_for_one_seed) { CHECK(gen_below(g, 100) != 7); }
TEST(good_after_all_that) { CHECK_PANICS(LK_ASSERT(false)); CHECK_U64(2, 2); }
TEST(crash) { abort(); }
`
// With coverage marks: without them CHECK_COVERED asks nothing.
const flags = ['-std=c11', '-O1', '-w', '-D_GNU_SOURCE', '-DLK_COVERAGE_MARKS', '-DLK_SOURCE_DIR="."', '-DLK_VERSION_TEXT="0"']

before(() => {
  writeFileSync(join(folder, 'bad.c'), body)
  const files = [join(folder, 'bad.c'), ...sources('tests/harness'), ...sources('src/base')]
  execFileSync('cc', [...flags, '-I', join(root, 'include'), '-I', join(root, 'src'), '-I', join(root, 'tests'), '-I', root, ...files, '-o', binary])
})
after(() => rmSync(folder, { recursive: true }))

const run = (...words) => spawnSync(binary, words, { encoding: 'utf8' })
const reasons = {
  bad_plain_check: /CHECK\(1 \+ 1 == 3\)/,
  bad_leak: /leaks 1 blocks, 8 bytes/,
  bad_size_when_freeing: /a block of 8 bytes was named with 9/,
  bad_assertion: /assertion failed: false/,
  bad_absent_panic: /no assertion failed in/,
  bad_check_inside_of_panics: /CHECK\(false\)/,
  bad_branch_not_covered: /no_such_branch/,
  bad_fault_loop_without_faults: /asked for nothing that can fail/,
  bad_only_under_a_fault: /CHECK\(q != NULL/,
  bad_for_one_seed: /--seed \d+ --cases 1/,
}
for (const [name, reason] of Object.entries(reasons)) {
  test(`${name} is reported as failed and why`, () => {
    const { status, stdout } = run('--filter', name)
    assert.equal(status, 1)
    assert.match(stdout, new RegExp(`^FAIL ${name}$`, 'm'))
    assert.match(stdout, reason)
    assert.match(stdout, /\n\d+ passed, 1 failed\n$/)
  })
}

test('the seed that is printed repeats the failure', () => {
  const seed = /--seed (\d+)/.exec(run('--filter', 'bad_for_one_seed').stdout)[1]
  assert.equal(run('--filter', 'bad_for_one_seed', '--seed', seed, '--cases', '1').status, 1)
})

test('what failed does not keep the others from running', () => {
  const { status, stdout } = run('--filter', 'd') // good, bad, after: all but the crash
  assert.equal(status, 1)
  assert.match(stdout, new RegExp(`\n2 passed, ${Object.keys(reasons).length} failed\n$`))
})

test('a crash names its test and ends with the signal, without a line of counts', () => {
  const { signal, stdout } = run('--filter', 'crash')
  assert.equal(signal, 'SIGABRT')
  assert.match(stdout, /^crash$/m)
  assert.doesNotMatch(stdout, /passed/)
})

test('a filter that matches nothing, and no cases, are no success', () => {
  assert.equal(run('--filter', 'no such test').status, 2)
  assert.equal(run('--cases', '0').status, 2)
  assert.equal(run('--cases').status, 2)
  assert.equal(spawnSync(binary, [], { env: { LK_TEST_CASES: '0' } }).status, 2)
})

test('what passes says so', () => {
  const { status, stdout } = run('--filter', 'good')
  assert.equal(status, 0)
  assert.match(stdout, /^2 passed, 0 failed\n$/)
})
