ibid_test(NAME config LABEL unit SOURCES unit/test_config.c LIBS config base)
ibid_test(NAME tune_curve LABEL unit SOURCES unit/test_tune_curve.c LIBS cli config base m)
ibid_test(NAME manifest LABEL unit SOURCES unit/test_manifest.c LIBS cli config base)
ibid_test(NAME live LABEL unit SOURCES unit/test_live.c LIBS config base)
