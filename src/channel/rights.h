/* channel/rights.h -- what a client may do in a topic. Each includes those before it. */
#ifndef LK_CHANNEL_RIGHTS_H
#define LK_CHANNEL_RIGHTS_H

typedef enum lk_rights {
  LK_RIGHTS_NONE,
  LK_RIGHTS_READ,
  LK_RIGHTS_WRITE,
  LK_RIGHTS_ADMIN, /* delete and restore what others wrote */
} lk_rights;

#endif
