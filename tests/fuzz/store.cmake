ibid_fuzz(NAME entry SOURCES fuzz/fuzz_entry.c LIBS base cache)
