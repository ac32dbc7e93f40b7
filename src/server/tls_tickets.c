/* server/tls_tickets.c -- one writer, many readers, and nobody waits.
 *
 * |version| is odd while the words change. A reader takes what it has copied only where the version was even before and
 * is the same afterwards. Should the writer die in between it stays odd: but then the whole server ends. */
#include "server/tls_tickets.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "platform/posix/random.h"

#define WORDS (LK_TLS_SECRET_LEN / 8)

struct lk_tls_tickets_shared {
  _Atomic uint64_t version;
  _Atomic uint64_t words[WORDS];
};

static lk_err renew(lk_tls_tickets_shared *shared) {
  uint64_t fresh[WORDS];
  lk_err err = lk_posix_random(fresh, sizeof fresh);
  if (err != LK_OK) return err;
  atomic_fetch_add(&shared->version, 1);
  for (int i = 0; i < WORDS; i++) atomic_store(&shared->words[i], fresh[i]);
  atomic_fetch_add(&shared->version, 1);
  explicit_bzero(fresh, sizeof fresh);
  return LK_OK;
}

lk_err lk_tls_tickets_make(lk_tls_tickets *self, uint64_t now_ms) {
  *self = (lk_tls_tickets){ .renew_ms = now_ms + LK_TLS_SECRET_MS };
  void *memory = mmap(NULL, sizeof *self->shared, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return LK_ERR_NOMEM;
  (void)madvise(memory, sizeof *self->shared, MADV_DONTDUMP);
  self->shared = memory;
  lk_err err = renew(self->shared);
  if (err != LK_OK) lk_tls_tickets_close(self);
  return err;
}

void lk_tls_tickets_close(lk_tls_tickets *self) {
  if (self->shared != NULL) (void)munmap(self->shared, sizeof *self->shared);
  *self = (lk_tls_tickets){ 0 };
}

void lk_tls_tickets_tick(lk_tls_tickets *self, uint64_t now_ms) {
  if (now_ms < self->renew_ms) return;
  self->renew_ms = now_ms + LK_TLS_SECRET_MS;
  lk_err err = renew(self->shared);
  if (err != LK_OK) LK_COVERED(tls_secret_stays); /* for another day */
}

bool lk_tls_tickets_copy(const lk_tls_tickets *self, uint8_t out[LK_TLS_SECRET_LEN]) {
  uint64_t words[WORDS];
  uint64_t before = atomic_load(&self->shared->version);
  for (int i = 0; i < WORDS; i++) words[i] = atomic_load(&self->shared->words[i]);
  bool is_whole = before % 2 == 0 && atomic_load(&self->shared->version) == before;
  if (is_whole) memcpy(out, words, LK_TLS_SECRET_LEN);
  explicit_bzero(words, sizeof words);
  return is_whole;
}
