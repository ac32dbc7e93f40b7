/* examples/c/follow.c -- follows a counter and a document of a Laniakea server from the terminal, with a network or without.
 *
 *   cc follow.c $(pkg-config --cflags --libs laniakea-tls) -o follow
 *   laniakea serve --data data &
 *   ./follow http://127.0.0.1:4000 ~/.follow
 *   ./follow --ca authority.pem https://notes.example ~/.follow
 *
 * Each line that is typed is appended to the document "doc:notes"; a number is added to the counter "crdt:likes" instead. What is
 * shown is what the replicas on this machine say: lines are taken at once, and kept in the folder until the server has them. */
#include <laniakea/client_tls.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct follower {
  const lk_client_tls *tls;
  lk_client_host *host;
  lk_topic *likes;
  lk_topic *notes;
  lk_buf *text;
} follower;

static const lk_slice no_path = { NULL, 0 };

static void check(lk_err err) {
  if (err == LK_OK) return;
  fprintf(stderr, "%s: %s\n", lk_err_name(err), lk_err_text(err));
  exit(1);
}

static lk_slice slice(const char *text) {
  return (lk_slice){ (const uint8_t *)text, strlen(text) };
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size > 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

static void open_topics(follower *self) {
  lk_client *client = lk_client_host_client(self->host);
  uint64_t now = lk_client_host_now_ms();
  check(lk_client_open_crdt(client, slice("crdt:likes"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, now,
                            &self->likes));
  check(lk_client_open_doc(client, slice("doc:notes"), LK_TOPIC_KEPT, now, &self->notes));
}

static void show(follower *self, lk_topic *topic) {
  lk_slice name = lk_topic_name(topic);
  lk_buf_clear(self->text);
  check(lk_topic_value(topic, no_path, self->text));
  lk_slice value = lk_buf_bytes(self->text);
  printf("%.*s %.*s\n", (int)name.len, (const char *)name.ptr, (int)value.len,
         (const char *)value.ptr);
  fflush(stdout);
}

static void add_reason(lk_err err) {
  if (err != LK_OK) fprintf(stderr, ", %s: %s", lk_err_name(err), lk_err_text(err));
}

static void show_status(follower *self) {
  static const char *const states[] = { "offline", "connecting", "online" };
  lk_client_status status = { .size = sizeof status };
  lk_client_get_status(lk_client_host_client(self->host), &status);
  fprintf(stderr, "(%s, %llu pending", states[status.state],
          (unsigned long long)status.pending_count);
  add_reason(status.storage);
  add_reason(lk_client_host_error(self->host));
  fprintf(stderr, ")\n");
}

static void add_likes(follower *self, const char *number) {
  char arguments[32];
  (void)snprintf(arguments, sizeof arguments, "[%.20s]", number);
  lk_err err = lk_topic_apply(self->likes, no_path, slice("increment"), slice(arguments),
                              lk_client_host_time_ms(), lk_client_host_now_ms());
  if (err != LK_OK) fprintf(stderr, "%s: %s\n", lk_err_name(err), lk_err_text(err));
  else show(self, self->likes);
}

static void add_note(follower *self, char *line) {
  lk_doc *doc = lk_topic_doc(self->notes);
  lk_node text;
  check(lk_topic_may_change(self->notes));
  check(lk_doc_root(doc, slice("text"), LK_NODE_TEXT, &text));
  strcat(line, "\n");
  check(lk_doc_text_insert(doc, text, lk_doc_node_length(doc, text), slice(line), NULL));
  lk_topic_changed(self->notes, lk_client_host_now_ms());
  show(self, self->notes);
}

/* One line of the terminal; false at its end. */
static bool take_line(follower *self) {
  char line[1024];
  if (fgets(line, sizeof line - 2, stdin) == NULL) return false;
  line[strcspn(line, "\n")] = 0;
  if (self->likes == NULL) fprintf(stderr, "not ready yet\n");
  else if (isdigit((unsigned char)line[0])) add_likes(self, line);
  else if (line[0] != 0) add_note(self, line);
  return true;
}

static void take_events(follower *self) {
  lk_client_event event;
  while (lk_client_host_poll(self->host, &event)) {
    if (event.kind == LK_CLIENT_READY) open_topics(self);
    else if (event.kind == LK_CLIENT_CHANGED) show(self, event.topic);
    else if (event.topic == NULL) show_status(self);
  }
}

/* False where the arguments are none of ours. */
static bool open_host(follower *self, int argc, char **argv) {
  lk_client_host_options options = LK_CLIENT_HOST_OPTIONS_INIT;
  lk_client_tls_options tls = LK_CLIENT_TLS_OPTIONS_INIT;
  if (argc > 2 && strcmp(argv[1], "--ca") == 0) {
    tls.ca_file = argv[2];
    argc -= 2;
    argv += 2;
  }
  if (argc < 2) return false;
  options.url = argv[1];
  options.folder = argc > 2 ? argv[2] : NULL;
  options.token = argc > 3 ? argv[3] : NULL;
  if (strncmp(options.url, "https:", 6) == 0 || strncmp(options.url, "wss:", 4) == 0)
    check(lk_client_tls_open(&tls, &self->tls));
  options.tls = self->tls;
  check(lk_client_host_open(&options, &self->host));
  return true;
}

int main(int argc, char **argv) {
  const lk_alloc heap = { resize, NULL };
  const lk_env env = LK_ENV_INIT(&heap, NULL);
  follower self = { 0 };
  bool has_line = false;
  setvbuf(stdin, NULL, _IONBF, 0); /* so that no line waits where poll(2) does not see it */
  if (!open_host(&self, argc, argv)) {
    fprintf(stderr, "usage: follow [--ca FILE] URL [FOLDER [TOKEN]]\n");
    return 2;
  }
  check(lk_buf_open(&env, 1 << 24, &self.text));
  do {
    take_events(&self);
    lk_client_host_wait(self.host, self.likes != NULL ? STDIN_FILENO : -1, -1, &has_line);
  } while (!has_line || take_line(&self));
  take_events(&self);
  lk_client_host_close(self.host);
  lk_client_tls_close(self.tls);
  lk_buf_close(self.text);
  return 0;
}
