# The engine against references that share no code with it.
if(TARGET engine)
  add_executable(engine_probe ${CMAKE_SOURCE_DIR}/bench/engine/probe.c golden/exact.c)
  target_include_directories(engine_probe PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(engine_probe PRIVATE engine flags)
endif()
