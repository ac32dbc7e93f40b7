/* wasm/doc_number.c -- doubles as text, which the host of documents can do as well as we: what is printed as JavaScript prints
 * it, JavaScript prints. In place of the two functions of codec/number.c, which are 1.6 kB of a module, compressed; a document
 * asks for them where a value of JSON is more than an integer. laniakea-update.wasm has a host that gives nothing, and takes
 * those. */
#include "codec/number.h"
#include "wasm/doc.h"

lk_err lk_number_get_f64(const lk_number *self, double *out) {
  double value = lk_wasm_host_read_number(self->text.ptr, self->text.len);
  if (value - value != 0) return LK_ERR_RANGE; /* only of finite ones it is 0 */
  *out = value;
  return LK_OK;
}

size_t lk_number_print_f64(double value, uint8_t out[LK_NUMBER_F64_CHARS]) {
  return lk_wasm_host_print_number(value, out);
}
