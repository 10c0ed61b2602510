// nothing: does nothing. What many of them in a graph take is what a graph takes from one node to the next.
//
// Geometry: any.

#include "micro_task.cuh"

KERNEL(nothing, 32, MicroTask) {}
