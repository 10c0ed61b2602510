// cluster_bf16_512: forward and backward for up to 512 hidden units.

#include "cluster_pairs.cuh"

TENSOR_PAIR(bf16, Bf16, 512)
