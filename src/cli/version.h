#ifndef CLI_VERSION_H
#define CLI_VERSION_H

/* The one in CMakeLists.txt; configuring fails when they differ. */
#define IBID_VERSION "0.1.0"

#endif
