// cluster_fp32_256: forward and backward for up to 256 hidden units.

#include "cluster_pairs.cuh"

FP32_PAIR(256)
