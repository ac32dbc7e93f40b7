/** As workerd imports it: compiled, since it compiles nothing itself. */
declare module '*.wasm' {
  const module: WebAssembly.Module
  export default module
}
