ibid_fuzz(NAME config SOURCES fuzz/fuzz_config.c LIBS config base)
