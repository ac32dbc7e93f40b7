/* tests/conformance/doc/stream.h -- the records in which sessions of Yjs are written down.
 *
 *   stream := "YCC1" record*          record := tag:char length:varuint payload
 *   bytes  := varuint n, n bytes      str := bytes, UTF-8      list := varuint n, n varuints
 *
 *   H  str json                        once, at the beginning
 *   S  str json                        a session begins: {session, profile, gc, clients: [id...],
 *                                      roots: [[name, "text"|"array"|"map"|"xml"]...], undo, asks,
 *                                      diverged: Yjs' own clients end differently}
 *                                      Where there is no |undo|, there are no L either.
 *   L  client, str operations          a client (an index) does this, in one transaction of origin "local"
 *   I  client, list updates            a client receives these, one transaction each, of origin "remote"
 *   B  client, version, bytes          the same for an update that nobody sent out as such
 *   U  client, number, bytes v1, v2    what the client sent out in that L, I or B; none, one or several
 *   V  client, str root, str delta     what an observer of a text was told of the last L, I or B, or of what
 *                                      followed from it. In sessions whose header says |asks|, each client's
 *                                      texts have one that asks for it, unless its own doings are told
 *   K  client, bytes sv, str states    how the client's document is then, all roots joined by newlines
 *   !  str                             what |diverged| says, for those who cannot tell at the beginning
 *   R  str label, version, list        a fresh replica, client 4000000000, received these; where the
 *                                      label begins with "late", before it asked for its roots; with
 *                                      "stuck", Yjs left structs pending that it could have taken in
 *   P  list, bytes sv, bytes update,   a fresh replica, client 4000000001, that received all but these; its
 *      structs, deletes                whole state, and whether it waits for structs, for deletions
 *   E  str label, bytes v1, v2, sv     what the replica encodes as
 *   X  str label, str root, str state, str string, str json    how it reads
 *   Y  str label, str root, str known  it reads as what came under the label |known|
 *   M  list, bytes v1, v2, sv          these updates merged, and the state vector of v1
 *   D  bytes sv, bytes v1, v2,         what the first M has beyond sv, and what client 0's document
 *      bytes doc v1, v2                has beyond it
 *   C  bytes v1, bytes v2, bytes v1    v1 converted, and back
 *   F  client, bytes v1, v2, sv        what the client encodes as in the end; X and Y of "final" follow
 *   N  index, bytes v1, v2             a snapshot; X and Y of "snapshot" follow
 *   Q  str root, index, before, bytes, str json, found     a relative position
 *   Z                                  the session ends
 *
 * Operations, states and values are told in model.mjs. */
#ifndef CONFORMANCE_STREAM_H
#define CONFORMANCE_STREAM_H

#include "tests/conformance/doc/value.h"

#include <stdio.h>

/* One record: its payload is taken apart from front to back. A payload that is too short, or not what
 * it should be, ends the program. */
typedef struct record {
  char tag;
  lk_reader in;
} record;

/* A record's payload is read into |room|. False at the end of the stream. */
bool record_read(FILE *file, lk_buf *room, record *out);

uint64_t take_number(record *self);
lk_slice take_bytes(record *self);

/* The numbers of a list, in |arena|. */
size_t take_list(record *self, lk_arena *arena, uint64_t **out);

#endif
