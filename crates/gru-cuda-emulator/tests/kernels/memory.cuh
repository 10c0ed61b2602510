// The task of the kernels in memory.cu and barriers.cu. Mirrors MemoryTask in tests/support/mod.rs.
#pragma once

#include "device.cuh"

struct MemoryTask {
    Region<float> in;
    Region<float> out;
    Region<double> sums;
    int shift;
};
