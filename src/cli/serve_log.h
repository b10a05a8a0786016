/* How much is logged. */
#ifndef CLI_SERVE_LOG_H
#define CLI_SERVE_LOG_H

/* A word of log_level; others change nothing. */
void serve_log_level(const char *name);

#endif
