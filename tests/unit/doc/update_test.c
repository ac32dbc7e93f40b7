/* Updates struct by struct: Yjs' bytes both ways, and what no Yjs would write.
 *
 * The bytes in hex are those of Yjs 13.6.33: encodeStateAsUpdate, convertUpdateFormat, diffUpdate and
 * mergeUpdates of small documents, one for each kind of content. */
#include "doc/update.h"

#include "codec/hex.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "harness/test.h"

#define MAX ((size_t)1 << 26)
#define DEPTH 64

typedef struct fixture {
  const char *name, *v1, *v2;
} fixture;

/* What Yjs converts into each other, and into itself. */
static const fixture fixtures[] = {
  { "nothing", "0000", "00000000000001000000000000" },
  { "text",
    "010481bcc1960b00040101740268658181bcc1960b01038481bcc1960b040620776f726c64c481bcc1960b0481bc"
    "c1960b05012c0181bcc1960b010203",
    "000006c1f882ad160303020600010a07040081008400c40f0a74686520776f726c642c0102060101010001030104"
    "000181bcc1960b010202" },
  { "wide text",
    "0101070004010474657874256e61c3af766520f09f988020e4b896e7958c2c206c6f6e676572207468616e206569"
    "67687400",
    "00000107000001042c29746578746e61c3af766520f09f988020e4b896e7958c2c206c6f6e676572207468616e20"
    "6569676874041e0101000001010000" },
  { "format",
    "010d09000601017404626f6c6404747275658409000162840901016f840902026c6486090404626f6c64046e756c"
    "6cc60902090304626f6c64046e756c6cc60906090301611a7b227a223a312c2262223a5b312e352c2271222c6e75"
    "6c6c5d7dc4090709030178c60908090304626f6c640474727565c6090909030161046e756c6cc60901090204626f"
    "6c64046e756c6cc5090b0902137b2232223a302c22696d616765223a2275227dc6090c090204626f6c6404747275"
    "6500",
    "00030003050249130b0003000444080301501402060601024201000f060084028600c601c400c602c500c62e2074"
    "626f6c64626f6c64626f6c64626f6c646178626f6c6461626f6c64626f6c64010441000244004100040144000101"
    "0000010d00787e7e7602017a7d01016275037c3fc000007701717e787e7e760201327d0005696d61676577017578"
    "00" },
  { "array",
    "0103f0a2040008010161027d01770374776f88f0a20401047e787c408800007601016b7500c3f0a20401f0a20402"
    "030102ff00",
    "000004f0c5080202020001040508008800c3030161010101000202040103007d01770374776f7e787c4088000076"
    "01016b7500030102ff00" },
  { "map",
    "01058001002101016d016b0188800100017f2801016d03626967017a00000000000000052801016d036e6567017d"
    "402801016d036e616e017b7ff8000000000000018001010001",
    "000003c00200010000052100880028160e6d6b6d6269676d6e65676d6e616e410103010301030101000241030105"
    "007f7a00000000000000057d407b7ff8000000000000018001010000" },
  { "types",
    "010bc80100070101610087c801000187c80101020400c8010202696e87c8010203017087c801050487c801060504"
    "686f6f6b87c80107060400c8010801782701016d0174012800c8010a01780177017900",
    "0002000203c80308080003000006030104000d07008701040087030400270028130c61696e70686f6f6b786d7478"
    "01020104410207010000010100000800010203040506010101010b0077017900" },
  { "xml",
    "0105050007010178030364697687050003036469762800050005636c617373017701630700050006040005030174"
    "00",
    "00020002024503030101060009070087002800070004130d78646976646976636c61737374014300050103010000"
    "03430006010101050077016300" },
  { "subdoc",
    "010206002901016d017303672d3176002901016d016f03672d32760302676379086175746f4c6f616478046d6574"
    "617601016175017d0100",
    "0000010600000129110a6d73672d316d6f672d32410003410003010100000102007600760302676379086175746f"
    "4c6f616478046d6574617601016175017d0100" },
  { "gc", "0103080001010161010004880800017d010108010005",
    "000002480001000005010000008803016101010100030104010103007d010108010004" },
  { "json", "01010b000201016104077b2261223a317d09756e646566696e656403227822065b6e756c6c5d00",
    "0000010b00000102201a617b2261223a317d756e646566696e65642278225b6e756c6c5d01070903060101000104"
    "01010000" },
  { "skip", "0203ac0200040101740261620a0284ac0203026566010200c4ac0200ac0201015a00",
    "000007ec040002ec040002064601020704000a008400c40b0674616265665a01420001010100000203000201000"
    "0" },
};
#define FIXTURE_COUNT (sizeof fixtures / sizeof fixtures[0])

static lk_buf new_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), MAX);
  return buf;
}

static lk_arena new_arena(void) {
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), MAX);
  return arena;
}

/* The bytes, in a block of their exact size, so that a sanitizer sees what is read beyond. */
static lk_slice exact_copy(lk_slice bytes) {
  if (bytes.len == 0) return LK_SLICE_EMPTY;
  uint8_t *copy = lk_alloc_bytes(test_alloc(), bytes.len);
  memcpy(copy, bytes.ptr, bytes.len);
  return lk_slice_of(copy, bytes.len);
}

static void free_copy(lk_slice copy) {
  lk_free_bytes(test_alloc(), (void *)(uintptr_t)copy.ptr, copy.len);
}

/* Spaces are there for the reader. */
static lk_slice bytes_of(const char *hex) {
  lk_buf buf = new_buf();
  for (lk_slice part, rest = lk_slice_cstr(hex); rest.len > 0;) {
    part = lk_slice_cut(rest, ' ', &rest);
    CHECK_OK(lk_hex_decode(&buf, part));
  }
  lk_slice copy = exact_copy(lk_buf_slice(&buf));
  lk_buf_deinit(&buf);
  return copy;
}

static void check_hex(const char *name, lk_slice got, const char *want) {
  lk_slice bytes = bytes_of(want);
  test_note("%s", name);
  CHECK_SLICE(got, bytes);
  free_copy(bytes);
}

/* ---- reading and writing again ---- */

/* As Yjs does it without a document: of an inherited parent it knows no sub. */
static void forget_sub(lk_struct *view) {
  if (view->parent_form == LK_PARENT_INHERITED) view->info &= (uint8_t)~LK_INFO_SUB;
}

static lk_err copy_structs(lk_update_reader *in, lk_update_writer *to, bool forget) {
  uint64_t client, clock, count;
  lk_struct view;
  lk_err err;
  memset(&view, 0xA5, sizeof view); /* what is not of its kind may hold anything */
  while ((err = lk_update_next_client(in, &client, &clock, &count)) == LK_OK) {
    bool begins = true; /* a client may have empty texts alone, which are not handed out */
    while ((err = lk_update_next_struct(in, &view)) == LK_OK) {
      if (begins) lk_update_write_client(to, client, clock);
      begins = false;
      if (forget) forget_sub(&view);
      lk_update_write_struct(to, &view, 0);
    }
    if (err != LK_ERR_END) return err;
  }
  return err;
}

static lk_err copy_deletes(lk_update_reader *in, lk_update_writer *to) {
  uint64_t client, clock, count, len;
  lk_err err;
  lk_update_write_deletes(to);
  while ((err = lk_update_next_delete_client(in, &client, &count)) == LK_OK) {
    lk_update_write_delete_client(to, client, count);
    while ((err = lk_update_next_delete(in, &clock, &len)) == LK_OK)
      lk_update_write_delete(to, clock, len);
    if (err != LK_ERR_END) return err;
  }
  return err;
}

static lk_err convert_with(const lk_alloc *alloc, lk_update_format from, lk_slice update,
                           lk_update_format to, bool forget, lk_buf *out) {
  lk_update_reader in;
  lk_update_writer writer;
  lk_arena scratch;
  lk_arena_init(&scratch, alloc, MAX);
  lk_update_writer_init(&writer, alloc, to, MAX);
  lk_err err = lk_update_reader_init(&in, from, update, DEPTH, &scratch);
  if (err == LK_OK) err = copy_structs(&in, &writer, forget);
  if (err == LK_ERR_END) err = copy_deletes(&in, &writer);
  if (err == LK_ERR_END) err = lk_update_writer_finish(&writer, out);
  lk_update_writer_deinit(&writer);
  lk_update_writer_deinit(&writer);
  lk_arena_deinit(&scratch);
  return err;
}

static lk_err convert(lk_update_format from, lk_slice update, lk_update_format to, lk_buf *out) {
  return convert_with(test_alloc(), from, update, to, true, out);
}

static lk_err read_all(lk_update_format format, lk_slice update) {
  lk_buf out = new_buf();
  lk_err err = convert(format, update, format, &out);
  lk_buf_deinit(&out);
  return err;
}

static void check_converts(const char *name, lk_update_format from, const char *hex,
                           lk_update_format to, const char *want) {
  lk_buf out = new_buf();
  lk_slice update = bytes_of(hex);
  test_note("%s, V%d to V%d", name, (int)from, (int)to);
  CHECK_OK(convert(from, update, to, &out));
  check_hex(name, lk_buf_slice(&out), want);
  free_copy(update);
  lk_buf_deinit(&out);
}

/* Goal: what Yjs writes is read, and written as Yjs writes it, whichever format it comes and goes in. */
TEST(every_kind_of_content_is_written_as_yjs_writes_it) {
  for (size_t i = 0; i < FIXTURE_COUNT; i++) {
    const fixture *f = &fixtures[i];
    check_converts(f->name, LK_UPDATE_V1, f->v1, LK_UPDATE_V1, f->v1);
    check_converts(f->name, LK_UPDATE_V1, f->v1, LK_UPDATE_V2, f->v2);
    check_converts(f->name, LK_UPDATE_V2, f->v2, LK_UPDATE_V1, f->v1);
    check_converts(f->name, LK_UPDATE_V2, f->v2, LK_UPDATE_V2, f->v2);
  }
}

/* Goal: the bit for "in a map" stays where the parent is inherited; whoever forgets it writes what Yjs
 * writes without a document. */
TEST(an_item_in_a_map_keeps_its_bit_where_its_parent_is_inherited) {
  static const char *v1 = "010204002101016d016b01a80400017d020104010001";
  static const char *v2 = "0000024400010000032100a805026d6b41000101000241000102007d020104010000";
  static const char *forgotten = "010204002101016d016b01880400017d020104010001";
  lk_slice first = bytes_of(v1), second = bytes_of(v2);
  lk_buf out = new_buf();
  CHECK_OK(convert_with(test_alloc(), LK_UPDATE_V1, first, LK_UPDATE_V1, false, &out));
  check_hex("V1", lk_buf_slice(&out), v1);
  lk_buf_truncate(&out, 0);
  CHECK_OK(convert_with(test_alloc(), LK_UPDATE_V2, second, LK_UPDATE_V1, false, &out));
  check_hex("V2 to V1", lk_buf_slice(&out), v1);
  lk_buf_truncate(&out, 0);
  CHECK_OK(convert_with(test_alloc(), LK_UPDATE_V1, first, LK_UPDATE_V2, false, &out));
  check_hex("V1 to V2", lk_buf_slice(&out), v2);
  lk_buf_deinit(&out);
  check_converts("forgotten", LK_UPDATE_V1, v1, LK_UPDATE_V1, forgotten);
  free_copy(first);
  free_copy(second);
}

/* ---- views ---- */

static const fixture *fixture_of(const char *name) {
  for (size_t i = 0; i < FIXTURE_COUNT; i++)
    if (lk_slice_equal(lk_slice_cstr(fixtures[i].name), lk_slice_cstr(name))) return &fixtures[i];
  LK_UNREACHABLE();
}

typedef struct opened {
  lk_slice update;
  lk_arena scratch;
  lk_update_reader in;
  uint64_t client, clock, count;
} opened;

static void open_hex(opened *self, lk_update_format format, const char *hex) {
  self->update = bytes_of(hex);
  self->scratch = new_arena();
  CHECK_OK(lk_update_reader_init(&self->in, format, self->update, DEPTH, &self->scratch));
}

static void open_client(opened *self, lk_update_format format, const char *hex) {
  open_hex(self, format, hex);
  CHECK_OK(lk_update_next_client(&self->in, &self->client, &self->clock, &self->count));
}

static void close_opened(opened *self) {
  lk_arena_deinit(&self->scratch);
  free_copy(self->update);
}

/* The struct at |index| of the first client. */
static lk_struct struct_at(opened *self, size_t index) {
  lk_struct view;
  for (size_t i = 0; i <= index; i++) CHECK_OK(lk_update_next_struct(&self->in, &view));
  return view;
}

static void open_fixture(opened *self, int format, const char *name) {
  const fixture *f = fixture_of(name);
  open_client(self, (lk_update_format)format, format == LK_UPDATE_V1 ? f->v1 : f->v2);
}

TEST(a_view_of_a_text_has_its_ids_and_its_length_in_units) {
  opened o;
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "text");
    CHECK_U64(o.client, 3000000001);
    CHECK_U64(o.clock, 0);
    CHECK_U64(o.count, 4);
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.parent_form, LK_PARENT_ROOT);
    CHECK_TEXT(view.parent_name, "t");
    CHECK_TEXT(view.text.text, "he");
    view = struct_at(&o, 0);
    CHECK_U64(view.kind, LK_CONTENT_DELETED);
    CHECK_U64(view.len, 3);
    CHECK_U64(view.id.clock, 2);
    CHECK_U64(view.parent_form, LK_PARENT_INHERITED);
    view = struct_at(&o, 1);
    CHECK_U64(view.info, LK_CONTENT_STRING | LK_INFO_ORIGIN | LK_INFO_RIGHT);
    CHECK_U64(view.origin.client, 3000000001);
    CHECK_U64(view.origin.clock, 4);
    CHECK_U64(view.right.clock, 5);
    CHECK_U64(view.id.clock, 11);
    CHECK_ERR(lk_update_next_struct(&o.in, &view), LK_ERR_END);
    close_opened(&o);
  }
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "wide text");
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.text.text.len, 37);
    CHECK_U64(view.len, 30);
    CHECK_U64(view.text.low_first | view.text.high_last, 0);
    close_opened(&o);
  }
}

TEST(a_view_of_a_value_has_it_in_the_words_of_its_format) {
  opened o;
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "format");
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.kind, LK_CONTENT_FORMAT);
    CHECK_U64(view.len, 1);
    CHECK_TEXT(view.key, "bold");
    CHECK_U64(view.value_is_json, format == 1);
    if (format == 1) CHECK_TEXT(view.value, "true");
    else CHECK_TEXT(view.value, "\x78");
    while (view.kind != LK_CONTENT_EMBED) view = struct_at(&o, 0);
    if (format == 1) CHECK_TEXT(view.value, "{\"2\":0,\"image\":\"u\"}");
    else
      CHECK_TEXT(view.value, "\x76\x02\x01"
                             "2\x7D\x00\x05image\x77\x01u");
    close_opened(&o);
  }
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "json");
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.len, 4);
    CHECK_TEXT(view.value, "\x07{\"a\":1}\x09undefined\x03\"x\"\x06[null]");
    close_opened(&o);
  }
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "array");
    CHECK_TEXT(struct_at(&o, 0).value, "\x7D\x01\x77\x03two");
    lk_struct view = struct_at(&o, 1);
    CHECK_U64(view.kind, LK_CONTENT_BINARY);
    CHECK_TEXT(view.value, "\x01\x02\xFF");
    close_opened(&o);
  }
}

TEST(a_view_of_a_type_or_a_subdocument_has_its_name) {
  opened o;
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "types");
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.type_ref, 0);
    view = struct_at(&o, 1);
    CHECK_U64(view.type_ref, 2);
    view = struct_at(&o, 1);
    CHECK_U64(view.kind, LK_CONTENT_TYPE);
    CHECK_U64(view.type_ref, LK_TYPE_REF_ELEMENT);
    CHECK_TEXT(view.key, "p");
    view = struct_at(&o, 1);
    CHECK_U64(view.type_ref, LK_TYPE_REF_HOOK);
    CHECK_TEXT(view.key, "hook");
    view = struct_at(&o, 2);
    CHECK_TEXT(view.parent_name, "m");
    CHECK_TEXT(view.sub, "t");
    view = struct_at(&o, 0);
    CHECK_U64(view.parent_form, LK_PARENT_ITEM);
    CHECK_U64(view.parent_id.client, 200);
    CHECK_U64(view.parent_id.clock, 10);
    CHECK_TEXT(view.sub, "x");
    close_opened(&o);
  }
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "subdoc");
    lk_struct view = struct_at(&o, 0);
    CHECK_U64(view.kind, LK_CONTENT_DOC);
    CHECK_TEXT(view.key, "g-1");
    CHECK_TEXT(view.value, "\x76\x00");
    close_opened(&o);
  }
  for (int format = 1; format <= 2; format++) {
    open_fixture(&o, format, "skip");
    lk_struct view = struct_at(&o, 1);
    CHECK_U64(view.kind, LK_CONTENT_SKIP);
    CHECK_U64(view.len, 2);
    close_opened(&o);
  }
}

/* ---- halves of pairs ---- */

/* Goal: V2's texts may be cut inside a pair; side by side the halves are a pair again, alone they are
 * U+FFFD. The bytes are what Yjs makes of "a\ud83d", "\ude00b", "\ude00". */
TEST(texts_that_are_cut_inside_a_pair_keep_its_halves_in_the_second_format) {
  static const char *v2 =
      "000002410102020400030400840f0a7461f09f988062efbfbd014200010101000001030000";
  static const char *v1 = "01030100040101740461efbfbd84010104efbfbd6284010303efbfbd00";
  check_converts("halves", LK_UPDATE_V2, v2, LK_UPDATE_V2, v2);
  check_converts("halves", LK_UPDATE_V2, v2, LK_UPDATE_V1, v1);
  opened o;
  open_client(&o, LK_UPDATE_V2, v2);
  lk_struct view = struct_at(&o, 0);
  CHECK_TEXT(view.text.text, "a");
  CHECK_U64(view.text.high_last, 0xD83D);
  CHECK_U64(view.len, 2);
  view = struct_at(&o, 0);
  CHECK_U64(view.text.low_first, 0xDE00);
  CHECK_TEXT(view.text.text, "b");
  CHECK_U64(view.len, 2);
  close_opened(&o);
}

/* Goal: behind half a pair even ASCII begins with the other half. The column is "a", a pair, "bcd", cut
 * after two, three and one units. */
TEST(ascii_behind_half_a_pair_begins_with_the_other_half) {
  opened o;
  open_client(
      &o, LK_UPDATE_V2,
      "00 00 024101 020100 00 03040084 0e09 7461f09f9880626364 01020301 0101 00 00 010300 00");
  lk_struct view = struct_at(&o, 1);
  CHECK_U64(view.text.low_first, 0xDE00);
  CHECK_TEXT(view.text.text, "bc");
  CHECK_U64(view.len, 3);
  CHECK_TEXT(struct_at(&o, 0).text.text, "d");
  close_opened(&o);
}

static void check_text_column(const lk_column_piece *texts, size_t count, const char *want) {
  lk_update_writer writer;
  lk_buf out = new_buf();
  lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V2, MAX);
  lk_update_write_client(&writer, 1, 0);
  for (size_t i = 0; i < count; i++) {
    lk_struct view = { .kind = LK_CONTENT_STRING,
                       .info = LK_CONTENT_STRING | LK_INFO_ORIGIN,
                       .len = 2,
                       .text = texts[i] };
    lk_update_write_struct(&writer, &view, 0);
  }
  CHECK_OK(lk_update_writer_finish(&writer, &out));
  CHECK(lk_slice_find(lk_buf_slice(&out), lk_slice_cstr(want)) != LK_SLICE_NONE);
  lk_update_writer_deinit(&writer);
  lk_buf_deinit(&out);
}

/* Goal: a half whose other one does not follow is U+FFFD, before another text and at the end. */
TEST(half_a_pair_that_stays_alone_is_written_as_a_replacement) {
  lk_column_piece texts[] = { { .text = LK_LIT_INIT("a"), .high_last = 0xD83D },
                              { .text = LK_LIT_INIT("bc") },
                              { .text = LK_LIT_INIT("d"), .high_last = 0xD83D } };
  check_text_column(texts, 3,
                    "\x0A"
                    "a\xEF\xBF\xBD"
                    "bcd\xEF\xBF\xBD\x42\x01");
}

/* Goal: what is no text of a document has no halves. Method: the same column, a length differently cut,
 * so that the name of the root ends with half a pair. */
#define HALF_NAME "00000101000001040805 74f09f9880020101010000 01010000"

TEST(a_name_that_is_cut_inside_a_pair_ends_with_a_replacement) {
  opened o;
  open_client(&o, LK_UPDATE_V2, HALF_NAME);
  lk_struct view = struct_at(&o, 0);
  CHECK_TEXT(view.parent_name, "t\xEF\xBF\xBD");
  CHECK_U64(view.text.low_first, 0xDE00);
  CHECK_U64(view.text.text.len, 0);
  CHECK_U64(view.len, 1);
  close_opened(&o);
}

/* ---- cutting ---- */

typedef struct cut_case {
  const char *name;
  uint64_t count;
  const char *whole, *diff_v1, *diff_v2, *merged;
} cut_case;

/* A struct of client 300, diffUpdate at |count|, and mergeUpdates of a GC of |count| with all but its
 * first clock. */
static const cut_case cuts[] = {
  { "text", 2, "0101ac0200040101610568656c6c6f00", "0101ac020284ac0201036c6c6f00",
    "000003ec0400010200018405036c6c6f0300000001010200",
    "0102ac0200000284ac0201036c6c6f01ac02010002" },
  { "pair", 3, "0101ac020004010161076162f09f98806200", "0101ac020384ac020204efbfbd6200",
    "000003ec040001040001840604efbfbd620200000001010300",
    "0102ac0200000384ac020204efbfbd6201ac02010003" },
  { "wide", 3, "0101ac0200040101610ac3a9f09f9880e4b8966200", "0101ac020384ac020204e4b8966200",
    "000003ec040001040001840604e4b896620200000001010300",
    "0102ac0200000384ac020204e4b8966201ac02010003" },
  { "any", 3, "0101ac020008010161047d017701787601016175027d017d027e00", "0101ac020388ac0202017e00",
    "000003ec040001040001880100000001010101037e00", "0102ac0200000388ac0202017e01ac02010003" },
  { "json", 2, "0101ac020002010161040131032278220b7b2261223a5b312c325d7d046e756c6c00",
    "0101ac020282ac0201020b7b2261223a5b312c325d7d046e756c6c00",
    "000003ec04000102000182120f7b2261223a5b312c325d7d6e756c6c0b040000010201010200",
    "0102ac0200000282ac0201020b7b2261223a5b312c325d7d046e756c6c01ac02010002" },
  { "deleted", 4, "0101ac0200010101610901ac02010009", "0101ac020481ac02030501ac02010009",
    "000003ec0400010600018101000000010501010401ac02010008",
    "0102ac0200000481ac02030501ac02010009" },
  { "gc", 4, "0101ac0200000901ac02010009", "0101ac0204000501ac02010009",
    "000002ac040000010001000000010501010401ac02010008", "0101ac0200000901ac02010009" },
};

static void write_cut(const cut_case *c, lk_update_format format, bool offset, lk_buf *out) {
  opened o;
  lk_update_writer writer;
  open_client(&o, LK_UPDATE_V1, c->whole);
  lk_struct view = struct_at(&o, 0);
  lk_update_writer_init(&writer, test_alloc(), format, MAX);
  lk_update_write_client(&writer, 300, c->count);
  if (!offset) lk_struct_cut_front(&view, c->count);
  lk_update_write_struct(&writer, &view, offset ? c->count : 0);
  CHECK_ERR(lk_update_next_struct(&o.in, &view), LK_ERR_END);
  CHECK_ERR(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count), LK_ERR_END);
  CHECK_ERR(copy_deletes(&o.in, &writer), LK_ERR_END);
  CHECK_OK(lk_update_writer_finish(&writer, out));
  lk_update_writer_deinit(&writer);
  close_opened(&o);
}

TEST(a_struct_without_its_first_clocks_is_written_as_in_yjs) {
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    lk_buf out = new_buf();
    for (int offset = 0; offset < 2; offset++) {
      write_cut(&cuts[i], LK_UPDATE_V1, offset == 1, &out);
      check_hex(cuts[i].name, lk_buf_slice(&out), cuts[i].diff_v1);
      lk_buf_truncate(&out, 0);
      write_cut(&cuts[i], LK_UPDATE_V2, offset == 1, &out);
      check_hex(cuts[i].name, lk_buf_slice(&out), cuts[i].diff_v2);
      lk_buf_truncate(&out, 0);
    }
    lk_buf_deinit(&out);
  }
}

/* Goal: the two ways to cut differ where a pair is cut and its first half waits in the column.
 * Method: "a" and half a pair, then a text that begins with the pair cut by one, both ways. */
TEST(half_a_pair_that_an_offset_leaves_joins_and_one_that_a_cut_leaves_does_not) {
  lk_struct first = { .kind = LK_CONTENT_STRING,
                      .info = LK_CONTENT_STRING,
                      .len = 2,
                      .parent_form = LK_PARENT_ROOT,
                      .parent_name = LK_LIT_INIT("t"),
                      .text = { .text = LK_LIT_INIT("a"), .high_last = 0xD83D } };
  lk_struct second = { .kind = LK_CONTENT_STRING,
                       .info = LK_CONTENT_STRING | LK_INFO_ORIGIN,
                       .id = { 1, 1 },
                       .len = 3,
                       .text = { .text = LK_LIT_INIT("\xF0\x9F\x98\x80"
                                                     "b") } };
  static const char *want[] = { "ta\xF0\x9F\x98\x80"
                                "b",
                                "ta\xEF\xBF\xBD\xEF\xBF\xBD"
                                "b" };
  for (int cut = 0; cut < 2; cut++) {
    lk_update_writer writer;
    lk_struct view = second;
    lk_buf out = new_buf();
    lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V2, MAX);
    lk_update_write_client(&writer, 1, 0);
    lk_update_write_struct(&writer, &first, 0);
    if (cut) lk_struct_cut_front(&view, 1);
    lk_update_write_struct(&writer, &view, cut ? 0 : 1);
    CHECK_OK(lk_update_writer_finish(&writer, &out));
    CHECK(lk_slice_find(lk_buf_slice(&out), lk_slice_cstr(want[cut])) != LK_SLICE_NONE);
    CHECK(lk_slice_find(lk_buf_slice(&out), lk_slice_cstr(want[!cut])) == LK_SLICE_NONE);
    lk_update_writer_deinit(&writer);
    lk_buf_deinit(&out);
  }
}

/* ---- values come canonical ---- */

typedef struct pair_of_hex {
  const char *from, *to;
} pair_of_hex;

/* From V1 by way of Yjs' own reading, as for example new Doc() understands options. */
static const pair_of_hex options[] = {
  { "01010100090101610167760000", "01010100090101610167760000" },
  { "010101000901016101677602086175746f4c6f61647d010267637d0000",
    "01010100090101610167760202676379086175746f4c6f61647800" },
  { "010101000901016101677602046d6574617e01787d0100", "01010100090101610167760000" },
  { "0101010009010161016776020267637f086175746f4c6f6164770000", "01010100090101610167760000" },
  { "01010100090101610167770361626300", "01010100090101610167760000" },
  { "0101010009010161016775017d0100", "01010100090101610167760000" },
  { "010101000901016101677604046d6574617d000267637700086175746f4c6f61647701790a73686f756c644c6f61"
    "647800",
    "01010100090101610167760302676379086175746f4c6f616478046d6574617d0000" },
  { "0101010009010161016776030267637b7ff8000000000000086175746f4c6f61647b7ff8000000000000046d6574"
    "617f00",
    "0101010009010161016776010267637900" },
  { "0101010009010161016776020267637a0000000000000000086175746f4c6f61647c3fc0000000",
    "01010100090101610167760202676379086175746f4c6f61647800" },
  { "0101010009010161016776020267637600086175746f4c6f6164750000",
    "010101000901016101677601086175746f4c6f61647800" },
  { "0101010009010161016776020267637c3f000000086175746f4c6f61647a000000000000000500",
    "010101000901016101677601086175746f4c6f61647800" },
  { "0101010009010161016776020267637d40086175746f4c6f61647c7f80000000",
    "01010100090101610167760202676379086175746f4c6f61647800" },
  { "010101000901016101677601086175746f4c6f61647d4000", "01010100090101610167760000" },
};

TEST(options_of_a_subdocument_come_as_the_document_made_of_them_would_write_them) {
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    check_converts("options", LK_UPDATE_V1, options[i].from, LK_UPDATE_V1, options[i].to);
}

TEST(options_that_no_document_can_be_made_of_are_refused) {
  static const char *hex[] = { "01010100090101610167 7e 00", "01010100090101610167 7f 00",
                               "01010100090101610167 760104 67756964 770178 00" };
  for (size_t i = 0; i < 3; i++) {
    lk_slice update = bytes_of(hex[i]);
    CHECK_ERR(read_all(LK_UPDATE_V1, update), LK_ERR_CORRUPT);
    free_copy(update);
  }
}

/* Goal: however a value or a number was written, it is written as Yjs writes it.
 * Method: an array's values with a long varint, a float that is an integer, keys out of order, a key twice; JSON
 * with spaces; lengths in more bytes than they need. */
TEST(what_was_not_written_as_yjs_writes_it_comes_out_as_if_it_were) {
  static const pair_of_hex cases[] = {
    { "010101000801016101 7d8100 00", "010101000801016101 7d01 00" },
    { "010101000801016102 7e 7b4014000000000000 00", "010101000801016102 7e 7d05 00" },
    { "010101000801016103 7e 760201627d0101317d02 7dc100 00",
      "010101000801016103 7e 760201317d0201627d01 7d41 00" },
    { "010101000801016101 760201617d0101617d02 00", "010101000801016101 760101617d02 00" },
    { "010101000201016103 0131 03203220 09756e646566696e6564 00",
      "010101000201016103 0131 0132 09756e646566696e6564 00" },
    { "010101000201016102 8100 31 0132 00", "010101000201016102 0131 0132 00" },
    { "0101010005010161 065b20312e305d 00", "0101010005010161 035b315d 00" },
    { "0101010006010161 0162 047b207d20 00", "0101010006010161 0162 027b7d 00" },
    { "8100 8100 8100 8000 04 8100 8100 61 8200 6262 8000", "0101010004010161026262 00" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    check_converts("values", LK_UPDATE_V1, cases[i].from, LK_UPDATE_V1, cases[i].to);
  }
  CHECK_COVERED(update_values_are_rewritten);
}

/* Goal: numbers are read alike whether they are long or short, and whether or not much input follows.
 * Method: a text with origin and right origin, each number written in 1 to 10 bytes, with nothing and with sixty
 * structs behind it. */
static void append_padded(lk_buf *out, uint64_t value, size_t len) {
  for (size_t i = 0; i + 1 < len; i++, value >>= 7) lk_buf_append_u8(out, (uint8_t)(value | 0x80));
  CHECK(value < 0x80);
  lk_buf_append_u8(out, (uint8_t)value);
}

static void check_padded(size_t len, size_t behind, uint64_t client) {
  lk_buf buf = new_buf();
  lk_arena scratch = new_arena();
  lk_update_reader in;
  lk_struct view;
  uint64_t got[3];
  lk_varuint_encode(&buf, 1);
  lk_varuint_encode(&buf, 1 + behind);
  append_padded(&buf, 130, lk_max_size(len, 2));
  append_padded(&buf, 5, len);
  lk_buf_append_u8(&buf, LK_CONTENT_STRING | LK_INFO_ORIGIN | LK_INFO_RIGHT);
  append_padded(&buf, client, lk_max_size(len, 2));
  append_padded(&buf, 7, len);
  append_padded(&buf, 130, lk_max_size(len, 2));
  append_padded(&buf, 9, len);
  append_padded(&buf, 3, len);
  lk_buf_append(&buf, LK_LIT("abc"));
  for (size_t i = 0; i < behind; i++) lk_buf_append(&buf, LK_LIT("\0\1"));
  lk_buf_append_u8(&buf, 0);
  lk_slice update = exact_copy(lk_buf_slice(&buf));
  test_note("%zu bytes, %zu structs behind", len, behind);
  CHECK_OK(lk_update_reader_init(&in, LK_UPDATE_V1, update, DEPTH, &scratch));
  CHECK_OK(lk_update_next_client(&in, &got[0], &got[1], &got[2]));
  CHECK_OK(lk_update_next_struct(&in, &view));
  CHECK_U64(view.id.client, 130);
  CHECK_U64(view.id.clock, 5);
  CHECK_U64(view.origin.client, client);
  CHECK_U64(view.origin.clock, 7);
  CHECK_U64(view.right.client, 130);
  CHECK_U64(view.right.clock, 9);
  CHECK_TEXT(view.text.text, "abc");
  CHECK_OK(read_all(LK_UPDATE_V1, update));
  free_copy(update);
  lk_arena_deinit(&scratch);
  lk_buf_deinit(&buf);
}

TEST(numbers_are_read_alike_in_any_length_and_anywhere) {
  for (size_t len = 1; len <= 10; len++) {
    check_padded(len, 0, 130);
    check_padded(len, 60, 130);
    check_padded(len, 0, 16000);
    check_padded(len, 60, 16000);
  }
}

/* What Yjs writes of "ab", insertEmbed(1, '') and "c" at the end; and yrs of "ab" and insert(1, '', { bold: true }). */
TEST(texts_of_nothing_are_passed_over) {
  static const struct {
    const char *hex;
    uint32_t structs;
  } cases[] = {
    { "010401000401017401618401000162c40100010100840101016300", 3 },
    { "010501000401017401618401000162c60100010104626f6c640474727565c40102010100c6010201010462"
      "6f6c64046e756c6c00",
      4 },
    { "01010100040101740000", 0 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_slice update = bytes_of(cases[i].hex);
    lk_arena scratch = new_arena();
    lk_update_reader in;
    lk_struct view;
    uint64_t client, clock, count;
    CHECK_OK(lk_update_reader_init(&in, LK_UPDATE_V1, update, DEPTH, &scratch));
    CHECK_OK(lk_update_next_client(&in, &client, &clock, &count));
    CHECK_U64(count, cases[i].structs + 1);
    for (uint32_t k = 0; k < cases[i].structs; k++) {
      CHECK_OK(lk_update_next_struct(&in, &view));
      CHECK_U64(view.id.clock, k);
    }
    CHECK_ERR(lk_update_next_struct(&in, &view), LK_ERR_END);
    CHECK_COVERED(update_empty_text);
    lk_arena_deinit(&scratch);
    free_copy(update);
  }
}

/* ---- hostile bytes ---- */

/* Goal: an update that ends early is no update. */
TEST(every_update_that_ends_early_is_refused) {
  for (size_t i = 0; i < FIXTURE_COUNT; i++) {
    for (int format = 1; format <= 2; format++) {
      lk_slice whole = bytes_of(format == 1 ? fixtures[i].v1 : fixtures[i].v2);
      for (size_t len = 0; len < whole.len; len++) {
        lk_slice part = exact_copy(lk_slice_first(whole, len));
        lk_err err = read_all((lk_update_format)format, part);
        test_note("%s, V%d, %zu bytes", fixtures[i].name, format, len);
        CHECK_ERR(err, LK_ERR_TRUNCATED);
        free_copy(part);
      }
      free_copy(whole);
    }
  }
}

TEST(bytes_behind_the_delete_set_are_refused) {
  lk_slice first = bytes_of("000000"), second = bytes_of("0000000000000100000000000000");
  CHECK_ERR(read_all(LK_UPDATE_V1, first), LK_ERR_TRAILING);
  CHECK_ERR(read_all(LK_UPDATE_V2, second), LK_ERR_TRAILING);
  free_copy(first);
  free_copy(second);
}

typedef struct hostile_case {
  const char *what;
  lk_update_format format;
  const char *hex;
  lk_err want;
} hostile_case;

#define V1_HEAD "01010100" /* a client, a struct, client 1, clock 0 */
/* Client 1, clock 0; a struct with |infos|, |texts|, |parents|, |types|, |lens|, |rest|. */
#define V2_OF(keys, clients, lefts, infos, texts, parents, types, lens, rest)                      \
  "00" keys clients lefts "00" infos texts parents types lens "010100" rest

static const hostile_case hostile[] = {
  { "a kind that is not known", LK_UPDATE_V1, V1_HEAD "0b01016100 00", LK_ERR_CORRUPT },
  { "the last kind there could be", LK_UPDATE_V1, V1_HEAD "1f01016100 00", LK_ERR_CORRUPT },
  { "GC with a bit", LK_UPDATE_V1, V1_HEAD "200100", LK_ERR_CORRUPT },
  { "GC with an origin", LK_UPDATE_V1, V1_HEAD "8001000100", LK_ERR_CORRUPT },
  { "Skip with a bit", LK_UPDATE_V1, V1_HEAD "2a0100", LK_ERR_CORRUPT },
  { "Skip with a right origin", LK_UPDATE_V1, V1_HEAD "4a01000100", LK_ERR_CORRUPT },
  { "GC of nothing", LK_UPDATE_V1, V1_HEAD "0000 00", LK_ERR_CORRUPT },
  { "Skip of nothing", LK_UPDATE_V1, V1_HEAD "0a00 00", LK_ERR_CORRUPT },
  { "no values", LK_UPDATE_V1, V1_HEAD "08010161 00 00", LK_ERR_CORRUPT },
  { "no JSON", LK_UPDATE_V1, V1_HEAD "02010161 00 00", LK_ERR_CORRUPT },
  { "nothing deleted", LK_UPDATE_V1, V1_HEAD "01010161 00 00", LK_ERR_CORRUPT },
  { "a parent of another sort", LK_UPDATE_V1, V1_HEAD "04020161 0162 00", LK_ERR_CORRUPT },
  { "a type that is not known", LK_UPDATE_V1, V1_HEAD "07010161 07 00", LK_ERR_CORRUPT },
  { "an any that is not known", LK_UPDATE_V1, V1_HEAD "08010161 0173 00", LK_ERR_CORRUPT },
  { "text that is not UTF-8", LK_UPDATE_V1, V1_HEAD "04010161 02c328 00", LK_ERR_UTF8 },
  { "a name that is not UTF-8", LK_UPDATE_V1, V1_HEAD "040101ff 0161 00", LK_ERR_UTF8 },
  { "text that ends inside a character", LK_UPDATE_V1, V1_HEAD "04010161 02e282 00", LK_ERR_UTF8 },
  { "long text with one bad byte", LK_UPDATE_V1, V1_HEAD "04010161 0b 6161616161616161 ff 6161 00",
    LK_ERR_UTF8 },
  { "JSON that is none", LK_UPDATE_V1, V1_HEAD "05010161 017b 00", LK_ERR_TRUNCATED },
  { "JSON with a wrong word", LK_UPDATE_V1, V1_HEAD "05010161 0178 00", LK_ERR_SYNTAX },
  { "two JSON values", LK_UPDATE_V1, V1_HEAD "05010161 03312032 00", LK_ERR_TRAILING },
  { "empty JSON", LK_UPDATE_V1, V1_HEAD "02010161 0100 00", LK_ERR_TRUNCATED },
  { "more values than bytes", LK_UPDATE_V1, V1_HEAD "08010161 ffffffffffffff0f7e",
    LK_ERR_TRUNCATED },
  { "a text longer than memory", LK_UPDATE_V1, V1_HEAD "04010161 ffffffffffffff0f 00",
    LK_ERR_TRUNCATED },
  { "a client above 2^53", LK_UPDATE_V1, "0101 8080808080808010 00 0001 00", LK_ERR_RANGE },
  { "a clock above 2^53", LK_UPDATE_V1, "010101 8080808080808010 0001 00", LK_ERR_RANGE },
  { "a struct that goes beyond 2^53", LK_UPDATE_V1, "010101 ffffffffffffff0f 0001 00",
    LK_ERR_RANGE },
  { "an origin above 2^53", LK_UPDATE_V1, V1_HEAD "8401 8080808080808010 0161 00", LK_ERR_RANGE },
  { "a number without end", LK_UPDATE_V1, "ffffffffffffffffffffffffff", LK_ERR_RANGE },
  { "a range that goes beyond 2^53", LK_UPDATE_V1, "00 010101 ffffffffffffff0f 01", LK_ERR_RANGE },
  { "a feature flag", LK_UPDATE_V2, "01000000000001000000000000", LK_ERR_CORRUPT },
  { "a column longer than memory", LK_UPDATE_V2, "00ffffffffffffff0f", LK_ERR_TRUNCATED },
  { "texts that are not UTF-8", LK_UPDATE_V2, "0000000000000201ff0000000000", LK_ERR_UTF8 },
  { "GC of nothing in V2", LK_UPDATE_V2,
    V2_OF("00", "0101", "00", "0100", "0100", "00", "00", "0100", "00"), LK_ERR_CORRUPT },
  { "GC with a bit in V2", LK_UPDATE_V2,
    V2_OF("00", "0101", "00", "0120", "0100", "00", "00", "0101", "00"), LK_ERR_CORRUPT },
  { "Skip with a bit in V2", LK_UPDATE_V2,
    V2_OF("00", "0101", "00", "012a", "0100", "00", "00", "00", "0100"), LK_ERR_CORRUPT },
  { "a kind that is not known in V2", LK_UPDATE_V2,
    V2_OF("00", "020101", "0100", "018b", "0100", "00", "00", "00", "00"), LK_ERR_CORRUPT },
  { "more texts of nothing than there may be", LK_UPDATE_V2,
    "00 00 0341cf0f 0301ce0f 00 0184 040040ce0f 00 00 00 01d00f00 00", LK_ERR_CORRUPT },
  { "a text longer than its column", LK_UPDATE_V2,
    V2_OF("00", "020101", "0100", "0184", "03016102", "00", "00", "00", "00"), LK_ERR_TRUNCATED },
  { "an origin below 0", LK_UPDATE_V2,
    V2_OF("00", "020101", "0142", "0184", "03016101", "00", "00", "00", "00"), LK_ERR_RANGE },
  { "a parent of another sort in V2", LK_UPDATE_V2,
    V2_OF("00", "0101", "00", "0104", "0502616101 01", "0102", "00", "00", "00"), LK_ERR_CORRUPT },
  { "a type that is not known in V2", LK_UPDATE_V2,
    V2_OF("00", "020101", "0100", "0187", "0100", "00", "0107", "00", "00"), LK_ERR_CORRUPT },
  { "a key below 0", LK_UPDATE_V2,
    V2_OF("0142", "020101", "0100", "0186", "03016101", "00", "00", "00", "7e00"), LK_ERR_CORRUPT },
  { "JSON without text in V2", LK_UPDATE_V2,
    V2_OF("00", "020101", "0100", "0182", "040040ff7f", "00", "00", "08bfffffffffffff0f", "00"),
    LK_ERR_TRUNCATED },
  { "a range that goes beyond 2^53 in V2", LK_UPDATE_V2,
    "000000000000010000000000 010102 00ffffffffffffff0f 0000", LK_ERR_RANGE },
};

TEST(what_no_yjs_writes_is_refused_with_its_own_error) {
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
    lk_slice update = bytes_of(hostile[i].hex);
    test_note("%s", hostile[i].what);
    CHECK_ERR(read_all(hostile[i].format, update), hostile[i].want);
    free_copy(update);
  }
}

/* Goal: nesting is bounded by |any_depth|, in JSON too. */
TEST(values_nested_deeper_than_the_limit_are_refused) {
  for (int json = 0; json < 2; json++) {
    for (size_t depth = DEPTH; depth <= DEPTH + 1; depth++) {
      lk_buf buf = new_buf();
      lk_buf_append(&buf, json ? LK_LIT("\1\1\1\0\5\1\1a") : LK_LIT("\1\1\1\0\x08\1\1a\1"));
      if (json) lk_varuint_encode(&buf, 2 * depth);
      for (size_t i = 0; i < depth; i++)
        lk_buf_append(&buf, json            ? LK_LIT("[")
                            : i + 1 < depth ? LK_LIT("\x75\1")
                                            : LK_LIT("\x75\0"));
      for (size_t i = 0; json && i < depth; i++) lk_buf_append(&buf, LK_LIT("]"));
      lk_buf_append_u8(&buf, 0);
      CHECK_ERR(read_all(LK_UPDATE_V1, lk_buf_slice(&buf)), depth > DEPTH ? LK_ERR_DEPTH : LK_OK);
      lk_buf_deinit(&buf);
    }
  }
}

/* ---- what Yjs reads, and we too ---- */

TEST(clients_without_structs_are_passed_over_and_one_may_come_twice) {
  opened o;
  open_client(&o, LK_UPDATE_V1, "05 000905 010203 0001 000805 01020a 0002 000700 00");
  CHECK_U64(o.client, 2);
  CHECK_U64(o.clock, 3);
  CHECK_U64(struct_at(&o, 0).id.clock, 3);
  CHECK_ERR(lk_update_next_struct(&o.in, &(lk_struct){ 0 }), LK_ERR_END);
  CHECK_OK(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count));
  CHECK_U64(o.client, 2);
  CHECK_U64(o.clock, 10);
  CHECK_U64(struct_at(&o, 0).len, 2);
  CHECK_ERR(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count), LK_ERR_END);
  CHECK_ERR(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count), LK_ERR_END);
  CHECK_ERR(lk_update_next_delete_client(&o.in, &o.client, &o.count), LK_ERR_END);
  CHECK_ERR(lk_update_next_delete_client(&o.in, &o.client, &o.count), LK_ERR_END);
  close_opened(&o);
}

/* Goal: a key clock below the number of keys means an earlier key, another one the next text.
 * Method: three formats with the key clocks 0, 5, 0, 1; no Yjs writes them, but each reads them so. */
TEST(keys_of_the_second_format_may_refer_to_earlier_ones) {
  static const char *want[] = { "a", "b", "a", "b" };
  opened o;
  open_hex(&o, LK_UPDATE_V2, "0004000a4a020241030201020001860502616241000000000104007e7e7e7e00");
  CHECK_OK(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count));
  for (size_t i = 0; i < 4; i++) CHECK_SLICE(struct_at(&o, 0).key, lk_slice_cstr(want[i]));
  CHECK_COVERED(update_key_was_read_before);
  close_opened(&o);
}

/* 300 keys, then the first again, each of a format that is null. */
static void append_many_keys(lk_buf *out) {
  lk_column_diff_encoder clocks;
  lk_column_text_encoder texts;
  lk_slice column;
  lk_column_diff_encoder_init(&clocks, test_alloc(), MAX);
  lk_column_text_encoder_init(&texts, test_alloc(), MAX);
  for (uint32_t i = 0; i < 300; i++) {
    uint8_t key[] = { (uint8_t)('a' + i / 26), (uint8_t)('a' + i % 26) };
    lk_column_diff_append(&clocks, i);
    lk_column_text_append(&texts, lk_slice_of(key, 2));
  }
  lk_column_diff_append(&clocks, 0);
  lk_buf_append_u8(out, 0);
  CHECK_OK(lk_column_diff_finish(&clocks, &column));
  lk_lib0_bytes_encode(out, column);
  lk_buf_append(out, LK_LIT("\x03\x41\xAC\x02\x03\x01\xAB\x02\x00\x01\x86"));
  CHECK_OK(lk_column_text_finish(&texts, &column));
  lk_lib0_bytes_encode(out, column);
  lk_buf_append(out, LK_LIT("\0\0\0\1\xAD\x02\0"));
  for (size_t i = 0; i < 301; i++) lk_buf_append_u8(out, 0x7E);
  lk_buf_append_u8(out, 0);
  lk_column_diff_encoder_deinit(&clocks);
  lk_column_text_encoder_deinit(&texts);
}

/* Goal: the table of keys grows, and an early key is still there. */
TEST(hundreds_of_keys_are_remembered) {
  lk_buf out = new_buf();
  opened o = { .scratch = new_arena() };
  append_many_keys(&out);
  o.update = exact_copy(lk_buf_slice(&out));
  CHECK_OK(lk_update_reader_init(&o.in, LK_UPDATE_V2, o.update, DEPTH, &o.scratch));
  CHECK_OK(lk_update_next_client(&o.in, &o.client, &o.clock, &o.count));
  CHECK_TEXT(struct_at(&o, 0).key, "aa");
  CHECK_TEXT(struct_at(&o, 298).key, "ln");
  CHECK_TEXT(struct_at(&o, 0).key, "aa");
  close_opened(&o);
  lk_buf_deinit(&out);
}

/* ---- delete sets ---- */

static void check_ranges(lk_update_format format, const char *hex) {
  static const uint64_t want[][2] = { { 3, 2 }, { 5, 1 }, { 300, 1000 } };
  opened o;
  uint64_t client, count, clock, len;
  open_hex(&o, format, hex);
  CHECK_ERR(lk_update_next_client(&o.in, &client, &clock, &count), LK_ERR_END);
  CHECK_OK(lk_update_next_delete_client(&o.in, &client, &count));
  CHECK_U64(client, 200);
  CHECK_U64(count, 3);
  for (size_t i = 0; i < 3; i++) {
    CHECK_OK(lk_update_next_delete(&o.in, &clock, &len));
    CHECK_U64(clock, want[i][0]);
    CHECK_U64(len, want[i][1]);
  }
  CHECK_ERR(lk_update_next_delete(&o.in, &clock, &len), LK_ERR_END);
  CHECK_OK(lk_update_next_delete_client(&o.in, &client, &count));
  CHECK_U64(client, 1);
  CHECK_U64(count, 0);
  CHECK_ERR(lk_update_next_delete(&o.in, &clock, &len), LK_ERR_END);
  CHECK_ERR(lk_update_next_delete_client(&o.in, &client, &count), LK_ERR_END);
  close_opened(&o);
}

TEST(ranges_are_absolute_in_the_first_format_and_steps_in_the_second) {
  static const char *v1 = "00 02 c801 03 0302 0501 ac02e807 0100";
  static const char *v2 = "000000000000010000000000 02 c801 03 0301 0000 a602e707 0100";
  check_ranges(LK_UPDATE_V1, v1);
  check_ranges(LK_UPDATE_V2, v2);
  check_converts("ranges", LK_UPDATE_V1, v1, LK_UPDATE_V2, v2);
  check_converts("ranges", LK_UPDATE_V2, v2, LK_UPDATE_V1, v1);
}

TEST(ranges_that_the_second_format_cannot_say_are_an_error_there) {
  static const char *hex[] = { "00 01 01 01 0500", "00 01 01 02 0501 0401" };
  for (size_t i = 0; i < 2; i++) {
    lk_buf out = new_buf();
    lk_slice update = bytes_of(hex[i]);
    CHECK_ERR(convert(LK_UPDATE_V1, update, LK_UPDATE_V2, &out), LK_ERR_RANGE);
    CHECK_U64(out.len, 0);
    CHECK_OK(convert(LK_UPDATE_V1, update, LK_UPDATE_V1, &out));
    CHECK_SLICE(lk_buf_slice(&out), update);
    free_copy(update);
    lk_buf_deinit(&out);
  }
}

/* ---- the writer ---- */

/* |clients| clients, higher first, with |structs| GCs of one clock, and as many in the delete set. */
static void write_many(lk_update_writer *to, uint64_t clients, uint64_t structs) {
  for (uint64_t client = clients; client > 0; client--) {
    lk_update_write_client(to, client, 0);
    for (uint64_t i = 0; i < structs; i++) {
      lk_struct view = { .kind = LK_CONTENT_GC, .id = { client, i }, .len = 1 };
      lk_update_write_struct(to, &view, 0);
    }
  }
  lk_update_write_deletes(to);
  for (uint64_t client = clients; client > 0; client--) {
    lk_update_write_delete_client(to, client, 1);
    lk_update_write_delete(to, 0, structs);
  }
}

static void expect_many(lk_buf *out, uint64_t clients, uint64_t structs) {
  lk_varuint_encode(out, clients);
  for (uint64_t client = clients; client > 0; client--) {
    lk_varuint_encode(out, structs);
    lk_varuint_encode(out, client);
    lk_buf_append_u8(out, 0);
    for (uint64_t i = 0; i < structs; i++) lk_buf_append(out, LK_LIT("\0\1"));
  }
  lk_varuint_encode(out, clients);
  for (uint64_t client = clients; client > 0; client--) {
    lk_varuint_encode(out, client);
    lk_buf_append(out, LK_LIT("\1\0"));
    lk_varuint_encode(out, structs);
  }
}

/* Goal: numbers that come before what they count have their place, however many bytes they need.
 * Method: counts around 128 and 16,384, compared with a plain writing. */
TEST(numbers_of_clients_and_structs_stand_in_front_in_as_many_bytes_as_they_need) {
  static const uint64_t counts[] = { 1, 2, 127, 128, 129, 16383, 16384, 16385 };
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    for (int side = 0; side < 2; side++) {
      uint64_t clients = side ? counts[i] : 2, structs = side ? 1 : counts[i];
      lk_buf out = new_buf(), want = new_buf(), back = new_buf();
      lk_update_writer writer;
      test_note("%d clients, %d structs", (int)clients, (int)structs);
      for (int format = 1; format <= 2; format++) {
        lk_buf_truncate(&out, 0);
        lk_update_writer_init(&writer, test_alloc(), (lk_update_format)format, MAX);
        write_many(&writer, clients, structs);
        CHECK_OK(lk_update_writer_finish(&writer, &out));
        lk_update_writer_deinit(&writer);
        lk_buf_truncate(&back, 0);
        CHECK_OK(convert((lk_update_format)format, lk_buf_slice(&out), LK_UPDATE_V1, &back));
        if (format == 1) expect_many(&want, clients, structs);
        CHECK_SLICE(lk_buf_slice(&back), lk_buf_slice(&want));
      }
      lk_buf_deinit(&out);
      lk_buf_deinit(&want);
      lk_buf_deinit(&back);
    }
  }
}

TEST(a_writer_without_clients_writes_an_empty_update) {
  lk_update_writer writer;
  lk_buf out = new_buf();
  lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V1, MAX);
  CHECK_OK(lk_update_writer_finish(&writer, &out));
  CHECK_TEXT(lk_buf_slice(&out), "\0\0");
  lk_update_writer_deinit(&writer);
  lk_buf_deinit(&out);
}

static void write_key(lk_update_writer *to) {
  lk_struct view = { .kind = LK_CONTENT_TYPE,
                     .type_ref = LK_TYPE_REF_HOOK,
                     .info = LK_CONTENT_TYPE | LK_INFO_ORIGIN,
                     .len = 1,
                     .key = LK_LIT_INIT("k") };
  lk_update_write_client(to, 9, 0);
  lk_update_write_struct(to, &view, 0);
}

/* Goal: reset forgets everything but the memory. */
TEST(a_writer_that_was_reset_writes_as_a_new_one) {
  for (int format = 1; format <= 2; format++) {
    lk_buf first = new_buf(), out = new_buf();
    lk_update_writer writer;
    lk_update_writer_init(&writer, test_alloc(), (lk_update_format)format, MAX);
    lk_update_writer_reserve(&writer, 100);
    write_key(&writer);
    write_many(&writer, 3, 2);
    CHECK_OK(lk_update_writer_finish(&writer, &first));
    lk_update_writer_reset(&writer);
    write_key(&writer);
    write_key(&writer);
    lk_update_writer_reset(&writer);
    write_key(&writer);
    write_many(&writer, 3, 2);
    CHECK_OK(lk_update_writer_finish(&writer, &out));
    CHECK_SLICE(lk_buf_slice(&out), lk_buf_slice(&first));
    lk_update_writer_deinit(&writer);
    lk_buf_deinit(&first);
    lk_buf_deinit(&out);
  }
}

/* Goal: |max| is exact, and what does not fit leaves |out| alone. */
TEST(an_update_may_be_as_long_as_the_limit_and_no_longer) {
  for (int format = 1; format <= 2; format++) {
    size_t need = 0;
    for (size_t max = 2; need == 0 || max <= need; max++) {
      lk_buf out = new_buf();
      lk_update_writer writer;
      lk_buf_append(&out, LK_LIT("before"));
      lk_update_writer_init(&writer, test_alloc(), (lk_update_format)format, max);
      write_many(&writer, 2, 9);
      lk_err err = lk_update_writer_finish(&writer, &out);
      CHECK(err == LK_OK || err == LK_ERR_LIMIT);
      CHECK(lk_slice_starts_with(lk_buf_slice(&out), LK_LIT("before")));
      if (err == LK_OK && need == 0) need = out.len - 6;
      CHECK_U64(err == LK_OK, need != 0 && max >= need);
      if (err != LK_OK) CHECK_U64(out.len, 6);
      lk_update_writer_deinit(&writer);
      lk_buf_deinit(&out);
    }
  }
}

/* Goal: a large update is moved into an empty buffer, and copied where that cannot be. */
TEST(a_large_update_moves_into_an_empty_buffer) {
  for (int copied = 0; copied < 3; copied++) {
    lk_buf out = new_buf(), want = new_buf();
    lk_update_writer writer;
    lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V1, MAX);
    write_many(&writer, 1, 5000);
    expect_many(&want, 1, 5000);
    if (copied == 1) lk_buf_append(&out, LK_LIT("before"));
    if (copied == 2) out.max = want.len;
    const uint8_t *bytes = writer.rest.ptr;
    CHECK_OK(lk_update_writer_finish(&writer, &out));
    CHECK_U64(out.ptr == bytes, copied == 0);
    CHECK_COVERED(update_moves_into_its_buffer);
    CHECK_COVERED(update_count_takes_another_byte);
    CHECK(out.cap <= out.max);
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), copied == 1 ? 6 : 0), lk_buf_slice(&want));
    lk_update_writer_reset(&writer);
    write_many(&writer, 1, 3);
    lk_update_writer_deinit(&writer);
    lk_buf_deinit(&out);
    lk_buf_deinit(&want);
  }
}

/* Goal: a text finds its room, whatever is left of the buffer. */
TEST(texts_of_any_length_are_written_and_read) {
  uint8_t bytes[2000];
  memset(bytes, 'x', sizeof bytes);
  for (size_t len = 1; len < sizeof bytes; len += 7) {
    lk_buf out = new_buf(), want = new_buf(), back = new_buf();
    lk_update_writer writer;
    lk_struct view = { .kind = LK_CONTENT_STRING,
                       .info = LK_CONTENT_STRING | LK_INFO_ORIGIN,
                       .len = len,
                       .text.text = lk_slice_of(bytes, len) };
    lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V1, MAX);
    lk_update_write_client(&writer, 1, 0);
    lk_update_write_struct(&writer, &view, 0);
    CHECK_OK(lk_update_writer_finish(&writer, &out));
    lk_buf_append(&want, LK_LIT("\1\1\1\0\x84\0\0"));
    lk_lib0_string_encode(&want, view.text.text);
    lk_buf_append_u8(&want, 0);
    CHECK_SLICE(lk_buf_slice(&out), lk_buf_slice(&want));
    CHECK_OK(convert(LK_UPDATE_V1, lk_buf_slice(&out), LK_UPDATE_V1, &back));
    CHECK_SLICE(lk_buf_slice(&back), lk_buf_slice(&want));
    lk_update_writer_deinit(&writer);
    lk_buf_deinit(&out);
    lk_buf_deinit(&want);
    lk_buf_deinit(&back);
  }
}

TEST(whole_structs_may_be_written_as_bytes) {
  lk_buf out = new_buf(), want = new_buf(), structs = new_buf();
  lk_update_writer writer;
  for (size_t i = 0; i < 200; i++) lk_buf_append(&structs, LK_LIT("\0\1"));
  lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V1, MAX);
  lk_update_write_client(&writer, 1, 0);
  lk_update_put_structs(&writer, lk_slice_first(lk_buf_slice(&structs), 2), 1);
  lk_update_put_structs(&writer, lk_buf_slice(&structs), 200);
  lk_update_write_deletes(&writer);
  lk_update_write_delete_client(&writer, 1, 1);
  lk_update_write_delete(&writer, 0, 201);
  CHECK_OK(lk_update_writer_finish(&writer, &out));
  expect_many(&want, 1, 201);
  CHECK_SLICE(lk_buf_slice(&out), lk_buf_slice(&want));
  lk_update_writer_deinit(&writer);
  lk_buf_deinit(&out);
  lk_buf_deinit(&want);
  lk_buf_deinit(&structs);
}

TEST(a_writer_that_is_used_out_of_order_stops) {
  lk_update_writer writer;
  lk_buf out = new_buf();
  lk_update_writer_init(&writer, test_alloc(), LK_UPDATE_V1, MAX);
  CHECK_PANICS(lk_update_put_info(&writer, 0));
  lk_update_write_client(&writer, 1, 0);
  CHECK_PANICS(lk_update_write_client(&writer, 2, 0));
  CHECK_PANICS(lk_update_write_delete_client(&writer, 2, 0));
  lk_update_put_skip(&writer, 1);
  lk_update_write_deletes(&writer);
  CHECK_PANICS(lk_update_write_client(&writer, 2, 0));
  lk_update_writer_deinit(&writer);
  lk_buf_deinit(&out);
}

/* ---- faults ---- */

static void check_faults(lk_update_format from, const char *hex, lk_update_format to,
                         const char *want) {
  lk_slice update = bytes_of(hex), expected = bytes_of(want);
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), MAX);
    lk_err err = convert_with(faulty_alloc(&faults), from, update, to, true, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_SLICE(lk_buf_slice(&out), err == LK_OK ? expected : LK_SLICE_EMPTY);
    lk_buf_deinit(&out);
  }
  free_copy(update);
  free_copy(expected);
}

TEST(whatever_allocation_fails_there_is_a_whole_update_or_none) {
  for (size_t i = 0; i < FIXTURE_COUNT; i++) {
    const fixture *f = &fixtures[i];
    check_faults(LK_UPDATE_V1, f->v1, LK_UPDATE_V1, f->v1);
    check_faults(LK_UPDATE_V1, f->v1, LK_UPDATE_V2, f->v2);
    check_faults(LK_UPDATE_V2, f->v2, LK_UPDATE_V1, f->v1);
    check_faults(LK_UPDATE_V2, f->v2, LK_UPDATE_V2, f->v2);
  }
  check_faults(LK_UPDATE_V2, HALF_NAME, LK_UPDATE_V1, "01010100040104 74efbfbd 03efbfbd 00");
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    check_faults(LK_UPDATE_V1, options[i].from, LK_UPDATE_V1, options[i].to);
}

/* ---- any update ---- */

#define STRUCTS_MAX 64

typedef struct model {
  lk_struct structs[STRUCTS_MAX];
  uint8_t texts[STRUCTS_MAX][48];
  size_t count;
  uint64_t client;
} model;

static uint64_t gen_clock(lk_gen *g) { return gen_u64(g) & (LK_VARUINT_MAX_SAFE >> 1); }

static lk_doc_id gen_id(lk_gen *g, uint64_t client) {
  uint64_t own = gen_chance(g, 3, 4) ? client : gen_clock(g);
  return (lk_doc_id){ own, gen_clock(g) };
}

static lk_slice gen_name(lk_gen *g) {
  static const lk_slice names[] = { LK_LIT_INIT("a"), LK_LIT_INIT(""), LK_LIT_INIT("\xC3\xA9tat"),
                                    LK_LIT_INIT("a somewhat longer name") };
  return names[gen_below(g, 4)];
}

/* Canonical values, as any and as JSON; the last of each is two of them. */
static const lk_slice anys[] = {
  LK_LIT_INIT("\x7E"),
  LK_LIT_INIT("\x7D\x05"),
  LK_LIT_INIT("\x76\x01\x01\x61\x77\x02hi"),
  LK_LIT_INIT("\x75\x01\x78\x77\x00"),
};
static const lk_slice jsons[] = {
  LK_LIT_INIT("null"),
  LK_LIT_INIT("5"),
  LK_LIT_INIT("{\"a\":\"hi\"}"),
  LK_LIT_INIT("\x06[true]\x02\"\""),
};

static void gen_content(lk_gen *g, lk_struct *view, uint8_t *bytes) {
  uint32_t pick;
  view->len = 1;
  switch (view->kind) {
  case LK_CONTENT_GC:
  case LK_CONTENT_SKIP:
  case LK_CONTENT_DELETED: view->len = 1 + gen_clock(g) % 100000; return;
  case LK_CONTENT_JSON:
    view->len = 2;
    view->value = jsons[3];
    return;
  case LK_CONTENT_BINARY: view->value = lk_slice_of(bytes, gen_bytes(g, bytes, 48)); return;
  case LK_CONTENT_STRING:
    view->text.text = lk_slice_of(bytes, gen_utf8(g, bytes, 48));
    if (view->text.text.len == 0) view->text.text = LK_LIT("-");
    view->len = lk_utf16_len_of_utf8(view->text.text);
    return;
  case LK_CONTENT_ANY:
    pick = gen_below(g, 4);
    view->value = anys[pick];
    view->len = pick == 3 ? 2 : 1;
    return;
  case LK_CONTENT_TYPE:
    view->type_ref = (uint8_t)gen_below(g, LK_TYPE_REF_COUNT);
    view->key = gen_name(g);
    return;
  case LK_CONTENT_DOC:
    view->key = gen_name(g);
    view->value = LK_LIT("\x76\x00");
    return;
  default: /* EMBED and FORMAT */
    view->key = gen_name(g);
    view->value_is_json = gen_bool(g);
    view->value = view->value_is_json ? jsons[gen_below(g, 3)] : anys[gen_below(g, 3)];
  }
}

static void gen_struct(lk_gen *g, lk_struct *view, uint8_t *bytes, lk_doc_id id) {
  *view = (lk_struct){ .kind = (uint8_t)gen_below(g, 11), .id = id };
  view->info = view->kind;
  gen_content(g, view, bytes);
  if (view->kind == LK_CONTENT_GC || view->kind == LK_CONTENT_SKIP) return;
  uint32_t form = gen_below(g, 5);
  if (gen_bool(g)) view->info |= LK_INFO_SUB;
  if (form > 1) view->info |= (uint8_t)(form == 2 ? 0xC0 : form == 3 ? 0x80 : 0x40);
  view->parent_form = form == 0 ? LK_PARENT_ROOT : form == 1 ? LK_PARENT_ITEM : LK_PARENT_INHERITED;
  view->origin = gen_id(g, id.client);
  view->right = gen_id(g, id.client);
  view->parent_id = gen_id(g, id.client);
  view->parent_name = gen_name(g);
  view->sub = gen_name(g);
}

static void gen_model(lk_gen *g, model *m) {
  uint64_t clock = gen_clock(g);
  m->client = gen_clock(g);
  m->count = 1 + gen_below(g, STRUCTS_MAX);
  for (size_t i = 0; i < m->count; i++) {
    gen_struct(g, &m->structs[i], m->texts[i], (lk_doc_id){ m->client, clock });
    clock += m->structs[i].len;
  }
}

static bool names_key(const lk_struct *view) {
  if (view->kind == LK_CONTENT_TYPE)
    return view->type_ref == LK_TYPE_REF_ELEMENT || view->type_ref == LK_TYPE_REF_HOOK;
  return view->kind == LK_CONTENT_FORMAT || view->kind == LK_CONTENT_DOC;
}

static void check_id(lk_doc_id got, lk_doc_id want) {
  CHECK_U64(got.client, want.client);
  CHECK_U64(got.clock, want.clock);
}

static void check_same(const lk_struct *got, const lk_struct *want, bool v1) {
  CHECK_U64(got->kind, want->kind);
  CHECK_U64(got->info, want->info);
  CHECK_U64(got->parent_form, want->parent_form);
  check_id(got->id, want->id);
  CHECK_U64(got->len, want->len);
  if ((want->info & LK_INFO_ORIGIN) != 0) check_id(got->origin, want->origin);
  if ((want->info & LK_INFO_RIGHT) != 0) check_id(got->right, want->right);
  if (want->parent_form == LK_PARENT_ITEM) check_id(got->parent_id, want->parent_id);
  if (want->parent_form == LK_PARENT_ROOT) CHECK_SLICE(got->parent_name, want->parent_name);
  if (want->parent_form != LK_PARENT_INHERITED && (want->info & LK_INFO_SUB) != 0)
    CHECK_SLICE(got->sub, want->sub);
  if (names_key(want)) CHECK_SLICE(got->key, want->key);
  if (want->kind == LK_CONTENT_TYPE) CHECK_U64(got->type_ref, want->type_ref);
  if (want->kind == LK_CONTENT_STRING) CHECK_SLICE(got->text.text, want->text.text);
  if (want->kind == LK_CONTENT_FORMAT || want->kind == LK_CONTENT_EMBED) {
    CHECK_U64(got->value_is_json, v1);
    if (want->value_is_json == v1) CHECK_SLICE(got->value, want->value);
  } else if (want->value.len > 0) {
    CHECK_SLICE(got->value, want->value);
  }
}

/* The same struct by its fields. */
static void put_fields(lk_update_writer *to, const lk_struct *view) {
  if (view->kind == LK_CONTENT_SKIP) {
    lk_update_put_skip(to, view->len);
    return;
  }
  lk_update_put_info(to, view->info);
  if ((view->info & LK_INFO_ORIGIN) != 0) lk_update_put_left(to, view->origin);
  if ((view->info & LK_INFO_RIGHT) != 0) lk_update_put_right(to, view->right);
  if (view->kind != LK_CONTENT_GC && view->parent_form != LK_PARENT_INHERITED) {
    lk_update_put_parent_info(to, view->parent_form == LK_PARENT_ROOT);
    if (view->parent_form == LK_PARENT_ITEM) lk_update_put_left(to, view->parent_id);
    else lk_update_put_text(to, (lk_column_piece){ .text = view->parent_name });
    if ((view->info & LK_INFO_SUB) != 0)
      lk_update_put_text(to, (lk_column_piece){ .text = view->sub });
  }
  switch (view->kind) {
  case LK_CONTENT_STRING: lk_update_put_text(to, view->text); return;
  case LK_CONTENT_BINARY: lk_update_put_bytes(to, view->value); return;
  case LK_CONTENT_TYPE: lk_update_put_type_ref(to, view->type_ref); break;
  case LK_CONTENT_DOC: lk_update_put_text(to, (lk_column_piece){ .text = view->key }); break;
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED:
  case LK_CONTENT_ANY: lk_update_put_len(to, view->len); break;
  default: break;
  }
  if (view->kind != LK_CONTENT_DOC && names_key(view)) lk_update_put_key(to, view->key);
  if (view->kind == LK_CONTENT_FORMAT || view->kind == LK_CONTENT_EMBED)
    lk_update_put_json(to, view->value, view->value_is_json);
  else lk_update_put_any(to, view->value);
}

static void write_model(const model *m, lk_update_format format, bool by_fields, lk_buf *out) {
  lk_update_writer writer;
  lk_update_writer_init(&writer, test_alloc(), format, MAX);
  lk_update_write_client(&writer, m->client, m->structs[0].id.clock);
  for (size_t i = 0; i < m->count; i++) {
    const lk_struct *view = &m->structs[i];
    bool fields = by_fields && view->kind != LK_CONTENT_JSON;
    if (fields) put_fields(&writer, view);
    else lk_update_write_struct(&writer, view, 0);
  }
  CHECK_OK(lk_update_writer_finish(&writer, out));
  lk_update_writer_deinit(&writer);
}

/* Goal: what was written is what is read, in both formats, and fields write what structs write. */
PROPERTY_SLOW(any_struct_is_read_as_it_was_written, 4) {
  static model m;
  gen_model(g, &m);
  for (int format = 1; format <= 2; format++) {
    lk_buf out = new_buf(), fields = new_buf();
    lk_arena scratch = new_arena();
    lk_update_reader in;
    lk_struct view;
    uint64_t client, clock, count;
    write_model(&m, (lk_update_format)format, false, &out);
    write_model(&m, (lk_update_format)format, true, &fields);
    CHECK_SLICE(lk_buf_slice(&fields), lk_buf_slice(&out));
    lk_slice update = exact_copy(lk_buf_slice(&out));
    CHECK_OK(lk_update_reader_init(&in, (lk_update_format)format, update, DEPTH, &scratch));
    CHECK_OK(lk_update_next_client(&in, &client, &clock, &count));
    CHECK_U64(count, m.count);
    for (size_t i = 0; i < m.count; i++) {
      CHECK_OK(lk_update_next_struct(&in, &view));
      check_same(&view, &m.structs[i], format == 1);
    }
    CHECK_ERR(lk_update_next_struct(&in, &view), LK_ERR_END);
    CHECK_ERR(lk_update_next_client(&in, &client, &clock, &count), LK_ERR_END);
    CHECK_ERR(lk_update_next_delete_client(&in, &client, &count), LK_ERR_END);
    free_copy(update);
    lk_arena_deinit(&scratch);
    lk_buf_deinit(&out);
    lk_buf_deinit(&fields);
  }
}
