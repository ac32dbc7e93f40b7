# One test binary for each floor, from tests/unit/<floor>/*_test.c and fuzz/<floor>/*_fuzz.c; in
# the fuzz build the same binaries are libFuzzer's. `sim` and `platform` count as floors here.
file(GLOB harness_sources CONFIGURE_DEPENDS tests/harness/*.c)
add_library(lk_harness OBJECT ${harness_sources})
target_include_directories(lk_harness PUBLIC tests ${CMAKE_SOURCE_DIR})
target_compile_definitions(lk_harness PUBLIC _GNU_SOURCE LK_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
target_link_libraries(lk_harness PUBLIC ${LK_PLATFORM} ${LK_CORE_TOP})
if(LK_FUZZ)
  target_compile_definitions(lk_harness PUBLIC LK_FUZZ_DRIVER)
  target_link_options(lk_harness PUBLIC -fsanitize=fuzzer)
endif()

file(GLOB sim_sources CONFIGURE_DEPENDS sim/*.c)
list(FILTER sim_sources EXCLUDE REGEX "/main\\.c$")
if(sim_sources)
  add_library(lk_sim STATIC ${sim_sources})
  target_compile_definitions(lk_sim PRIVATE _GNU_SOURCE)
  target_include_directories(lk_sim PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(lk_sim PUBLIC lk_platform_memory ${LK_CORE_TOP})
  if(EXISTS ${CMAKE_SOURCE_DIR}/sim/main.c)
    add_executable(laniakea-sim sim/main.c)
    target_compile_definitions(laniakea-sim PRIVATE _GNU_SOURCE)
    target_link_libraries(laniakea-sim PRIVATE lk_sim lk_platform_posix)
    # The simulator again with a bug in one file of the core: tests/sim/planted.test.mjs shows that it
    # is found. The file's symbols come from here, so that the library's copy is left out.
    foreach(bug "merge-adds|MERGE_ADDS|src/crdt/gcounter.c" "ack-early|ACK_EARLY|src/room/crdt_replies.c"
            "same-slot|SAME_SLOT|src/room/keeper.c" "ack-appended|ACK_APPENDED|src/room/house_journal.c"
            "doc-ack-early|DOC_ACK_EARLY|src/room/doc_journal.c" "doc-forgets|DOC_FORGETS|src/room/doc_journal.c"
            "doc-full-ack|DOC_FULL_ACK|src/room/doc_updates.c"
            "version-ack-early|VERSION_ACK_EARLY|src/room/doc_version_commands.c"
            "version-undead|VERSION_UNDEAD|src/room/doc_version_commands.c"
            "restore-twice|RESTORE_TWICE|src/room/doc_version_commands.c"
            "peer-send-early|PEER_SEND_EARLY|src/peer/topic.c" "peer-ack-sent|PEER_ACK_SENT|src/peer/topic.c"
            "peer-retire-early|PEER_RETIRE_EARLY|src/peer/keeping.c")
      string(REPLACE "|" ";" bug "${bug}")
      list(GET bug 0 name)
      list(GET bug 1 define)
      list(GET bug 2 source)
      add_executable(laniakea-sim-${name} sim/main.c ${source})
      target_compile_definitions(laniakea-sim-${name} PRIVATE _GNU_SOURCE LK_BUG_${define})
      target_link_libraries(laniakea-sim-${name} PRIVATE lk_sim lk_platform_posix)
      list(APPEND planted laniakea-sim-${name})
    endforeach()
  endif()
endif()

# An example that talks to a server, beside the others that the tests of an installation build: it runs with sanitizers, too.
add_executable(follow examples/c/follow.c)
target_compile_definitions(follow PRIVATE _GNU_SOURCE)
target_link_libraries(follow PRIVATE lk_platform_posix lk_platform_providers ${LK_CORE_TOP})

add_custom_target(sims)
if(TARGET laniakea-sim)
  add_dependencies(sims laniakea-sim ${planted})
endif()

pkg_check_modules(LK_TEST_TLS REQUIRED IMPORTED_TARGET libssl) # clients by another library than the server's

set(LK_TEST_BINARIES "")
foreach(floor harness ${LK_CORE_FLOORS} platform server sim fault)
  file(GLOB tests CONFIGURE_DEPENDS tests/unit/${floor}/*_test.c fuzz/${floor}/*_fuzz.c)
  if(floor STREQUAL harness OR (floor STREQUAL sim AND tests))
    list(APPEND tests tests/unit/platform/storage_rules_test.c)
  endif()
  if(tests)
    add_executable(test_${floor} ${tests})
    target_link_libraries(test_${floor} PRIVATE lk_harness)
    if(TARGET lk_sim)
      target_link_libraries(test_${floor} PRIVATE lk_sim)
    endif()
    if(TARGET lk_server)
      target_link_libraries(test_${floor} PRIVATE lk_server)
    endif()
    if(floor STREQUAL server)
      target_link_libraries(test_${floor} PRIVATE PkgConfig::LK_TEST_TLS)
    endif()
    list(APPEND LK_TEST_BINARIES test_${floor})
  endif()
endforeach()
add_custom_target(tests DEPENDS ${LK_TEST_BINARIES} follow)

include(tests/conformance/doc/conformance.cmake)
include(tests/conformance/presence/conformance.cmake)
