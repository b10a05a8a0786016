ibid_test(NAME timer LABEL unit SOURCES unit/test_timer.c LIBS base rt)
ibid_test(NAME loop LABEL unit SOURCES unit/test_loop.c LIBS base rt)
ibid_test(NAME work LABEL unit SOURCES unit/test_work.c LIBS base rt)
ibid_test(NAME io_loopback LABEL unit SOURCES unit/test_io_loopback.c probe.c LIBS base rt)
if(TARGET rt)
  pkg_check_modules(SSL REQUIRED IMPORTED_TARGET openssl)
endif()
ibid_test(NAME io_tls LABEL unit SOURCES unit/test_io_tls.c probe.c tls_peer.c certs.c
          LIBS base rt PkgConfig::SSL)
