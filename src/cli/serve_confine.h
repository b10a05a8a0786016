/* What a serving process gives up before it reads anything: core files, rights beyond those it
 * was started with, system calls it has no use for. */
#ifndef CLI_SERVE_CONFINE_H
#define CLI_SERVE_CONFINE_H

struct config;

/* Before the first thread. What the kernel does not offer is a line in the log: without it
 * everything works as before. */
void serve_confine(const struct config *c);

#endif
