/* server/webhook_process.h -- the process that calls webhooks.
 *
 *   rooms   ──which topics changed──> due ──> POST ──> the application
 *   edges   ──may they?───────────────────> POST ──> the application ──> yes, or why not
 *
 * It stands beside the others, so that an application that hangs, or a name server that does, holds up nobody but those who
 * have to wait for it. To rooms it is one more edge, without clients: it asks by queries. To edges it is one more process for
 * rooms, which answers queries (server/webhook_desk.h). So it may die at any instant like all others: whoever asked it asks the
 * next one, and what was due is in the data directory or, of topics in memory, in memory that the supervisor lends.
 *
 * There is one where a webhook is set, and none elsewhere. */
#ifndef LK_SERVER_WEBHOOK_PROCESS_H
#define LK_SERVER_WEBHOOK_PROCESS_H

#include "platform/posix/shared_storage.h"
#include "server/links.h"
#include "server/times.h"
#include "server/webhook_secrets.h"

/* For what is due of topics in memory. */
#define LK_WEBHOOK_MEMORY_BYTES (UINT64_C(64) << 20)

typedef struct lk_webhook_process_options {
  const lk_links *links; /* in which it has the last place of the edges and the last of the rooms */
  int ready_fd;          /* an eventfd: 1 is written when it serves */
  const char *directory; /* NULL: there are no durable topics */
  lk_shared_memory memory;
  const lk_webhook_options *webhooks;
  const lk_webhook_secret_files *secrets; /* copied, and looked at from then on */
  lk_limits limits;
  lk_times times;
} lk_webhook_process_options;

/* Runs until SIGTERM, then until what is under way is done, for a moment. Returns an exit code of server/process.h. */
int lk_webhook_process_run(const lk_webhook_process_options *options);

#endif
