// Small kernels over device and shared memory: right ones, and ones with a planted fault that the emulator must
// find (tests/memory.rs, tests/races.rs, tests/barriers.rs).

#include "memory.cuh"

// out = in in reverse within each block, through shared memory.
KERNEL(reverse, 128, MemoryTask) {
    SHARED(float, tile, 128);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = task.in[i];
    __syncthreads();
    task.out[i] = tile[127 - threadIdx.x];
}

// As reverse; the barrier is missing.
KERNEL(reverse_without_barrier, 128, MemoryTask) {
    SHARED(float, tile, 128);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = task.in[i];
    task.out[i] = tile[127 - threadIdx.x];
}

// Sums of neighbours in two passes over one tile.
KERNEL(smooth_twice, 128, MemoryTask) {
    SHARED(float, tile, 128);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float value = task.in[i];
    for (int pass = 0; pass < 2; pass++) {
        tile[threadIdx.x] = value;
        __syncthreads();
        value += tile[(threadIdx.x + 1) % 128];
        __syncthreads();
    }
    task.out[i] = value;
}

// As smooth_twice; the barrier between reading and writing again is missing.
KERNEL(smooth_without_barrier, 128, MemoryTask) {
    SHARED(float, tile, 128);
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    float value = task.in[i];
    for (int pass = 0; pass < 2; pass++) {
        tile[threadIdx.x] = value;
        __syncthreads();
        value += tile[(threadIdx.x + 1) % 128];
    }
    task.out[i] = value;
}

// out[i + shift] = in[i]: for lengths and shifts that do not fit.
KERNEL(copy_shifted, 128, MemoryTask) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    task.out[i + task.shift] = task.in[i];
}

// Writes element `shift` of a shared array of 128.
KERNEL(shared_element, 32, MemoryTask) {
    SHARED(float, tile, 128);
    if (threadIdx.x == 0) {
        tile[task.shift] = 1.0f;
        task.out[0] = tile[task.shift];
    }
}

// Reads shared memory that nobody wrote.
KERNEL(read_unwritten, 32, MemoryTask) {
    SHARED(float, tile, 32);
    task.out[threadIdx.x] = tile[threadIdx.x] + task.in[threadIdx.x];
}

// All blocks write one element.
KERNEL(blocks_collide, 32, MemoryTask) {
    if (threadIdx.x == 0) task.out[0] = 1.0f;
}

// Each block reads what the next one writes.
KERNEL(read_next_block, 32, MemoryTask) {
    task.in[blockIdx.x * 32 + threadIdx.x] = 1.5f;
    const unsigned next = (blockIdx.x + 1) % gridDim.x;
    if (float(task.in[next * 32 + threadIdx.x]) == 0.0f) task.out[0] = 3.0f;
}

// Thread 0 reads what another thread wrote; a barrier between them if `shift` is 0.
KERNEL(pass_on, 64, MemoryTask) {
    if (threadIdx.x == 63) task.in[1] = task.in[0];
    if (task.shift == 0) __syncthreads();
    if (threadIdx.x == 0) task.out[0] = task.in[1];
}

// Lanes of a warp exchange through shared memory, ordered by sync_warp alone; without it if `shift` is not 0.
KERNEL(exchange_in_warp, 64, MemoryTask) {
    SHARED(float, tile, 64);
    tile[threadIdx.x] = task.in[threadIdx.x];
    if (task.shift == 0) sync_warp();
    task.out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// The same across warps, where sync_warp is not enough.
KERNEL(exchange_across_warps, 64, MemoryTask) {
    SHARED(float, tile, 64);
    tile[threadIdx.x] = task.in[threadIdx.x];
    sync_warp();
    task.out[threadIdx.x] = tile[threadIdx.x ^ 32];
}

// Sum of squares of each block, in double.
KERNEL(sum_squares, 128, MemoryTask) {
    SHARED(double, partial, 4);
    const float x = task.in[blockIdx.x * 128 + threadIdx.x];
    double sum = double(x) * x;
    for (unsigned offset = 16; offset > 0; offset /= 2) sum += shuffle_down(sum, offset);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        double total = 0.0;
        for (int warp = 0; warp < 4; warp++) total += partial[warp];
        task.sums[blockIdx.x] = total;
    }
}

// out = in by every kind of shuffle.
KERNEL(shuffles, 32, MemoryTask) {
    const float x = task.in[threadIdx.x];
    const unsigned lane = threadIdx.x;
    task.out[lane] = shuffle(x, 5);
    task.out[32 + lane] = shuffle_down(x, 3);
    task.out[64 + lane] = shuffle_xor(x, 9);
    task.out[96 + lane] = float(shuffle(lane, lane / 2)) + float(shuffle_xor(double(x), 1));
}

// Gives out variables of its threads that never got a value.
KERNEL(unset_registers, 32, MemoryTask) {
    Register<float> numbers[2];
    Register<double> wide;
    Register<unsigned> bits;
    if (task.shift > 0) numbers[0] = 1.0f;
    task.out[threadIdx.x] = numbers[0] + numbers[1] * 0.0f;
    if (threadIdx.x == 0) task.sums[0] = wide;
    if (threadIdx.x == 1) task.sums[1] = double(bits);
}

// Two shared arrays: what a block has, and 16 bytes more if `shift` is 1.
KERNEL(full_shared_memory, 32, MemoryTask) {
    SHARED(float, most, 12 * 1024 - 4);
    SHARED(float, last, 4);
    if (threadIdx.x == 0) most[0] = 1.0f;
    if (threadIdx.x == 1) last[0] = 2.0f;
    if (task.shift == 1) {
        SHARED(float, too_much, 4);
        too_much[0] = 3.0f;
    }
}

// The most that a kernel's parameters may have, and 8 bytes more.
struct FullTask {
    Region<float> out;
    int rest[1020];
};
KERNEL(full_task, 32, FullTask) { task.out[threadIdx.x] = float(task.rest[1019]); }

struct LargeTask {
    Region<float> out;
    int rest[1022];
};
KERNEL(large_task, 32, LargeTask) { task.out[threadIdx.x] = float(task.rest[1021]); }
