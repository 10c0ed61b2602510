// cluster_tf32_128: forward and backward for up to 128 hidden units.

#include "cluster_pairs.cuh"

TENSOR_PAIR(tf32, Tf32, 128)
