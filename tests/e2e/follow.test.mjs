// The example of a native peer, examples/c/follow.c, under AddressSanitizer, or as LK_FOLLOW names it.
import { join } from 'node:path'
import { test } from 'node:test'
import { checkFollowing } from './follow.mjs'
import { root } from './program.mjs'

const follow = process.env.LK_FOLLOW ?? join(root, 'build/asan/follow')

test('two terminals follow a counter and a document, offline too', () => checkFollowing(follow))
