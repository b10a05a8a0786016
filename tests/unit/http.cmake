ibid_test(NAME http_message LABEL unit SOURCES unit/test_http_message.c LIBS http)
ibid_test(NAME sse LABEL unit SOURCES unit/test_sse.c LIBS http)
ibid_test(NAME url LABEL unit SOURCES unit/test_url.c LIBS http)
