// made by tools/gen_bindings.mjs from wasm/exports.def; do not edit

/** What a module must say of itself to be understood here. */
export const abiNumber = 1

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
  /** scratch: topic, actor, restored bytes; an lk_err, and on success the new handle in out_ptr() */
  readonly peer_new: (topicLen: number, actorLen: number, restoredLen: number, entropy: bigint, now: number) => number
  /** a handle that is not one is ignored */
  readonly peer_free: (peer: number) => void
  /** an lk_err */
  readonly peer_increment: (peer: number, amount: bigint, now: number) => number
  /** the connection is open */
  readonly peer_opened: (peer: number, now: number) => void
  /** the connection is gone, or could not be made */
  readonly peer_closed: (peer: number, now: number) => void
  /** scratch: one message from the server; an lk_err */
  readonly peer_receive: (peer: number, len: number, now: number) => number
  /** the network came back */
  readonly peer_wake: (peer: number, now: number) => void
  /** peer_deadline() has passed */
  readonly peer_tick: (peer: number, now: number) => void
  /** when to call peer_tick() at the latest */
  readonly peer_deadline: (peer: number) => number
  /** the next PEER_EVENT, or 0; of SEND the text is handed out */
  readonly peer_poll: (peer: number) => number
  /** a PEER_STATE */
  readonly peer_state: (peer: number) => number
  /** what the counter says here */
  readonly peer_value: (peer: number) => bigint
  /** how much of our own count the server has not acknowledged */
  readonly peer_pending: (peer: number) => bigint
  /** an lk_err; hands out what must outlive the instance */
  readonly peer_save: (peer: number) => number
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
  /** the address of the board, which never moves: queued, queue, lost, slot, check, kind, count, unused (u32), now_ms (f64); wasm/doc_watch.c tells of the first three */
  readonly doc_board_at: () => number
  /** an lk_err, and on success the new handle in out_ptr() */
  readonly doc_new: (client: bigint, seed: bigint, seed2: bigint, keepDeleted: number) => number
  /** a handle that is not one is ignored; its undo managers go with it */
  readonly doc_free: (doc: number) => void
  /** the replica's id */
  readonly doc_client: (doc: number) => bigint
  /** an lk_err; hands out the name of the limit that the last LK_ERR_LIMIT was about */
  readonly doc_limit_hit: (doc: number) => number
  /** scratch: name; an lk_err; the node on the board */
  readonly doc_root: (doc: number, nameLen: number, kind: number) => number
  /** an lk_err; hands out name (varString), slot, check (u32, little endian), kind (u8) of each */
  readonly doc_roots: (doc: number) => number
  /** 1 while it is in the document */
  readonly doc_has_node: (doc: number, slot: number, check: number) => number
  /** an lk_err; hands out the name of a root, or of an XML element or hook */
  readonly doc_node_name: (doc: number, slot: number, check: number) => number
  /** an lk_err, LK_ERR_NOT_FOUND for a root; the node on the board */
  readonly doc_node_parent: (doc: number, slot: number, check: number) => number
  /** units of a text, elements of a list; 0 for a map */
  readonly doc_node_length: (doc: number, slot: number, check: number) => number
  /** an lk_err; hands out JSON */
  readonly doc_node_json: (doc: number, slot: number, check: number) => number
  /** an lk_err; hands out JSON of all roots */
  readonly doc_json: (doc: number) => number
  /** an lk_err; hands out what Yjs' toString gives for XML */
  readonly doc_xml_string: (doc: number, slot: number, check: number) => number
  /** an lk_err; a transaction, which nests */
  readonly doc_begin: (doc: number, origin: number) => number
  /** ends what doc_begin() began */
  readonly doc_commit: (doc: number) => void
  /** one unit of UTF-16; an lk_err */
  readonly doc_text_insert_unit: (doc: number, slot: number, check: number, index: number, unit: number) => number
  /** scratch: text, attributes (any, an object) or nothing; an lk_err */
  readonly doc_text_insert: (doc: number, slot: number, check: number, index: number, textLen: number, attributesLen: number) => number
  /** scratch: value, attributes or nothing; an lk_err */
  readonly doc_text_embed: (doc: number, slot: number, check: number, index: number, valueLen: number, attributesLen: number) => number
  /** scratch: name, attributes or nothing; an lk_err; the new node on the board */
  readonly doc_text_insert_node: (doc: number, slot: number, check: number, index: number, kind: number, nameLen: number, attributesLen: number) => number
  /** an lk_err */
  readonly doc_text_delete: (doc: number, slot: number, check: number, index: number, length: number) => number
  /** scratch: attributes; an lk_err */
  readonly doc_text_format: (doc: number, slot: number, check: number, index: number, length: number, attributesLen: number) => number
  /** scratch: JSON; an lk_err */
  readonly doc_text_apply_delta: (doc: number, slot: number, check: number, jsonLen: number, sanitize: number) => number
  /** an lk_err; hands out the text */
  readonly doc_text_string: (doc: number, slot: number, check: number) => number
  /** an lk_err; hands out JSON */
  readonly doc_text_delta: (doc: number, slot: number, check: number) => number
  /** scratch: values; an lk_err */
  readonly doc_list_insert: (doc: number, slot: number, check: number, index: number, count: number, valuesLen: number) => number
  /** scratch: values; an lk_err */
  readonly doc_list_push: (doc: number, slot: number, check: number, count: number, valuesLen: number) => number
  /** scratch: name; an lk_err; the new node on the board */
  readonly doc_list_insert_node: (doc: number, slot: number, check: number, index: number, kind: number, nameLen: number) => number
  /** an lk_err */
  readonly doc_list_delete: (doc: number, slot: number, check: number, index: number, length: number) => number
  /** an lk_err; hands out a value */
  readonly doc_list_get: (doc: number, slot: number, check: number, index: number) => number
  /** an lk_err; hands out their number (varUint) and the values */
  readonly doc_list_values: (doc: number, slot: number, check: number) => number
  /** scratch: key, value; an lk_err */
  readonly doc_map_set: (doc: number, slot: number, check: number, keyLen: number, valueLen: number) => number
  /** scratch: key, name; an lk_err; the new node on the board */
  readonly doc_map_set_node: (doc: number, slot: number, check: number, keyLen: number, kind: number, nameLen: number) => number
  /** scratch: key; an lk_err */
  readonly doc_map_delete: (doc: number, slot: number, check: number, keyLen: number) => number
  /** scratch: key; an lk_err, LK_ERR_NOT_FOUND where it has no value; hands out a value */
  readonly doc_map_get: (doc: number, slot: number, check: number, keyLen: number) => number
  /** how many keys have values */
  readonly doc_map_count: (doc: number, slot: number, check: number) => number
  /** an lk_err; hands out key (varString) and value of each */
  readonly doc_map_entries: (doc: number, slot: number, check: number) => number
  /** scratch: an update; an lk_err */
  readonly doc_apply: (doc: number, format: number, len: number, origin: number) => number
  /** scratch: updates, each behind its length (u32, little endian); applies them up to the first that fails, whose lk_err it gives; how many were applied is count on the board */
  readonly doc_apply_all: (doc: number, format: number, recordsLen: number, origin: number) => number
  /** scratch: a state vector or nothing; an lk_err; hands out an update */
  readonly doc_encode: (doc: number, format: number, svLen: number) => number
  /** an lk_err; hands out the state vector */
  readonly doc_state_vector: (doc: number) => number
  /** an lk_err; hands out bytes of memory, clients, structs, tombstones, units, nodes, structs that wait, their bytes, ranges that wait (u64, little endian) */
  readonly doc_size: (doc: number) => number
  /** an lk_err; updates are queued from now on; count on the board is what doc_off() wants */
  readonly doc_on_update: (doc: number, format: number) => number
  /** ends an observer of any kind */
  readonly doc_off: (doc: number, id: number) => void
  /** an lk_err; events of the node, or of all in it, are queued from now on; count on the board is what doc_off() wants */
  readonly doc_observe: (doc: number, slot: number, check: number, deep: number, token: number) => number
  /** scratch: slot, check (u32, little endian) of each node that it watches, nothing for all of them; an lk_err; count on the board is the new undo manager */
  readonly doc_undo_new: (doc: number, scopeLen: number, capture: number, ignoreRemote: number) => number
  /** one that is not there is ignored */
  readonly doc_undo_free: (doc: number, undo: number) => void
  /** an lk_err; count on the board is 1 where there was something to take back */
  readonly doc_undo_pop: (doc: number, undo: number, redo: number) => number
  /** how many items are on that stack */
  readonly doc_undo_count: (doc: number, undo: number, redo: number) => number
  /** the next change is not put together with the last one */
  readonly doc_undo_stop: (doc: number, undo: number) => void
  /** an lk_err */
  readonly doc_undo_clear: (doc: number, undo: number, undos: number, redos: number) => number
  /** an lk_err */
  readonly doc_undo_add_scope: (doc: number, undo: number, slot: number, check: number) => number
  /** an lk_err; whether transactions of that origin count */
  readonly doc_undo_track: (doc: number, undo: number, origin: number, tracked: number) => number
  /** the origin of what it does itself, as it stands in the queue */
  readonly doc_undo_origin: (doc: number, undo: number) => number
  /** an lk_err; its items are queued from now on */
  readonly doc_undo_watch: (doc: number, undo: number) => number
}

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

/** What peer_poll() returns; 0 is "nothing". */
export const peerEvent = {
  open: 1,
  send: 2,
  close: 3,
  changed: 4,
} as const

/** What peer_state() returns. */
export const peerState = {
  idle: 0,
  connecting: 1,
  joining: 2,
  joined: 3,
} as const
