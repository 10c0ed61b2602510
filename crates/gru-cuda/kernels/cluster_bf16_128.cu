// cluster_bf16_128: forward and backward for up to 128 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, bf16, Bf16, 128)
