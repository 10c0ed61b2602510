// The module of what is measured by itself, for compute capability 9.0 and newer (examples/gpu_micro.rs).

#include "broadcast_load.cu"
#include "nothing.cu"
#include "products.cu"
#include "round_trips.cu"
