/* The verbs of `ibid models` that take arguments of their own; argv[0] is the verb. Each
 * returns the exit status of the program. */
#ifndef CLI_MODELS_VERBS_H
#define CLI_MODELS_VERBS_H

int models_bench_main(int argc, char **argv);
int models_quantize_main(int argc, char **argv);

#endif
