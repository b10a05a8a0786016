/* `ibid tune judge`; returns the exit status. */
#ifndef CLI_TUNE_JUDGE_H
#define CLI_TUNE_JUDGE_H

int tune_judge_main(int argc, char **argv);

#endif
