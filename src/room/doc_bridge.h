/* room/doc_bridge.h -- what awareness says of somebody, for presence, and the other way round.
 *
 *   awareness  {"user": {"name": "Ada", "color": "#30bced"}, "cursor": {...}, ...}
 *   presence   {"user": {"name": "Ada", "color": "#30bced"}, "cursor": {...}}         fields of the meta
 *
 *   presence   "user-7": {"name": "Bob", "away": true, "cursor_pos": {"x": 3}, "phx_ref": ...}
 *   awareness  {"user": {"name": "Bob", "away": true}, "presence": "user-7", "cursor_pos": {"x": 3}}
 *
 * What is longer than presence_awareness_bytes loses its cursor first, and then all but who it is. */
#ifndef LK_ROOM_DOC_BRIDGE_H
#define LK_ROOM_DOC_BRIDGE_H

#include "base/base.h"

/* Appends to |out|, which has nothing else, what presence shows of an awareness |state|: an object, empty where nothing is to be
 * shown or the state is none that we read. Fields that are null are left out. |scratch| is pushed to. LK_ERR_NOMEM. */
lk_err lk_doc_bridge_presence(lk_slice state, const lk_limits *limits, lk_arena *scratch,
                              lk_buf *out) LK_MUST_USE;

/* Appends to |out|, which has nothing else, the awareness state of somebody who shows |meta| under |key| in presence. `user` is the
 * field of that name, where that is an object, or else all fields of the meta that are not ours; without a name it has the key
 * for one. LK_ERR_NOMEM; the errors of JSON and LK_ERR_UTF8 for what no presence has. */
lk_err lk_doc_bridge_awareness(lk_slice key, lk_slice meta, const lk_limits *limits,
                               lk_arena *scratch, lk_buf *out) LK_MUST_USE;

#endif
