if(TARGET rt)
  pkg_check_modules(SSL REQUIRED IMPORTED_TARGET openssl)
endif()
ibid_test(NAME listener LABEL e2e SOURCES e2e/test_listener.c probe.c LIBS base rt)
ibid_test(NAME connect LABEL e2e SOURCES e2e/test_connect.c probe.c tls_peer.c certs.c
          LIBS base rt PkgConfig::SSL)
ibid_test(NAME dns LABEL e2e SOURCES e2e/test_dns.c LIBS base rt)
