// Clusters, mbarriers and tensor cores: one small kernel for each instruction of device.cuh, and ones with a
// planted fault (tests/clusters.rs, tests/tensor_cores.rs). For compute_90.

#include "../../../gru-cuda/kernels/device.cuh"

constexpr int RANKS = 4, WIDTH = 32;

struct RingTask {
    Region<float> in;   // [clusters, RANKS, WIDTH]
    Region<float> out;  // [clusters, RANKS, WIDTH]
    int steps;
    int fault;
};

// Faults that are planted in `ring`.
constexpr int WRONG_BYTES = 1, ONE_BUFFER = 2, NO_WAIT = 3, NO_FENCE = 4, NO_FIRST_SYNC = 5, NO_LAST_SYNC = 6,
              WRONG_RANK = 7, OUT_OF_BOUNDS = 8;

// Every step each block adds up what all blocks of its cluster hold, `steps` times, as the recurrence does: a
// double buffer, one mbarrier a buffer, no barrier of the cluster in the loop.
//
//   x_rank <- (x_0 + x_1 + x_2 + x_3) / 4 + rank
CLUSTER_KERNEL(ring, WIDTH, RANKS, RingTask) {
    SHARED(float, inbox, 2 * RANKS * WIDTH);  // [buffer][from][element]
    SHARED(Barrier, ready, 2);
    const unsigned rank = cluster_rank(), i = threadIdx.x;
    const int base = blockIdx.x * WIDTH;
    if (i == 0 && rank < cluster_size()) {
        barrier_init(ready[0], 1);
        barrier_init(ready[1], 1);
        if (task.fault != NO_FENCE) barrier_fence_init();
    }
    if (task.fault != NO_FIRST_SYNC) cluster_sync();
    float x = task.in[base + i];
    for (int step = 0; step < task.steps; step++) {
        const int buffer = task.fault == ONE_BUFFER ? 0 : step % 2;
        const unsigned parity = task.fault == ONE_BUFFER ? step % 2 : step / 2 % 2;
        if (i == 0) {
            const unsigned bytes = RANKS * WIDTH * sizeof(float);
            barrier_arrive_expect(ready[buffer], task.fault == WRONG_BYTES ? bytes + 4 : bytes);
        }
        for (unsigned peer = 0; peer < RANKS; peer++) {
            unsigned to = peer;
            if (task.fault == WRONG_RANK) to = peer + 1;
            unsigned element = (buffer * RANKS + rank) * WIDTH + i;
            if (task.fault == OUT_OF_BOUNDS) element += RANKS * WIDTH;
            store_async(map_to_rank(inbox, element, to), x, map_to_rank(ready, buffer, to));
        }
        if (task.fault != NO_WAIT) barrier_wait(ready[buffer], parity);
        float sum = 0.0f;
        for (int from = 0; from < RANKS; from++) sum += inbox[(buffer * RANKS + from) * WIDTH + i];
        x = sum / RANKS + float(rank);
        // Every thread of the block has read this buffer before any of its next stores goes out.
        __syncthreads();
    }
    task.out[base + i] = x;
    if (task.fault == NO_LAST_SYNC && rank == 0) {
        const unsigned peer = 1;
        store_async(map_to_rank(inbox, i, peer), x, map_to_rank(ready, 0, peer));
    }
    cluster_arrive();
    cluster_wait();
}

// Block 0 sends pairs to block 1, as floats and as words; block 1 hands both on.
CLUSTER_KERNEL(pairs, WIDTH, 2, RingTask) {
    SHARED(float, numbers, 2 * WIDTH + 2);
    SHARED(unsigned, words, 2 * WIDTH);
    SHARED(Barrier, ready, 1);
    const unsigned rank = cluster_rank(), i = threadIdx.x;
    if (rank == 1 && i == 0) {
        barrier_init(ready[0], 1);
        barrier_fence_init();
        barrier_arrive_expect(ready[0], 4 * WIDTH * 4);
    }
    cluster_sync();
    if (rank == 0) {
        const Remote<Barrier> barrier = map_to_rank(ready, 0, 1);
        const float x = task.in[i];
        // An odd beginning is misaligned: planted by `fault`.
        store_async_pair(map_to_rank(numbers, 0, 1).from(2 * i + task.fault), x, -x, barrier);
        store_async_pair(map_to_rank(words, 2 * i, 1), i, i + 100, barrier);
    } else {
        barrier_wait(ready[0], 0);
        task.out[i] = numbers[2 * i] + 2.0f * numbers[2 * i + 1];
        task.out[WIDTH + i] = float(words[2 * i]) + float(words[2 * i + 1]);
    }
    cluster_sync();
}

// One word at a time, as bits; and a wait that nobody ends if `fault` is 1.
CLUSTER_KERNEL(words_between, WIDTH, 2, RingTask) {
    SHARED(unsigned, words, WIDTH);
    SHARED(Barrier, ready, 1);
    const unsigned rank = cluster_rank(), i = threadIdx.x;
    if (i == 0) {
        barrier_init(ready[0], 1);
        barrier_fence_init();
        if (task.fault != 1) barrier_arrive_expect(ready[0], WIDTH * 4);
    }
    cluster_sync();
    const unsigned peer = 1 - rank;
    store_async(map_to_rank(words, i, peer), i * 3 + rank, map_to_rank(ready, 0, peer));
    barrier_wait(ready[0], 0);
    task.out[rank * WIDTH + i] = float(words[i]);
    cluster_sync();
}

struct TensorTask {
    Region<float> a;  // [16, depth]
    Region<float> b;  // [depth, 8]
    Region<float> c;  // [16, 8]
    Region<float> d;  // [16, 8]
};

// d = a b + c with operands rounded to tf32. Fragments by the formulas of the PTX ISA.
KERNEL(product_tf32, 32, TensorTask) {
    const int group = threadIdx.x / 4, member = threadIdx.x % 4;
    Register<float> a[4], b[2], d[4];
    for (int i = 0; i < 4; i++) {
        const int row = i % 2 == 0 ? group : group + 8, column = i < 2 ? member : member + 4;
        a[i] = to_tf32(task.a[row * 8 + column]);
    }
    for (int i = 0; i < 2; i++) b[i] = to_tf32(task.b[(i == 0 ? member : member + 4) * 8 + group]);
    for (int i = 0; i < 4; i++) d[i] = task.c[(i < 2 ? group : group + 8) * 8 + member * 2 + i % 2];
    mma_m16n8k8_tf32(d, a, b);
    for (int i = 0; i < 4; i++) task.d[(i < 2 ? group : group + 8) * 8 + member * 2 + i % 2] = d[i];
}

// The same with bf16, 16 deep.
KERNEL(product_bf16, 32, TensorTask) {
    const int group = threadIdx.x / 4, member = threadIdx.x % 4;
    Register<unsigned> a[4], b[2];
    Register<float> d[4];
    for (int i = 0; i < 4; i++) {
        const int row = i % 2 == 0 ? group : group + 8, column = member * 2 + (i < 2 ? 0 : 8);
        a[i] = pack_bf16(task.a[row * 16 + column], task.a[row * 16 + column + 1]);
    }
    for (int i = 0; i < 2; i++) {
        const int row = member * 2 + i * 8;
        b[i] = pack_bf16(task.b[row * 8 + group], task.b[(row + 1) * 8 + group]);
    }
    for (int i = 0; i < 4; i++) d[i] = task.c[(i < 2 ? group : group + 8) * 8 + member * 2 + i % 2];
    mma_m16n8k16_bf16(d, a, b);
    for (int i = 0; i < 4; i++) task.d[(i < 2 ? group : group + 8) * 8 + member * 2 + i % 2] = d[i];
}

struct RoundingTask {
    Region<float> in;
    Region<float> tf32;
    Region<unsigned> bf16;  // element i: in[i] in both halves
};

KERNEL(roundings, 32, RoundingTask) {
    const float x = task.in[threadIdx.x];
    task.tf32[threadIdx.x] = to_tf32(x);
    task.bf16[threadIdx.x] = pack_bf16(x, x);
}
