// cluster_bf16_128: forward and backward for up to 128 hidden units.

#include "cluster_pairs.cuh"

TENSOR_PAIR(bf16, Bf16, 128)
