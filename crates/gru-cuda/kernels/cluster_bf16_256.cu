// cluster_bf16_256: forward and backward for up to 256 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, bf16, Bf16, 256)
