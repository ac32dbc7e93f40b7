# The core as WebAssembly:
#
#   build/laniakea.wasm           what browsers load: the exports of wasm/exports.def, no imports
#   build/laniakea-doc.wasm       documents, the exports of wasm/doc.def: who has none of them loads none of it
#   build/laniakea-vectors.wasm   tests only: the same core behind wasm/vectors.def
#
# Three steps, and each must leave a file behind, since a driver that runs a linker or wasm-opt of
# its own choosing has been seen to succeed without an output: clang compiles, wasm-ld links,
# wasm-opt (npm's binaryen, pinned) makes it smaller. The same sources give the same bytes, in whatever
# folder they lie. No link-time optimisation: it made modules larger.
find_program(LK_WASM_LD NAMES wasm-ld-22 REQUIRED)
find_program(LK_WASM_OPT NAMES wasm-opt PATHS ${CMAKE_SOURCE_DIR}/node_modules/.bin
  NO_DEFAULT_PATH REQUIRED DOC "npm ci")
# wasm-opt is a script for Node: the one that npm brought, where there is one.
find_program(LK_NODE NAMES node PATHS ${CMAKE_SOURCE_DIR}/node_modules/.bin NO_DEFAULT_PATH)
find_program(LK_NODE NAMES node REQUIRED)

set(LK_WASM_STACK 262144)
set(LK_WASM_MEMORY_MAX 268435456)
set(LK_WASM_DOC_FAST apply.c cleanup.c delete_set.c integrate.c list.c order.c read.c store.c text.c text_fast.c
  transact.c update_reader.c)
set(LK_WASM_FEATURES -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals)
set(LK_WASM_OPT_FEATURES --enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext
  --enable-nontrapping-float-to-int --enable-mutable-globals --enable-multivalue
  --enable-reference-types)

set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
add_compile_options(-ffreestanding -nostdlib -Os ${LK_WASM_FEATURES})
add_compile_definitions(NDEBUG LK_WASM_MEMORY_MAX=${LK_WASM_MEMORY_MAX})
include_directories(${CMAKE_SOURCE_DIR})

# Objects of the core are in both modules; --gc-sections leaves behind what a module does not use.
set(core "")
foreach(floor ${LK_CORE_FLOORS})
  file(GLOB sources CONFIGURE_DEPENDS src/${floor}/*.c)
  list(APPEND core ${sources})
endforeach()
file(GLOB platform CONFIGURE_DEPENDS platform/wasm/*.c)
add_library(lk_wasm_core OBJECT ${core} ${platform} wasm/memory.c)
# The compiler may not find a loop in mem.c to be one of the functions that it defines.
set_source_files_properties(platform/wasm/mem.c PROPERTIES COMPILE_OPTIONS -fno-builtin)

# A keystroke in a document is some ten nanoseconds. What it and what updates run through is made to be fast, all
# else of documents to be small: together a tenth larger than small alone, and an eighth smaller than fast alone.
file(GLOB documents CONFIGURE_DEPENDS src/doc/*.c)
set_source_files_properties(${documents} PROPERTIES COMPILE_OPTIONS -Oz)
list(TRANSFORM LK_WASM_DOC_FAST PREPEND src/doc/)
set_source_files_properties(${LK_WASM_DOC_FAST} wasm/doc.c wasm/doc_watch.c PROPERTIES COMPILE_OPTIONS -O2)

function(lk_add_module name)
  add_library(lk_wasm_${name} OBJECT ${ARGN})
  set(linked ${CMAKE_CURRENT_BINARY_DIR}/${name}.linked.wasm)
  set(output ${CMAKE_SOURCE_DIR}/build/${name}.wasm)
  if(NOT CMAKE_CURRENT_BINARY_DIR STREQUAL "${CMAKE_SOURCE_DIR}/build/wasm")
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.wasm)
  endif()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${linked} ${output}
    COMMAND ${LK_WASM_LD} --no-entry --gc-sections --strip-all --stack-first --fatal-warnings
      -z stack-size=${LK_WASM_STACK} --max-memory=${LK_WASM_MEMORY_MAX}
      $<TARGET_OBJECTS:lk_wasm_${name}> $<TARGET_OBJECTS:lk_wasm_core> -o ${linked}
    COMMAND ${LK_NODE} ${LK_WASM_OPT} -Os ${LK_WASM_OPT_FEATURES} ${linked} -o ${output}
    COMMAND test -s ${output}
    DEPENDS lk_wasm_${name} lk_wasm_core $<TARGET_OBJECTS:lk_wasm_${name}> $<TARGET_OBJECTS:lk_wasm_core>
    COMMENT "Linking ${name}.wasm" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name}_wasm ALL DEPENDS ${output})
endfunction()

lk_add_module(laniakea wasm/exports.c wasm/crdts.c)
lk_add_module(laniakea-doc wasm/doc.c wasm/doc_watch.c)
lk_add_module(laniakea-vectors wasm/vectors.c)
