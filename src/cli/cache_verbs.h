/* What `ibid cache` can do; each returns the exit status. */
#ifndef CLI_CACHE_VERBS_H
#define CLI_CACHE_VERBS_H

int cache_import_main(int argc, char **argv);
int cache_export_main(int argc, char **argv);
/* … --for finetune */
int cache_finetune_main(int argc, char **argv);

#endif
