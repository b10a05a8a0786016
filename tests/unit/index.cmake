ibid_test(NAME guard LABEL unit SOURCES unit/test_guard.c LIBS cache)
ibid_test(NAME traffic LABEL unit SOURCES unit/test_traffic.c LIBS cache m)
ibid_test(NAME vector LABEL unit SOURCES unit/test_vector.c LIBS cache m)
# The heap of what is linked statically, failing when told to.
set(FAILING_ALLOC -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc)
ibid_test(NAME index_items LABEL unit SOURCES unit/test_index_items.c unit/failing_alloc.c LIBS cache
          LINK_OPTIONS ${FAILING_ALLOC})
ibid_test(NAME index_run LABEL unit SOURCES unit/test_index_run.c unit/failing_alloc.c LIBS cache
          LINK_OPTIONS ${FAILING_ALLOC})
ibid_test(NAME index_queue LABEL unit SOURCES unit/test_index_queue.c LIBS cache)
ibid_test(NAME index LABEL unit SOURCES unit/test_index.c LIBS cache m TIMEOUT 120)
