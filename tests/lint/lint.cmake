# What a reader would otherwise have to watch. Once, in the plain build, is enough.
if(NOT SANITIZE AND NOT IBID_FUZZ AND NOT CMAKE_CROSSCOMPILING)
  foreach(name layers forbidden headers format texts kubernetes prometheus docs)
    add_test(NAME lint.${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lint/${name}.sh
             WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(lint.${name} PROPERTIES LABELS lint TIMEOUT 120 SKIP_RETURN_CODE 77)
  endforeach()
  set_tests_properties(lint.kubernetes PROPERTIES TIMEOUT 400) # sixteen runs of a slow program
  if(NOT IBID_COVERAGE)
    add_test(NAME lint.symbols COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lint/symbols.sh ${CMAKE_BINARY_DIR}
             WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(lint.symbols PROPERTIES LABELS lint TIMEOUT 120)
  endif()
endif()
ibid_test(NAME reference LABEL lint SOURCES lint/test_reference.c LIBS config base)
