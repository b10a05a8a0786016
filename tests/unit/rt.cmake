ibid_test(NAME timer LABEL unit SOURCES unit/test_timer.c LIBS base rt)
ibid_test(NAME loop LABEL unit SOURCES unit/test_loop.c LIBS base rt)
ibid_test(NAME work LABEL unit SOURCES unit/test_work.c LIBS base rt)
ibid_test(NAME io_loopback LABEL unit SOURCES unit/test_io_loopback.c probe.c LIBS base rt)
