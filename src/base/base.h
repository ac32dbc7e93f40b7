/* base/base.h -- the lowest floor in one include. */
#ifndef LK_BASE_BASE_H
#define LK_BASE_BASE_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/num.h"
#include "base/slice.h"
#include "base/trace.h"
#include "laniakea/env.h"
#include "laniakea/types.h"

#endif
