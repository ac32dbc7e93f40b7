/* platform/wasm/panic.c -- where a failed assertion ends in a browser. */
#include "platform/wasm/panic.h"

#include <stddef.h>

static const lk_panic_site *panic_site;

const lk_panic_site *lk_wasm_panic_site(void) { return panic_site; }

_Noreturn void lk_panic(const lk_panic_site *site) {
  panic_site = site;
  __builtin_trap();
}
