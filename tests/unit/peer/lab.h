/* tests/unit/peer/lab.h -- clients, each on a storage of its own, and a real hub; the network is a function call that may fail. */
#ifndef TESTS_PEER_LAB_H
#define TESTS_PEER_LAB_H

#include "harness/test.h"
#include "peer/client.h"
#include "platform/memory/storage.h"
#include "room/hub.h"

#define LAB_CLIENTS 3

typedef struct lab_client {
  lk_client *client;
  lk_memory_storage storage;
  bool has_storage;
  lk_storage *behind;  /* what the client sees in place of |storage|; NULL: that */
  uint64_t connection; /* 0: none */
  bool unreachable;
  bool is_deaf;       /* hears nothing; what it says arrives */
  bool refuses_token; /* has none to give */
  uint32_t opens, tokens, changes, readies;
  uint64_t entropy;
  char token[32]; /* of the latest opening */
} lab_client;

typedef struct lab {
  lk_env env;
  const lk_env *client_env; /* NULL: |env| */
  lk_limits limits;
  lk_limits client_limits;
  lk_client_options options; /* of clients that are opened from now on */
  lk_memory_storage storage; /* the server's */
  lk_hub *hub;
  uint64_t hubs; /* so far */
  uint64_t now;
  lab_client clients[LAB_CLIENTS];
} lab;

void lab_init(lab *self);
void lab_deinit(lab *self);

/* A process with a client begins or ends; what it stored stays. */
void lab_start(lab *self, int i);
lk_err lab_try_start(lab *self, int i);
void lab_stop(lab *self, int i);
/* The same, and what is under way in the storage is not carried out. */
void lab_crash(lab *self, int i);
static inline lk_client *lab_get(lab *self, int i) { return self->clients[i].client; }

/* Until nothing more happens at this instant; or until |ms| have passed. */
void lab_settle(lab *self);
void lab_wait(lab *self, uint64_t ms);

void lab_cut(lab *self, int i);
/* Another server with an empty storage. */
void lab_replace_server(lab *self);

lk_topic *lab_open(lab *self, int i, const char *name, lk_crdt_kind kind);
lk_topic *lab_open_doc(lab *self, int i, const char *name);
lk_err lab_apply(lab *self, lk_topic *topic, const char *name, const char *arguments);
void lab_write(lab *self, lk_topic *topic, uint64_t at, const char *text);

/* Its value is |json|. */
#define LAB_CHECK_VALUE(topic, json) lab_check_value(LK_FILE, __LINE__, topic, json)
void lab_check_value(const char *file, unsigned line, const lk_topic *topic, const char *json);
lk_client_status lab_status(lab *self, int i);
lk_topic_status lab_topic_status(const lk_topic *topic);

#endif
