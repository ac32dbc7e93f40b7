// made by tools/gen_bindings.mjs from wasm/exports.def; do not edit

/** What a module must say of itself to be understood here. */
export const abiNumber = 2

/** What laniakea.wasm offers; the comment on top of wasm/exports.def says how bytes go in and out. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory
  /** the number above */
  readonly abi: () => number
  /** the address of at least len bytes for input; 0 where memory is out */
  readonly scratch: (len: number) => number
  /** the address of what the last call handed out */
  readonly out_ptr: () => number
  /** its length in bytes */
  readonly out_len: () => number
  /** bytes that are allocated inside, for measuring */
  readonly memory_used: () => number
  /** after a trap: the line of the assertion that failed; 0 where none did */
  readonly panic_line: () => number
  /** its file, as the address of text that ends with a NUL */
  readonly panic_file: () => number
  /** what was asserted, likewise */
  readonly panic_expr: () => number
  /** an lk_err, and on success the new handle in out_ptr() */
  readonly crdt_new: (type: number) => number
  /** a handle that is not one is ignored */
  readonly crdt_free: (crdt: number) => void
  /** scratch: actor, path, name, args; an lk_err; hands out the delta */
  readonly crdt_apply: (crdt: number, actorLen: number, pathLen: number, nameLen: number, argsLen: number, now: number) => number
  /** scratch: actor, then records of path_len, name_len, args_len (u32, little endian), path, name, args; applies them up to the first that fails, whose lk_err it gives; hands out one delta of those that were applied */
  readonly crdt_batch: (crdt: number, actorLen: number, recordsLen: number, now: number) => number
  /** how many records the last crdt_batch() applied: the index of the one that failed */
  readonly crdt_batch_done: () => number
  /** an lk_err; from now on crdt_apply() and crdt_batch() hand out nothing */
  readonly crdt_hold: (crdt: number) => number
  /** an lk_err; hands out one delta of what was applied since crdt_hold(), and ends that; where it fails, holding goes on */
  readonly crdt_release: (crdt: number) => number
  /** scratch: a state or a delta; an lk_err; hands out one byte: was anything new? */
  readonly crdt_merge: (crdt: number, len: number) => number
  /** the same for JSON */
  readonly crdt_merge_json: (crdt: number, len: number) => number
  /** scratch: path; an lk_err; hands out JSON */
  readonly crdt_value: (crdt: number, pathLen: number) => number
  /** an lk_err; hands out the state */
  readonly crdt_encode: (crdt: number) => number
  /** the same as JSON */
  readonly crdt_encode_json: (crdt: number) => number
  /** an lk_err; hands out what is known here */
  readonly crdt_version: (crdt: number) => number
  /** scratch: a version; an lk_err; hands out a delta */
  readonly crdt_diff_since: (crdt: number, len: number) => number
  /** an lk_err; hands out the least delta that brings the other to where merging this one would */
  readonly crdt_diff: (crdt: number, other: number) => number
  /** an lk_err; hands out one byte, an lk_crdt_order */
  readonly crdt_compare: (crdt: number, other: number) => number
  /** an lk_err; hands out 16 bytes */
  readonly crdt_digest: (crdt: number) => number
  /** an lk_err; hands out entries, ranges, actors, bytes (u32, little endian) */
  readonly crdt_size: (crdt: number) => number
}

/** What laniakea-doc.wasm offers beside the first of those. */
export interface DocExports {
  /** the address of the board, which never moves: queued, queue, lost, slot, check, kind, count (u32); wasm/doc_watch.c tells of the first three */
  readonly doc_board_at: () => number
  /** an lk_err, and on success the new handle in out_ptr() */
  readonly doc_new: (client: bigint, seed: bigint, seed2: bigint, keepDeleted: number) => number
  /** a handle that is not one is ignored; its undo managers go with it; never within tell() */
  readonly doc_free: (doc: number) => void
  /** an lk_err; a transaction, which nests */
  readonly doc_begin: (doc: number, origin: number) => number
  /** ends what doc_begin() began */
  readonly doc_commit: (doc: number) => void
  /** scratch: name; an lk_err; the node on the board */
  readonly doc_root: (doc: number, nameLen: number, kind: number) => number
  /** a number, of a DOC_CALL of ASK; 0 where there is no such node */
  readonly doc_ask: (doc: number, slot: number, check: number, what: number) => number
  /** scratch: |len| bytes; an lk_err; hands out what the DOC_CALL of READ says; the first ones are not about a node */
  readonly doc_read: (doc: number, slot: number, check: number, what: number, at: number, len: number) => number
  /** one unit of UTF-16; an lk_err */
  readonly doc_text_insert_unit: (doc: number, slot: number, check: number, index: number, unit: number) => number
  /** scratch: text, which takes the formatting in front of it; an lk_err */
  readonly doc_text_insert: (doc: number, slot: number, check: number, index: number, textLen: number) => number
  /** an lk_err */
  readonly doc_text_delete: (doc: number, slot: number, check: number, index: number, length: number) => number
  /** scratch: first, and as rest |count| values, or attributes, which are key and value, each behind its length (u32, little endian); 2^32 - 1 meaning that none are given; an lk_err; a new node on the board */
  readonly doc_change: (doc: number, slot: number, check: number, what: number, at: number, size: number, firstLen: number, count: number, restLen: number) => number
  /** scratch: an update; an lk_err */
  readonly doc_apply: (doc: number, format: number, len: number, origin: number) => number
  /** an lk_err; count on the board is what doc_off() wants */
  readonly doc_observe: (doc: number, slot: number, check: number, what: number, token: number) => number
  /** ends an observer of any kind */
  readonly doc_off: (doc: number, id: number) => void
  /** within tell(): an lk_err, LK_ERR_STATE behind it; the target on the board, count is 1 where its list changed; hands out what the DOC_CALL of EVENT says */
  readonly doc_event: (round: number, index: number, part: number) => number
  /** for a node and all in it, or for the whole document; an lk_err; count on the board is the new undo manager */
  readonly doc_undo_new: (doc: number, slot: number, check: number, whole: number, capture: number, ignoreRemote: number) => number
  /** an lk_err; count on the board is what the DOC_CALL of UNDO says */
  readonly doc_undo: (doc: number, undo: number, what: number, a: number, b: number) => number
}

/** What doc_ask() is told to do. */
export const docAsk = {
  /** 1 while the node is in the document */
  has: 0,
  /** units of a text, elements of a list; 0 for a map */
  length: 1,
  /** how many keys have values */
  count: 2,
} as const

/** What doc_read() is told to do. */
export const docRead = {
  /** the replica's id (u64, little endian) */
  client: 0,
  /** the name of the limit that the last LK_ERR_LIMIT was about */
  limit: 1,
  /** bytes of memory, clients, structs, tombstones, units, nodes, structs that wait, their bytes, ranges that wait (u64, little endian) */
  size: 2,
  /** name (varString), slot, check (u32, little endian), kind (u8) of each root */
  roots: 3,
  /** the state vector */
  stateVector: 4,
  /** an update in the format |at|; scratch: a state vector or nothing */
  update: 5,
  /** the name of a root, or of an XML element or hook */
  name: 6,
  /** nothing; the node on the board; LK_ERR_NOT_FOUND for a root */
  parent: 7,
  /** what the node and all in it hold, or what lk_tree_what |at| says, in the form of src/doc/read_tree.h */
  tree: 8,
  /** the text */
  text: 9,
  /** the value at |at| of a list */
  element: 10,
  /** the value of a key; scratch: key; LK_ERR_NOT_FOUND where it has none */
  value: 11,
  /** scratch: the state vector; an update of V1 without structs: what is deleted, and nothing that waits */
  deletes: 12,
  /** client and clock (u64, little endian) of the unit at |at| of a list, if there is one, and of the node's item, if it is no root; 1 and 2 in count on the board say which of them */
  ids: 13,
  /** scratch: client, clock; nothing; on the board the node, and as count the index before that unit, behind it where |at| is 1; the node that this item is where |at| is 2 */
  place: 14,
} as const

/** What doc_change() is told to do. */
export const docChange = {
  /** first: text; attributes */
  textInsert: 0,
  /** first: value; attributes */
  textEmbed: 1,
  /** a node of the kind |size|; first: its name; attributes */
  textNode: 2,
  /** |size| units; attributes */
  textFormat: 3,
  /** first: JSON; sanitized where |size| is not 0 */
  textDelta: 4,
  /** values; doubles where |size| is not 0 */
  listInsert: 5,
  /** values; doubles where |size| is not 0 */
  listPush: 6,
  /** a node of the kind |size|; first: its name */
  listNode: 7,
  /** |size| elements */
  listDelete: 8,
  /** first: key; one value */
  mapSet: 9,
  /** a node of the kind |size|; first: key of |at| bytes, its name */
  mapNode: 10,
  /** first: key */
  mapDelete: 11,
} as const

/** What doc_observe() is told to do. */
export const docObserve = {
  /** tell() is called with changes of the node */
  node: 0,
  /** tell() is called with changes of the node and all in it */
  deep: 1,
  /** updates in the format |token| are queued; of the whole document */
  updates: 2,
  /** subdocuments that come and go are queued; of the whole document */
  subdocs: 3,
} as const

/** What doc_event() is told to do. */
export const docEvent = {
  /** nothing */
  target: 0,
  /** its path, in the form of src/doc/read_tree.h, as are those below */
  path: 1,
  /** its delta, nothing where the list did not change */
  delta: 2,
  /** key (varString), lk_key_action (u8), old value behind its length (varUint, 0 where there was none) of each key that changed */
  keys: 3,
} as const

/** What doc_undo() is told to do. */
export const docUndo = {
  /** never within tell() */
  free: 0,
  /** a: 0 undo, 1 redo; count: 1 where there was something to take back */
  pop: 1,
  /** a: 0 undo, 1 redo; count: of items on that stack */
  count: 2,
  /** the next change is not put together with the last one */
  stop: 3,
  /** a: the one stack, b: the other */
  clear: 4,
  /** a, b: a node to watch, too */
  scope: 5,
  /** a: an origin, b: whether transactions of it count */
  track: 6,
  /** count: the origin of what it does itself, as it stands in the queue */
  origin: 7,
  /** its items are queued from now on */
  watch: 8,
} as const

/** What laniakea-update.wasm offers beside them. */
export interface UpdateExports {
  /** scratch: updates, each behind its length; an lk_err; hands out one update */
  readonly update_merge: (format: number, count: number, recordsLen: number) => number
  /** the same, as small as it can be */
  readonly update_compact: (format: number, count: number, recordsLen: number) => number
  /** scratch: an update, a state vector; an lk_err; hands out an update */
  readonly update_diff: (format: number, updateLen: number, svLen: number) => number
  /** scratch: an update; an lk_err; hands out its state vector */
  readonly update_state_vector: (format: number, len: number) => number
  /** scratch: an update; an lk_err; hands it out in the other format */
  readonly update_convert: (from: number, len: number, to: number) => number
}

/** What laniakea-history.wasm offers beside them. */
export interface HistoryExports {
  /** scratch: a document, a snapshot; an lk_err, LK_ERR_COLLECTED where the document has not all any more that it showed then; hands out the document as it was */
  readonly history_at: (format: number, documentLen: number, snapshotLen: number, seed: bigint, seed2: bigint) => number
  /** scratch: two versions of a document, of which either may be empty; an lk_err; hands out what changed, as JSON */
  readonly history_compare: (format: number, beforeLen: number, afterLen: number) => number
  /** scratch: a document, two snapshots of it, the first empty for an empty document, the second for now; likewise */
  readonly history_compare_snapshots: (format: number, documentLen: number, beforeLen: number, afterLen: number, seed: bigint, seed2: bigint) => number
}

/** What laniakea-client.wasm offers beside all of DocExports, and all of CoreExports but the peers. */
export interface ClientExports {
  /** scratch: capabilities, JSON; an lk_err, LK_ERR_STATE where there is one */
  readonly client_open: (entropy: bigint, entropy2: bigint, hasStorage: number, usesToken: number, pendingCountMax: number, pendingBytesMax: number, capabilitiesLen: number, now: number) => number
  /** a part of this core is beside it now: 1 documents, 2 objects; where a core is whole, nothing */
  readonly client_has: (part: number) => void
  /** those that topics were asked of, and that are not there */
  readonly client_lacks: () => number
  /** 0: closed, or there is none; 1: the storage is still busy: carry out client_io(), and try again */
  readonly client_close: () => number
  /** connects as soon as the storage was read, and again whenever the connection is lost */
  readonly client_connect: (now: number) => void
  /** until client_connect() */
  readonly client_disconnect: () => void
  /** the network came back, or somebody wants it now */
  readonly client_wake: (now: number) => void
  /** the connection is open; is_text: what is SEND_BINARY goes in base64 there, and bytes of the server's come in texts */
  readonly client_opened: (isText: number, now: number) => void
  /** it is gone, or could not be made; hint: what Retry-After says, 0 where nothing does */
  readonly client_closed: (code: number, hint: number, now: number) => void
  /** scratch: one message of the server's; an lk_err */
  readonly client_receive: (len: number, isBinary: number, now: number) => number
  /** scratch: the token; life: how long it holds, 0: not known; an lk_err */
  readonly client_set_token: (len: number, life: number, now: number) => number
  /** there is none now */
  readonly client_no_token: (now: number) => void
  /** scratch: JSON, or nothing; an lk_err */
  readonly client_set_capabilities: (len: number, now: number) => number
  /** after client_io_done() */
  readonly client_stored: (now: number) => void
  /** client_deadline() has passed */
  readonly client_tick: (now: number) => void
  /** when to call client_tick() at the latest */
  readonly client_deadline: () => number
  /** the next CLIENT_EVENT, or 0; hands out the token of CONNECT, which may be empty, and what to send */
  readonly client_poll: () => number
  /** which topic the last client_poll() or client_news() was about; 0: the client */
  readonly client_topic: () => number
  /** the next CLIENT_NEWS, or 0; call it until then, after every other call; hands out its bytes */
  readonly client_news: () => number
  /** an lk_err; hands out JSON: state (offline, connecting, online), storage (an lk_err, 0 where all is well), pending, pendingBytes, unsaved, acknowledgedAt and roundTrip (null: never), full */
  readonly client_status: () => number
  /** kind: a number of src/crdt/types.def, 0 for a document, 255 for a topic without a replica; scratch: name; an lk_err, and on success the handle in out_ptr() */
  readonly topic_open: (kind: number, isKept: number, hearsPresence: number, nameLen: number, now: number) => number
  /** once for each topic_open() */
  readonly topic_close: (topic: number, now: number) => void
  /** scratch: a change that a page made; an lk_err; hands out its number (u64, little endian), 0 where it says nothing new */
  readonly topic_merge: (topic: number, len: number, waits: number, now: number) => number
  /** an lk_err; hands out an object's version, a document's state vector */
  readonly topic_version: (topic: number) => number
  /** scratch: such a one, or nothing; an lk_err; hands out what is known beyond it */
  readonly topic_since: (topic: number, len: number) => number
  /** an lk_err; hands out JSON: state (away, joined, refused), reason, pending, level, profile, readOnly, changes, recorded, acknowledged, kept */
  readonly topic_status: (topic: number) => number
  /** scratch: event, payload; an lk_err; hands out the ref of the REPLY (u64, little endian) */
  readonly topic_push: (topic: number, eventLen: number, payloadLen: number, isBinary: number, now: number) => number
  /** from now on */
  readonly topic_hear_presence: (topic: number, now: number) => void
  /** after refused */
  readonly topic_retry: (topic: number, now: number) => void
  /** drops the replica; an lk_err */
  readonly topic_start_anew: (topic: number, now: number) => number
  /** the number of the next operation to carry out, 0: none; its parts are on the board */
  readonly client_io: () => number
  /** the address of the board, which never moves: kind, file, create, off_lo, off_hi, bytes_at, bytes_len, into_at, into_len (u32); bytes: what to write, or the name; into: where what is read goes, or the new name */
  readonly client_io_board: () => number
  /** result: an lk_err; done: bytes, or the number of the file that was opened; off: its size */
  readonly client_io_done: (number: number, result: number, done: number, off: number) => void
}

/** What client_poll() returns; 0 is "nothing". */
export const clientEvent = {
  token: 1,
  connect: 2,
  sendText: 3,
  sendBinary: 4,
  hangUp: 5,
  ready: 6,
  changed: 7,
  status: 8,
} as const

/** What client_news() returns; 0 is "nothing". */
export const clientNews = {
  /** others changed the topic; bytes: a delta or an update (V1); none: ask topic_since() */
  news: 1,
  /** to topic_push(); bytes: ref (varUint), whether the payload is bytes (u8), status (varString), payload */
  reply: 2,
  /** the server said something else in the topic; bytes: 0 (varUint), likewise, event (varString), payload */
  message: 3,
} as const

/** What the storage is asked for: the first word of the board at client_io_board(). */
export const clientIo = {
  /** bytes: name; create: made where there is none */
  open: 0,
  /** file */
  close: 1,
  /** file, off, into */
  read: 2,
  /** file, off, bytes */
  write: 3,
  /** file */
  sync: 4,
  /** file, off: the new size */
  truncate: 5,
  /** file */
  size: 6,
  /** bytes: name; into: the new one */
  rename: 7,
  /** bytes: name */
  remove: 8,
  /** bytes: name; into: names behind it */
  list: 9,
  /** file, off; LK_ERR_UNSUPPORTED will do */
  reserve: 10,
  /** bytes: name; into: names behind it, in any order */
  walk: 11,
  /** bytes: name; off, into */
  peek: 12,
} as const
