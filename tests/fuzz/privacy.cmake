ibid_fuzz(NAME finder SOURCES fuzz/fuzz_finder.c LIBS privacy MUTATE 20000)
ibid_fuzz(NAME restorer SOURCES fuzz/fuzz_restorer.c LIBS privacy MUTATE 20000)
