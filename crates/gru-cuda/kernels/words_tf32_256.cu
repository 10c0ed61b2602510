// words_tf32_256: forward and backward for up to 256 hidden units.

#include "words_pairs.cuh"

TENSOR_WORDS_PAIR(tf32, Tf32, 256)
