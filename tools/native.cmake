# What a native build makes for its users: the program, the two libraries, the manual pages, and how they
# are installed. Included by CMakeLists.txt, which has made the floors and the platform.
include(GNUInstallDirs)
find_program(LK_NODE node REQUIRED)
set(LK_ASSETS_DIR ${CMAKE_SOURCE_DIR}/build/web CACHE PATH "Built pages that the program carries; may be missing")
set(LK_PACKAGES_DIR ${CMAKE_SOURCE_DIR}/build/npm CACHE PATH "Packed npm packages that the program carries for `laniakea new`; may be missing")
option(LK_HARDEN "Stack protector, fortified C library calls, RELRO, PIE" ${LK_LTO})
option(LK_LIBRARIES "Build liblaniakea and liblaniakea-tls, shared and static" ON)

# ---- flags of everything that is shipped
set(LK_SHIPPED ${LK_CORE_LIBS} ${LK_PLATFORM})
set(lto_compile "")
set(lto_link "")
if(LK_LTO AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Fat objects: the archive is made of their machine code, the program and the shared library of both.
  set(lto_compile -flto=auto -ffat-lto-objects)
  set(lto_link -flto=auto)
elseif(LK_LTO)
  set(lto_compile -flto=thin -ffat-lto-objects)
  set(lto_link -flto=thin -fuse-ld=lld)
endif()
set(harden_compile "")
set(harden_link "")
if(LK_HARDEN AND NOT LK_SANITIZE)
  set(harden_compile -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  set(harden_link -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()

# ---- the shells
file(GLOB server_sources CONFIGURE_DEPENDS src/server/*.c)
add_library(lk_server STATIC ${server_sources})
target_compile_definitions(lk_server PRIVATE _GNU_SOURCE)
target_link_libraries(lk_server PUBLIC ${LK_PLATFORM} ${LK_CORE_TOP} PkgConfig::LK_TLS)
list(APPEND LK_SHIPPED lk_server)

set(assets ${CMAKE_BINARY_DIR}/assets)
file(GLOB_RECURSE asset_files CONFIGURE_DEPENDS ${LK_ASSETS_DIR}/*)
add_custom_command(OUTPUT ${assets}.S ${assets}.c
  COMMAND ${LK_NODE} ${CMAKE_SOURCE_DIR}/tools/embed_assets.mjs ${LK_ASSETS_DIR} ${assets}.S ${assets}.c
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed_assets.mjs ${CMAKE_SOURCE_DIR}/tools/embed.mjs ${asset_files}
  COMMENT "Taking in the pages of ${LK_ASSETS_DIR}" VERBATIM)
set_source_files_properties(${assets}.S PROPERTIES OBJECT_DEPENDS "${asset_files}")

set(starter ${CMAKE_BINARY_DIR}/starter)
set(starter_app ${CMAKE_SOURCE_DIR}/examples/starter)
file(GLOB starter_files LIST_DIRECTORIES false CONFIGURE_DEPENDS ${starter_app}/* ${starter_app}/.gitignore ${starter_app}/src/* ${LK_PACKAGES_DIR}/*.tgz)
add_custom_command(OUTPUT ${starter}.S ${starter}.c
  COMMAND ${LK_NODE} ${CMAKE_SOURCE_DIR}/tools/embed_starter.mjs ${starter_app} ${LK_PACKAGES_DIR} ${starter}.S ${starter}.c
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed_starter.mjs ${CMAKE_SOURCE_DIR}/tools/embed.mjs ${starter_files}
  COMMENT "Taking in the app of `laniakea new`" VERBATIM)
set_source_files_properties(${starter}.S PROPERTIES OBJECT_DEPENDS "${starter_files}")

file(GLOB cli_sources CONFIGURE_DEPENDS src/cli/*.c)
add_executable(laniakea ${cli_sources} ${assets}.S ${assets}.c ${starter}.S ${starter}.c)
target_compile_definitions(laniakea PRIVATE _GNU_SOURCE)
target_link_libraries(laniakea PRIVATE lk_server)
target_link_options(laniakea PRIVATE ${lto_link} ${harden_link} -pie -Wl,--gc-sections)
list(APPEND LK_SHIPPED laniakea)

foreach(target ${LK_SHIPPED})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${lto_compile};${harden_compile};-ffunction-sections;-fdata-sections>)
endforeach()

if(LK_LTO)
  # What applying, loading, encoding and keystrokes run through: some percent of their time.
  foreach(file apply apply_plain cleanup encode_whole integrate order store text text_fast update_reader)
    set_source_files_properties(src/doc/${file}.c PROPERTIES COMPILE_OPTIONS -O3)
  endforeach()
endif()

# ---- the manual pages
set(man ${CMAKE_BINARY_DIR}/laniakea.1)
set(man_beside ${CMAKE_BINARY_DIR}/laniakea-serve.1 ${CMAKE_BINARY_DIR}/laniakea.toml.5)
add_custom_command(OUTPUT ${man} ${man_beside}
  COMMAND ${CMAKE_COMMAND} -E env LK_ROOT=${CMAKE_SOURCE_DIR} ${LK_NODE} ${CMAKE_SOURCE_DIR}/tools/gen_man.mjs ${man}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/gen_man.mjs ${CMAKE_SOURCE_DIR}/tools/lib.mjs
          ${CMAKE_SOURCE_DIR}/tools/settings.mjs ${CMAKE_SOURCE_DIR}/src/cli/commands.def
          ${CMAKE_SOURCE_DIR}/src/server/settings.def ${CMAKE_SOURCE_DIR}/src/base/limits.def ${CMAKE_SOURCE_DIR}/VERSION
  COMMENT "Writing the manual pages" VERBATIM)
add_custom_target(man ALL DEPENDS ${man} ${man_beside})

install(TARGETS laniakea RUNTIME)
install(FILES ${man} ${CMAKE_BINARY_DIR}/laniakea-serve.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/laniakea.toml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(DIRECTORY include/laniakea DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# ---- the libraries: the core, where its assertions end, and the host of laniakea/client_host.h; nothing else of them does I/O
if(NOT LK_LIBRARIES)
  return()
endif()
set(core_objects "")
foreach(floor ${LK_CORE_LIBS})
  list(APPEND core_objects $<TARGET_OBJECTS:${floor}>)
endforeach()
add_library(lk_panic OBJECT platform/posix/panic.c)
target_compile_options(lk_panic PRIVATE ${lto_compile} ${harden_compile} -ffunction-sections -fdata-sections)
list(APPEND core_objects $<TARGET_OBJECTS:lk_panic>)
set(host_sources "")
foreach(part client_host client_stream clock heap random storage)
  list(APPEND host_sources platform/posix/${part}.c)
endforeach()
add_library(lk_host OBJECT ${host_sources})
target_compile_definitions(lk_host PRIVATE _GNU_SOURCE)
target_compile_options(lk_host PRIVATE ${lto_compile} ${harden_compile} -ffunction-sections -fdata-sections)
list(APPEND core_objects $<TARGET_OBJECTS:lk_host>)

# The targets TARGET_shared and TARGET_static: libNAME.so and libNAME.a of the objects that follow, with NAME.pc.
#
# Only names marked LK_API are visible; -Bsymbolic binds our calls of them to ourselves. The archive has one object, so that what is
# hidden can be made local: a program may call its own function lk_anything. The bytecode of link-time optimisation goes: only the
# compiler that wrote it could link it.
function(lk_add_library target name)
  add_library(${target}_shared SHARED ${ARGN})
  set_target_properties(${target}_shared PROPERTIES OUTPUT_NAME ${name} LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_link_options(${target}_shared PRIVATE ${lto_link} ${harden_link} -Wl,-Bsymbolic -Wl,--gc-sections)
  if(NOT LK_SANITIZE)
    target_link_options(${target}_shared PRIVATE -Wl,--no-undefined)
  endif()

  set(archive ${CMAKE_BINARY_DIR}/lib${name}.a)
  set(whole ${CMAKE_BINARY_DIR}/${name}-whole.o)
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_LINKER} -r -o ${whole} ${ARGN}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden --wildcard --remove-section=.gnu.lto_* --remove-section=.gnu.debuglto_*
            --remove-section=.llvm.lto --strip-symbol=__gnu_lto_* ${whole}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} Dqcs ${archive} ${whole}
    DEPENDS ${ARGN} COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Making lib${name}.a of one object")
  add_custom_target(${target}_static ALL DEPENDS ${archive})

  configure_file(tools/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
  install(TARGETS ${target}_shared LIBRARY)
  install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

file(RELATIVE_PATH LK_UP_TO_PREFIX /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
lk_add_library(liblaniakea laniakea ${core_objects})
target_link_libraries(liblaniakea_shared PRIVATE Threads::Threads)

# TLS for the host, beside the library: who needs none has no GnuTLS to install (docs/decisions/035).
add_library(lk_client_tls OBJECT platform/providers/client_tls_gnutls.c)
target_compile_definitions(lk_client_tls PRIVATE _GNU_SOURCE)
target_compile_options(lk_client_tls PRIVATE ${lto_compile} ${harden_compile} -ffunction-sections -fdata-sections)
target_link_libraries(lk_client_tls PRIVATE PkgConfig::LK_TLS)
lk_add_library(liblaniakea_tls laniakea-tls $<TARGET_OBJECTS:lk_client_tls>)
target_link_libraries(liblaniakea_tls_shared PRIVATE PkgConfig::LK_TLS)
