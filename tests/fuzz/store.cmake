ibid_fuzz(NAME entry SOURCES fuzz/fuzz_entry.c LIBS base cache)
ibid_fuzz(NAME guard SOURCES fuzz/fuzz_guard.c LIBS base cache)
