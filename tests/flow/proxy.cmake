ibid_test(NAME proxy LABEL flow SOURCES flow/test_proxy.c flow/wire.c LIBS proxy TIMEOUT 120)
