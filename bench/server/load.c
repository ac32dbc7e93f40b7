/* bench/server/load.c -- many clients of a server in one thread, and what they see of it.
 *
 *   bench_server load --port N --pids PID,PID...     the server, and all of its processes
 *     --dialect raw|text|binary                      bare WebSocket, or Phoenix V2 with messages in JSON or in bytes
 *               doc|yjs|hocus                        Yjs updates: in Phoenix V2 to doc:, as y-websocket, as hocuspocus
 *     --rooms N --members N                          that many in each room; --topic relay: what topics begin with
 *     --path /y/ --params {}                         what stands before a document's name; what a join says
 *     --window N                                     closed loop: so many messages of each room are on their way
 *     --rate N                                       open loop: so many messages a second in all rooms together
 *     --fixed                                        the first member of a room speaks; else they take turns
 *     --silent                                       messages without a reference, which nobody answers (Phoenix)
 *     --stalled N --fill BYTES                       in the first N rooms the last member stops reading; before the
 *                                                    measurement they are sent so many bytes
 *     --payload BYTES --warm S --seconds S           without --seconds they only join, and are quiet
 *     --churn                                        each update deletes what the one before wrote: documents stay small
 *     --write                                        the first member of each room says something, once
 *     --ingest N                                     instead: one client writes N updates of a session, as fast as it can
 *     --joins N                                      instead: so many clients join, one after the other, and leave
 *
 * Clients connect and join, at most CONNECTING_MAX at once. Then they talk, and what was delivered between |warm| and
 * the end counts. A message carries who sent it and when, in the open loop when it should have
 * been sent: a server that holds up the generator does not thereby look fast. A delivery is a message that
 * another member of the room got, by itself or in one update with others; answers are counted, but are none, nor is what
 * comes back to who said it.
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

#include "bench/server/dialects.h"
#include "bench/server/histogram.h"
#include "bench/server/processes.h"
#include "bench/server/updates.h"

#define CONNECTING_MAX 64
#define BATCH 512
#define INPUT_SIZE (1u << 20)
#define MESSAGE_MAX 65536
#define STALLED_RECEIVE_BYTES 4096
#define FILL_BYTES 16384 /* in one message */
#define JOIN_S 120.0
#define QUIET_S 4.0 /* memory is looked at when nothing has happened for so long */
#define SOON_S 1.0
#define LATER_S 5.0 /* since something was written */
#define STAMP_LEN 17
#define STAMP_TIME_BITS 48
#define LOOK_NS 250000000u      /* between two looks at a server's memory */
#define INGEST_AHEAD (1u << 16) /* bytes that wait for a socket */
#define INGEST_S 120.0

typedef struct options {
  uint16_t port;
  dialect dialect;
  const char *topic, *path, *params;
  processes server;
  uint32_t rooms, members, window, stalled, fill, payload, ingest, joins;
  double rate, warm, seconds;
  bool fixed, silent, churn, write;
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
  author author;
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
static uint64_t states, state_bytes, state_units;
static uint64_t memory_most;
static uint8_t said[MESSAGE_MAX + MESSAGE_HEAD_MAX];

/* From some moment of this process on. */
static uint64_t now_ns(void) {
  static uint64_t epoch;
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
  if (epoch == 0) epoch = now - 1;
  return now - epoch;
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
  struct sockaddr_in where = { .sin_family = AF_INET,
                               .sin_port = htons(opt.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int on = 1, little = STALLED_RECEIVE_BYTES;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("no more sockets");
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (c->stalled) (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  c->state = CONNECTING;
  connecting++;
  if (connect(c->fd, (struct sockaddr *)&where, sizeof where) != 0 && errno != EINPROGRESS)
    fail("cannot connect");
  watch(c, EPOLL_CTL_ADD);
}

/* ---- what is said ---- */

/* One frame, masked as a client's must be. */
static void put_frame(client *c, uint8_t opcode, const uint8_t *bytes, size_t len) {
  static const uint8_t key[4] = { 0x1c, 0x9e, 0x53, 0xb7 };
  static uint8_t frame[sizeof said + 14];
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

static address address_of(uint32_t number) {
  return (address){ .topic = opt.topic, .params = opt.params, .number = number };
}

static void put_message(client *c, const message *m) {
  put_frame(c, m->is_binary ? 2 : 1, m->bytes, m->len);
}

/* Document dialects have one more message to say: the last of a join asks what the document holds. */
static void join(client *c, uint32_t number) {
  const address s = address_of(number);
  message m = { .bytes = said };
  for (uint32_t i = 0; dialect_join(opt.dialect, &s, i, &m); i++) put_message(c, &m);
}

static void settle_in(client *c) {
  connecting--;
  ready++;
  c->state = READY;
  if (c->stalled) watch(c, EPOLL_CTL_MOD);
}

/* A document has come where its state has; elsewhere the answer says so. */
static bool is_joined_by(heard what) {
  if (opt.dialect == YJS || opt.dialect == HOCUS || (opt.dialect == DOC && opt.joins > 0))
    return what == HEARD_STATE;
  return what == HEARD_ANSWER;
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

static uint32_t number_of_client(const client *c) { return (uint32_t)(c - clients); }

/* Where |c| stands among the members of its room. */
static uint32_t place_of(const client *c) { return number_of_client(c) % opt.members; }

/* "t", who and when in hexadecimal digits, and what is missing to |len|. */
static size_t write_stamp(char *out, uint32_t place, uint64_t time, size_t len) {
  uint64_t stamp = (uint64_t)place << STAMP_TIME_BITS | time;
  size_t n = (size_t)sprintf(out, "t%016llx", (unsigned long long)stamp);
  for (; n < len; n++) out[n] = '.';
  return n;
}

static void say_bytes(client *c, uint32_t number, const void *payload, size_t len) {
  const address s = address_of(number);
  message m = { .bytes = said };
  dialect_say(opt.dialect, &s, opt.silent ? 0 : ++c->ref, payload, len, &m);
  put_message(c, &m);
}

/* |len| bytes in all, with what an update has beside its text. */
static void say(client *c, uint32_t number, uint64_t time, size_t len) {
  static char text[MESSAGE_MAX];
  static uint8_t update[MESSAGE_MAX + UPDATE_FRAME_MAX];
  if (!dialect_is_yjs(opt.dialect)) {
    say_bytes(c, number, text, write_stamp(text, place_of(c), time, len));
    return;
  }
  size_t beside = 24, n = len > beside ? len - beside : 0;
  n = write_stamp(text, place_of(c), time, n);
  say_bytes(c, number, update, author_write(&c->author, text, n, opt.churn ? n : 0, update));
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

static bool read_stamp(const uint8_t *at, uint64_t *out) {
  *out = 0;
  for (int i = 1; i < STAMP_LEN; i++) {
    uint8_t digit = at[i];
    if (digit >= '0' && digit <= '9') digit = (uint8_t)(digit - '0');
    else if (digit >= 'a' && digit <= 'f') digit = (uint8_t)(digit - 'a' + 10);
    else return false;
    *out = *out << 4 | digit;
  }
  return true;
}

static void take_stamp(client *c, uint64_t stamp, uint64_t now) {
  uint64_t time = stamp & ((UINT64_C(1) << STAMP_TIME_BITS) - 1);
  if (c->stalled || stamp >> STAMP_TIME_BITS == place_of(c)) return;
  if (measuring) {
    delivered++;
    histogram_add(&times, now > time ? now - time : 0);
  }
  rooms[c->room].missing--;
}

/* One update may bring many messages. */
static void take_content(client *c, const uint8_t *at, size_t len, uint64_t now) {
  const uint8_t *end = at + len;
  uint64_t stamp;
  while ((at = memchr(at, 't', (size_t)(end - at))) != NULL && end - at >= STAMP_LEN) {
    bool is_stamp = read_stamp(at, &stamp);
    if (is_stamp) take_stamp(c, stamp, now);
    at += is_stamp ? STAMP_LEN : 1;
  }
  if (opt.window > 0 && !c->stalled && c->room < opt.rooms) speak_on(c->room, now);
}

static void take_state(const uint8_t *bytes, size_t len) {
  states++;
  state_bytes = len;
  if (opt.joins > 0 && state_units == 0) state_units = update_units(bytes, len);
}

static void take_answer(const client *c) {
  if (c->room == opt.rooms) fill_answered++;
  else if (measuring) answered++;
}

static void take_heard(client *c, bool is_binary, const uint8_t *bytes, size_t len, uint64_t now) {
  const uint8_t *content = NULL;
  size_t content_len = 0;
  heard what = dialect_hear(opt.dialect, is_binary, bytes, len, &content, &content_len);
  if (what == HEARD_ERROR)
    (void)fprintf(stderr, "load: %.*s\n", (int)(len < 200 ? len : 200), (const char *)bytes);
  if (c->state == JOINING && is_joined_by(what) && --c->joins == 0) settle_in(c);
  else if (what == HEARD_ANSWER) take_answer(c);
  else if (what == HEARD_STATE || what == HEARD_MESSAGE) take_content(c, content, content_len, now);
  if (what == HEARD_STATE) take_state(content, content_len);
}

static void take_message(client *c, uint8_t opcode, const uint8_t *bytes, size_t len,
                         uint64_t now) {
  if (opcode == 8) drop(c);
  else if (opcode == 9) put_frame(c, 10, bytes, len);
  else if (opcode == 1 || opcode == 2) take_heard(c, opcode == 2, bytes, len, now);
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
  char text[320], path[64];
  const address s = address_of(c->room);
  (void)dialect_path(opt.dialect, opt.path, &s, path, sizeof path);
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

static void look_at_memory(uint64_t now) {
  static uint64_t next;
  if (now < next) return;
  next = now + LOOK_NS;
  uint64_t memory = processes_own_memory(&opt.server);
  if (memory > memory_most) memory_most = memory;
}

static void talk_for(open_loop *open, double seconds) {
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (uint64_t now; (now = now_ns()) < end;) {
    look_at_memory(now);
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
    clients[i].author.client = 1000000007 + (uint64_t)i * 7919;
    clients[i].stalled = i < talking && i / opt.members < opt.stalled &&
                         i % opt.members == opt.members - 1;
  }
  if (opt.fill > 0) clients[clients_count - 1].room = opt.rooms;
}

static void print_filled(uint64_t joined) {
  double kernel = (double)kernel_tcp_memory();
  fill();
  run_for(SOON_S);
  double filled = (double)processes_memory(&opt.server) - (double)joined;
  kernel = (double)kernel_tcp_memory() - kernel;
  (void)printf(",\"stalled_bytes\":%.0f,\"stalled_kernel_bytes\":%.0f", filled / opt.stalled,
               kernel / opt.stalled);
}

/* Memory right after everything was said, and when servers had time to put it away. */
static void print_written(void) {
  for (uint32_t i = 0; i < opt.rooms; i++) (void)speak(i, now_ns());
  run_for(SOON_S);
  (void)printf(",\"memory_written\":%llu", (unsigned long long)processes_memory(&opt.server));
  run_for(LATER_S - SOON_S);
  (void)printf(",\"memory_later\":%llu", (unsigned long long)processes_memory(&opt.server));
}

static void print_talk(void) {
  uint64_t before = processes_own_memory(&opt.server);
  talk();
  (void)printf(",\"memory_after\":%llu,\"own_memory_after\":%llu,\"own_memory_before\":%llu,\"own_"
               "memory_most\":%llu",
               (unsigned long long)processes_memory(&opt.server),
               (unsigned long long)processes_own_memory(&opt.server), (unsigned long long)before,
               (unsigned long long)memory_most);
}

static void measure(void) {
  uint64_t before = processes_memory(&opt.server), begun = now_ns();
  double cpu = processes_cpu_s(&opt.server);
  join_all();
  double seconds = (double)(now_ns() - begun) / 1e9, joins = ready > 0 ? ready : 1;
  double join_us = (processes_cpu_s(&opt.server) - cpu) * 1e6 / joins;
  run_for(QUIET_S);
  uint64_t joined = processes_memory(&opt.server);
  (void)printf(
      "{\"clients\":%u,\"ready\":%u,\"joins_per_s\":%.0f,\"join_us\":%.1f,\"memory_before\":%llu,"
      "\"memory\":%llu,\"client_bytes\":%.1f",
      clients_count, ready, joins / seconds, join_us, (unsigned long long)before,
      (unsigned long long)joined, ((double)joined - (double)before) / joins);
  if (opt.fill > 0) print_filled(joined);
  if (opt.write) print_written();
  if (opt.seconds > 0) print_talk();
  (void)printf(",\"gone\":%u}\n", gone);
}

/* ---- one document that many wrote ---- */

/* What follows waits until the socket takes it, so that one call sends much. */
static void gather(client *c) {
  if (c->writes || c->state == GONE) return;
  c->writes = true;
  watch(c, EPOLL_CTL_MOD);
}

/* Whoever answers no updates is asked for the state behind them: messages of a connection are taken in turn. */
static void await_ingested(client *c, uint32_t count, uint64_t end) {
  const address s = address_of(0);
  uint64_t before = states;
  message m = { .bytes = said };
  if (opt.dialect == DOC) {
    while (answered < count && c->state == READY && now_ns() < end) turn(1000000);
    if (answered < count) fail("not all was answered");
    return;
  }
  (void)dialect_join(opt.dialect, &s, opt.dialect == HOCUS, &m);
  put_message(c, &m);
  while (states == before && c->state == READY && now_ns() < end) turn(1000000);
  if (states == before) fail("the state did not come");
}

static void ingest(void) {
  const session all = session_make(opt.ingest);
  join_all();
  run_for(SOON_S);
  client *c = &clients[0];
  uint64_t memory = processes_memory(&opt.server), begun = now_ns();
  uint64_t end = begun + (uint64_t)(INGEST_S * 1e9);
  double cpu = processes_cpu_s(&opt.server);
  measuring = true;
  for (size_t i = 0; i < all.count && c->state == READY && now_ns() < end; i++) {
    size_t from = i > 0 ? all.ends[i - 1] : 0;
    gather(c);
    say_bytes(c, 0, all.bytes + from, all.ends[i] - from);
    while (c->waiting_len > INGEST_AHEAD && c->state == READY && now_ns() < end) turn(1000000);
  }
  await_ingested(c, opt.ingest, end);
  double seconds = (double)(now_ns() - begun) / 1e9;
  cpu = processes_cpu_s(&opt.server) - cpu;
  run_for(SOON_S);
  (void)printf("{\"updates\":%u,\"bytes\":%zu,\"units\":%llu,\"cpu_us\":%.3f,\"seconds\":%.3f,"
               "\"memory_bytes\":%lld,\"gone\":%u}\n",
               opt.ingest, all.ends[all.count - 1], (unsigned long long)all.units,
               cpu * 1e6 / opt.ingest, seconds,
               (long long)processes_memory(&opt.server) - (long long)memory, gone);
}

/* From the connection's beginning until the document has come. The first one finds it cold. */
static void join_in_turn(void) {
  double cpu = processes_cpu_s(&opt.server), first = 0;
  for (clients_count = 1; clients_count <= opt.joins; clients_count++) {
    client *c = &clients[clients_count - 1];
    uint64_t begun = now_ns(), end = begun + (uint64_t)(JOIN_S * 1e9);
    while (c->state != READY && c->state != GONE && now_ns() < end) turn(1000000);
    if (c->state != READY) fail("a client could not join");
    histogram_add(&times, now_ns() - begun);
    if (clients_count == 1) first = (double)times.most / 1e6;
    drop(c);
    run_for(0.03);
  }
  cpu = (processes_cpu_s(&opt.server) - cpu) * 1e3 / opt.joins;
  (void)printf("{\"joins\":%u,\"first_ms\":%.3f,\"least_ms\":%.3f,\"p50_ms\":%.3f,\"most_ms\":%.3f,"
               "\"cpu_ms\":%.3f,\"bytes\":%llu,\"units\":%llu}\n",
               opt.joins, first, ms_at(0), ms_at(0.5), (double)times.most / 1e6, cpu,
               (unsigned long long)state_bytes, (unsigned long long)state_units);
}

/* ---- the command line ---- */

static uint32_t *count_of(const char *name) {
  if (strcmp(name, "--rooms") == 0) return &opt.rooms;
  if (strcmp(name, "--members") == 0) return &opt.members;
  if (strcmp(name, "--window") == 0) return &opt.window;
  if (strcmp(name, "--stalled") == 0) return &opt.stalled;
  if (strcmp(name, "--fill") == 0) return &opt.fill;
  if (strcmp(name, "--payload") == 0) return &opt.payload;
  if (strcmp(name, "--ingest") == 0) return &opt.ingest;
  if (strcmp(name, "--joins") == 0) return &opt.joins;
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
  else if (strcmp(name, "--path") == 0) opt.path = value;
  else if (strcmp(name, "--params") == 0) opt.params = value;
  else if (strcmp(name, "--dialect") == 0) opt.dialect = dialect_of(value);
  else fail(name);
}

static void read_options(int count, char **arguments) {
  opt = (options){ .topic = "relay",
                   .path = "/",
                   .params = "{}",
                   .rooms = 1,
                   .members = 2,
                   .payload = 43,
                   .warm = 1 };
  for (int i = 0; i < count; i++) {
    if (strcmp(arguments[i], "--fixed") == 0) opt.fixed = true;
    else if (strcmp(arguments[i], "--silent") == 0) opt.silent = true;
    else if (strcmp(arguments[i], "--churn") == 0) opt.churn = true;
    else if (strcmp(arguments[i], "--write") == 0) opt.write = true;
    else if (i + 1 < count) set_option(arguments[i], arguments[i + 1]), i++; /* its value */
    else fail(arguments[i]);
  }
  if (opt.port == 0 || opt.rooms == 0 || opt.members == 0 || opt.payload > MESSAGE_MAX / 2)
    fail("--port --rooms --members --payload");
  if (opt.dialect == DIALECTS) fail("--dialect");
  if (opt.members < 2 && opt.seconds > 0) fail("--members");
  if (opt.joins > 0) opt.members = opt.joins;
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
  if (opt.ingest > 0) ingest();
  else if (opt.joins > 0) join_in_turn();
  else measure();
  if (opt.joins > 0) return 0;
  return ready > 0 ? 0 : 1;
}
