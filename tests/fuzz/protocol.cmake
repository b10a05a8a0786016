ibid_fuzz(NAME json SOURCES fuzz/fuzz_json.c LIBS protocol MUTATE 20000)
