// words_bf16_512: forward and backward for up to 512 hidden units.

#include "words_exchange.cuh"
#include "pairs.cuh"

TENSOR_PAIR(GROUP_KERNEL, words, WordsExchange, bf16, Bf16, 512)
