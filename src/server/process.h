/* server/process.h -- how processes of a server end. */
#ifndef LK_SERVER_PROCESS_H
#define LK_SERVER_PROCESS_H

/* Exit codes. */
enum {
  LK_PROCESS_STOPPED = 0,  /* as it was told */
  LK_PROCESS_FAILED = 1,   /* try another one */
  LK_PROCESS_HOPELESS = 3, /* another one would fail in the same way; the reason has been said */
};

#endif
