ibid_test(NAME features LABEL unit SOURCES unit/test_features.c LIBS router base m)
ibid_test(NAME regression LABEL unit SOURCES unit/test_regression.c LIBS router base m)
ibid_test(NAME curve LABEL unit SOURCES unit/test_curve.c LIBS router base m)
ibid_test(NAME classifier LABEL unit SOURCES unit/test_classifier.c LIBS router base m TIMEOUT 180)
