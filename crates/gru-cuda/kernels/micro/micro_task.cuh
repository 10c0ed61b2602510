// What the kernels of this folder get: each does one thing `rounds` times and says how many cycles that took. They are
// no part of the product: they measure what its kernels are made of.
#pragma once

#include "../device.cuh"

// Mirrors MicroTask in crates/gru-cuda/examples/gpu_micro.rs.
struct MicroTask {
    Region<unsigned> cycles;  // [blocks]
    Region<unsigned> result;  // [blocks, threads]
    int rounds;
    int padding;
};

constexpr int MICRO_THREADS = 256;
