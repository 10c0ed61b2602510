// words_bf16_256: forward and backward for up to 256 hidden units.

#include "words_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(GROUP_KERNEL, words, WordsExchange, bf16, Bf16, 256)
