/* How long a thread may go on while others want its core. One that has little to do at a time
 * and is waited for asks for short turns: the scheduler then lets it begin the sooner (EEVDF;
 * Linux 6.12 and later, sched_setattr(2): sched_runtime of SCHED_OTHER). Elsewhere nothing
 * happens. */
#ifndef RT_TURN_SLICE_H
#define RT_TURN_SLICE_H

/* Of the calling thread alone: those that it starts have the usual turns. */
void turn_slice_shorten(void);

#endif
