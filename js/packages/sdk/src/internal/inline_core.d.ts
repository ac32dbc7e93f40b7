/** laniakea-client.wasm as base64; tools/build_js.mjs makes it. */
export declare const clientCore: string
