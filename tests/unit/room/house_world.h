/* unit/room/house_world.h -- a house on two storages in memory, and a test that plays its only edge. */
#ifndef LK_TESTS_ROOM_HOUSE_WORLD_H
#define LK_TESTS_ROOM_HOUSE_WORLD_H

#include "channel/bus.h"
#include "harness/test.h"
#include "platform/memory/storage.h"
#include "room/house.h"

#define FRAME_MAX ((size_t)1 << 20)

/* The edge says |m|. What comes of it is seen after lk_house_step(). */
static inline void edge_says(lk_house *house, const lk_bus_message *m, uint64_t now_ms) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), FRAME_MAX);
  CHECK_OK(lk_bus_encode(m, FRAME_MAX, &out));
  lk_house_feed(house, 0, lk_buf_slice(&out), true, now_ms);
  lk_buf_deinit(&out);
}

/* Whether |text| is in what the edge has not taken yet. */
static inline bool house_has_said(lk_house *house, lk_slice text) {
  return lk_slice_find(lk_house_output(house, 0), text) != LK_SLICE_NONE;
}

static inline void forget_said(lk_house *house) {
  lk_house_consume(house, 0, lk_house_output(house, 0).len);
}

typedef struct house_world {
  lk_env env;
  lk_limits limits;
  lk_room_policy policy;
  lk_memory_storage disk;
  lk_memory_storage memory;
  lk_house *house;
  uint64_t generation; /* the house's, from 1 */
  uint64_t edge_generation;
  uint64_t request; /* the last one that was asked */
  uint64_t now;
} house_world;

/* Storages without a house. */
static inline void house_world_init(house_world *w, const lk_room_policy *policy) {
  *w = (house_world){ .env = LK_ENV_INIT(test_alloc(), NULL),
                      .limits = lk_limits_default(),
                      .policy = *policy,
                      .edge_generation = 5 };
  lk_memory_storage_init(&w->disk, test_alloc(), 1 << 24);
  lk_memory_storage_init(&w->memory, test_alloc(), 1 << 24);
}

/* The next house, which knows of no edge. */
static inline void house_world_open(house_world *w) {
  w->generation++;
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w->env,
                                              .limits = &w->limits,
                                              .storage = &w->disk.table,
                                              .memory = &w->memory.table,
                                              .policy = &w->policy,
                                              .entropy = w->generation,
                                              .generation = w->generation,
                                              .edges_count = 1 },
                         &w->house));
}

static inline void house_world_say(house_world *w, const lk_bus_message *m) {
  edge_says(w->house, m, w->now);
}

static inline void house_world_hello(house_world *w) {
  house_world_say(w, &(lk_bus_message){ .kind = LK_BUS_HELLO,
                                        .generation = w->edge_generation,
                                        .answers = w->generation });
}

static inline void house_world_deinit(house_world *w) {
  lk_house_close(w->house);
  lk_memory_storage_deinit(&w->disk);
  lk_memory_storage_deinit(&w->memory);
}

#endif
