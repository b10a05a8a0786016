# Which version this is, by its tag: v1.2.3 is 1.2.3, three commits later it is 1.2.3+3.gabcdef0 (which Debian
# sorts between 1.2.3 and 1.2.4). Without git, a tag of that form or a folder of its own: what CMakeLists.txt says.
#
#     include(deploy/version.cmake)                         sets IBID_VERSION_TEXT
#     cmake -DFROM=FOLDER -DELSE=0.1.0 -DGIVEN=… -DOUT=version.h -P deploy/version.cmake
#                                                           writes it, unless it is there already

if(CMAKE_SCRIPT_MODE_FILE)
  cmake_minimum_required(VERSION 3.25)
endif()

function(ibid_version from given otherwise out)
  set(${out} ${otherwise} PARENT_SCOPE)
  if(given)
    set(${out} ${given} PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND git -C ${from} rev-parse --show-toplevel
    OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  file(REAL_PATH ${from} here)
  if(failed OR NOT top STREQUAL here) # inside another project's repository, say
    return()
  endif()
  execute_process(COMMAND git -C ${from} describe --tags --abbrev=7 --match v[0-9]*
    OUTPUT_VARIABLE tag OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed AND tag MATCHES "^v([0-9]+\\.[0-9]+\\.[0-9]+)(-([0-9]+)-(g[0-9a-f]+))?$")
    set(version ${CMAKE_MATCH_1})
    if(CMAKE_MATCH_2)
      string(APPEND version "+${CMAKE_MATCH_3}.${CMAKE_MATCH_4}")
    endif()
    set(${out} ${version} PARENT_SCOPE)
  endif()
endfunction()

if(OUT)
  ibid_version(${FROM} "${GIVEN}" ${ELSE} version)
  file(CONFIGURE OUTPUT ${OUT} CONTENT "/* Made by deploy/version.cmake. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#define IBID_VERSION \"@version@\"

#endif
" @ONLY)
else()
  set(IBID_VERSION "" CACHE STRING "The version of this build; empty: that of its tag, else of CMakeLists.txt")
  if(NOT IBID_VERSION MATCHES "^([0-9]+\\.[0-9]+\\.[0-9]+[0-9A-Za-z.+~]*)?$")
    message(FATAL_ERROR "IBID_VERSION: '${IBID_VERSION}' is no version such as 1.2.3 or 1.2.3+4.gabcdef0")
  endif()
  ibid_version(${CMAKE_SOURCE_DIR} "${IBID_VERSION}" ${PROJECT_VERSION} IBID_VERSION_TEXT)
endif()
