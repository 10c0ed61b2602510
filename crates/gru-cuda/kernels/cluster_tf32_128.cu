// cluster_tf32_128: forward and backward for up to 128 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, tf32, Tf32, 128)
