/* server/api_page.c -- one frame for all pages.
 *
 * There is one style, so that its digest is one, too. It says no colours of its own but for borders: the browser's colours follow
 * what its user has set, light or dark. */
#include "server/api_page.h"

#include "codec/base64.h"
#include "codec/html.h"
#include "crypto/sha256.h"

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:1.0625rem/1.6 system-ui,sans-serif;margin:0 auto;max-width:44rem;padding:1.5rem;"
    "overflow-wrap:anywhere}"
    "output{font-size:2.5rem;display:block}"
    "input,button{font:inherit;padding:.4em .7em;min-height:2.75rem;box-sizing:border-box}"
    "pre{white-space:pre-wrap}"
    "table{border-collapse:collapse}td,th{border:1px solid;padding:.3em .6em;vertical-align:top}"
    "img{max-width:100%;height:auto}";

static void put(lk_buf *out, lk_slice text) { (void)lk_buf_append(out, text); }

lk_err lk_api_page_policy(lk_buf *out) {
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256 hash;
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, lk_slice_of(style, sizeof style - 1));
  lk_sha256_final(&hash, digest);
  put(out, LK_LIT("default-src 'none'; style-src 'sha256-"));
  (void)lk_base64_encode(out, lk_slice_of(digest, sizeof digest), LK_BASE64_FORM_STANDARD);
  return lk_buf_append(out,
                       LK_LIT("'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"));
}

/* The language of what users wrote is not known, which lang="" says. */
static void begin(lk_slice title, lk_buf *out) {
  put(out, LK_LIT("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>"));
  (void)lk_html_append(out, title);
  put(out, LK_LIT("</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                  "<style>"));
  put(out, lk_slice_of(style, sizeof style - 1));
  put(out, LK_LIT("</style></head><body><main>"));
}

static void put_heading(lk_slice title, lk_buf *out) {
  put(out, LK_LIT("<h1>"));
  (void)lk_html_append(out, title);
  put(out, LK_LIT("</h1>"));
}

lk_err lk_api_page_write(lk_slice title, lk_slice fragment, bool has_heading, lk_buf *out) {
  begin(title, out);
  if (!has_heading) {
    put_heading(title, out);
    put(out, LK_LIT("<article lang=\"\">"));
  }
  put(out, fragment);
  if (!has_heading) put(out, LK_LIT("</article>"));
  return lk_buf_append(out, LK_LIT("</main></body></html>\n"));
}

lk_err lk_api_page_write_error(lk_slice title, lk_slice message, lk_buf *out) {
  begin(title, out);
  put_heading(title, out);
  put(out, LK_LIT("<p>"));
  (void)lk_html_append(out, message);
  return lk_buf_append(out, LK_LIT("</p></main></body></html>\n"));
}
