// words_bf16_512: forward and backward for up to 512 hidden units.

#include "words_pairs.cuh"

TENSOR_WORDS_PAIR(bf16, Bf16, 512)
