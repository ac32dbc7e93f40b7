# One program for each folder of bench/ that has C files: bench_<folder>. Scripts in the same folders
# need no building. `ninja benchmarks` makes them all, tools/bench.mjs runs them.
add_custom_target(benchmarks)
file(GLOB bench_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true ${CMAKE_SOURCE_DIR}/bench/*)
foreach(folder ${bench_folders})
  get_filename_component(suite ${folder} NAME)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c)
  if(sources)
    add_executable(bench_${suite} ${sources})
    target_compile_definitions(bench_${suite} PRIVATE _GNU_SOURCE)
    target_include_directories(bench_${suite} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(bench_${suite} PRIVATE ${LK_PLATFORM} ${LK_CORE_TOP})
    # The floors call lk_panic, which lies in a library before theirs: ask for it at once.
    target_link_options(bench_${suite} PRIVATE LINKER:-u,lk_panic)
    # What is measured is what is shipped: the program and the shared library are linked like this.
    target_link_options(bench_${suite} PRIVATE ${lto_link})
    add_dependencies(benchmarks bench_${suite})
  endif()
endforeach()
