/* `ibid serve [-c FILE]`: runs until SIGTERM or SIGINT. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

/* argv[0] is "serve". The exit status: 0 after a clean end, 1 when a part that must
 * be there could not be opened, 2 for wrong arguments or settings. */
int serve_main(int argc, char **argv);

#endif
