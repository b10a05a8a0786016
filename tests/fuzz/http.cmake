ibid_fuzz(NAME http_head SOURCES fuzz/fuzz_http_head.c LIBS http)
ibid_fuzz(NAME http2 SOURCES fuzz/fuzz_http2.c LIBS http)
ibid_fuzz(NAME sse SOURCES fuzz/fuzz_sse.c LIBS http)
