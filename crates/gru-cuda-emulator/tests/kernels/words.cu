// Words with tags in device memory: groups of blocks that exchange by them, and the same with a planted fault
// (tests/words.rs).

#include "../../../gru-cuda/kernels/device.cuh"

constexpr int RANKS = 4, WIDTH = 32;

struct WordsTask {
    Region<float> in;                  // [groups, RANKS, WIDTH]
    Region<float> out;                 // [groups, RANKS, WIDTH]
    Region<unsigned long long> words;  // [groups, 2, RANKS, WIDTH], zeros
    int steps;
    int fault;
};

constexpr int ONE_BUFFER = 1, WRONG_TAG = 2, PLAIN_STORE = 3, PLAIN_LOAD = 4, OTHER_GROUP = 5, ODD_PAIR = 6,
              OUT_OF_BOUNDS = 7, ON_THE_STRENGTH_OF_A_WORD = 8;

// Every step each block adds up what all blocks of its group hold, `steps` times.
//
//   x_rank <- (x_0 + x_1 + x_2 + x_3) / 4 + rank
GROUP_KERNEL(ring_of_words, WIDTH, RANKS, WordsTask) {
    const int rank = blockIdx.x % RANKS, i = threadIdx.x;
    int group = blockIdx.x / RANKS;
    if (task.fault == OTHER_GROUP) group = 0;
    Region<unsigned long long> words = task.words.from(group * 2 * RANKS * WIDTH);
    const int own = blockIdx.x * WIDTH + i;
    float x = task.in[own];
    for (int step = 0; step < task.steps; step++) {
        const int buffer = task.fault == ONE_BUFFER ? 0 : step % 2 * RANKS * WIDTH;
        const unsigned tag = step + 1;
        // Pairs: of a thread and the one after it.
        const float next = shuffle_down(x, 1);
        const int moved = task.fault == ODD_PAIR ? 1 : task.fault == OUT_OF_BOUNDS ? 1 << 20 : 0;
        if (i % 4 == 0) store_word_pair(words, buffer + rank * WIDTH + i + moved, x, next, tag);
        if (i % 4 > 1) store_word(words, buffer + rank * WIDTH + i, x, tag);
        if (task.fault == PLAIN_STORE && i == 0) words[buffer + rank * WIDTH] = 0;
        Register<float> values[RANKS];
        await_words(words, buffer + i, WIDTH, task.fault == WRONG_TAG ? tag + 1 : tag, values);
        if (task.fault == PLAIN_LOAD && words[buffer + i] == 0) x = 0.0f;
        float sum = 0.0f;
        for (int from = 0; from < RANKS; from++) sum += values[from];
        x = sum / RANKS + float(rank);
        __syncthreads();
    }
    task.out[own] = x;
    // What the word of a peer was stored after is not known to who has the word.
    if (task.fault == ON_THE_STRENGTH_OF_A_WORD) {
        store_word(words, rank * WIDTH + i, x, 1000);
        Register<float> there[1];
        await_words(words, (rank + 1) % RANKS * WIDTH + i, 1, 1000, there);
        const float peers = task.out[group * RANKS * WIDTH + (rank + 1) % RANKS * WIDTH + i];
        if (peers == 0.5f) task.out[own] = peers;
    }
}
