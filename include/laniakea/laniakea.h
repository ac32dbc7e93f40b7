/* laniakea/laniakea.h -- the whole library in one include, and how to use it.
 *
 * Laniakea keeps shared state on every node: changes are made locally at once, and nodes agree
 * when they can reach each other. This library is its core, the same code that runs in the server
 * and, as WebAssembly, in every browser tab.
 *
 * OBJECTS. A function ending in _open makes an object, the one ending in _close frees it; between
 * them the object is a pointer to a struct whose inside is not yours. Closing NULL does nothing.
 *
 * MEMORY. Every object uses the allocator of the lk_env that it was opened with, and no other;
 * there is no global one. What a function is handed it copies or only reads during the call,
 * unless its comment says otherwise.
 *
 * ERRORS. Functions return an lk_err. On anything but LK_OK the object is as it was before the
 * call. lk_err_text() says in a sentence what happened and what to do.
 *
 * THREADS. There are no globals and no locks. One object belongs to one thread at a time; different
 * objects never interfere, if their allocators do not.
 *
 * VERSIONS. lk_abi() changes only when a program must be compiled again. Within one ABI number
 * functions are added and never removed, and structs whose first member is |size| only grow at
 * their end. */
#ifndef LANIAKEA_LANIAKEA_H
#define LANIAKEA_LANIAKEA_H

#include "laniakea/awareness.h"
#include "laniakea/buf.h"
#include "laniakea/client.h"
#include "laniakea/crdt.h"
#include "laniakea/doc.h"
#include "laniakea/doc_events.h"
#include "laniakea/doc_history.h"
#include "laniakea/doc_undo.h"
#include "laniakea/env.h"
#include "laniakea/errors.h"
#include "laniakea/render.h"
#include "laniakea/update.h"
#include "laniakea/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LK_ABI 0

/* "0.1.0". Static, terminated by NUL. */
LK_API const char *lk_version(void);

/* LK_ABI of the library that is running; compare it with the one of these headers. */
LK_API uint32_t lk_abi(void);

#ifdef __cplusplus
}
#endif
#endif
