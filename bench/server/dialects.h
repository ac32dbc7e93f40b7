/* bench/server/dialects.h -- what the generator says to servers, and how it understands them. One message at a time,
 * without the frames of WebSocket. */
#ifndef LK_BENCH_SERVER_DIALECTS_H
#define LK_BENCH_SERVER_DIALECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dialect {
  RAW,    /* a payload and nothing else, what came goes to the others */
  TEXT,   /* Phoenix V2, messages in JSON */
  BINARY, /* Phoenix V2, messages in bytes */
  DOC,    /* the same with updates of a document: client_update, server_update */
  YJS,    /* y-websocket: the path names the document */
  HOCUS,  /* hocuspocus: each message names the document */
  DIALECTS
} dialect;

/* DIALECTS where |name| is none. */
dialect dialect_of(const char *name);
bool dialect_is_phoenix(dialect self);
/* Whether messages are updates of documents. */
bool dialect_is_yjs(dialect self);

typedef struct message {
  bool is_binary;
  size_t len;
  uint8_t *bytes; /* of who asked */
} message;

/* A document or topic, and what a join says beside its name; |params| is JSON, and Phoenix's alone. */
typedef struct address {
  const char *topic;
  const char *params;
  uint32_t number;
} address;

#define MESSAGE_HEAD_MAX 512 /* bytes beside the payload */

/* The path of a connection; |prefix| stands before a document's name. */
int dialect_path(dialect self, const char *prefix, const address *to, char *out, size_t size);

/* What a client says first, number |index| of it: false where there is no more. */
bool dialect_join(dialect self, const address *to, uint32_t index, message *out);

/* |payload| as one says it to others; |ref| 0: nobody is to answer. */
void dialect_say(dialect self, const address *to, uint32_t ref, const void *payload, size_t len,
                 message *out);

/* What a server said. */
typedef enum heard {
  HEARD_NOTHING, /* that would matter */
  HEARD_ANSWER,  /* to a join or to a message */
  HEARD_ERROR,   /* such an answer */
  HEARD_STATE,   /* what a document holds; it follows or is the answer to a join */
  HEARD_MESSAGE, /* of others */
} heard;

/* |*content| is what the state or message brings. */
heard dialect_hear(dialect self, bool is_binary, const uint8_t *bytes, size_t len,
                   const uint8_t **content, size_t *content_len);

#endif
