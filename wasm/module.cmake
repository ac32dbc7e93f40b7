# The core as WebAssembly:
#
#   build/laniakea.wasm           what browsers load: the exports of wasm/exports.def, no imports
#   build/laniakea-doc.wasm       documents, the exports of wasm/doc.def: who has none of them loads none of it
#   build/laniakea-doc-fast.wasm  the same made to be fast, for where the module need not come over a network
#   build/laniakea-update.wasm    updates without a document, the exports of wasm/update.def, likewise
#   build/laniakea-history.wasm   documents as they were, the exports of wasm/history.def, likewise
#   build/laniakea-client.wasm    a client, objects and documents: the exports of wasm/client.def and doc.def, and crdt_*
#   build/laniakea-client-base.wasm, build/laniakea-client-part-*.wasm        the same in parts: a client, documents, and objects
#   build/laniakea-vectors.wasm   tests only: the same core behind wasm/vectors.def
#
# Three steps, and each must leave a file behind, since a driver that runs a linker or wasm-opt of
# its own choosing has been seen to succeed without an output: clang compiles, wasm-ld links,
# wasm-opt (npm's binaryen, pinned) makes it smaller. Modules of documents take a fourth, tools/pack_wasm.mjs. The same
# sources give the same bytes, in whatever folder they lie.
find_program(LK_WASM_LD NAMES wasm-ld-22 REQUIRED)
find_program(LK_WASM_NM NAMES llvm-nm-22 REQUIRED)
find_program(LK_WASM_OPT NAMES wasm-opt PATHS ${CMAKE_SOURCE_DIR}/node_modules/.bin
  NO_DEFAULT_PATH REQUIRED DOC "npm ci")
# wasm-opt is a script for Node: the one that npm brought, where there is one.
find_program(LK_NODE NAMES node PATHS ${CMAKE_SOURCE_DIR}/node_modules/.bin NO_DEFAULT_PATH)
find_program(LK_NODE NAMES node REQUIRED)

set(LK_WASM_PACK ${CMAKE_SOURCE_DIR}/tools/pack_wasm.mjs)
set(LK_WASM_SPLIT ${CMAKE_SOURCE_DIR}/tools/split_wasm.mjs)
set(LK_WASM_BYTES ${CMAKE_SOURCE_DIR}/tools/wasm_bytes.mjs) # which both import

set(LK_WASM_STACK 262144)
set(LK_WASM_MEMORY_MAX 268435456)
set(LK_WASM_FEATURES -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals)
set(LK_WASM_OPT_FEATURES --enable-simd --enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext
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

# Documents are large, and each byte of theirs is loaded over a network (abi/wasm-gzip-max.txt has the limits), so their
# modules are made of objects of their own. What each setting gave of 110 kB gzip: docs/decisions/013.
#
#   -Oz -flto       a fifth: all is seen at once, and what is called once is put where it is called
#   LK_SMALL        few bytes instead of the last nanosecond: base/check.h, update_reader.c
#   LK_PLAIN        nothing asks for the short ways that wasm/doc_ways.c stands for: doc/engine.h
#   experimental-mv small structs, such as slices, are passed and returned as values, not through memory:
#                   also what made -Oz as fast as -O2 was without it
#   -disable-lsr    loops count one variable, not one for each address in them; likewise the other three: what
#                   is computed again is shorter than what is kept
#   -inline-...     only what is called once is put where it is called
#
# No such gain in laniakea.wasm, whose parts are small: link-time optimisation made it larger.
set(LK_WASM_SMALL -Oz -flto -DLK_SMALL -mmultivalue
  "SHELL:-Xclang -target-abi -Xclang experimental-mv")
set(LK_WASM_SMALL_LINK "")
foreach(option disable-lsr disable-machine-licm disable-machine-cse enable-pre=false inline-threshold=-100)
  list(APPEND LK_WASM_SMALL_LINK -mllvm -${option})
endforeach()
# In Node the module need not come over a network: all the engine's short ways, and whatever makes them shorter, such as
# four words at a time (base/quad.h), which Node, Deno and Bun have had for years.
set(LK_WASM_FAST -O2 -flto -msimd128 -mmultivalue "SHELL:-Xclang -target-abi -Xclang experimental-mv")

set(documents "")
foreach(floor base codec doc)
  file(GLOB sources CONFIGURE_DEPENDS src/${floor}/*.c)
  list(APPEND documents ${sources})
endforeach()
add_library(lk_wasm_fast_documents OBJECT ${documents} ${platform} wasm/memory.c)
target_compile_options(lk_wasm_fast_documents PRIVATE ${LK_WASM_FAST})

# What makes a tenth of the half microsecond of a keystroke is not for pages: whoever types there
# is a human being (wasm/doc_ways.c).
list(FILTER documents EXCLUDE REGEX "/(text_fast|apply_plain|encode_whole)\\.c$")
add_library(lk_wasm_plain_documents OBJECT ${documents} wasm/doc_ways.c ${platform} wasm/memory.c)
target_compile_options(lk_wasm_plain_documents PRIVATE ${LK_WASM_SMALL} -DLK_PLAIN)

# Histories and updates load and encode whole documents; a struct of one runs through encode_whole.c, and there what is
# short stands in place (base/check.h, LK_QUICK).
add_library(lk_wasm_documents OBJECT ${documents} src/doc/apply_plain.c ${platform} wasm/memory.c)
target_compile_options(lk_wasm_documents PRIVATE ${LK_WASM_SMALL})
add_library(lk_wasm_quick OBJECT src/doc/text_fast.c src/doc/encode_whole.c)
target_compile_options(lk_wasm_quick PRIVATE ${LK_WASM_SMALL} -Os -DLK_QUICK)

# A client has more limits than documents, and objects need a B-tree with ranks: so both are compiled anew for it.
# Names of their own for what is static say of which source it is: tools/split_wasm.mjs.
set(LK_WASM_CLIENT ${LK_WASM_SMALL} -DLK_CLIENT -funique-internal-linkage-names)
list(APPEND documents wasm/doc_ways.c)
file(GLOB objects CONFIGURE_DEPENDS src/crdt/*.c)
add_library(lk_wasm_client_replicas OBJECT ${documents} ${objects} ${platform} wasm/memory.c)
target_compile_options(lk_wasm_client_replicas PRIVATE ${LK_WASM_CLIENT} -DLK_RANKS -DLK_PLAIN)

# The client itself, but for which kinds of topics it has (peer/topic_types.c): each module says that with a file of its own.
set(client "")
foreach(floor crypto log wire channel peer)
  file(GLOB sources CONFIGURE_DEPENDS src/${floor}/*.c)
  list(APPEND client ${sources})
endforeach()
list(FILTER client EXCLUDE REGEX /peer/topic_types\\.c$)
add_library(lk_wasm_client OBJECT ${client} wasm/client.c wasm/client_storage.c)
target_compile_options(lk_wasm_client PRIVATE ${LK_WASM_CLIENT})

# The stack comes first and grows down, so its lowest kilobyte is in use only where it is about to end.
set(LK_WASM_OPT_SMALL -Oz --converge --low-memory-unused --skip-pass=local-cse)

# lk_add_module(NAME LIBRARIES SOURCES...): of core, of documents, or of client and one of client_*
function(lk_add_module name libraries)
  add_library(lk_wasm_${name} OBJECT ${ARGN})
  set(objects $<TARGET_OBJECTS:lk_wasm_${name}>)
  foreach(library ${libraries})
    list(APPEND objects $<TARGET_OBJECTS:lk_wasm_${library}>)
  endforeach()
  set(linked ${CMAKE_CURRENT_BINARY_DIR}/${name}.linked.wasm)
  set(output ${CMAKE_SOURCE_DIR}/build/${name}.wasm)
  if(NOT CMAKE_CURRENT_BINARY_DIR STREQUAL "${CMAKE_SOURCE_DIR}/build/wasm")
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${name}.wasm)
  endif()
  set(link_flags "")
  set(opt_flags -Os)
  set(optimised ${output})
  set(pack "")
  if("fast_documents" IN_LIST libraries)
    target_compile_options(lk_wasm_${name} PRIVATE ${LK_WASM_FAST})
    set(opt_flags -O3 --low-memory-unused)
  elseif(NOT "core" IN_LIST libraries)
    target_compile_options(lk_wasm_${name} PRIVATE ${LK_WASM_SMALL})
    if("client" IN_LIST libraries)
      target_compile_options(lk_wasm_${name} PRIVATE -DLK_CLIENT)
    endif()
    if("client_replicas" IN_LIST libraries)
      target_compile_options(lk_wasm_${name} PRIVATE -DLK_RANKS)
    endif()
    set(link_flags ${LK_WASM_SMALL_LINK})
    set(opt_flags ${LK_WASM_OPT_SMALL})
    # Last, since wasm-opt would undo it: what gzip makes less of.
    set(optimised ${CMAKE_CURRENT_BINARY_DIR}/${name}.optimised.wasm)
    set(pack COMMAND ${LK_NODE} ${LK_WASM_PACK} ${optimised} ${output})
  endif()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${linked} ${optimised} ${output}
    COMMAND ${LK_WASM_LD} --no-entry --gc-sections --strip-all --stack-first --fatal-warnings
      -z stack-size=${LK_WASM_STACK} --max-memory=${LK_WASM_MEMORY_MAX} ${link_flags}
      ${objects} -o ${linked}
    COMMAND ${LK_NODE} ${LK_WASM_OPT} ${opt_flags} ${LK_WASM_OPT_FEATURES} ${linked} -o ${optimised}
    ${pack}
    COMMAND test -s ${output}
    DEPENDS ${LK_WASM_PACK} ${LK_WASM_BYTES} ${objects}
    COMMENT "Linking ${name}.wasm" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name}_wasm ALL DEPENDS ${output})
endfunction()

# lk_add_parts(NAME LIBRARIES SOURCES...): such a client in three modules, of which documents and objects are parts that are loaded when
# they are needed (docs/decisions/039)
function(lk_add_parts name libraries)
  add_library(lk_wasm_${name} OBJECT ${ARGN})
  target_compile_options(lk_wasm_${name} PRIVATE ${LK_WASM_CLIENT} -DLK_RANKS)
  set(objects $<TARGET_OBJECTS:lk_wasm_${name}>)
  foreach(library ${libraries})
    list(APPEND objects $<TARGET_OBJECTS:lk_wasm_${library}>)
  endforeach()
  set(at ${CMAKE_CURRENT_BINARY_DIR})
  set(to ${CMAKE_SOURCE_DIR}/build)
  if(NOT at STREQUAL "${CMAKE_SOURCE_DIR}/build/wasm")
    set(to ${at})
  endif()
  set(modules ${name} laniakea-client-part-documents laniakea-client-part-objects)
  set(outputs "")
  set(shrink "")
  foreach(module ${modules})
    list(APPEND outputs ${to}/${module}.wasm)
    list(APPEND shrink
      COMMAND ${LK_NODE} ${LK_WASM_OPT} ${LK_WASM_OPT_SMALL} ${LK_WASM_OPT_FEATURES} ${at}/${module}.split.wasm -o ${at}/${module}.optimised.wasm
      COMMAND ${LK_NODE} ${LK_WASM_PACK} ${at}/${module}.optimised.wasm ${to}/${module}.wasm
      COMMAND test -s ${to}/${module}.wasm)
  endforeach()
  add_custom_command(OUTPUT ${outputs}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${outputs}
    COMMAND ${LK_WASM_LD} --no-entry --gc-sections --strip-debug --no-demangle --stack-first --fatal-warnings
      -z stack-size=${LK_WASM_STACK} --max-memory=${LK_WASM_MEMORY_MAX} ${LK_WASM_SMALL_LINK}
      ${objects} -o ${at}/${name}.linked.wasm
    COMMAND ${LK_WASM_NM} --print-file-name --defined-only --quiet ${objects} > ${at}/${name}.symbols
    COMMAND ${LK_NODE} ${LK_WASM_SPLIT} ${at}/${name}.linked.wasm ${at}/${name}.symbols ${at}/${name}.split.wasm
      documents=${at}/laniakea-client-part-documents.split.wasm objects=${at}/laniakea-client-part-objects.split.wasm
    ${shrink}
    DEPENDS ${LK_WASM_PACK} ${LK_WASM_SPLIT} ${LK_WASM_BYTES} ${objects}
    COMMENT "Linking ${name}.wasm and its parts" COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name}_wasm ALL DEPENDS ${outputs})
endfunction()

lk_add_module(laniakea core wasm/crdts.c)
lk_add_module(laniakea-doc plain_documents wasm/doc.c wasm/doc_watch.c wasm/doc_number.c)
lk_add_module(laniakea-doc-fast fast_documents wasm/doc.c wasm/doc_watch.c)
lk_add_module(laniakea-update "documents;quick" wasm/update.c)
lk_add_module(laniakea-history "documents;quick" wasm/history.c)
lk_add_module(laniakea-client "client;client_replicas" src/peer/topic_types.c wasm/client_whole.c wasm/crdts.c wasm/doc.c wasm/doc_watch.c wasm/doc_number.c)
lk_add_parts(laniakea-client-base "client;client_replicas" wasm/client_parts.c wasm/crdts.c wasm/doc.c wasm/doc_watch.c wasm/doc_number.c)
lk_add_module(laniakea-vectors core wasm/vectors.c)
