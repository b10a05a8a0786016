ibid_test(NAME arena LABEL unit SOURCES unit/test_arena.c LIBS base)
ibid_test(NAME seal LABEL unit SOURCES unit/test_seal.c LIBS base)
ibid_test(NAME json LABEL unit SOURCES unit/test_json.c LIBS base)
ibid_test(NAME base64 LABEL unit SOURCES unit/test_base64.c LIBS base)
