ibid_fuzz(NAME classifier SOURCES fuzz/fuzz_classifier.c LIBS router base MUTATE 3000)
