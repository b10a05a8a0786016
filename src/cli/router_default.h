/* The classifier that ships: deploy/router.json, what it was learned from in
 * docs/models/router.md. */
#ifndef CLI_ROUTER_DEFAULT_H
#define CLI_ROUTER_DEFAULT_H

extern const char router_default[]; /* NUL-terminated */

#endif
