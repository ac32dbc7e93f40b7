/* server/metrics.h -- /metrics, in Prometheus' text format. */
#ifndef LK_SERVER_METRICS_H
#define LK_SERVER_METRICS_H

#include "server/links.h"

/* Appends what all processes say of themselves. Errors are the buffer's. */
void lk_metrics_write(const lk_links *links, lk_buf *out);

#endif
