// words_fp32_256: forward and backward for up to 256 hidden units.

#include "words_pairs.cuh"

FP32_WORDS_PAIR(256)
