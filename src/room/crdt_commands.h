/* room/crdt_commands.h -- what a client wants done to an object of the catalogue, read from JSON.
 *
 *   crdt.increment   {"type":"crdt.increment","payload":{"amount":2},"request_id":"...","timestamp":...}
 *                    {"amount":2}                                     the same without an envelope
 *
 * An event is named after its operation; what must be in its payload stands in crdt/types.def and nowhere else:
 * "insert(index: u32, value: json)" wants {"index":0,"value":...}. Beside those a payload may have
 *
 *   at        [["ormap","a"],["lww","title"]]    which object within an ormap, as types and keys on the way down
 *   node_id   a label: who counts                 (of gcounters: see crdt_room.h)
 *
 * Everything is checked here that can be checked without the object. */
#ifndef LK_ROOM_CRDT_COMMANDS_H
#define LK_ROOM_CRDT_COMMANDS_H

#include "crdt/type.h"

#define LK_CRDT_REQUEST_ID_LEN_MAX 128

/* Slices live as long as the event, the payload and the arena. */
typedef struct lk_crdt_command {
  lk_slice name;         /* of the operation: "increment" */
  lk_slice signature;    /* of it, from types.def */
  lk_slice at;           /* a path of lk_crdt_op */
  lk_slice arguments;    /* a JSON array */
  lk_slice request_id;   /* empty: none */
  lk_slice node_id;      /* likewise */
  uint64_t timestamp_ms; /* the client's time of day; 0: it did not say */
} lk_crdt_command;

typedef struct lk_crdt_command_source {
  lk_slice event; /* without "crdt." */
  lk_slice payload;
  const lk_crdt_type *type; /* of the room's object */
  const lk_limits *limits;
  bool amount_is_one; /* where a counter's amount is missing */
} lk_crdt_command_source;

/* LK_ERR_UNKNOWN_EVENT where no type has such an operation, LK_ERR_UNKNOWN_OP where this one has not; LK_ERR_PAYLOAD, LK_ERR_RANGE, LK_ERR_UNKNOWN_TYPE, LK_ERR_DEPTH, LK_ERR_TOO_BIG for a payload; the errors of
 * the JSON reader; LK_ERR_CLOCK for a time that nobody lives in. |*field| then names what was wrong, and is empty where it
 * is nothing in particular. LK_ERR_NOMEM. */
lk_err lk_crdt_command_read(const lk_crdt_command_source *source, lk_arena *arena,
                            lk_crdt_command *out, lk_slice *field) LK_MUST_USE;

/* The part of a payload with an envelope or without one that is meant: of merges and questions. Its JSON, an object. */
lk_err lk_crdt_command_unwrap(lk_slice payload, const lk_limits *limits, lk_arena *arena,
                              lk_slice *inner) LK_MUST_USE;

/* The field that is to blame when lk_crdt_apply() has said |why|. */
lk_slice lk_crdt_command_blame(const lk_crdt_command *self, lk_err why, lk_arena *arena);

/* What stands in types.def: "add(element: json); remove(element: json)". */
lk_slice lk_crdt_operations_of(const lk_crdt_type *type);

#endif
