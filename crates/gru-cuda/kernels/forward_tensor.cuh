// forward_tensor: all time steps of the recurrence, products on tensor cores.
//
// Geometry: groups of CAPACITY / 32 blocks have 8 lanes; 256 threads. A warp holds, for 16 units and one of 4 slices
// of the rows of W_h, the columns of all three gates as fragments of A in registers; h comes from shared memory as B,
// whose 8 columns are the lanes. Then every thread adds up the 4 slices of one unit of one lane, a warp a lane.
// Rows of h stand 16 words beside a multiple of 32, so that 8 threads that load four words each hit all banks; units
// of a lane's sums stand 36 apart, for the same.
// A step has one __syncthreads: the sums lie in two buffers, and who writes to one again has passed the barrier of
// the step between, which all readers came to after they had read.
// Determinism: products in a fixed order of words, slices in theirs.
#pragma once

#include "persistent.cuh"
#include "tensor_operand.cuh"

template <class Exchange, class Operand, int CAPACITY>
DEVICE void forward_tensor(const Task& task) {
    using Word = typename Operand::Word;
    constexpr int LANES = 8, SLICES = 4, THREADS_OF_BLOCK = 256;
    using Shape = GatherShape<Word, CAPACITY, LANES, Operand::PER_WORD, 16>;
    constexpr int WORDS = Shape::WORDS, PITCH = Shape::PITCH;
    constexpr int PIECES = WORDS / SLICES / 16;  // of 16 words, of a slice
    constexpr int UNIT_PITCH = BLOCK_UNITS + 4, GATE_PITCH = LANES * UNIT_PITCH;
    constexpr int SUMS = SLICES * GATES * GATE_PITCH;
    SHARED(Word, h, 2 * LANES * PITCH);  // [buffer][lane][word]
    SHARED(float, products, 2 * SUMS);   // [buffer][slice][gate][lane][unit of the block]
    auto exchange = Exchange::template Gather<Shape>::open(task, h);
    const int rank = group_rank<Shape>(), first_lane = group_number<Shape>() * LANES;
    const int slice = warp_number() % SLICES, first_unit = warp_number() / SLICES * 16;
    const int group = warp_lane() / 4, member = warp_lane() % 4;

    Register<Word> weights[GATES][PIECES][2][4];
#pragma unroll
    for (int gate = 0; gate < GATES; gate++) {
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                // Element i % 4 of a fragment: units group and group + 8, of a word and of the one after it.
                const int unit = rank * BLOCK_UNITS + first_unit + group + i % 2 * 8;
                const int word = (slice * PIECES + piece) * 16 + first_word_of(member) + i / 4 * 2 + i / 2 % 2;
                const int row = word * Operand::PER_WORD;
                const float first = load_weight(task, row, gate, unit);
                const float second = Operand::PER_WORD == 2 ? load_weight(task, row + 1, gate, unit) : 0.0f;
                weights[gate][piece][i / 4][i % 4] = Operand::pack(first, second);
            }
        }
    }
    for (int index = threadIdx.x; index < LANES * WORDS; index += THREADS_OF_BLOCK) {
        const int lane = index / WORDS, word = index % WORDS, unit = word * Operand::PER_WORD;
        const float first = load_state(task, first_lane + lane, unit);
        const float second = Operand::PER_WORD == 2 ? load_state(task, first_lane + lane, unit + 1) : 0.0f;
        h[Shape::begin(-1) + lane * PITCH + word] = Operand::pack(first, second);
    }
    ForwardUnit cell = {};
    cell.begin(task, rank * BLOCK_UNITS + warp_lane(), first_lane + warp_number());
    exchange.connect();
    __syncthreads();

    for (int step = 0; step < task.num_steps; step++) {
        const bool is_last = step + 1 == task.num_steps;
        if (step > 0) exchange.receive(step - 1);
        if (!is_last) exchange.expect(step);

        Register<float> sums[GATES][4];
#pragma unroll
        for (int gate = 0; gate < GATES; gate++) {
#pragma unroll
            for (int i = 0; i < 4; i++) sums[gate][i] = 0.0f;
        }
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
            Register<Word> words[4];
            const int word = (slice * PIECES + piece) * 16 + first_word_of(member);
            load_four(h, Shape::begin(step - 1) + group * PITCH + word, words);
#pragma unroll
            for (int gate = 0; gate < GATES; gate++) {
                multiply_16_words<Operand>(sums[gate], weights[gate][piece], words);
            }
        }
        const Shared<float> buffer = products + (step & 1) * SUMS;
#pragma unroll
        for (int gate = 0; gate < GATES; gate++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int lane = 2 * member + i % 2, unit = first_unit + group + i / 2 * 8;
                buffer[(slice * GATES + gate) * GATE_PITCH + lane * UNIT_PITCH + unit] = sums[gate][i];
            }
        }
        __syncthreads();

        Register<float> totals[GATES];
#pragma unroll
        for (int gate = 0; gate < GATES; gate++) {
            float total = 0.0f;
#pragma unroll
            for (int part = 0; part < SLICES; part++) {
                total += buffer[(part * GATES + gate) * GATE_PITCH + warp_number() * UNIT_PITCH + warp_lane()];
            }
            totals[gate] = total;
        }
        const UnitState state = cell.step({totals[0], totals[1], totals[2]});
        if (!is_last) exchange.send(step, warp_number(), Operand::pack(state.h, shuffle_down(state.h, 1)));
        cell.store_and_fetch(task, step, state);
    }
    exchange.close();
}
