/* tests/conformance/doc/serve.h -- our engine at the other end of a pipe, for interleave.mjs.
 *
 * Commands and answers are records as in stream.h. |replica| is a number that the caller chooses.
 *
 *   c  replica, client, gc, str roots     opens a replica; roots as in a session's header
 *   l  replica, str operations            does them in one transaction; one that is alone without, where the client is odd
 *   a  replica, version, bytes update     receives it
 *   s  replica                            how it reads: the states of its roots, joined by newlines
 *   e  replica, version, bytes sv         its update beyond sv
 *   v  replica                            its state vector
 *   d  replica                            closes it
 *
 * The answer is + with what was asked for, or - with a str that says what went wrong. For l and a it
 * is the updates that were sent out: their number, and of each bytes v1 and bytes v2. */
#ifndef CONFORMANCE_SERVE_H
#define CONFORMANCE_SERVE_H

#include <stdio.h>

/* Until |in| ends. */
void serve(FILE *in, FILE *out);

#endif
