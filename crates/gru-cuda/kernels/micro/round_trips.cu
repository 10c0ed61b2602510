// round_trip_async, round_trip_cluster, round_trip_block: how long blocks and threads take to hear of each other.
//
// Geometry: round_trip_async is clusters of 2 blocks of 32 threads; round_trip_cluster clusters of 8 blocks of 256;
// round_trip_block any number of blocks of 256.
// Determinism: results are counts; cycles are what they are.

#include "micro_task.cuh"

// A number goes to the peer and back, `rounds` times, by asynchronous stores; who gets it adds 1.
// result: 2 rounds in block 0, 2 rounds - 1 in block 1, of thread 0 of each.
CLUSTER_KERNEL(round_trip_async, 32, 2, MicroTask) {
    SHARED(unsigned, inbox, 1);
    SHARED(Barrier, ready, 1);
    const unsigned rank = cluster_rank();
    if (threadIdx.x == 0) {
        barrier_init(ready[0], 1);
        barrier_fence_init();
    }
    sync_warp();
    cluster_sync();
    if (threadIdx.x == 0) {
        const Remote<unsigned> place = map_to_rank(inbox, 0, 1 - rank);
        const Remote<Barrier> barrier = map_to_rank(ready, 0, 1 - rank);
        unsigned number = 0;
        const long long begin = cycles();
        for (int round = 0; round < task.rounds; round++) {
            if (rank == 0) store_async(place, number + 1, barrier);
            // What comes before this is counted just as well.
            barrier_arrive_expect(ready[0], sizeof(unsigned));
            barrier_wait(ready[0], round % 2);
            number = inbox[0];
            if (rank == 1) store_async(place, number + 1, barrier);
        }
        task.cycles[blockIdx.x] = unsigned(cycles() - begin);
        task.result[blockIdx.x * 32] = number;
    }
    sync_warp();
    cluster_sync();
}

// The barrier of the cluster, `rounds` times. result: `rounds`, of each thread.
CLUSTER_KERNEL(round_trip_cluster, MICRO_THREADS, 8, MicroTask) {
    const unsigned thread = threadIdx.x;
    cluster_sync();
    unsigned met = 0;
    const long long begin = cycles();
    for (int round = 0; round < task.rounds; round++) {
        cluster_sync();
        met++;
    }
    const long long end = cycles();
    if (thread == 0) task.cycles[blockIdx.x] = unsigned(end - begin);
    task.result[blockIdx.x * MICRO_THREADS + thread] = met;
}

// __syncthreads, `rounds` times. result: `rounds`, of each thread.
KERNEL(round_trip_block, MICRO_THREADS, MicroTask) {
    const unsigned thread = threadIdx.x;
    __syncthreads();
    unsigned met = 0;
    const long long begin = cycles();
    for (int round = 0; round < task.rounds; round++) {
        __syncthreads();
        met++;
    }
    const long long end = cycles();
    if (thread == 0) task.cycles[blockIdx.x] = unsigned(end - begin);
    task.result[blockIdx.x * MICRO_THREADS + thread] = met;
}
