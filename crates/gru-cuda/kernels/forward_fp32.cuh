// forward_fp32: all time steps of the recurrence, products in f32 on the ordinary units.
//
// Geometry: groups of CAPACITY / 32 blocks have 4 lanes; 384 threads. For the products a thread holds 4 of the
// block's 96 columns of W_h (four neighbouring units of one gate) x CAPACITY / 16 rows: 16 threads that follow each
// other share the rows of h, four neighbours at a time, so that one access of a half warp reads 256 bytes in a row
// and the other half the same. Then 128 threads compute one unit of one lane each, a warp a lane.
// A step has one __syncthreads: the sums lie in two buffers, and who writes to one again has passed the barrier of
// the step between, which all readers came to after they had read.
// Determinism: a thread adds up its rows in ascending order, the 16 threads by a fixed tree.
#pragma once

#include "persistent.cuh"

// Adds up 2 HALF values over as many threads that follow each other: the i-th of them gets the sum of the i-th values.
template <unsigned HALF>
DEVICE float sum_transposed(Register<float> (&values)[16]) {
    const bool is_upper = threadIdx.x & HALF;
#pragma unroll
    for (unsigned i = 0; i < HALF; i++) {
        const float kept = is_upper ? values[i + HALF] : values[i];
        const float given = is_upper ? values[i] : values[i + HALF];
        values[i] = kept + shuffle_xor(given, HALF);
    }
    if constexpr (HALF > 1) return sum_transposed<HALF / 2>(values);
    else return values[0];
}

template <class Exchange, int CAPACITY>
DEVICE void forward_fp32(const Task& task) {
    constexpr int LANES = 4, PIECES = CAPACITY / 64;
    using Shape = GatherShape<float, CAPACITY, LANES, 1, 0>;
    // Sums of a lane; 8 more than its 96 columns, so that a half warp's 16 sums of 4 lanes hit different banks.
    constexpr int PITCH = GATES * BLOCK_UNITS + 8;
    SHARED(float, h, 2 * LANES * CAPACITY);         // [buffer][lane][unit]
    SHARED(float, products, 2 * LANES * PITCH);     // [buffer][lane][gate][unit of the block]
    auto exchange = Exchange::template Gather<Shape>::open(task, h);
    const int rank = group_rank<Shape>(), first_lane = group_number<Shape>() * LANES;
    const int part = threadIdx.x % 16, four_columns = threadIdx.x / 16;
    const int gate = four_columns / 8, column = four_columns % 8 * 4;

    Register<float> weights[PIECES][4][4];  // [piece][row][column]
#pragma unroll
    for (int piece = 0; piece < PIECES; piece++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            load_weights(task, piece * 64 + part * 4 + i, gate, rank * BLOCK_UNITS + column, weights[piece][i]);
        }
    }
    for (int index = threadIdx.x; index < LANES * CAPACITY; index += blockDim.x) {
        h[Shape::begin(-1) + index] = load_state(task, first_lane + index / CAPACITY, index % CAPACITY);
    }
    const bool has_unit = warp_number() < LANES;
    ForwardUnit cell = {};
    if (has_unit) cell.begin(task, rank * BLOCK_UNITS + warp_lane(), first_lane + warp_number());
    exchange.connect();
    __syncthreads();

    for (int step = 0; step < task.num_steps; step++) {
        const bool is_last = step + 1 == task.num_steps;
        if (step > 0) exchange.receive(step - 1);
        if (!is_last) exchange.expect(step);

        Register<float> sums[16];  // [lane][column]
#pragma unroll
        for (int i = 0; i < 16; i++) sums[i] = 0.0f;
#pragma unroll
        for (int piece = 0; piece < PIECES; piece++) {
#pragma unroll
            for (int lane = 0; lane < LANES; lane++) {
                Register<float> values[4];
                load_four(h, Shape::begin(step - 1) + lane * CAPACITY + piece * 64 + part * 4, values);
#pragma unroll
                for (int i = 0; i < 4; i++) {
#pragma unroll
                    for (int c = 0; c < 4; c++) {
                        sums[4 * lane + c] = fmaf(values[i], weights[piece][i][c], sums[4 * lane + c]);
                    }
                }
            }
        }
        const float sum = sum_transposed<8>(sums);
        const int begin = (step & 1) * LANES * PITCH;
        products[begin + part / 4 * PITCH + gate * BLOCK_UNITS + column + part % 4] = sum;
        __syncthreads();

        if (has_unit) {
            const Shared<float> own = products + (begin + warp_number() * PITCH + warp_lane());
            const UnitState state = cell.step({own[0], own[BLOCK_UNITS], own[2 * BLOCK_UNITS]});
            if (!is_last) exchange.send(step, warp_number(), state.h);
            cell.store_and_fetch(task, step, state);
        }
    }
    exchange.close();
}
