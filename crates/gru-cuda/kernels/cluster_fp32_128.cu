// cluster_fp32_128: forward and backward for up to 128 hidden units.

#include "cluster_pairs.cuh"

FP32_PAIR(128)
