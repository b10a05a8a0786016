# Entries and where they live: frames, memory, stores, the facade.
ibid_test(NAME entry LABEL unit SOURCES unit/test_entry.c LIBS base cache)
ibid_test(NAME memory LABEL unit SOURCES unit/test_memory.c LIBS base cache)
ibid_test(NAME store LABEL unit SOURCES unit/test_store.c unit/store_fixture.c LIBS cache rt base)
