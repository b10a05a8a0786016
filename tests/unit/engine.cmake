ibid_test(NAME kernels_quant LABEL unit SOURCES unit/test_kernels_quant.c LIBS engine m)
ibid_test(NAME kernels_dense LABEL unit SOURCES unit/test_kernels_dense.c LIBS engine m)
ibid_test(NAME gguf LABEL unit SOURCES unit/test_gguf.c tiny_llama.c gguf_writer.c LIBS engine m)
ibid_test(NAME safetensors LABEL unit SOURCES unit/test_safetensors.c LIBS engine)
