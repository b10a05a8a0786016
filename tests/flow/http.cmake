ibid_test(NAME smuggling LABEL flow SOURCES flow/test_smuggling.c flow/smuggling_table.c LIBS http TIMEOUT 120)
