// carry_state: the hidden state after the last step becomes the carried state, unless the update did not count.
//
// Geometry: one thread an element, blocks of 256 over B H elements.
// Determinism: every element has one writer; nothing is summed.

#include "task.cuh"

KERNEL(carry_state, THREADS, Task) {
    const int index = blockIdx.x * THREADS + threadIdx.x;
    if (task.stopped[0] || index >= task.batch_size * task.hidden_size) return;
    task.state[index] = task.h[task.rows * task.hidden_size + index];
}
