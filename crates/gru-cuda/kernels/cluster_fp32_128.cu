// cluster_fp32_128: forward and backward for up to 128 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

FP32_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, 128)
