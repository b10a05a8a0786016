ibid_test(NAME redis_faults LABEL e2e LIBS cache rt base
          SOURCES e2e/test_redis_faults.c unit/redis_process.c unit/store_fixture.c)
