# Puts schema/profiles/*/*.json into the program, so that one file is all a
# user installs. The table is declared in schema/profile.c.
function(tailfin_embed_profiles target)
  file(GLOB_RECURSE profiles CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/schema/profiles/*.json)
  set(out ${CMAKE_BINARY_DIR}/profile_data.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DROOT=${CMAKE_SOURCE_DIR}/schema/profiles
            "-DFILES=${profiles}" -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${profiles} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
