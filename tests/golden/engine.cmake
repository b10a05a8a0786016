# The engine against references that share no code with it.
if(TARGET engine)
  add_executable(engine_probe ${CMAKE_SOURCE_DIR}/bench/engine/probe.c golden/exact.c)
  target_include_directories(engine_probe PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(engine_probe PRIVATE engine flags)
endif()

set(golden_sources golden/fixture.c)
ibid_test(NAME formats LABEL golden SOURCES golden/test_formats.c ${golden_sources} LIBS engine)
ibid_test(NAME wordpiece LABEL golden SOURCES golden/test_wordpiece.c ${golden_sources} LIBS engine)
ibid_test(NAME tokenizer LABEL golden SOURCES golden/test_tokenizer.c gguf_writer.c ${golden_sources} LIBS engine m)
ibid_test(NAME chat_templates LABEL golden SOURCES golden/test_chat_templates.c gguf_writer.c ${golden_sources} LIBS engine m)
ibid_test(NAME encoder LABEL golden SOURCES golden/test_encoder.c ${golden_sources} LIBS engine TIMEOUT 300)
ibid_test(NAME decoder LABEL golden LIBS engine m TIMEOUT 600
          SOURCES golden/test_decoder.c golden/exact.c tiny_llama.c gguf_writer.c ${golden_sources})
ibid_test(NAME mixed LABEL golden LIBS engine m TIMEOUT 300
          SOURCES golden/test_mixed.c golden/exact.c mixed_llama.c format_scales.c tiny_llama.c
                  gguf_writer.c ${golden_sources})
ibid_test(NAME architectures LABEL golden LIBS engine m TIMEOUT 600
          SOURCES golden/test_architectures.c golden/exact.c tiny_models.c format_scales.c tiny_llama.c
                  gguf_writer.c ${golden_sources})

# Once more with each kernel set; skipped where the machine has not got it.
set(sets ref avx2 avxvnni avx512vnni)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(sets ref neon neondot)
endif()
if(CMAKE_CROSSCOMPILING_EMULATOR)
  set(sets neon) # the best has run already; the reference is the same everywhere, and slow here
endif()
foreach(part encoder decoder mixed architectures)
  foreach(kernels IN LISTS sets)
    if(TARGET test_${part})
      add_test(NAME golden.${part}_${kernels} COMMAND test_${part} ${kernels})
      set_tests_properties(golden.${part}_${kernels} PROPERTIES TIMEOUT 600 LABELS golden
                           SKIP_RETURN_CODE 77)
      ibid_emulated(golden.${part}_${kernels})
    endif()
  endforeach()
endforeach()
