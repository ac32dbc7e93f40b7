/* Tokens from anywhere, for keys of each kind but Phoenix's, whose form has targets of its own. */
#include "server/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/test.h"
#include "platform/posix/heap.h"

#define NOW 1300819000000u

/* One for all runs: files are slow. */
static lk_keyring *keys_of_all(void) {
  static lk_keyring *keys;
  static char path[] = "/tmp/laniakea-keyring-fuzz-XXXXXX";
  const lk_limits limits = lk_limits_default();
  const lk_keyring_options options = { .jwt_secrets = { path, 1 },
                                       .default_rights = LK_RIGHTS_READ };
  lk_buf why;
  if (keys != NULL) return keys;
  int fd = mkstemp(path);
  CHECK(fd >= 0 && write(fd, "0123456789abcdef0123456789abcdef", 32) == 32 && close(fd) == 0);
  lk_buf_init(&why, lk_posix_heap(), 4096);
  CHECK_OK(lk_keyring_open(&options, &limits, lk_posix_heap(), 0, &why, &keys));
  lk_buf_deinit(&why);
  CHECK(unlink(path) == 0);
  return keys;
}

FUZZ(lk_keyring_check) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjEzMDA4MTkzODB9."
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    LK_LIT_INIT("SFMyNTY.g2gDYSpuBgAAaOXPiwFiAAFRgA.ipvH1fI-Vgjjr9nxOURhUoGpxl6EzCPXJVysXuyxsAU"),
    LK_LIT_INIT("XCP.ZFoXmurKzB3wWiIH65Fc_ZuzsbLEhXywOOZXl3zDxa7JzJp-WHJDVDZTZzUYG6CzXRz_"
                "DnEZY0g0ra3PaN_8kOs"),
    LK_LIT_INIT("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."),
  };
  uint8_t scratch[512];
  lk_grant *grant = NULL;
  lk_slice token = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_err err = lk_keyring_check(keys_of_all(), token, NOW, test_alloc(), &grant);
  CHECK(err == LK_ERR_TOKEN_MISSING || err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOO_BIG);
  CHECK(grant == NULL);
}
