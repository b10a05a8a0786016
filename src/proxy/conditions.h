/* Conditions on a request that settings state as text. Pure; any thread. */
#ifndef PROXY_CONDITIONS_H
#define PROXY_CONDITIONS_H

#include <stdbool.h>

#include "base/span.h"

struct http_head;

/* Whole segments: "/v1" begins "/v1/models", and not "/v1beta". */
bool conditions_begins(struct span path, struct span start);

/* An empty condition is met by all; any other by no request without a head (NULL). */
bool conditions_path(const char *start, const struct http_head *head);
/* "NAME: VALUE". */
bool conditions_header(const char *header, const struct http_head *head);

/* Is the model one of the patterns, parted by blanks? '*' stands for any bytes. */
bool conditions_model(const char *patterns, struct span model);

#endif
