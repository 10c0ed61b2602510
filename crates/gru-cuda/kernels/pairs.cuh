// pairs: a pair of persistent kernels, forward and backward, each a launch for all time steps. Each pair of
// src/recurrence.rs is compiled from a file of its own, so that a driver compiles only the one that it runs.
//
//   FP32_PAIR(KIND, name, Exchange, capacity)             KIND: the macro that declares a kernel whose blocks live
//   TENSOR_PAIR(KIND, name, Exchange, operand, Operand, capacity)    together as the exchange needs it
#pragma once

#include "backward_fp32.cuh"
#include "backward_tensor.cuh"
#include "forward_fp32.cuh"
#include "forward_tensor.cuh"

#define FP32_PAIR(KIND, name, Exchange, capacity)                                            \
    KIND(forward_##name##_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {              \
        forward_fp32<Exchange, capacity>(task);                                              \
    }                                                                                        \
    KIND(backward_##name##_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {             \
        backward_fp32<Exchange, capacity>(task);                                             \
    }
#define TENSOR_PAIR(KIND, name, Exchange, operand, Operand, capacity)                        \
    KIND(forward_##name##_##operand##_##capacity, 256, capacity / BLOCK_UNITS, Task) {       \
        forward_tensor<Exchange, Operand, capacity>(task);                                   \
    }                                                                                        \
    KIND(backward_##name##_##operand##_##capacity, 256, capacity / BLOCK_UNITS, Task) {      \
        backward_tensor<Exchange, Operand, capacity>(task);                                  \
    }
