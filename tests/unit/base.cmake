ibid_test(NAME arena LABEL unit SOURCES unit/test_arena.c LIBS base)
