# doc_conformance: plays sessions of Yjs on our engine (runner.c). For tests/tests.cmake:
#   include(tests/conformance/doc/conformance.cmake)
file(GLOB conformance_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/conformance/doc/*.c)
add_executable(doc_conformance ${conformance_sources})
target_compile_definitions(doc_conformance PRIVATE _GNU_SOURCE)
target_include_directories(doc_conformance PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(doc_conformance PRIVATE lk_platform_posix ${LK_CORE_TOP})
# The floors call lk_panic, which lies in a library before theirs: ask for it at once.
target_link_options(doc_conformance PRIVATE LINKER:-u,lk_panic)
