/* Configuration files: what TOML says is read as TOML says it, and the rest is refused with its line and a way out. */
#include <stdio.h>
#include <string.h>

#include "harness/test.h"
#include "server/toml.h"

/* Each item as a line of text: "3 section.name kind text", lists with | behind each text; errors as "3 ! problem". */
static void describe(lk_slice bytes, char *out, size_t size) {
  static const char *const kinds[] = { "section", "string", "integer", "boolean", "list" };
  lk_toml toml;
  lk_toml_item item;
  size_t len = 0;
  lk_err err;
  lk_toml_init(&toml, test_alloc(), bytes);
  out[0] = 0;
  while ((err = lk_toml_parse_next(&toml, &item)) != LK_ERR_END) {
    if (err != LK_OK) {
      len += (size_t)snprintf(out + len, size - len, "%u ! %s\n", (unsigned)toml.number,
                              toml.problem);
      continue;
    }
    char text[256];
    CHECK(item.text.len < sizeof text);
    for (size_t i = 0; i < item.text.len; i++)
      text[i] = item.text.ptr[i] == 0 ? '|' : (char)item.text.ptr[i];
    text[item.text.len] = 0;
    len += (size_t)snprintf(out + len, size - len, "%u %.*s:%.*s %s %s\n", (unsigned)item.line,
                            (int)item.section.len, (const char *)item.section.ptr,
                            (int)item.name.len, (const char *)item.name.ptr, kinds[item.kind],
                            text);
  }
  lk_toml_deinit(&toml);
}

static void check(lk_slice bytes, const char *want) {
  char got[4096];
  describe(bytes, got, sizeof got);
  CHECK_SLICE(lk_slice_cstr(got), lk_slice_cstr(want));
}

TEST(toml_names_values_sections_and_comments_are_read) {
  check(LK_LIT("# first\n\nport = 4000 # of all\r\n  a.b-c_d\t=\t\"x # y\"\n[ tls "
               "]#z\ncert='C:\\x'\non=true\n[limit]\nn = -1_000"),
        "3 :port integer 4000\n4 :a.b-c_d string x # y\n5 tls: section \n6 tls:cert string C:\\x\n"
        "7 tls:on boolean true\n8 limit: section \n9 limit:n integer -1000\n");
  check(LK_LIT("\xEF\xBB\xBF"
               "a=1"),
        "1 :a integer 1\n");
  check(LK_SLICE_EMPTY, "");
}

TEST(toml_escapes_are_characters) {
  check(LK_LIT("a = \"\\b\\t\\\"\\\\ \\u00e4\\U0001F600\""),
        "1 :a string \b\t\"\\ \xC3\xA4\xF0\x9F\x98\x80\n");
  check(LK_LIT("a = '\\u00e4'"), "1 :a string \\u00e4\n");
}

TEST(toml_lists_may_go_over_lines_and_end_with_a_comma) {
  check(LK_LIT("a = [ \"x\", # one\n\n 'y' ,\n] # end\nb=[]\nc=[\"\"]"),
        "1 :a list x|y|\n5 :b list \n6 :c list |\n");
}

TEST(toml_what_is_wrong_is_told_with_its_line_and_reading_goes_on) {
  static const struct {
    lk_slice bytes;
    const char *problem;
  } cases[] = {
    { LK_LIT_INIT("port"), "1 ! the = behind" },
    { LK_LIT_INIT("port ="), "1 ! the value is missing" },
    { LK_LIT_INIT("port = # 5"), "1 ! the value is missing" },
    { LK_LIT_INIT("= 5"), "1 ! a name was expected" },
    { LK_LIT_INIT("a..b = 5"), "1 ! a name was expected" },
    { LK_LIT_INIT("\"a\" = 5"), "1 ! write the name without quotes" },
    { LK_LIT_INIT("listen = 127.0.0.1"), "1 ! put quotes around" },
    { LK_LIT_INIT("a = 007"), "1 ! put quotes around" },
    { LK_LIT_INIT("a = 1__0"), "1 ! put quotes around" },
    { LK_LIT_INIT("a = 64M"), "1 ! put quotes around" },
    { LK_LIT_INIT("a = True"), "1 ! put quotes around" },
    { LK_LIT_INIT("a = \"x"), "1 ! the closing quote" },
    { LK_LIT_INIT("a = \"x\\\""), "1 ! the closing quote" },
    { LK_LIT_INIT("a = \"x\" y"), "1 ! there is something behind" },
    { LK_LIT_INIT("a = \"\\x41\""), "1 ! there is no such escape" },
    { LK_LIT_INIT("a = \"\\u12\""), "1 ! \\u needs 4" },
    { LK_LIT_INIT("a = \"\\ud800\""), "1 ! \\u needs 4" },
    { LK_LIT_INIT("a = \"\\u0000\""), "1 ! a value cannot have" },
    { LK_LIT_INIT("a = \"\"\"x\"\"\""), "1 ! text over several lines" },
    { LK_LIT_INIT("a = { b = 1 }"), "1 ! tables in braces" },
    { LK_LIT_INIT("[[a]]"), "1 ! lists of tables" },
    { LK_LIT_INIT("[a"), "1 ! the ] behind" },
    { LK_LIT_INIT("[]"), "1 ! a name was expected" },
    { LK_LIT_INIT("a = [1]"), "1 ! a list has texts" },
    { LK_LIT_INIT("a = [\"x\" \"y\"]"), "1 ! a comma or ]" },
    { LK_LIT_INIT("a = [,]"), "1 ! a list has texts" },
    { LK_LIT_INIT("a = [\n\"x\""), "2 ! the list has no end" },
    { LK_LIT_INIT("a = \"\x01\""), "1 ! there is a control character" },
    { LK_LIT_INIT("# \x7f"), "1 ! there is a control character" },
    { LK_LIT_INIT("a = 1\rb = 2"), "1 ! there is a control character" },
    { LK_LIT_INIT("a = \"\xC3\""), "1 ! this is not UTF-8" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char got[4096], both[256];
    test_note("case %zu: %s", i, cases[i].problem);
    describe(cases[i].bytes, got, sizeof got);
    CHECK(strncmp(got, cases[i].problem, strlen(cases[i].problem)) == 0);
    memcpy(both, cases[i].bytes.ptr, cases[i].bytes.len);
    memcpy(both + cases[i].bytes.len, "\nlater = 1", 10);
    bool is_list = strstr(got, "no end") != NULL;
    describe(lk_slice_of(both, cases[i].bytes.len + 10), got, sizeof got);
    CHECK(is_list || strstr(got, ":later integer 1\n") != NULL || strstr(got, "?:later") != NULL);
  }
}

TEST(toml_every_failing_allocation_is_an_error_of_one_call) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_toml toml;
    lk_toml_item item;
    lk_err err;
    uint32_t items = 0, lost = 0;
    lk_toml_init(&toml, faulty_alloc(&faults),
                 LK_LIT("a = \"one\"\nb = [\"two\", \"three\"]\nc = 4\n"));
    while ((err = lk_toml_parse_next(&toml, &item)) != LK_ERR_END) {
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err == LK_OK) items++;
      else lost++;
    }
    lk_toml_deinit(&toml);
    CHECK_U64(items + lost, 3);
    CHECK((lost > 0) == faults.hit);
  }
}

PROPERTY(toml_any_text_is_read_as_it_was_written) {
  uint8_t text[64], file[512];
  size_t len = gen_utf8(g, text, sizeof text), at = 4;
  lk_toml toml;
  lk_toml_item item;
  memcpy(file, "a=\"\"", 4);
  at = 3;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == 0) text[i] = 'x';
    if (text[i] == '"' || text[i] == '\\') file[at++] = '\\';
    if (text[i] < 0x20 || text[i] == 0x7f)
      at += (size_t)snprintf((char *)file + at, sizeof file - at, "\\u%04X", text[i]);
    else file[at++] = text[i];
  }
  file[at++] = '"';
  lk_toml_init(&toml, test_alloc(), lk_slice_of(file, at));
  CHECK_OK(lk_toml_parse_next(&toml, &item));
  CHECK_SLICE(item.text, lk_slice_of(text, len));
  CHECK_ERR(lk_toml_parse_next(&toml, &item), LK_ERR_END);
  lk_toml_deinit(&toml);
}
