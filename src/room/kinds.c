/* room/kinds.c -- kinds.def as a look-up by the part of a topic before its colon. */
#include "room/crdt_room.h"
#include "room/doc_room.h"
#include "room/relay_room.h"
#include "room/room.h"

const lk_room_kind *lk_room_kind_of(lk_slice topic) {
  static const struct {
    lk_slice name;
    const lk_room_kind *kind;
  } rows[] = {
#define ROOM_KIND(name, table) { LK_LIT_INIT(name), &table },
#include "room/kinds.def"
#undef ROOM_KIND
  };
  lk_slice id;
  lk_slice name = lk_slice_cut(topic, ':', &id);
  if (id.len == 0) return NULL;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (lk_slice_equal(rows[i].name, name)) return rows[i].kind;
  }
  return NULL;
}
