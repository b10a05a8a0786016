ibid_test(NAME guard LABEL unit SOURCES unit/test_guard.c LIBS cache)
ibid_test(NAME index LABEL unit SOURCES unit/test_index.c LIBS cache m TIMEOUT 120)
