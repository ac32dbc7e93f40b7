/* sim/doc_wire.c -- how a client says things: text or frames of Phoenix with bytes in three dresses, or y-protocols.
 *
 *   't' JSON text     'b' a frame, or messages of y-protocols     as the server's links have them */
#include <stdio.h>

#include "codec/base64.h"
#include "codec/json_bytes.h"
#include "sim/doc_user.h"

void doc_wire_send(doc_user *self, char kind, lk_slice bytes) {
  lk_buf message;
  lk_buf_init(&message, alloc_of(self), SIZE_MAX / 2);
  lk_buf_append_u8(&message, (uint8_t)kind);
  doc_user_expect(self, lk_buf_append(&message, bytes), "sends");
  sim_net_send(&self->world->net, self->end, lk_buf_slice(&message));
  lk_buf_deinit(&message);
}

lk_slice doc_wire_number(uint64_t number, char text[24]) {
  int len = snprintf(text, 24, "%llu", (unsigned long long)number);
  return lk_slice_of(text, (size_t)len);
}

static void append_name(lk_buf *out, lk_slice name) {
  (void)lk_buf_append(out, LK_LIT("\""));
  (void)lk_buf_append(out, name);
  (void)lk_buf_append(out, LK_LIT("\","));
}

/* [join_ref, ref, topic, event, payload]; gives the ref. */
uint64_t doc_wire_push(doc_user *self, lk_slice topic, const char *event, lk_slice payload) {
  char digits[24];
  lk_buf out;
  uint64_t ref = self->ref_next++;
  lk_buf_init(&out, alloc_of(self), SIZE_MAX / 2);
  if (lk_slice_equal(lk_slice_cstr(event), LK_LIT("phx_join"))) self->join_ref = ref;
  (void)lk_buf_append(&out, LK_LIT("["));
  append_name(&out, doc_wire_number(self->join_ref, digits));
  append_name(&out, doc_wire_number(ref, digits));
  append_name(&out, topic);
  append_name(&out, lk_slice_cstr(event));
  (void)lk_buf_append(&out, payload);
  doc_user_expect(self, lk_buf_append(&out, LK_LIT("]")), "pushes");
  doc_wire_send(self, 't', lk_buf_slice(&out));
  lk_buf_deinit(&out);
  return ref;
}

/* The frame of a client: 0, four lengths, four names, bytes. */
static uint64_t push_frame(doc_user *self, const char *event, lk_slice bytes) {
  char join_ref[24], digits[24];
  lk_buf out;
  uint64_t ref = self->ref_next++;
  lk_slice names[4] = { doc_wire_number(self->join_ref, join_ref), doc_wire_number(ref, digits),
                        doc_topic(self->topic), lk_slice_cstr(event) };
  lk_buf_init(&out, alloc_of(self), SIZE_MAX / 2);
  lk_buf_append_u8(&out, 0);
  for (unsigned i = 0; i < 4; i++) lk_buf_append_u8(&out, (uint8_t)names[i].len);
  for (unsigned i = 0; i < 4; i++) (void)lk_buf_append(&out, names[i]);
  doc_user_expect(self, lk_buf_append(&out, bytes), "pushes");
  doc_wire_send(self, 'b', lk_buf_slice(&out));
  lk_buf_deinit(&out);
  return ref;
}

void doc_wire_dress(lk_buf *out, doc_wire wire, lk_slice bytes) {
  if (wire == DOC_WIRE_ARRAY) {
    (void)lk_buf_append(out, LK_LIT("{\"bin\":"));
    (void)lk_json_append_bytes(out, bytes);
    (void)lk_buf_append(out, LK_LIT("}"));
    return;
  }
  (void)lk_buf_append(out, LK_LIT("{\"b64\":\""));
  (void)lk_base64_encode(out, bytes, LK_BASE64_FORM_STANDARD);
  (void)lk_buf_append(out, LK_LIT("\"}"));
}

/* Bytes as this wire has them; gives the ref. */
uint64_t doc_wire_push_bytes(doc_user *self, const char *event, lk_slice bytes) {
  lk_buf payload;
  if (self->wire == DOC_WIRE_BINARY) return push_frame(self, event, bytes);
  lk_buf_init(&payload, alloc_of(self), SIZE_MAX / 2);
  doc_wire_dress(&payload, self->wire, bytes);
  uint64_t ref = doc_wire_push(self, doc_topic(self->topic), event, lk_buf_slice(&payload));
  lk_buf_deinit(&payload);
  return ref;
}

void doc_wire_send_y(doc_user *self, lk_y_kind kind, lk_slice body) {
  lk_buf message;
  lk_buf_init(&message, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_y_message_encode(kind, body, &message), "says");
  doc_wire_send(self, 'b', lk_buf_slice(&message));
  lk_buf_deinit(&message);
}
