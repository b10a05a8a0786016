# Entries and where they live: frames, memory, stores, the facade.
ibid_test(NAME entry LABEL unit SOURCES unit/test_entry.c LIBS base cache)
ibid_test(NAME memory LABEL unit SOURCES unit/test_memory.c LIBS base cache)
ibid_test(NAME refusals LABEL unit SOURCES unit/test_refusals.c LIBS cache base)
ibid_test(NAME newcomers LABEL unit SOURCES unit/test_newcomers.c LIBS cache base)
ibid_test(NAME logistic LABEL unit SOURCES unit/test_logistic.c LIBS cache m)
ibid_test(NAME answer_groups LABEL unit SOURCES unit/test_answer_groups.c LIBS cache base)
ibid_test(NAME admission LABEL unit SOURCES unit/test_admission.c LIBS cache base)
ibid_test(NAME resolve LABEL unit SOURCES unit/test_resolve.c LIBS cache base)
ibid_test(NAME agreement LABEL unit SOURCES unit/test_agreement.c LIBS cache base)
ibid_test(NAME drift LABEL unit SOURCES unit/test_drift.c LIBS cache m)
ibid_test(NAME bounded LABEL unit SOURCES unit/test_bounded.c LIBS cache base m)
ibid_test(NAME keyset LABEL unit SOURCES unit/test_keyset.c LIBS cache base)
ibid_test(NAME breaker LABEL unit SOURCES unit/test_breaker.c LIBS cache base)
ibid_test(NAME redis_url LABEL unit SOURCES unit/test_redis_url.c LIBS cache base)
ibid_test(NAME store_redis_news LABEL unit SOURCES unit/test_store_redis_news.c LIBS cache base)
set(store_sources unit/test_store.c unit/store_fixture.c unit/redis_process.c)
ibid_test(NAME store LABEL unit SOURCES ${store_sources} LIBS cache rt base)
# The same over a real redis-server, where there is one.
ibid_test(NAME store_redis LABEL e2e SOURCES ${store_sources} LIBS cache rt base ARGS redis)
ibid_test(NAME store_lmdb_ahead LABEL unit SOURCES unit/test_store_lmdb_ahead.c LIBS cache base)
ibid_test(NAME store_seal LABEL unit SOURCES unit/test_store_seal.c unit/store_fixture.c LIBS cache rt base)
ibid_test(NAME store_kill LABEL unit SOURCES unit/test_store_kill.c unit/store_fixture.c LIBS cache rt base
          TIMEOUT 300)
if(TARGET cache)
  pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
  pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
endif()
ibid_test(NAME store_lmdb LABEL unit SOURCES unit/test_store_lmdb.c unit/store_fixture.c
          LIBS cache rt base PkgConfig::LMDB)

ibid_test(NAME redis_places LABEL unit SOURCES unit/test_redis_places.c LIBS cache base PkgConfig::HIREDIS)
ibid_test(NAME store_redis_faults LABEL unit LIBS cache rt base PkgConfig::HIREDIS
          SOURCES unit/test_store_redis_faults.c unit/redis_script.c unit/store_fixture.c)
ibid_test(NAME cache LABEL unit LIBS cache rt base
          SOURCES unit/test_cache.c unit/fake_index.c unit/store_fixture.c)
ibid_test(NAME browse LABEL unit LIBS cache rt base
          SOURCES unit/test_browse.c unit/fake_index.c unit/store_fixture.c)
ibid_test(NAME store_redis_cluster LABEL unit LIBS cache rt base PkgConfig::HIREDIS
          SOURCES unit/test_store_redis_cluster.c unit/redis_script.c unit/store_fixture.c)
ibid_test(NAME neighbours LABEL unit SOURCES unit/test_neighbours.c LIBS cache base)
ibid_test(NAME store_redis_vectors LABEL unit LIBS cache rt base PkgConfig::HIREDIS
          SOURCES unit/test_store_redis_vectors.c unit/redis_script.c unit/store_fixture.c)
