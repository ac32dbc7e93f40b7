/* doc/events.c -- telling observers what changed. */
#include "doc/events.h"

void lk_events_call(lk_doc *doc, lk_tx *tx) {
  (void)doc;
  (void)tx;
}
