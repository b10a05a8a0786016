ibid_fuzz(NAME classifier SOURCES fuzz/fuzz_classifier.c LIBS router base MUTATE 3000)
ibid_fuzz(NAME cascade SOURCES fuzz/fuzz_cascade.c LIBS router base MUTATE 3000)
