// words_bf16_128: forward and backward for up to 128 hidden units.

#include "words_pairs.cuh"

TENSOR_WORDS_PAIR(bf16, Bf16, 128)
