/* base/error.c -- errors.def as words. */
#include "base/error.h"

typedef struct error_row {
  lk_err code;
  const char *name;
  const char *text;
} error_row;

/* Where each byte of code is loaded over a network the host has the texts. */
#ifdef LK_SMALL
#define TEXT(text) ""
#else
#define TEXT(text) text
#endif

static const error_row rows[] = {
  { LK_OK, "LK_OK", TEXT("no error") },
#define ERROR(name, number, text) { LK_ERR_##name, "LK_ERR_" #name, TEXT(text) },
#include "base/errors.def"
#undef ERROR
};

static const error_row *find(lk_err err) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].code == err) return &rows[i];
  }
  return NULL;
}

const char *lk_err_name(lk_err err) {
  const error_row *row = find(err);
  return row != NULL ? row->name : "LK_ERR_UNKNOWN";
}

const char *lk_err_text(lk_err err) {
  const error_row *row = find(err);
  return row != NULL ? row->text : "an error that this version does not know; upgrade";
}

bool lk_err_entry(size_t index, lk_err *code, const char **name, const char **text) {
  if (index >= sizeof rows / sizeof rows[0]) return false;
  *code = rows[index].code;
  *name = rows[index].name;
  *text = rows[index].text;
  return true;
}
