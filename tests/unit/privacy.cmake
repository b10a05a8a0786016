ibid_test(NAME finder LABEL unit SOURCES unit/test_finder.c LIBS privacy)
ibid_test(NAME restorer LABEL unit SOURCES unit/test_restorer.c LIBS privacy)
