/* channel/alias.h -- other names of topics, such as y_doc_room:* for doc:*.
 *
 * A client that joins by an alias is in the same room as the others, and hears its own name for it. Rooms, rights
 * and limits know the topic alone. An alias stands for one whole name or, with a * at the ends of both, for all names that
 * begin so: what stands behind it is kept. What comes out is no alias itself. */
#ifndef LK_CHANNEL_ALIAS_H
#define LK_CHANNEL_ALIAS_H

#include "base/base.h"

#define LK_ALIAS_NAME_MAX 255
#define LK_ALIASES_MAX 32 /* that a server has */
/* Those that every server has, by which the clients of the first paper know an object. */
#define LK_ALIASES_OWN 1
#define LK_ALIAS_COUNTER { LK_LIT_INIT("counter:"), LK_LIT_INIT("crdt:"), true }
/* What lk_aliases_resolve() may need for its answer. */
#define LK_ALIAS_TOPIC_MAX (2 * LK_ALIAS_NAME_MAX)

typedef struct lk_alias {
  lk_slice name;  /* without its * */
  lk_slice topic; /* likewise */
  bool is_prefix;
} lk_alias;

typedef struct lk_aliases {
  const lk_alias *items; /* the first that fits counts */
  uint32_t count;
} lk_aliases;

/* Reads "name=topic" or "name*=topic*"; |out| borrows from it. LK_ERR_SYNTAX for anything else, LK_ERR_TOO_BIG for a
 * part over LK_ALIAS_NAME_MAX bytes, LK_ERR_UTF8; |out| is then as before. */
lk_err lk_alias_read(lk_slice text, lk_alias *out) LK_MUST_USE;

/* Whether no alias leads to a name that may be an alias: then each name stands for one topic, whoever asks first. */
bool lk_aliases_are_apart(const lk_aliases *self);

/* The topic that |name|, of at most LK_ALIAS_NAME_MAX bytes, stands for: |name| itself, or what an alias makes of it, in
 * |bytes|, which has room for LK_ALIAS_TOPIC_MAX. That may be longer than a topic's name may be. */
lk_slice lk_aliases_resolve(const lk_aliases *self, lk_slice name, uint8_t *bytes);

#endif
