// words_bf16_256: forward and backward for up to 256 hidden units.

#include "words_pairs.cuh"

TENSOR_WORDS_PAIR(bf16, Bf16, 256)
