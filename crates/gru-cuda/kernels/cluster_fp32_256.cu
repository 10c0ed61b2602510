// cluster_fp32_256: forward and backward for up to 256 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

FP32_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, 256)
