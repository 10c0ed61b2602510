// words_fp32_128: forward and backward for up to 128 hidden units.

#include "words_exchange.cuh"
#include "pairs.cuh"

FP32_PAIR(GROUP_KERNEL, words, WordsExchange, 128)
