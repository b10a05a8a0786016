/* The calibration that ships: deploy/cascade.json, what it was learned from in
 * docs/models/cascade.md. */
#ifndef CLI_CASCADE_DEFAULT_H
#define CLI_CASCADE_DEFAULT_H

extern const char cascade_default[]; /* NUL-terminated */

#endif
