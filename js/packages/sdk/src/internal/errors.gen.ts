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

export const errorTable: Readonly<Record<number, { readonly code: ErrorCode; readonly text: string }>> = {
  1: { code: 'LK_ERR_NOMEM', text: "out of memory: the allocator refused; nothing was changed, free memory and try again" },
  2: { code: 'LK_ERR_INVALID', text: "an argument is not allowed here; the function's header says which values are" },
  3: { code: 'LK_ERR_LIMIT', text: "a limit was reached; nothing was changed, raise the limit or ask for less" },
  4: { code: 'LK_ERR_TOO_BIG', text: "larger than the limit for one item; split it or raise the limit" },
  5: { code: 'LK_ERR_OVERFLOW', text: "the result does not fit its integer type; nothing was changed" },
  6: { code: 'LK_ERR_UNSUPPORTED', text: "this build or provider does not offer the operation" },
  7: { code: 'LK_ERR_STATE', text: "the object is not in a state that allows this call" },
  8: { code: 'LK_ERR_END', text: "there is nothing more to read" },
  9: { code: 'LK_ERR_MORE', text: "the input ends early; call again with more bytes" },
  10: { code: 'LK_ERR_NOT_FOUND', text: "there is no item of that name" },
  11: { code: 'LK_ERR_EXISTS', text: "there is an item of that name already" },
  12: { code: 'LK_ERR_FULL', text: "the queue is full; take results out before putting more in" },
  13: { code: 'LK_ERR_TRAP', text: "the engine met a mistake of its own and was restarted from what it had saved; this call had no effect" },
  20: { code: 'LK_ERR_CORRUPT', text: "the bytes do not have the expected form; they were refused as a whole" },
  21: { code: 'LK_ERR_TRUNCATED', text: "the bytes end before the value does" },
  22: { code: 'LK_ERR_NOT_CANONICAL', text: "the value is not written in its one canonical form" },
  23: { code: 'LK_ERR_RANGE', text: "a number is outside of its allowed range" },
  24: { code: 'LK_ERR_DEPTH', text: "nested deeper than the limit" },
  25: { code: 'LK_ERR_UTF8', text: "the text is not valid UTF-8" },
  26: { code: 'LK_ERR_VERSION', text: "written by a version of the format that this build does not know; upgrade" },
  27: { code: 'LK_ERR_TYPE', text: "the value has another type than the one asked for" },
  28: { code: 'LK_ERR_TRAILING', text: "there are bytes behind the end of the value" },
  29: { code: 'LK_ERR_SYNTAX', text: "the text does not follow the grammar" },
  30: { code: 'LK_ERR_CHECKSUM', text: "the checksum does not match: the bytes were damaged" },
  40: { code: 'LK_ERR_AUTH', text: "authentication failed: wrong key, or the bytes were changed" },
  41: { code: 'LK_ERR_KEY', text: "the key is not valid for this algorithm" },
  42: { code: 'LK_ERR_ENTROPY', text: "the system gave no random bytes" },
  43: { code: 'LK_ERR_TOKEN_MISSING', text: "there is no token; log in and send one" },
  44: { code: 'LK_ERR_TOKEN_INVALID', text: "the token is not one that a key of ours made, or it was changed; get a new one" },
  45: { code: 'LK_ERR_TOKEN_EXPIRED', text: "the token is too old; get a new one" },
  46: { code: 'LK_ERR_TOKEN_CLAIMS', text: "the token is genuine, but not for here and now: another audience or issuer, not valid yet, or data that JSON cannot say" },
  47: { code: 'LK_ERR_TOKEN_REVOKED', text: "the token was taken back; log in again" },
  50: { code: 'LK_ERR_IO', text: "the storage reported an error; what was acknowledged before is safe" },
  51: { code: 'LK_ERR_SYNC', text: "the storage could not make bytes durable; they must not be acknowledged, reopen and recover" },
  52: { code: 'LK_ERR_NO_SPACE', text: "no space is left on the storage; free some, nothing acknowledged was lost" },
  53: { code: 'LK_ERR_PERMISSION', text: "the system does not permit it; check owner and mode" },
  54: { code: 'LK_ERR_CANCELED', text: "the operation was given up because its owner closed" },
  60: { code: 'LK_ERR_HTTP', text: "not a request that HTTP/1.1 allows" },
  61: { code: 'LK_ERR_HTTP_METHOD', text: "the resource does not know this method" },
  62: { code: 'LK_ERR_WS_PROTOCOL', text: "a frame breaks RFC 6455" },
  63: { code: 'LK_ERR_WS_HANDSHAKE', text: "the upgrade request lacks a header of RFC 6455 or has a wrong one" },
  64: { code: 'LK_ERR_CLOSED', text: "the connection is closed" },
  65: { code: 'LK_ERR_TIMEOUT', text: "the peer did not do in time what the protocol asks of it; the connection is given up" },
  70: { code: 'LK_ERR_BAD_MESSAGE', text: "not a message that the Phoenix serializer of this connection can read" },
  71: { code: 'LK_ERR_UNKNOWN_EVENT', text: "the topic does not know this event" },
  72: { code: 'LK_ERR_NOT_JOINED', text: "join the topic first" },
  73: { code: 'LK_ERR_UNMATCHED_TOPIC', text: "no room answers to this topic" },
  74: { code: 'LK_ERR_PAYLOAD', text: "the payload lacks a field or a field has the wrong type" },
  75: { code: 'LK_ERR_DENIED', text: "the client may not do that in this topic; get a token that says so" },
  76: { code: 'LK_ERR_REFUSED', text: "the room does not take what this client wrote; what follows it would not fit, so keep a copy and start anew" },
  77: { code: 'LK_ERR_DIALECT', text: "the server does not serve this topic in this protocol; join it as a channel" },
  78: { code: 'LK_ERR_BACKLOG', text: "too many changes wait for the server; nothing was changed, connect and let it take some" },
  80: { code: 'LK_ERR_ACTOR', text: "the replica id is not one that may be used here" },
  81: { code: 'LK_ERR_DOT', text: "one dot stands for two different things: a replica id was used by two replicas, or again after its memory was lost; take a new id" },
  82: { code: 'LK_ERR_CLOCK', text: "the writer's clock is too far ahead; set it and write again" },
  83: { code: 'LK_ERR_UNKNOWN_TYPE', text: "the catalogue has no such type; it may be of a later version" },
  84: { code: 'LK_ERR_UNKNOWN_OP', text: "the type has no such operation" },
  85: { code: 'LK_ERR_RIGHTS', text: "the counter would go below zero with what this replica may spend; have another replica transfer some" },
  90: { code: 'LK_ERR_STEPS', text: "the update asks for more work than its size warrants; it was refused as a whole" },
  91: { code: 'LK_ERR_DEPENDENCY', text: "a struct depends on itself or on a later one of the same client; no editor writes that" },
  92: { code: 'LK_ERR_COLLECTED', text: "what the document showed then was deleted and garbage-collected; only documents that keep versions keep what is deleted" },
  100: { code: 'LK_ERR_TLS', text: "there is no TLS with the other side: it speaks none there, or no version of ours; check address and port" },
  101: { code: 'LK_ERR_CERT_ISSUER', text: "the certificate's issuer is not trusted here; if it is an authority of your own, give the file of its certificate" },
  102: { code: 'LK_ERR_CERT_NAME', text: "the certificate is for another name; connect by a name that it has, or get one with this name" },
  103: { code: 'LK_ERR_CERT_TIME', text: "the certificate has expired or is not valid yet; have it renewed, or set this device's clock" },
  104: { code: 'LK_ERR_CERT_REFUSED', text: "the certificate is revoked, weak or not for servers; get another one" },
}
