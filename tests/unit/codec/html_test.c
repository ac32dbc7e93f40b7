/* Text in HTML: what must not stand there as it is. */
#include "codec/html.h"

#include "harness/test.h"

TEST(nothing_that_html_could_take_for_its_own_stays_as_it_is) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_html_append(&out, LK_LIT("<a b=\"c\" d='e'>&amp;\n\t\r\x01\x7f\xc3\xa4")));
  CHECK_TEXT(lk_buf_slice(&out), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;\n\t&#13;"
                                 "\xEF\xBF\xBD\xEF\xBF\xBD\xc3\xa4");
  lk_buf_deinit(&out);
}

TEST(text_that_does_not_fit_is_left_out_as_a_whole) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 8);
  CHECK_OK(lk_html_append(&out, LK_LIT("abc")));
  CHECK_ERR(lk_html_append(&out, LK_LIT("de<")), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&out), "abc");
  CHECK_OK(lk_html_append(&out, LK_LIT("d<")));
  lk_buf_deinit(&out);
}
