#include "cache/calibration.h"

#define SURE   1.0986
#define UNSURE (-0.54)
#define STEP   0.65
#define GAIN   ((1 - STEP) * (SURE - UNSURE))

double calibration_apply(double odds)
{
    if (odds >= SURE)
        return odds;
    if (odds < UNSURE)
        return odds + GAIN;
    return SURE + STEP * (odds - SURE);
}

double calibration_undo(double odds)
{
    if (odds >= SURE)
        return odds;
    if (odds < UNSURE + GAIN)
        return odds - GAIN;
    return SURE + (odds - SURE) / STEP;
}
