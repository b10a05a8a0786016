/* Time. Deadlines and durations use the monotonic clock; the wall clock is for
 * logs, `created` fields and stored entries only. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic microseconds since an arbitrary start. */
uint64_t clock_now_us(void);

/* Milliseconds since the Unix epoch, some milliseconds late. */
uint64_t clock_wall_ms(void);

/* CPU time of the calling thread, microseconds. */
uint64_t clock_thread_cpu_us(void);

#endif
