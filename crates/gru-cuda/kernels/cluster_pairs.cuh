// cluster_pairs: the persistent kernels whose blocks exchange in a cluster, for compute capability 9.0 and newer. Each
// pair of src/recurrence.rs is compiled from a file of its own, so that a driver compiles only the one that it runs.
#pragma once

#include "backward_fp32.cuh"
#include "backward_tensor.cuh"
#include "cluster_exchange.cuh"
#include "forward_fp32.cuh"
#include "forward_tensor.cuh"

#define FP32_PAIR(capacity)                                                                       \
    CLUSTER_KERNEL(forward_cluster_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {          \
        forward_fp32<ClusterExchange, capacity>(task);                                            \
    }                                                                                             \
    CLUSTER_KERNEL(backward_cluster_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {         \
        backward_fp32<ClusterExchange, capacity>(task);                                           \
    }
#define TENSOR_PAIR(name, Operand, capacity)                                                      \
    CLUSTER_KERNEL(forward_cluster_##name##_##capacity, 256, capacity / BLOCK_UNITS, Task) {      \
        forward_tensor<ClusterExchange, Operand, capacity>(task);                                 \
    }                                                                                             \
    CLUSTER_KERNEL(backward_cluster_##name##_##capacity, 256, capacity / BLOCK_UNITS, Task) {     \
        backward_tensor<ClusterExchange, Operand, capacity>(task);                                \
    }
