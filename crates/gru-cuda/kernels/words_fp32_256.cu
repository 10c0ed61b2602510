// words_fp32_256: forward and backward for up to 256 hidden units.

#include "words_exchange.cuh"
#include "pairs.cuh"

FP32_PAIR(GROUP_KERNEL, words, WordsExchange, 256)
