ibid_test(NAME kernels_quant LABEL unit SOURCES unit/test_kernels_quant.c LIBS engine m)
ibid_test(NAME kernels_dense LABEL unit SOURCES unit/test_kernels_dense.c LIBS engine m)
