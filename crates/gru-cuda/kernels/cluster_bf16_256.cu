// cluster_bf16_256: forward and backward for up to 256 hidden units.

#include "cluster_pairs.cuh"

TENSOR_PAIR(bf16, Bf16, 256)
