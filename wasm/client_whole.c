/* wasm/client_whole.c -- a client that has documents and objects from the beginning: wasm/client_parts.c is one that may lack them. */
#include "wasm/client.h"

void lk_wasm_client_has(u32 part) { (void)part; }
u32 lk_wasm_client_lacks(void) { return 0; }
