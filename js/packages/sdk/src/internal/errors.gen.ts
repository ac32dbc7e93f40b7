// made by tools/gen_tables.mjs from src/base/errors.def; do not edit

/** The name of an error, the same in C and here. */
export type ErrorCode =
  | 'LK_ERR_NOMEM'
  | 'LK_ERR_INVALID'
  | 'LK_ERR_LIMIT'
  | 'LK_ERR_TOO_BIG'
  | 'LK_ERR_OVERFLOW'
  | 'LK_ERR_UNSUPPORTED'
  | 'LK_ERR_STATE'
  | 'LK_ERR_END'
  | 'LK_ERR_MORE'
  | 'LK_ERR_NOT_FOUND'
  | 'LK_ERR_EXISTS'
  | 'LK_ERR_FULL'
  | 'LK_ERR_TRAP'
  | 'LK_ERR_CORRUPT'
  | 'LK_ERR_TRUNCATED'
  | 'LK_ERR_NOT_CANONICAL'
  | 'LK_ERR_RANGE'
  | 'LK_ERR_DEPTH'
  | 'LK_ERR_UTF8'
  | 'LK_ERR_VERSION'
  | 'LK_ERR_TYPE'
  | 'LK_ERR_TRAILING'
  | 'LK_ERR_SYNTAX'
  | 'LK_ERR_CHECKSUM'
  | 'LK_ERR_AUTH'
  | 'LK_ERR_KEY'
  | 'LK_ERR_ENTROPY'
  | 'LK_ERR_TOKEN_MISSING'
  | 'LK_ERR_TOKEN_INVALID'
  | 'LK_ERR_TOKEN_EXPIRED'
  | 'LK_ERR_TOKEN_CLAIMS'
  | 'LK_ERR_TOKEN_REVOKED'
  | 'LK_ERR_IO'
  | 'LK_ERR_SYNC'
  | 'LK_ERR_NO_SPACE'
  | 'LK_ERR_PERMISSION'
  | 'LK_ERR_CANCELED'
  | 'LK_ERR_HTTP'
  | 'LK_ERR_HTTP_METHOD'
  | 'LK_ERR_WS_PROTOCOL'
  | 'LK_ERR_WS_HANDSHAKE'
  | 'LK_ERR_CLOSED'
  | 'LK_ERR_TIMEOUT'
  | 'LK_ERR_BAD_MESSAGE'
  | 'LK_ERR_UNKNOWN_EVENT'
  | 'LK_ERR_NOT_JOINED'
  | 'LK_ERR_UNMATCHED_TOPIC'
  | 'LK_ERR_PAYLOAD'
  | 'LK_ERR_DENIED'
  | 'LK_ERR_REFUSED'
  | 'LK_ERR_DIALECT'
  | 'LK_ERR_BACKLOG'
  | 'LK_ERR_ACTOR'
  | 'LK_ERR_DOT'
  | 'LK_ERR_CLOCK'
  | 'LK_ERR_UNKNOWN_TYPE'
  | 'LK_ERR_UNKNOWN_OP'
  | 'LK_ERR_RIGHTS'
  | 'LK_ERR_STEPS'
  | 'LK_ERR_DEPENDENCY'
  | 'LK_ERR_COLLECTED'
  | 'LK_ERR_TLS'
  | 'LK_ERR_CERT_ISSUER'
  | 'LK_ERR_CERT_NAME'
  | 'LK_ERR_CERT_TIME'
  | 'LK_ERR_CERT_REFUSED'

/** Number, name and text of what modules and their host say: a table of objects would be larger. */
const ROWS = `1 NOMEM out of memory: the allocator refused; nothing was changed, free memory and try again
2 INVALID an argument is not allowed here; the function's header says which values are
3 LIMIT a limit was reached; nothing was changed, raise the limit or ask for less
4 TOO_BIG larger than the limit for one item; split it or raise the limit
5 OVERFLOW the result does not fit its integer type; nothing was changed
6 UNSUPPORTED this build or provider does not offer the operation
7 STATE the object is not in a state that allows this call
8 END there is nothing more to read
9 MORE the input ends early; call again with more bytes
10 NOT_FOUND there is no item of that name
11 EXISTS there is an item of that name already
12 FULL the queue is full; take results out before putting more in
13 TRAP the engine met a mistake of its own and was restarted from what it had saved; this call had no effect
20 CORRUPT the bytes do not have the expected form; they were refused as a whole
21 TRUNCATED the bytes end before the value does
22 NOT_CANONICAL the value is not written in its one canonical form
23 RANGE a number is outside of its allowed range
24 DEPTH nested deeper than the limit
25 UTF8 the text is not valid UTF-8
26 VERSION written by a version of the format that this build does not know; upgrade
27 TYPE the value has another type than the one asked for
28 TRAILING there are bytes behind the end of the value
29 SYNTAX the text does not follow the grammar
30 CHECKSUM the checksum does not match: the bytes were damaged
40 AUTH authentication failed: wrong key, or the bytes were changed
41 KEY the key is not valid for this algorithm
42 ENTROPY the system gave no random bytes
43 TOKEN_MISSING there is no token; log in and send one
44 TOKEN_INVALID the token is not one that a key of ours made, or it was changed; get a new one
45 TOKEN_EXPIRED the token is too old; get a new one
46 TOKEN_CLAIMS the token is genuine, but not for here and now: another audience or issuer, not valid yet, or data that JSON cannot say
47 TOKEN_REVOKED the token was taken back; log in again
50 IO the storage reported an error; what was acknowledged before is safe
51 SYNC the storage could not make bytes durable; they must not be acknowledged, reopen and recover
52 NO_SPACE no space is left on the storage; free some, nothing acknowledged was lost
53 PERMISSION the system does not permit it; check owner and mode
54 CANCELED the operation was given up because its owner closed
64 CLOSED the connection is closed
65 TIMEOUT the peer did not do in time what the protocol asks of it; the connection is given up
70 BAD_MESSAGE not a message that the Phoenix serializer of this connection can read
71 UNKNOWN_EVENT the topic does not know this event
72 NOT_JOINED join the topic first
73 UNMATCHED_TOPIC no room answers to this topic
74 PAYLOAD the payload lacks a field or a field has the wrong type
75 DENIED the client may not do that in this topic; get a token that says so
76 REFUSED the room does not take what this client wrote; what follows it would not fit, so keep a copy and start anew
77 DIALECT the server does not serve this topic in this protocol; join it as a channel
78 BACKLOG too many changes wait for the server; nothing was changed, connect and let it take some
80 ACTOR the replica id is not one that may be used here
81 DOT one dot stands for two different things: a replica id was used by two replicas, or again after its memory was lost; take a new id
82 CLOCK the writer's clock is too far ahead; set it and write again
83 UNKNOWN_TYPE the catalogue has no such type; it may be of a later version
84 UNKNOWN_OP the type has no such operation
85 RIGHTS the counter would go below zero with what this replica may spend; have another replica transfer some
90 STEPS the update asks for more work than its size warrants; it was refused as a whole
91 DEPENDENCY a struct depends on itself or on a later one of the same client; no editor writes that
92 COLLECTED what the document showed then was deleted and garbage-collected; only documents that keep versions keep what is deleted`

export const errorTable: Readonly<Record<number, { readonly code: ErrorCode; readonly text: string }>> = /* @__PURE__ */ Object.fromEntries(ROWS.split('\n').map((row) => {
  const [, number, name, text] = /^(\d+) (\w+) (.*)$/.exec(row) as unknown as string[]
  return [number, { code: `LK_ERR_${name}` as ErrorCode, text: text as string }]
}))
