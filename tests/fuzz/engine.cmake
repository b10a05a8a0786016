ibid_fuzz(NAME gguf SOURCES fuzz/fuzz_gguf.c fuzz/measure.c fuzz/memory_file.c LIBS engine MUTATE 3000)
ibid_fuzz(NAME safetensors SOURCES fuzz/fuzz_safetensors.c fuzz/measure.c fuzz/memory_file.c LIBS engine MUTATE 3000)
ibid_fuzz(NAME tokenizer SOURCES fuzz/fuzz_tokenizer.c fuzz/measure.c tiny_llama.c gguf_writer.c LIBS engine m MUTATE 2000)
