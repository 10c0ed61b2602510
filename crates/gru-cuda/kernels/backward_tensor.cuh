// backward_tensor: all time steps of BPTT, products on tensor cores.
//
// A block's units give the gradients of its own columns of W_h, so it multiplies those alone, for all hidden units,
// and sends every block that block's part of the result; who receives adds the parts up.
//
// Geometry: groups of CAPACITY / 32 blocks have 8 lanes; 256 threads, each of which computes one unit of one lane.
// For the products a warp holds CAPACITY / 128 tiles of 16 rows of W_h x the block's 96 columns as fragments of A in
// registers; dq comes from shared memory as B, whose 8 columns are the lanes. The sums go out as they are.
// A step has one __syncthreads: dq lies in two buffers, and who writes to one again has passed the barrier of the step
// between, which all readers came to after they had read. Its words lie four by four, moved within 32 by the lane (see
// `dq_place`), so that 8 threads that load four words each, of two lanes, hit all banks, and so do the 32 that store 4
// units of 8 lanes.
// Determinism: products in a fixed order of words, blocks in theirs.
#pragma once

#include "persistent.cuh"
#include "tensor_operand.cuh"

// Where word `word` of a lane's dq lies.
template <int PITCH>
DEVICE int dq_place(int lane, int word) {
    const int moved = (word / 4) ^ (lane % 2 * 4 + lane / 2);
    return lane * PITCH + moved * 4 + word % 4;
}

template <class Exchange, class Operand, int CAPACITY>
DEVICE void backward_tensor(const Task& task) {
    using Word = typename Operand::Word;
    constexpr int LANES = 8, TILES = CAPACITY / 128;
    using Shape = ScatterShape<CAPACITY, LANES>;
    constexpr int WORDS = GATES * BLOCK_UNITS / Operand::PER_WORD, PIECES = WORDS / 16;
    constexpr int PITCH = (WORDS + 31) / 32 * 32;
    SHARED(Word, dq, 2 * LANES * PITCH);  // [buffer][lane][word]
    const auto exchange = Exchange::template Scatter<Shape>::open(task);
    const int rank = group_rank<Shape>(), first_lane = group_number<Shape>() * LANES, thread = threadIdx.x;
    const int first_tile = warp_number() * TILES, group = warp_lane() / 4, member = warp_lane() % 4;

    Register<Word> weights[TILES][PIECES][2][4];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                // The four words of this thread, of rows group and group + 8.
                const int row = (first_tile + tile) * 16 + group + half * 8;
                const int column = (piece * 16 + first_word_of(member)) * Operand::PER_WORD;
                const int gate = column / BLOCK_UNITS, unit = rank * BLOCK_UNITS + column % BLOCK_UNITS;
                Register<float> values[2][4];
#pragma unroll
                for (int i = 0; i < Operand::PER_WORD; i++) {
                    load_weights(task, row, gate, unit + 4 * i, values[i]);
                }
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const int at = i * Operand::PER_WORD, next = at + Operand::PER_WORD - 1;
                    const Word word = Operand::pack(values[at / 4][at % 4], values[next / 4][next % 4]);
                    weights[tile][piece][i / 2][i % 2 * 2 + half] = word;
                }
            }
        }
    }
    const int own_unit = thread / LANES, own_lane = thread % LANES;
    BackwardUnit cell = {};
    cell.begin(task, rank * BLOCK_UNITS + own_unit, first_lane + own_lane);
    typename Exchange::template Scatter<Shape>::Peer peers[TILES];
    exchange.connect();
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) peers[tile] = exchange.peer((first_tile + tile) / 2);

    for (int step = task.num_steps - 1; step >= 0; step--) {
        const int phase = task.num_steps - 1 - step;
        float recurrent = 0.0f;
        if (phase > 0) recurrent = exchange.receive(phase - 1, thread);
        const Shared<Word> buffer = dq + (phase & 1) * LANES * PITCH;
        const UnitGradient gradient = cell.step(recurrent);
        if (step > 0) {
            exchange.expect(phase);
            const float parts[GATES] = {gradient.dr, gradient.dz, gradient.dq};
#pragma unroll
            for (int gate = 0; gate < GATES; gate++) {
                const Word word = Operand::pack(parts[gate], shuffle_down(parts[gate], LANES));
                const int column = gate * BLOCK_UNITS + own_unit;
                if (column % Operand::PER_WORD == 0) {
                    buffer[dq_place<PITCH>(own_lane, column / Operand::PER_WORD)] = word;
                }
            }
        }
        if (step == 0) {
            cell.store(task, step, gradient);
            break;
        }
        __syncthreads();
        cell.fetch(task, step - 1);

        Register<float> sums[TILES][4];
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
            for (int i = 0; i < 4; i++) sums[tile][i] = 0.0f;
        }
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
            Register<Word> words[4];
            load_four(buffer, dq_place<PITCH>(group, piece * 16 + first_word_of(member)), words);
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                multiply_16_words<Operand>(sums[tile], weights[tile][piece], words);
            }
        }
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            const int place = ((first_tile + tile) % 2 * 16 + group) * LANES + 2 * member;
            exchange.send_pair(peers[tile], phase, place, sums[tile][0], sums[tile][1]);
            exchange.send_pair(peers[tile], phase, place + 8 * LANES, sums[tile][2], sums[tile][3]);
        }
        cell.store(task, step, gradient);
    }
    exchange.close();
}
