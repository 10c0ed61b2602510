// The sum over the threads of a block, in one fixed order.
#pragma once

#include "task.cuh"

// The sum of every thread's value, given to every thread. `scratch` holds THREADS elements; it may be used
// again after the call, since all threads have read the result when the last one leaves.
DEVICE double block_sum(double value, Shared<double> scratch) {
    scratch[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            scratch[threadIdx.x] = double(scratch[threadIdx.x]) + double(scratch[threadIdx.x + half]);
        }
        __syncthreads();
    }
    double sum = scratch[0];
    __syncthreads();
    return sum;
}
