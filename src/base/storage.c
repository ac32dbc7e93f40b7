/* base/storage.c -- which names a storage takes: those that no path and no shell can misread. */
#include "base/storage.h"

#define NAME_LEN_MAX 200

static bool is_name_byte(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool lk_storage_name_ok(lk_slice name) {
  if (name.len == 0 || name.len > NAME_LEN_MAX || name.ptr[0] == '.') return false;
  for (size_t i = 0; i < name.len; i++) {
    if (!is_name_byte(name.ptr[i])) return false;
  }
  return true;
}
