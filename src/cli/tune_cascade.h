#ifndef CLI_TUNE_CASCADE_H
#define CLI_TUNE_CASCADE_H

/* argv[0] is "cascade". */
int tune_cascade_main(int argc, char **argv);

#endif
