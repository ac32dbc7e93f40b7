# Freestanding WebAssembly: clang to compile, and nothing else of a toolchain. There is no sysroot, no
# C library and no compiler-rt; wasm/module.cmake links with wasm-ld itself.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang-22)
set(CMAKE_C_COMPILER_TARGET wasm32-unknown-unknown)
set(CMAKE_ASM_COMPILER clang-22)
set(CMAKE_ASM_COMPILER_TARGET wasm32-unknown-unknown)
# A program cannot be linked without the libraries that are not there: objects are proof enough.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
