ibid_test(NAME smuggling LABEL flow SOURCES flow/test_smuggling.c flow/smuggling_table.c LIBS http TIMEOUT 120)
ibid_test(NAME http_server LABEL flow SOURCES flow/test_http_server.c flow/wire.c LIBS http TIMEOUT 120)
ibid_test(NAME http_client LABEL flow SOURCES flow/test_http_client.c flow/wire.c LIBS http TIMEOUT 120)
