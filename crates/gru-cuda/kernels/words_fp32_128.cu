// words_fp32_128: forward and backward for up to 128 hidden units.

#include "words_pairs.cuh"

FP32_WORDS_PAIR(128)
