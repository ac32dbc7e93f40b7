/* bench/server/dialects.c -- dialects.h. */
#include "bench/server/dialects.h"

#include <stdio.h>
#include <string.h>

static const char *const names[DIALECTS] = { "raw", "text", "binary", "doc", "yjs", "hocus" };

enum { SYNC, AWARENESS, AUTH };
enum { STEP1, STEP2, UPDATE };

dialect dialect_of(const char *name) {
  dialect self = RAW;
  while (self < DIALECTS && strcmp(names[self], name) != 0) self++;
  return self;
}

bool dialect_is_phoenix(dialect self) { return self == TEXT || self == BINARY || self == DOC; }

bool dialect_is_yjs(dialect self) { return self == DOC || self == YJS || self == HOCUS; }

static int write_topic(const address *to, char *out, size_t size) {
  return snprintf(out, size, "%s:%u", to->topic, to->number);
}

/* ---- bytes ---- */

static void add(message *out, const void *bytes, size_t len) {
  memcpy(out->bytes + out->len, bytes, len);
  out->len += len;
}

static void add_number(message *out, uint64_t value) {
  for (; value > 127; value >>= 7) out->bytes[out->len++] = (uint8_t)(value | 128);
  out->bytes[out->len++] = (uint8_t)value;
}

static void add_counted(message *out, const void *bytes, size_t len) {
  add_number(out, len);
  add(out, bytes, len);
}

/* Hocuspocus calls each document by its name. */
static void begin_y(dialect self, const address *to, message *out) {
  char name[64];
  *out = (message){ .is_binary = true, .bytes = out->bytes };
  if (self == HOCUS) add_counted(out, name, (size_t)snprintf(name, sizeof name, "%u", to->number));
}

/* ---- saying ---- */

int dialect_path(dialect self, const char *prefix, const address *to, char *out, size_t size) {
  if (dialect_is_phoenix(self)) return snprintf(out, size, "/socket/websocket?vsn=2.0.0");
  if (self == HOCUS) return snprintf(out, size, "/");
  return snprintf(out, size, "%s%u", prefix, to->number);
}

static bool join_phoenix(const address *to, message *out) {
  char topic[64];
  (void)write_topic(to, topic, sizeof topic);
  int len = snprintf((char *)out->bytes, MESSAGE_HEAD_MAX, "[\"1\",\"1\",\"%s\",\"phx_join\",%s]",
                     topic, to->params);
  *out = (message){ .len = (size_t)len, .bytes = out->bytes };
  return true;
}

bool dialect_join(dialect self, const address *to, uint32_t index, message *out) {
  const bool has_token = self == HOCUS;
  if (dialect_is_phoenix(self)) return index == 0 && join_phoenix(to, out);
  if (self == RAW || index > has_token) return false;
  begin_y(self, to, out);
  if (has_token && index == 0) {
    add(out, (uint8_t[]){ AUTH, 0 }, 2);
    add_counted(out, "token", 5);
    add_counted(out, "4.7.0", 5);
  } else {
    add(out, (uint8_t[]){ SYNC, STEP1, 1, 0 }, 4); /* nothing is known */
  }
  return true;
}

static void say_text(const address *to, uint32_t ref, const void *payload, size_t len,
                     message *out) {
  char topic[64], quoted[16] = "null";
  (void)write_topic(to, topic, sizeof topic);
  if (ref > 0) (void)snprintf(quoted, sizeof quoted, "\"%u\"", ref);
  *out = (message){ .bytes = out->bytes };
  out->len = (size_t)snprintf((char *)out->bytes, MESSAGE_HEAD_MAX,
                              "[\"1\",%s,\"%s\",\"m\",{\"u\":\"", quoted, topic);
  add(out, payload, len);
  add(out, "\"}]", 3);
}

static void say_bytes(const address *to, uint32_t ref, const char *event, const void *payload,
                      size_t len, message *out) {
  char topic[64], digits[16];
  int topic_len = write_topic(to, topic, sizeof topic);
  int ref_len = ref > 0 ? snprintf(digits, sizeof digits, "%u", ref) : 0;
  *out = (message){ .is_binary = true, .bytes = out->bytes };
  add(out, (uint8_t[]){ 0, 1, (uint8_t)ref_len, (uint8_t)topic_len, (uint8_t)strlen(event), '1' },
      6);
  add(out, digits, (size_t)ref_len);
  add(out, topic, (size_t)topic_len);
  add(out, event, strlen(event));
  add(out, payload, len);
}

void dialect_say(dialect self, const address *to, uint32_t ref, const void *payload, size_t len,
                 message *out) {
  if (self == TEXT) {
    say_text(to, ref, payload, len, out);
  } else if (self == BINARY || self == DOC) {
    say_bytes(to, ref, self == DOC ? "client_update" : "m", payload, len, out);
  } else {
    begin_y(self, to, out);
    if (self != RAW) add(out, (uint8_t[]){ SYNC, UPDATE }, 2);
    if (self == RAW) add(out, payload, len);
    else add_counted(out, payload, len);
  }
}

/* ---- hearing ---- */

static bool skip_number(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (uint32_t shift = 0; *at < end && shift < 63; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

static heard hear_y(dialect self, const uint8_t *at, const uint8_t *end, const uint8_t **content,
                    size_t *content_len) {
  uint64_t n, kind, step;
  if (self == HOCUS) {
    if (!skip_number(&at, end, &n) || n > (size_t)(end - at)) return HEARD_NOTHING;
    at += n;
  }
  if (!skip_number(&at, end, &kind)) return HEARD_NOTHING;
  if (self == HOCUS && kind == 8) return HEARD_ANSWER; /* it has the update */
  if (self == YJS && kind == AUTH) return HEARD_ERROR;
  if (kind != SYNC || !skip_number(&at, end, &step) || step == STEP1) return HEARD_NOTHING;
  if (!skip_number(&at, end, &n) || n != (size_t)(end - at)) return HEARD_NOTHING;
  *content = at;
  *content_len = (size_t)n;
  return step == STEP2 ? HEARD_STATE : HEARD_MESSAGE;
}

static bool has(const uint8_t *bytes, size_t len, const char *text) {
  return memmem(bytes, len, text, strlen(text)) != NULL;
}

static heard hear_text(const uint8_t *bytes, size_t len, const uint8_t **content,
                       size_t *content_len) {
  const uint8_t *at = memmem(bytes, len, "{\"u\":\"", 6);
  if (at != NULL) {
    *content = at + 6;
    *content_len = (size_t)(bytes + len - *content);
    return HEARD_MESSAGE;
  }
  if (!has(bytes, len, "\"phx_reply\"")) return HEARD_NOTHING;
  return has(bytes, len, "\"status\":\"error\"") ? HEARD_ERROR : HEARD_ANSWER;
}

/* Kinds 0 push, 1 reply, 2 broadcast. A broadcast is of another member; a push is what a document holds. */
static heard hear_bytes(const uint8_t *bytes, size_t len, const uint8_t **content,
                        size_t *content_len) {
  static const size_t heads[] = { 4, 5, 3 };
  if (len < 5 || bytes[0] > 2) return HEARD_NOTHING;
  if (bytes[0] == 1) return HEARD_ANSWER;
  size_t head = heads[bytes[0]];
  for (size_t i = 1, lens = head; i < lens; i++) head += bytes[i];
  if (head > len) return HEARD_NOTHING;
  *content = bytes + head;
  *content_len = len - head;
  return bytes[0] == 0 ? HEARD_STATE : HEARD_MESSAGE;
}

heard dialect_hear(dialect self, bool is_binary, const uint8_t *bytes, size_t len,
                   const uint8_t **content, size_t *content_len) {
  if (self == YJS || self == HOCUS) return hear_y(self, bytes, bytes + len, content, content_len);
  if (self != RAW)
    return is_binary ? hear_bytes(bytes, len, content, content_len)
                     : hear_text(bytes, len, content, content_len);
  *content = bytes;
  *content_len = len;
  return HEARD_MESSAGE;
}
