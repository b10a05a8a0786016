ibid_test(NAME smuggling LABEL flow SOURCES flow/test_smuggling.c flow/smuggling_table.c LIBS http TIMEOUT 120)
ibid_test(NAME http_server LABEL flow SOURCES flow/test_http_server.c flow/wire.c LIBS http TIMEOUT 120)
ibid_test(NAME http_client LABEL flow SOURCES flow/test_http_client.c flow/wire.c LIBS http TIMEOUT 120)
ibid_test(NAME http_torture LABEL torture SOURCES flow/test_http_torture.c LIBS http TIMEOUT 120
          LINK_OPTIONS -Wl,--wrap=calloc,--wrap=realloc,--wrap=arena_alloc)
if(TARGET http)
  pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
endif()
ibid_test(NAME http2 LABEL flow SOURCES flow/test_http2.c flow/wire.c LIBS http PkgConfig::NGHTTP2 TIMEOUT 180
          LINK_OPTIONS -Wl,--wrap=calloc,--wrap=realloc,--wrap=arena_alloc)
if(TARGET http)
  pkg_check_modules(SSL REQUIRED IMPORTED_TARGET openssl)
endif()
ibid_test(NAME tls_door LABEL flow SOURCES flow/test_tls_door.c probe.c tls_peer.c certs.c
          LIBS http PkgConfig::SSL TIMEOUT 120)
