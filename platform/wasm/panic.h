/* platform/wasm/panic.h -- what is left to read after a failed assertion.
 *
 * lk_panic() notes where it happened and traps. The host sees a WebAssembly.RuntimeError, may
 * still read the module's memory, and must not call into the instance for anything else: its
 * state is whatever it was in the middle of. It makes a new one from what was saved. */
#ifndef LK_PLATFORM_WASM_PANIC_H
#define LK_PLATFORM_WASM_PANIC_H

#include "base/check.h"

/* The site of the assertion that failed in this instance, or NULL: then the trap has another
 * reason, such as an address out of bounds or the end of the stack. */
const lk_panic_site *lk_wasm_panic_site(void);

#endif
