// cluster_tf32_256: forward and backward for up to 256 hidden units.

#include "cluster_pairs.cuh"

TENSOR_PAIR(tf32, Tf32, 256)
