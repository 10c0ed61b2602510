// exchange: what the persistent kernels ask of an exchange, and the shapes of what is exchanged.
//
// An Exchange has two kinds of hand-over between the blocks of a group. Phases are counted from 0; both kinds have
// two buffers, and what a block sends in phase p + 2 replaces what it sent in phase p.
//
//   Gather<GatherShape>: every block sends all blocks the same, and has all of it in shared memory afterwards
//     open(task, inbox)          first of all, by all threads; inbox: shared memory, [2][LANES][PITCH]
//     connect()                  by all threads, before what follows
//     expect(phase)              by all threads, once a phase, after the phase before the last was received
//     send(phase, lane, word)    by a whole warp, which has the units of the block of a lane: the words of its
//                                every PER_WORD-th thread
//     receive(phase)             by all threads: afterwards they may read the phase, at Shape::begin(phase) of inbox
//     close()                    last of all, by all threads
//   Scatter<ScatterShape>: every block sends each block another share, and who receives adds the shares up
//     open(task), connect(), expect(phase), close()    likewise
//     Peer peer(rank)            whom to send to
//     send_pair, send_four(peer, phase, place, ...)    values of its share, at `place` and on
//     receive(phase, place)      by some threads, each another place: the sum over the blocks, in their order
//
// What the kernels promise: between the last receive of a phase and the first send of the next, in each block, there
// is a __syncthreads of all threads.
#pragma once

#include "task.cuh"

constexpr int BLOCK_UNITS = 32;

// Numbers of a warp and of a lane of it.
DEVICE int warp_number() { return threadIdx.x / 32; }
DEVICE int warp_lane() { return threadIdx.x % 32; }

// h: WORDS words of each of LANES lanes, PITCH apart in the inbox.
template <class TheWord, int CAPACITY, int THE_LANES, int THE_PER_WORD, int GAP>
struct GatherShape {
    using Word = TheWord;
    static constexpr int BLOCKS = CAPACITY / BLOCK_UNITS, LANES = THE_LANES, PER_WORD = THE_PER_WORD;
    static constexpr int WORDS = CAPACITY / PER_WORD, PITCH = WORDS + GAP, WORDS_OF_BLOCK = WORDS / BLOCKS;

    // Where the buffer of a phase begins in the inbox. What there is before phase 0 lies in that of phase -1.
    DEVICE static int begin(int phase) { return (phase & 1) * LANES * PITCH; }
};

// The gradient of h: a share is a block's units of LANES lanes.
template <int CAPACITY, int LANES>
struct ScatterShape {
    static constexpr int BLOCKS = CAPACITY / BLOCK_UNITS, SHARE = BLOCK_UNITS * LANES;
};

// The number of this block in its group, and of the group.
template <class Shape>
DEVICE int group_rank() { return blockIdx.x % Shape::BLOCKS; }
template <class Shape>
DEVICE int group_number() { return blockIdx.x / Shape::BLOCKS; }
