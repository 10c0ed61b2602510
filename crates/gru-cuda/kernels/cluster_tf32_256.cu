// cluster_tf32_256: forward and backward for up to 256 hidden units.

#include "cluster_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(CLUSTER_KERNEL, cluster, ClusterExchange, tf32, Tf32, 256)
