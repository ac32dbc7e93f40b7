/* laniakea/errors.h -- every error code; made by tools/gen_tables.mjs from src/base/errors.def; do not edit.
 *
 * Numbers never change and are never reused. lk_err_text() gives the sentence at run time. */
#ifndef LANIAKEA_ERRORS_H
#define LANIAKEA_ERRORS_H

typedef enum lk_err {
  LK_OK = 0,
  /* out of memory: the allocator refused; nothing was changed, free memory and try again */
  LK_ERR_NOMEM = 1,
  /* an argument is not allowed here; the function's header says which values are */
  LK_ERR_INVALID = 2,
  /* a limit was reached; nothing was changed, raise the limit or ask for less */
  LK_ERR_LIMIT = 3,
  /* larger than the limit for one item; split it or raise the limit */
  LK_ERR_TOO_BIG = 4,
  /* the result does not fit its integer type; nothing was changed */
  LK_ERR_OVERFLOW = 5,
  /* this build or provider does not offer the operation */
  LK_ERR_UNSUPPORTED = 6,
  /* the object is not in a state that allows this call */
  LK_ERR_STATE = 7,
  /* there is nothing more to read */
  LK_ERR_END = 8,
  /* the input ends early; call again with more bytes */
  LK_ERR_MORE = 9,
  /* there is no item of that name */
  LK_ERR_NOT_FOUND = 10,
  /* there is an item of that name already */
  LK_ERR_EXISTS = 11,
  /* the queue is full; take results out before putting more in */
  LK_ERR_FULL = 12,
  /* the engine met a mistake of its own and was restarted from what it had saved; this call had no effect */
  LK_ERR_TRAP = 13,
  /* the bytes do not have the expected form; they were refused as a whole */
  LK_ERR_CORRUPT = 20,
  /* the bytes end before the value does */
  LK_ERR_TRUNCATED = 21,
  /* the value is not written in its one canonical form */
  LK_ERR_NOT_CANONICAL = 22,
  /* a number is outside of its allowed range */
  LK_ERR_RANGE = 23,
  /* nested deeper than the limit */
  LK_ERR_DEPTH = 24,
  /* the text is not valid UTF-8 */
  LK_ERR_UTF8 = 25,
  /* written by a version of the format that this build does not know; upgrade */
  LK_ERR_VERSION = 26,
  /* the value has another type than the one asked for */
  LK_ERR_TYPE = 27,
  /* there are bytes behind the end of the value */
  LK_ERR_TRAILING = 28,
  /* the text does not follow the grammar */
  LK_ERR_SYNTAX = 29,
  /* the checksum does not match: the bytes were damaged */
  LK_ERR_CHECKSUM = 30,
  /* authentication failed: wrong key, or the bytes were changed */
  LK_ERR_AUTH = 40,
  /* the key is not valid for this algorithm */
  LK_ERR_KEY = 41,
  /* the system gave no random bytes */
  LK_ERR_ENTROPY = 42,
  /* there is no token; log in and send one */
  LK_ERR_TOKEN_MISSING = 43,
  /* the token is not one that a key of ours made, or it was changed; get a new one */
  LK_ERR_TOKEN_INVALID = 44,
  /* the token is too old; get a new one */
  LK_ERR_TOKEN_EXPIRED = 45,
  /* the token is genuine, but not for here and now: another audience or issuer, not valid yet, or data that JSON cannot say */
  LK_ERR_TOKEN_CLAIMS = 46,
  /* the token was taken back; log in again */
  LK_ERR_TOKEN_REVOKED = 47,
  /* the storage reported an error; what was acknowledged before is safe */
  LK_ERR_IO = 50,
  /* the storage could not make bytes durable; they must not be acknowledged, reopen and recover */
  LK_ERR_SYNC = 51,
  /* no space is left on the storage; free some, nothing acknowledged was lost */
  LK_ERR_NO_SPACE = 52,
  /* the system does not permit it; check owner and mode */
  LK_ERR_PERMISSION = 53,
  /* the operation was given up because its owner closed */
  LK_ERR_CANCELED = 54,
  /* not a request that HTTP/1.1 allows */
  LK_ERR_HTTP = 60,
  /* the resource does not know this method */
  LK_ERR_HTTP_METHOD = 61,
  /* a frame breaks RFC 6455 */
  LK_ERR_WS_PROTOCOL = 62,
  /* the upgrade request lacks a header of RFC 6455 or has a wrong one */
  LK_ERR_WS_HANDSHAKE = 63,
  /* the connection is closed */
  LK_ERR_CLOSED = 64,
  /* the peer did not do in time what the protocol asks of it; the connection is given up */
  LK_ERR_TIMEOUT = 65,
  /* not a message that the Phoenix serializer of this connection can read */
  LK_ERR_BAD_MESSAGE = 70,
  /* the topic does not know this event */
  LK_ERR_UNKNOWN_EVENT = 71,
  /* join the topic first */
  LK_ERR_NOT_JOINED = 72,
  /* no room answers to this topic */
  LK_ERR_UNMATCHED_TOPIC = 73,
  /* the payload lacks a field or a field has the wrong type */
  LK_ERR_PAYLOAD = 74,
  /* the client may not do that in this topic; get a token that says so */
  LK_ERR_DENIED = 75,
  /* the room does not take what this client wrote; what follows it would not fit, so keep a copy and start anew */
  LK_ERR_REFUSED = 76,
  /* the server does not serve this topic in this protocol; join it as a channel */
  LK_ERR_DIALECT = 77,
  /* too many changes wait for the server; nothing was changed, connect and let it take some */
  LK_ERR_BACKLOG = 78,
  /* the replica id is not one that may be used here */
  LK_ERR_ACTOR = 80,
  /* one dot stands for two different things: a replica id was used by two replicas, or again after its memory was lost; take a new id */
  LK_ERR_DOT = 81,
  /* the writer's clock is too far ahead; set it and write again */
  LK_ERR_CLOCK = 82,
  /* the catalogue has no such type; it may be of a later version */
  LK_ERR_UNKNOWN_TYPE = 83,
  /* the type has no such operation */
  LK_ERR_UNKNOWN_OP = 84,
  /* the counter would go below zero with what this replica may spend; have another replica transfer some */
  LK_ERR_RIGHTS = 85,
  /* the update asks for more work than its size warrants; it was refused as a whole */
  LK_ERR_STEPS = 90,
  /* a struct depends on itself or on a later one of the same client; no editor writes that */
  LK_ERR_DEPENDENCY = 91,
  /* what the document showed then was deleted and garbage-collected; only documents that keep versions keep what is deleted */
  LK_ERR_COLLECTED = 92,
  /* there is no TLS with the other side: it speaks none there, or no version of ours; check address and port */
  LK_ERR_TLS = 100,
  /* the certificate's issuer is not trusted here; if it is an authority of your own, give the file of its certificate */
  LK_ERR_CERT_ISSUER = 101,
  /* the certificate is for another name; connect by a name that it has, or get one with this name */
  LK_ERR_CERT_NAME = 102,
  /* the certificate has expired or is not valid yet; have it renewed, or set this device's clock */
  LK_ERR_CERT_TIME = 103,
  /* the certificate is revoked, weak or not for servers; get another one */
  LK_ERR_CERT_REFUSED = 104,
} lk_err;

#endif
