/* bench/server/load.c -- many clients of a server in one thread, and what they see of it.
 *
 *   bench_server load --port N --pids PID,PID...     the server, and all of its processes
 *     --dialect raw|text|binary                      bare WebSocket, or Phoenix V2 with messages in JSON or in bytes
 *     --rooms N --members N                          that many in each room; --topic relay: what topics begin with
 *     --window N                                     closed loop: so many messages of each room are on their way
 *     --rate N                                       open loop: so many messages a second in all rooms together
 *     --fixed                                        the first member of a room speaks; else they take turns
 *     --silent                                       messages without a reference, which nobody answers (Phoenix)
 *     --stalled N --fill BYTES                       in the first N rooms the last member stops reading; before the
 *                                                    measurement they are sent so many bytes
 *     --payload BYTES --warm S --seconds S           without --seconds they only join, and are quiet
 *
 * Clients connect and join, at most CONNECTING_MAX at once. Then they talk, and what was delivered between |warm| and
 * the end counts. A message carries the time at which it was sent, in the open loop the time at which it should have
 * been sent: a server that holds up the generator does not thereby look fast. A delivery is a message that
 * another member of the room got; answers are counted, but are none.
 *
 * In the closed loop a room's next message is sent when all others have the one before. So no server gets ahead of its
 * readers, each is as busy as it can be, and its time on processors divided by deliveries is what one costs.
 *
 * What is measured of the server is summed over its processes. Printed: one line of JSON. */
#include "bench/server/programs.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/server/histogram.h"
#include "bench/server/processes.h"

#define CONNECTING_MAX 64
#define BATCH 512
#define INPUT_SIZE (1u << 20)
#define MESSAGE_MAX 65536
#define STALLED_RECEIVE_BYTES 4096
#define FILL_BYTES 16384 /* in one message */
#define JOIN_S 120.0
#define QUIET_S 2.0 /* memory is looked at when nothing has happened for so long */

typedef enum dialect { RAW, TEXT, BINARY } dialect;

typedef struct options {
  uint16_t port;
  dialect dialect;
  const char *topic;
  processes server;
  uint32_t rooms, members, window, stalled, fill, payload;
  double rate, warm, seconds;
  bool fixed, silent;
} options;

typedef enum state { NEW, CONNECTING, UPGRADING, JOINING, READY, GONE } state;

typedef struct client {
  int fd;
  state state;
  bool stalled;
  bool writes;    /* |waiting| is not empty */
  uint32_t room;  /* options.rooms is the room of those who stall, and of who fills them */
  uint32_t joins; /* still to be answered */
  uint32_t ref;
  uint32_t rest_len; /* the beginning of a frame */
  uint32_t waiting_len;
  uint8_t *rest;
  uint8_t *waiting;
} client;

typedef struct room {
  uint64_t missing; /* deliveries of what was sent */
  uint32_t turn;
} room;

static options opt;
static client *clients;
static uint32_t clients_count, connecting, next_client, ready, gone;
static room *rooms;
static int poller;
static uint8_t input[INPUT_SIZE];
static histogram times;
static bool measuring;
static uint64_t sent, delivered, answered;
static uint64_t fill_answered;

static uint64_t now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
  (void)fprintf(stderr, "load: %s\n", what);
  exit(1);
}

static void *checked(void *memory) {
  if (memory == NULL) fail("out of memory");
  return memory;
}

/* ---- sockets ---- */

static void drop(client *c) {
  if (c->state == GONE) return;
  if (c->state == READY) ready--;
  else if (c->state != NEW) connecting--;
  c->state = GONE;
  gone++;
  (void)close(c->fd);
}

static void watch(client *c, int operation) {
  uint32_t events = c->stalled && c->state == READY ? 0 : EPOLLIN;
  if (c->writes || c->state == CONNECTING) events |= EPOLLOUT;
  struct epoll_event event = { .events = events, .data.ptr = c };
  if (epoll_ctl(poller, operation, c->fd, &event) != 0) fail("epoll_ctl");
}

static void put(client *c, const uint8_t *bytes, size_t len) {
  ssize_t n = 0;
  if (c->state == GONE) return;
  if (!c->writes) n = send(c->fd, bytes, len, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) {
    drop(c);
    return;
  }
  if (n < 0) n = 0;
  if ((size_t)n == len) return;
  c->waiting = checked(realloc(c->waiting, c->waiting_len + len - (size_t)n));
  memcpy(c->waiting + c->waiting_len, bytes + n, len - (size_t)n);
  c->waiting_len += (uint32_t)(len - (size_t)n);
  c->writes = true;
  watch(c, EPOLL_CTL_MOD);
}

static void put_waiting(client *c) {
  ssize_t n = send(c->fd, c->waiting, c->waiting_len, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) drop(c);
  if (n <= 0) return;
  c->waiting_len -= (uint32_t)n;
  memmove(c->waiting, c->waiting + n, c->waiting_len);
  if (c->waiting_len > 0) return;
  free(c->waiting);
  c->waiting = NULL;
  c->writes = false;
  watch(c, EPOLL_CTL_MOD);
}

static void start(client *c) {
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons(opt.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int on = 1, little = STALLED_RECEIVE_BYTES;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("no more sockets");
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (c->stalled) (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  c->state = CONNECTING;
  connecting++;
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
    fail("cannot connect");
  watch(c, EPOLL_CTL_ADD);
}

/* ---- what is said ---- */

/* One frame, masked as a client's must be. */
static void put_frame(client *c, uint8_t opcode, const uint8_t *bytes, size_t len) {
  static const uint8_t key[4] = { 0x1c, 0x9e, 0x53, 0xb7 };
  static uint8_t frame[MESSAGE_MAX + 14];
  size_t head = 2;
  frame[0] = 0x80 | opcode;
  frame[1] = (uint8_t)(0x80 | (len < 126 ? len : 126));
  if (len >= 126) {
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len;
    head = 4;
  }
  memcpy(frame + head, key, 4);
  head += 4;
  for (size_t i = 0; i < len; i++) frame[head + i] = bytes[i] ^ key[i & 3];
  put(c, frame, head + len);
}

static int write_topic(char *out, size_t size, uint32_t number) {
  return snprintf(out, size, "%s:%u", opt.topic, number);
}

static void join(client *c, uint32_t number) {
  char topic[64], text[256];
  (void)write_topic(topic, sizeof topic, number);
  int len = snprintf(text, sizeof text, "[\"1\",\"%u\",\"%s\",\"phx_join\",{}]", ++c->ref, topic);
  put_frame(c, 1, (const uint8_t *)text, (size_t)len);
}

static void settle_in(client *c) {
  connecting--;
  ready++;
  c->state = READY;
  if (c->stalled) watch(c, EPOLL_CTL_MOD);
}

static void begin(client *c) {
  c->state = JOINING;
  if (opt.dialect == RAW) {
    settle_in(c);
    return;
  }
  bool floods = opt.fill > 0 && c->stalled;
  c->joins = floods ? 2 : 1;
  join(c, c->room);
  if (floods) join(c, opt.rooms);
}

/* "t" and the time in hexadecimal digits, and what is missing to |len|. */
static size_t write_payload(char *out, uint64_t time, size_t len) {
  size_t n = (size_t)sprintf(out, "t%016llx", (unsigned long long)time);
  for (; n < len; n++) out[n] = '.';
  return n;
}

static void say_binary(client *c, uint32_t number, uint64_t time, size_t len) {
  static char bytes[MESSAGE_MAX];
  char topic[64], ref[16];
  int topic_len = write_topic(topic, sizeof topic, number);
  int ref_len = opt.silent ? 0 : snprintf(ref, sizeof ref, "%u", ++c->ref);
  const char head[] = { 0, 1, (char)ref_len, (char)topic_len, 1, '1' };
  size_t n = sizeof head;
  memcpy(bytes, head, n);
  memcpy(bytes + n, ref, (size_t)ref_len);
  n += (size_t)ref_len;
  memcpy(bytes + n, topic, (size_t)topic_len);
  n += (size_t)topic_len;
  bytes[n++] = 'm';
  n += write_payload(bytes + n, time, len);
  put_frame(c, 2, (const uint8_t *)bytes, n);
}

static void say_text(client *c, uint32_t number, uint64_t time, size_t len) {
  static char text[MESSAGE_MAX];
  char topic[64], ref[16] = "null";
  (void)write_topic(topic, sizeof topic, number);
  if (!opt.silent) (void)snprintf(ref, sizeof ref, "\"%u\"", ++c->ref);
  size_t n = (size_t)sprintf(text, "[\"1\",%s,\"%s\",\"m\",{\"u\":\"", ref, topic);
  n += write_payload(text + n, time, len);
  n += (size_t)sprintf(text + n, "\"}]");
  put_frame(c, 1, (const uint8_t *)text, n);
}

static void say(client *c, uint32_t number, uint64_t time, size_t len) {
  char payload[MESSAGE_MAX];
  if (opt.dialect == TEXT) say_text(c, number, time, len);
  else if (opt.dialect == BINARY) say_binary(c, number, time, len);
  else put_frame(c, 2, (const uint8_t *)payload, write_payload(payload, time, len));
}

static uint32_t readers(uint32_t number) { return opt.members - (number < opt.stalled ? 1 : 0); }

/* Somebody in the room says something; false where that client has gone. */
static bool speak(uint32_t number, uint64_t time) {
  room *r = &rooms[number];
  uint32_t who = opt.fixed ? 0 : r->turn++ % readers(number);
  client *c = &clients[(size_t)number * opt.members + who];
  if (c->state != READY) return false;
  r->missing += readers(number) - 1;
  if (measuring) sent++;
  say(c, number, time, opt.payload);
  return true;
}

/* Closed loop: as many as the window allows. */
static void speak_on(uint32_t number, uint64_t time) {
  const uint64_t most = (uint64_t)(opt.window - 1) * (readers(number) - 1);
  while (rooms[number].missing <= most && speak(number, time)) continue;
}

/* ---- what is heard ---- */

static bool read_time(const uint8_t *at, uint64_t *out) {
  *out = 0;
  for (int i = 0; i < 16; i++) {
    uint8_t digit = at[i];
    if (digit >= '0' && digit <= '9') digit = (uint8_t)(digit - '0');
    else if (digit >= 'a' && digit <= 'f') digit = (uint8_t)(digit - 'a' + 10);
    else return false;
    *out = *out << 4 | digit;
  }
  return true;
}

/* The payload of a message that was passed on; NULL: it is something else. */
static const uint8_t *payload_of(uint8_t opcode, const uint8_t *bytes, size_t len) {
  const uint8_t *at = bytes;
  if (opt.dialect == TEXT || (opt.dialect == BINARY && opcode == 1)) {
    at = memmem(bytes, len, "{\"u\":\"", 6);
    if (at != NULL) at += 6;
  } else if (opt.dialect == BINARY) {
    at = len > 3 && bytes[0] == 2 ? bytes + 3 + bytes[1] + bytes[2] : NULL;
  }
  return at != NULL && at + 17 <= bytes + len && *at == 't' ? at + 1 : NULL;
}

static void take_answer(client *c, const uint8_t *bytes, size_t len) {
  if (opt.dialect == RAW) return;
  if (memmem(bytes, len, "\"ok\"", 4) == NULL && memmem(bytes, len, "phx_reply", 9) != NULL &&
      len < 200)
    (void)fprintf(stderr, "load: %.*s\n", (int)len, (const char *)bytes);
  if (c->state == JOINING) {
    if (--c->joins == 0) settle_in(c);
  } else if (c->room == opt.rooms) {
    fill_answered++;
  } else if (measuring) {
    answered++;
  }
}

static void take_message(client *c, uint8_t opcode, const uint8_t *bytes, size_t len,
                         uint64_t now) {
  uint64_t time;
  if (opcode == 8) {
    drop(c);
  } else if (opcode == 9) {
    put_frame(c, 10, bytes, len);
  } else if (opcode < 3) {
    const uint8_t *payload = payload_of(opcode, bytes, len);
    if (payload == NULL || !read_time(payload, &time)) {
      take_answer(c, bytes, len);
      return;
    }
    if (c->stalled) return;
    if (measuring) {
      delivered++;
      histogram_add(&times, now > time ? now - time : 0);
    }
    rooms[c->room].missing--;
    if (opt.window > 0) speak_on(c->room, now);
  }
}

/* Takes one frame of the server's; how long it was, 0 where it is not all there. */
static size_t take_frame(client *c, const uint8_t *frame, size_t len, uint64_t now) {
  size_t head = 2, payload;
  if (len < 2) return 0;
  payload = frame[1] & 127;
  if (payload == 126) head = 4;
  if (payload == 127) head = 10;
  if (len < head) return 0;
  for (size_t i = 2, sum = 0; i < head; i++) payload = sum = sum << 8 | frame[i];
  if (len < head + payload) return 0;
  take_message(c, frame[0] & 15, frame + head, payload, now);
  return head + payload;
}

static size_t take_handshake(client *c, size_t len) {
  const uint8_t *end = memmem(input, len, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  if (memcmp(input, "HTTP/1.1 101", 12) != 0) {
    (void)fprintf(stderr, "load: %.60s\n", (const char *)input);
    drop(c);
    return 0;
  }
  begin(c);
  return (size_t)(end + 4 - input);
}

static void keep_rest(client *c, const uint8_t *bytes, size_t len) {
  if (len > c->rest_len || len == 0) {
    free(c->rest);
    c->rest = len > 0 ? checked(malloc(len)) : NULL;
  }
  if (len > 0) memcpy(c->rest, bytes, len);
  c->rest_len = (uint32_t)len;
}

static void take_input(client *c) {
  size_t len = c->rest_len, off = 0;
  if (len > 0) memcpy(input, c->rest, len);
  ssize_t n = recv(c->fd, input + len, sizeof input - len, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    drop(c);
    return;
  }
  uint64_t now = now_ns();
  len += (size_t)n;
  if (c->state == UPGRADING) off = take_handshake(c, len);
  while (c->state == JOINING || c->state == READY) {
    size_t taken = take_frame(c, input + off, len - off, now);
    if (taken == 0) break;
    off += taken;
  }
  if (c->state != GONE && (len > off || c->rest_len > 0)) keep_rest(c, input + off, len - off);
}

/* ---- the loop ---- */

static void upgrade(client *c) {
  char text[320], path[64] = "/socket/websocket?vsn=2.0.0";
  if (opt.dialect == RAW) (void)snprintf(path, sizeof path, "/%u", c->room);
  int len = snprintf(
      text, sizeof text,
      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      path, opt.port);
  c->state = UPGRADING;
  watch(c, EPOLL_CTL_MOD);
  put(c, (const uint8_t *)text, (size_t)len);
}

static void take_event(client *c, uint32_t events) {
  if (c->state == GONE) return;
  if ((events & EPOLLERR) != 0 ||
      ((events & EPOLLHUP) != 0 && (c->stalled || c->state == CONNECTING))) {
    drop(c);
    return;
  }
  if (c->state == CONNECTING) {
    upgrade(c);
    return;
  }
  if ((events & EPOLLOUT) != 0 && c->writes) put_waiting(c);
  if ((events & (EPOLLIN | EPOLLHUP)) != 0 && c->state != GONE) take_input(c);
}

static void turn(uint64_t wait_ns) {
  struct epoll_event events[BATCH];
  struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000u),
                           .tv_nsec = (long)(wait_ns % 1000000000u) };
  while (next_client < clients_count && connecting < CONNECTING_MAX) start(&clients[next_client++]);
  int n = epoll_pwait2(poller, events, BATCH, &wait, NULL);
  for (int i = 0; i < n; i++) take_event(events[i].data.ptr, events[i].events);
}

static void run_for(double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (uint64_t now; (now = now_ns()) < end;) turn(end - now < 100000000 ? end - now : 100000000);
}

/* ---- what is done ---- */

static void join_all(void) {
  uint64_t end = now_ns() + (uint64_t)(JOIN_S * 1e9);
  while (ready + gone < clients_count && now_ns() < end) turn(100000000);
  if (ready < clients_count)
    (void)fprintf(stderr, "load: %u of %u have joined\n", ready, clients_count);
}

/* Whoever fills sends its next message when the one before is answered. */
static void fill(void) {
  client *c = &clients[clients_count - 1];
  uint64_t count = opt.fill / FILL_BYTES, end = now_ns() + 60000000000u;
  for (uint64_t i = 0; i < count && c->state == READY && now_ns() < end; i++) {
    say(c, opt.rooms, 0, FILL_BYTES);
    while (fill_answered <= i && c->state == READY && now_ns() < end) turn(1000000);
  }
  if (fill_answered < count) fail("those who stall could not be filled");
}

typedef struct open_loop {
  uint64_t begun;
  uint64_t count;
} open_loop;

static uint64_t due_at(const open_loop *self, uint64_t number) {
  return self->begun + (uint64_t)((double)number / opt.rate * 1e9);
}

/* Sends what is due, and returns when something is due again. Neighbours in time are far from each other. */
static uint64_t speak_in_time(open_loop *self) {
  for (uint64_t due; (due = due_at(self, self->count + 1)) <= now_ns(); self->count++)
    (void)speak((uint32_t)(self->count * 7919 % opt.rooms), due);
  return due_at(self, self->count + 1);
}

static void talk_for(open_loop *open, double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (uint64_t now; (now = now_ns()) < end;) {
    uint64_t next = end < now + 1000000 ? end : now + 1000000;
    if (opt.window == 0) {
      uint64_t due = speak_in_time(open);
      now = now_ns();
      next = due < next ? due : next;
    }
    turn(next > now ? next - now : 0);
  }
}

static double own_cpu_s(void) {
  struct rusage r;
  (void)getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
         (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static double ms_at(double share) { return (double)histogram_at(&times, share) / 1e6; }

static void talk(void) {
  open_loop open = { .begun = now_ns() };
  if (opt.window > 0) {
    for (uint32_t i = 0; i < opt.rooms; i++) speak_on(i, now_ns());
  }
  talk_for(&open, opt.warm);
  measuring = true;
  double cpu = processes_cpu_s(&opt.server), own = own_cpu_s();
  uint64_t begun = now_ns();
  talk_for(&open, opt.seconds);
  double seconds = (double)(now_ns() - begun) / 1e9;
  cpu = processes_cpu_s(&opt.server) - cpu;
  own = own_cpu_s() - own;
  measuring = false;
  double each = delivered > 0 ? cpu * 1e6 / (double)delivered : 0;
  (void)printf(",\"sent_per_s\":%.0f,\"delivered_per_s\":%.0f,\"answered_per_s\":%.0f,\"cpu_us\":%."
               "3f,\"cpu\":%.3f,"
               "\"own_cpu\":%.3f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"most_ms\":%.3f",
               (double)sent / seconds, (double)delivered / seconds, (double)answered / seconds,
               each, cpu / seconds, own / seconds, ms_at(0.5), ms_at(0.9), ms_at(0.99),
               (double)times.most / 1e6);
}

static void make_clients(void) {
  uint32_t talking = opt.rooms * opt.members;
  clients_count = talking + (opt.fill > 0 ? 1 : 0);
  clients = checked(calloc(clients_count, sizeof *clients));
  rooms = checked(calloc(opt.rooms + 1, sizeof *rooms));
  for (uint32_t i = 0; i < clients_count; i++) {
    clients[i].room = i / opt.members;
    clients[i].stalled = i < talking && i / opt.members < opt.stalled &&
                         i % opt.members == opt.members - 1;
  }
  if (opt.fill > 0) clients[clients_count - 1].room = opt.rooms;
}

static void measure(void) {
  uint64_t before = processes_memory(&opt.server), begun = now_ns();
  double cpu = processes_cpu_s(&opt.server);
  join_all();
  double seconds = (double)(now_ns() - begun) / 1e9, joins = ready > 0 ? ready : 1;
  double join_us = (processes_cpu_s(&opt.server) - cpu) * 1e6 / joins;
  run_for(QUIET_S);
  uint64_t joined = processes_memory(&opt.server);
  (void)printf("{\"clients\":%u,\"ready\":%u,\"joins_per_s\":%.0f,\"join_us\":%.1f,\"memory\":%llu,"
               "\"client_bytes\":%.1f",
               clients_count, ready, joins / seconds, join_us, (unsigned long long)joined,
               ((double)joined - (double)before) / joins);
  if (opt.fill > 0) {
    double kernel = (double)kernel_tcp_memory();
    fill();
    run_for(QUIET_S / 2);
    double filled = (double)processes_memory(&opt.server) - (double)joined;
    kernel = (double)kernel_tcp_memory() - kernel;
    (void)printf(",\"stalled_bytes\":%.0f,\"stalled_kernel_bytes\":%.0f", filled / opt.stalled,
                 kernel / opt.stalled);
  }
  if (opt.seconds > 0) {
    talk();
    (void)printf(",\"memory_after\":%llu,\"own_memory_after\":%llu",
                 (unsigned long long)processes_memory(&opt.server),
                 (unsigned long long)processes_own_memory(&opt.server));
  }
  (void)printf(",\"gone\":%u}\n", gone);
}

/* ---- the command line ---- */

static dialect dialect_of(const char *text) {
  if (strcmp(text, "raw") == 0) return RAW;
  if (strcmp(text, "text") == 0) return TEXT;
  if (strcmp(text, "binary") == 0) return BINARY;
  fail("--dialect is raw, text or binary");
  return RAW;
}

static uint32_t *count_of(const char *name) {
  if (strcmp(name, "--rooms") == 0) return &opt.rooms;
  if (strcmp(name, "--members") == 0) return &opt.members;
  if (strcmp(name, "--window") == 0) return &opt.window;
  if (strcmp(name, "--stalled") == 0) return &opt.stalled;
  if (strcmp(name, "--fill") == 0) return &opt.fill;
  if (strcmp(name, "--payload") == 0) return &opt.payload;
  return NULL;
}

static double *number_of(const char *name) {
  if (strcmp(name, "--rate") == 0) return &opt.rate;
  if (strcmp(name, "--warm") == 0) return &opt.warm;
  if (strcmp(name, "--seconds") == 0) return &opt.seconds;
  return NULL;
}

static void set_option(const char *name, const char *value) {
  if (count_of(name) != NULL) *count_of(name) = (uint32_t)strtoul(value, NULL, 10);
  else if (number_of(name) != NULL) *number_of(name) = strtod(value, NULL);
  else if (strcmp(name, "--port") == 0) opt.port = (uint16_t)strtoul(value, NULL, 10);
  else if (strcmp(name, "--pids") == 0) opt.server = processes_of(value);
  else if (strcmp(name, "--topic") == 0) opt.topic = value;
  else if (strcmp(name, "--dialect") == 0) opt.dialect = dialect_of(value);
  else fail(name);
}

static void read_options(int count, char **arguments) {
  opt = (options){ .topic = "relay", .rooms = 1, .members = 2, .payload = 43, .warm = 1 };
  for (int i = 0; i < count; i++) {
    if (strcmp(arguments[i], "--fixed") == 0) opt.fixed = true;
    else if (strcmp(arguments[i], "--silent") == 0) opt.silent = true;
    else if (i + 1 < count) set_option(arguments[i], arguments[i + 1]), i++; /* its value */
    else fail(arguments[i]);
  }
  if (opt.port == 0 || opt.rooms == 0 || opt.members < 2 || opt.payload > MESSAGE_MAX / 2)
    fail("--port --rooms --members --payload");
  if (opt.seconds > 0 && (opt.window > 0) == (opt.rate > 0)) fail("--window or --rate");
  if (opt.stalled > opt.rooms || (opt.stalled > 0 && opt.members < 3)) fail("--stalled");
}

int run_load(int count, char **arguments) {
  struct rlimit files;
  read_options(count, arguments);
  (void)getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  poller = epoll_create1(0);
  if (poller < 0) fail("epoll");
  make_clients();
  measure();
  return ready > 0 ? 0 : 1;
}
