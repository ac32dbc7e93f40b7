/* room/doc_versions.h -- the versions of one document: how it looked, at times that somebody chose or that came by themselves.
 *
 * A version is a Yjs snapshot, a state vector and a delete set: a few bytes, since the document keeps what is deleted.
 * Somebody saved it, or it is automatic: it is made when the document is about to move on, a while after the last
 * one. Ids ascend from 1, and none is used again.
 *
 * How many there are is bounded. Where an automatic one would be too many, the oldest automatic one goes; automatic ones go
 * also for the bytes that a saved one needs. Who saves is told where there is no room; nothing that somebody saved goes by itself.
 *
 * What a room writes down of them are items of doc_record.h:
 *
 *   VERSION       number: its id; bytes: flags:u8 wall_ms:varuint len:varuint name len:varuint author snapshot
 *   VERSION_GONE  number: the id of one that is gone, or the greatest id that was ever given
 *   VERSION_DONE  number: what came of a request; bytes: the request, 20 bytes
 *
 * To take one in twice does no harm. */
#ifndef LK_ROOM_DOC_VERSIONS_H
#define LK_ROOM_DOC_VERSIONS_H

#include "base/list.h"
#include "room/crdt_requests.h"
#include "room/doc_record.h"
#include "room/policy.h"

/* Slices point to what owns them. */
typedef struct lk_doc_version {
  lk_link link;
  uint64_t id;
  uint64_t wall_ms;  /* when it was made, in milliseconds since 1970; 0: nobody knew */
  bool is_automatic; /* made by itself */
  lk_slice name;     /* UTF-8, may be empty */
  lk_slice author;   /* the subject of who saved it, may be empty */
  lk_slice snapshot; /* in V2 */
} lk_doc_version;

/* A request that was executed, and what came of it. */
typedef struct lk_doc_version_done {
  lk_link link;
  lk_crdt_request request;
  uint64_t number;
} lk_doc_version_done;

typedef struct lk_doc_versions {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_version_policy policy;
  lk_list items;          /* of lk_doc_version, by id */
  lk_list done;           /* of lk_doc_version_done, the oldest first */
  size_t bytes;           /* of all items, */
  size_t automatic_bytes; /* and of those of them that are automatic */
  uint32_t automatic_count;
  uint64_t last_id; /* the greatest that was given */
  uint64_t
      shown_id;    /* the document was restored to it, and has not changed since; 0: nobody knows */
  bool is_timed;   /* |due_at| is known */
  uint64_t due_at; /* a change at that time or later is preceded by an automatic version */
} lk_doc_versions;

/* Allocates nothing. */
void lk_doc_versions_init(lk_doc_versions *self, const lk_alloc *alloc, const lk_limits *limits,
                          const lk_version_policy *policy);
/* Safe on a zeroed struct, and twice. */
void lk_doc_versions_deinit(lk_doc_versions *self);

/* ---- time ---- */

/* Whether an automatic version should precede a change that comes now. Whatever is done about it, tell
 * lk_doc_versions_set_due() then. */
bool lk_doc_versions_is_due(lk_doc_versions *self, uint64_t now_ms, uint64_t wall_ms);
/* A while begins now. */
void lk_doc_versions_set_due(lk_doc_versions *self, uint64_t now_ms);

/* ---- items ---- */

/* NULL where there is none. */
const lk_doc_version *lk_doc_versions_find(const lk_doc_versions *self, uint64_t id);
static inline const lk_doc_version *lk_doc_versions_newest(const lk_doc_versions *self) {
  return self->items.last == NULL ? NULL : LK_CONTAINER(self->items.last, lk_doc_version, link);
}

/* What |version| takes of limits.versions_bytes. */
size_t lk_doc_version_size(const lk_doc_version *version);

/* The automatic version that has to go so that |version| can be added: call it, and remove what it gives, until it gives
 * LK_OK and NULL. LK_ERR_LIMIT: there is no room for it; |*limit| names what was reached. */
lk_err lk_doc_versions_make_room(const lk_doc_versions *self, const lk_doc_version *version,
                                 const lk_doc_version **goes, const char **limit) LK_MUST_USE;

/* Copies |version|; one whose id was given before is passed over. LK_ERR_NOMEM: nothing was changed. */
lk_err lk_doc_versions_add(lk_doc_versions *self, const lk_doc_version *version) LK_MUST_USE;
/* Does nothing where there is none. */
void lk_doc_versions_remove(lk_doc_versions *self, uint64_t id);

/* ---- requests ---- */

/* NULL where it was not executed, or long ago: limits.room_requests_count are remembered. */
const lk_doc_version_done *lk_doc_versions_find_done(const lk_doc_versions *self,
                                                     const lk_crdt_request *request);
/* LK_ERR_NOMEM: nothing was changed. */
lk_err lk_doc_versions_add_done(lk_doc_versions *self, const lk_crdt_request *request,
                                uint64_t number) LK_MUST_USE;

/* ---- what is written down ---- */

/* Appends the bytes of a VERSION. Errors are the buffer's. */
lk_err lk_doc_version_encode(const lk_doc_version *version, lk_buf *out);
/* |out| borrows from |bytes|, without its id. LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_CORRUPT for flags that nobody knows. */
lk_err lk_doc_version_decode(lk_slice bytes, lk_doc_version *out) LK_MUST_USE;
/* The bytes of a VERSION_DONE. */
void lk_doc_version_done_store(const lk_crdt_request *request, uint8_t out[LK_CRDT_REQUEST_LEN]);

/* Whether an item is about versions. */
static inline bool lk_doc_versions_knows(lk_doc_item_kind kind) {
  return kind == LK_DOC_ITEM_VERSION || kind == LK_DOC_ITEM_VERSION_GONE ||
         kind == LK_DOC_ITEM_VERSION_DONE;
}
/* Takes in what was written down. The errors of decode, LK_ERR_NOMEM. */
lk_err lk_doc_versions_take(lk_doc_versions *self, const lk_doc_item *item) LK_MUST_USE;
/* Appends all to a snapshot of the room. */
lk_err lk_doc_versions_append(const lk_doc_versions *self, lk_buf *out);

#endif
