# presence_play: what clients of our presence are sent, for presence.test.mjs.
add_executable(presence_play ${CMAKE_SOURCE_DIR}/tests/conformance/presence/play.c)
target_compile_definitions(presence_play PRIVATE _GNU_SOURCE)
target_include_directories(presence_play PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(presence_play PRIVATE lk_platform_posix ${LK_CORE_TOP})
# The floors call lk_panic, which lies in a library before theirs: ask for it at once.
target_link_options(presence_play PRIVATE LINKER:-u,lk_panic)
