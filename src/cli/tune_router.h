/* `ibid tune router`, argv[0] being "router". */
#ifndef CLI_TUNE_ROUTER_H
#define CLI_TUNE_ROUTER_H

int tune_router_main(int argc, char **argv);

#endif
