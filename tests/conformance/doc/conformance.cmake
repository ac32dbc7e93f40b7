# doc_conformance: plays sessions of Yjs on our engine (runner.c). For tests/tests.cmake:
#   include(tests/conformance/doc/conformance.cmake)
file(GLOB conformance_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/doc/*.c)
add_executable(doc_conformance ${conformance_sources})
target_compile_definitions(doc_conformance PRIVATE _GNU_SOURCE)
target_include_directories(doc_conformance PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(doc_conformance PRIVATE lk_platform_posix ${LK_CORE_TOP})
# The floors call lk_panic, which lies in a library before theirs: ask for it at once.
target_link_options(doc_conformance PRIVATE LINKER:-u,lk_panic)

# doc_conformance_plain: the same on the engine as clients in browsers have it, without its short ways (wasm/doc_ways.c).
file(GLOB plain_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/doc/*.c)
list(FILTER plain_sources EXCLUDE REGEX "/(text_fast|apply_plain|encode_whole)\\.c$")
add_executable(doc_conformance_plain ${conformance_sources} ${plain_sources} ${CMAKE_SOURCE_DIR}/wasm/doc_ways.c)
target_compile_definitions(doc_conformance_plain PRIVATE _GNU_SOURCE)
target_include_directories(doc_conformance_plain PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(doc_conformance_plain PRIVATE lk_platform_posix ${LK_CORE_TOP})
target_link_options(doc_conformance_plain PRIVATE LINKER:-u,lk_panic)
