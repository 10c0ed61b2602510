// words_pairs: the persistent kernels whose blocks exchange by words in device memory, from compute capability 8.0 on.
// Each pair of src/recurrence.rs is compiled from a file of its own, so that a driver compiles only the one that it runs.
#pragma once

#include "backward_fp32.cuh"
#include "backward_tensor.cuh"
#include "forward_fp32.cuh"
#include "forward_tensor.cuh"
#include "words_exchange.cuh"

#define FP32_WORDS_PAIR(capacity)                                                               \
    GROUP_KERNEL(forward_words_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {            \
        forward_fp32<WordsExchange, capacity>(task);                                            \
    }                                                                                           \
    GROUP_KERNEL(backward_words_fp32_##capacity, 384, capacity / BLOCK_UNITS, Task) {           \
        backward_fp32<WordsExchange, capacity>(task);                                           \
    }
#define TENSOR_WORDS_PAIR(name, Operand, capacity)                                              \
    GROUP_KERNEL(forward_words_##name##_##capacity, 256, capacity / BLOCK_UNITS, Task) {        \
        forward_tensor<WordsExchange, Operand, capacity>(task);                                 \
    }                                                                                           \
    GROUP_KERNEL(backward_words_##name##_##capacity, 256, capacity / BLOCK_UNITS, Task) {       \
        backward_tensor<WordsExchange, Operand, capacity>(task);                                \
    }
