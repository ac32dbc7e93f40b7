/* What must hold of an open document between two calls, looked at from the inside. */
#ifndef LK_TESTS_DOC_CHECK_H
#define LK_TESTS_DOC_CHECK_H

#include "doc/engine.h"
#include "harness/test.h"

/* Looks at everything: items by clock and by list, the order index, entries, what is pending, the free lists, where
 * content lies. NULL, or the first thing that is wrong; the text lives until the next call. */
const char *check_doc(lk_doc *doc);

#define CHECK_DOC(doc)                                                                             \
  do {                                                                                             \
    const char *wrong_ = check_doc(doc);                                                           \
    if (wrong_ != NULL) test_fail(LK_FILE, __LINE__, "the document is broken: %s", wrong_);        \
  } while (0)

#endif
