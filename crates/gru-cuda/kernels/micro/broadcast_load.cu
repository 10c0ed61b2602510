// broadcast_load: how long a load of 16 bytes from shared memory takes when all threads of a warp want the same.
//
// A ring of places each of which names the next: a load can begin only when the one before it is there.
// Geometry: any number of blocks of 32 threads. Determinism: as round_trips.cu.

#include "micro_task.cuh"

// result: `rounds`, the ones that came with the loads, of each thread.
KERNEL(broadcast_load, 32, MicroTask) {
    constexpr unsigned PLACES = 64;
    SHARED(unsigned, next, 4 * PLACES);
    for (unsigned i = threadIdx.x; i < PLACES; i += 32) {
        const unsigned four[4] = {(i + 1) % PLACES * 4, 1, 0, 0};
        for (unsigned word = 0; word < 4; word++) next[4 * i + word] = four[word];
    }
    __syncthreads();
    unsigned place = 0, ones = 0;
    const long long begin = cycles();
    for (int round = 0; round < task.rounds; round++) {
        Register<unsigned> four[4];
        load_four(next, place, four);
        // All of it is used, or less would be loaded.
        place = four[0] + four[2] + four[3];
        ones += four[1];
    }
    const long long end = cycles();
    if (threadIdx.x == 0) task.cycles[blockIdx.x] = unsigned(end - begin);
    task.result[blockIdx.x * 32 + threadIdx.x] = ones;
}
