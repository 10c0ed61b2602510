// Clusters and mbarriers used as they must not be: one planted fault for each thing that the emulator refuses
// (tests/misuse.rs). Never compiled for a GPU.

#include "device.cuh"

constexpr int WIDTH = 32;

struct MisuseTask {
    int fault;
};

constexpr int ARRIVES_TWICE = 1, WAITS_WITHOUT_ARRIVING = 2, ONE_ARRIVAL_TOO_MANY = 3, TOO_MANY_EXPECTED_BYTES = 4,
              NOT_INITIALISED = 5, NOT_INITIALISED_FOR_A_PEER = 6, BARRIER_IN_ANOTHER_BLOCK = 7,
              TOO_MANY_STORED_BYTES = 8;
// What an mbarrier counts up to is a byte less than this.
constexpr int MEBIBYTE = 1 << 20;

CLUSTER_KERNEL(misuse, WIDTH, 2, MisuseTask) {
    SHARED(float, inbox, 2 * WIDTH);
    SHARED(Barrier, ready, 1);
    SHARED(Barrier, never, 1);  // nobody arrives at it
    const unsigned rank = cluster_rank(), peer = 1 - rank, i = threadIdx.x;
    const int fault = task.fault;
    if (i == 0) barrier_init(never[0], 1);
    if (i == 0 && fault != NOT_INITIALISED && fault != NOT_INITIALISED_FOR_A_PEER) {
        barrier_init(ready[0], 1);
        barrier_fence_init();
    }
    cluster_sync();
    if (fault == ARRIVES_TWICE) {
        cluster_arrive();
        cluster_arrive();
    }
    if (fault == WAITS_WITHOUT_ARRIVING) cluster_wait();
    if (i == 0 && (fault == ONE_ARRIVAL_TOO_MANY || fault == NOT_INITIALISED)) {
        barrier_arrive_expect(ready[0], 4);
        barrier_arrive_expect(ready[0], 4);
    }
    if (i == 0 && fault == TOO_MANY_EXPECTED_BYTES) barrier_arrive_expect(ready[0], MEBIBYTE);
    if (fault == NOT_INITIALISED_FOR_A_PEER) {
        store_async(map_to_rank(inbox, i, peer), 1.0f, map_to_rank(ready, 0, peer));
        barrier_wait(never[0], 0);
    }
    if (fault == BARRIER_IN_ANOTHER_BLOCK) store_async(map_to_rank(inbox, i, peer), 1.0f, map_to_rank(ready, 0, rank));
    if (fault == TOO_MANY_STORED_BYTES) {
        for (int stored = 0; stored <= MEBIBYTE / WIDTH; stored += 8) {
            store_async_pair(map_to_rank(inbox, 2 * i, peer), 1.0f, 2.0f, map_to_rank(ready, 0, peer));
        }
        barrier_wait(ready[0], 0);
    }
    cluster_sync();
}

// As many mbarriers as the emulator numbers in a cluster, and as many more as `fault` says.
KERNEL(many_barriers, WIDTH, MisuseTask) {
    SHARED(Barrier, ready, 129);
    if (threadIdx.x == 0) {
        for (int i = 0; i < 128 + task.fault; i++) barrier_init(ready[i], 1);
    }
}
