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
