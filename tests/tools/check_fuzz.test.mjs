// Goal: no decoder without a fuzz target, and no target in name only.
import assert from 'node:assert/strict'
import test from 'node:test'
import { tool, tree } from './fixture.mjs'

const clean = {
  'src/codec/json.h': `/* lk_text_decode(x) in a comment declares nothing. */
LK_MUST_USE lk_err lk_json_decode(lk_slice text,
                                  lk_value *out);
static inline lk_err lk_json_parse_number(lk_slice in) {
  return lk_json_decode(in, 0);
}
lk_err lk_json_next(lk_reader *in, lk_value *out);
lk_err lk_json_skip(lk_json_reader *in);
lk_err lk_reader_u8(lk_reader *self, int *out);
lk_err lk_json_reader_init(lk_json_reader *self, lk_slice text);
unsigned lk_json_error_offset(const lk_json_reader *self);
void lk_map_check(const lk_map *self);
lk_err lk_json_encode(lk_buf *out);
typedef lk_err (*lk_feed_function)(lk_slice in);
/* not foreign: the table is compiled in */
lk_err lk_table_decode(lk_slice in);
int lk_feeder(int x);
`,
  'fuzz/codec/json_fuzz.c': `FUZZ(lk_json_decode) { lk_json_decode(x, &v); }

/* also fuzzes: lk_json_parse_number,
 *   lk_json_skip */
FUZZ(lk_json_next) { lk_json_next(&in, &v); lk_json_parse_number(in); lk_json_skip(&in); }
`,
}

test('decoders with a target pass', (t) => {
  const { status, lines } = tool('check_fuzz', tree(t, clean))
  assert.deepEqual(lines, ['fuzz: 4 decoders have their target among 4'])
  assert.equal(status, 0)
})

const violations = [
  ['a decoder without a target', { 'src/wire/ws.h': '\nlk_err lk_ws_feed(lk_ws *self, lk_slice in);\n' }, /^src\/wire\/ws\.h:2: lk_ws_feed reads foreign bytes/],
  ['a function that takes a reader', { 'src/wire/ws.h': 'lk_err lk_ws_close_code(lk_reader *in);\n' }, /^src\/wire\/ws\.h:1: lk_ws_close_code reads foreign bytes/],
  ['a function that moves a cursor of its own', { 'src/wire/ws.h': 'lk_err lk_ws_skip(lk_ws_reader *in);\n' }, /^src\/wire\/ws\.h:1: lk_ws_skip reads foreign bytes/],
  ['a check of a slice', { 'src/wire/ws.h': 'lk_err lk_ws_check(lk_slice in);\n' }, /^src\/wire\/ws\.h:1: lk_ws_check reads foreign bytes/],
  ['an excuse without a reason', { 'src/wire/ws.h': '/* not foreign: */\nlk_err lk_ws_feed(lk_slice in);\n' }, /^src\/wire\/ws\.h:2: lk_ws_feed/],
  ['a target in a comment', { 'src/wire/ws.h': 'lk_err lk_ws_feed(lk_slice in);\n', 'fuzz/wire/ws_fuzz.c': '/*\nFUZZ(lk_ws_feed) { lk_ws_feed(x); }\n*/\n' }, /^src\/wire\/ws\.h:1: lk_ws_feed/],
  ['a target that does not call', { 'src/wire/ws.h': 'lk_err lk_ws_feed(lk_slice in);\n', 'fuzz/wire/ws_fuzz.c': '\nFUZZ(lk_ws_feed) { (void)g; }\n' }, /^fuzz\/wire\/ws_fuzz\.c:2: claims to fuzz lk_ws_feed but never calls it/],
  ['a target for what does not exist', { 'fuzz/wire/ws_fuzz.c': 'FUZZ(lk_ws_feed) { lk_ws_feed(x); }\n' }, /^fuzz\/wire\/ws_fuzz\.c:1: no header declares lk_ws_feed/],
  ['a list far from a target', { 'fuzz/codec/more_fuzz.c': '/* also fuzzes: lk_json_encode */\nint a;\nint b;\nint c;\nFUZZ(lk_json_decode) { lk_json_decode(x, &v); lk_json_encode(o); }\n' }, /^fuzz\/codec\/more_fuzz\.c:1: `also fuzzes: lk_json_encode` stands beside no FUZZ/],
]

for (const [name, change, expected] of violations) {
  test(`${name} is refused`, (t) => {
    const { status, lines } = tool('check_fuzz', tree(t, { ...clean, ...change }))
    assert.match(lines[0] ?? '', expected)
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.equal(status, 1)
  })
}
