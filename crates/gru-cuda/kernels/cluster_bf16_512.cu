// cluster_bf16_512: forward and backward for up to 512 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, bf16, Bf16, 512)
