/* server/prometheus.h -- Prometheus' text format, read as strictly as it is written.
 *
 *   text   := family*
 *   family := "# HELP " name " " help LF  "# TYPE " name " " kind LF  sample+
 *   sample := name [ "{" label ( "," label )* "}" ] " " number LF
 *   label  := name "=" '"' value '"'          \\, \" and \n in a value
 *
 * A sample's name is its family's; of a histogram, that with _bucket, _sum or _count behind it. */
#ifndef LK_SERVER_PROMETHEUS_H
#define LK_SERVER_PROMETHEUS_H

#include "base/slice.h"

typedef struct lk_prometheus {
  lk_slice rest;
  lk_slice family; /* its name; empty before the first one */
  lk_slice kind;
  uint32_t line;
  bool has_sample; /* of the family */
} lk_prometheus;

typedef struct lk_sample {
  lk_slice family;
  lk_slice kind;
  lk_slice name;
  lk_slice labels; /* what stands in the braces */
  double value;    /* may be infinite, or no number */
} lk_sample;

/* |text| must outlive what is read of it. */
void lk_prometheus_init(lk_prometheus *self, lk_slice text);

/* LK_ERR_END behind the last sample; LK_ERR_SYNTAX, for good: |line| is where. */
lk_err lk_prometheus_parse_next(lk_prometheus *self, lk_sample *out) LK_MUST_USE;

/* The value of the label |name| as it is written; false where there is none. */
bool lk_sample_label(const lk_sample *self, lk_slice name, lk_slice *out);

#endif
