// Kernels whose threads do not meet where they should (tests/barriers.rs).

#include "memory.cuh"

// Threads below `shift` end before the barrier.
KERNEL(end_early, 64, MemoryTask) {
    if (int(threadIdx.x) < task.shift) return;
    __syncthreads();
    task.out[threadIdx.x] = 1.0f;
}

// Threads below `shift` wait at another barrier.
KERNEL(two_barriers, 64, MemoryTask) {
    if (int(threadIdx.x) < task.shift) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    task.out[threadIdx.x] = 1.0f;
}

// Lanes below `shift` take no part in the shuffle.
KERNEL(shuffle_of_some, 32, MemoryTask) {
    float value = task.in[threadIdx.x];
    if (int(threadIdx.x) >= task.shift) value = shuffle_xor(value, 1);
    task.out[threadIdx.x] = value;
}

// Lanes below `shift` shuffle elsewhere.
KERNEL(two_shuffles, 32, MemoryTask) {
    float value = task.in[threadIdx.x];
    if (int(threadIdx.x) < task.shift) value = shuffle_xor(value, 1);
    else value = shuffle_xor(value, 2);
    task.out[threadIdx.x] = value;
}
