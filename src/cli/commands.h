/* The subcommands. Each takes its own arguments, argv[0] being its name, and returns
 * the exit status of the program: 0, 1 for failure, 2 for wrong arguments or
 * settings; `explain` says its own. `serve` has a header of its own. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#define EXIT_USAGE 2

int cache_main(int argc, char **argv);
int check_main(int argc, char **argv);
int models_main(int argc, char **argv);
int embed_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int generate_main(int argc, char **argv);
int health_main(int argc, char **argv);
int report_main(int argc, char **argv);
int route_main(int argc, char **argv);
int tune_main(int argc, char **argv);

#endif
