// words_tf32_128: forward and backward for up to 128 hidden units.

#include "words_pairs.cuh"

TENSOR_WORDS_PAIR(tf32, Tf32, 128)
