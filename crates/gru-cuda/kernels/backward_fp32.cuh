// backward_fp32: all time steps of BPTT, products in f32 on the ordinary units.
//
// A block's units give the gradients of its own columns of W_h, so it multiplies those alone, for all hidden units,
// and sends every block that block's part of the result; who receives adds the parts up.
//
// Geometry: groups of CAPACITY / 32 blocks have 4 lanes; 384 threads. 128 threads compute one unit of one lane each.
// For the products a thread holds CAPACITY / 64 rows of W_h (64 apart) x 16 of the block's 96 columns; the threads of
// a warp share the columns, so that they read the same four lanes of a column at once. Partial sums of the 6 groups of
// columns meet in shared memory, where CAPACITY threads add them up, four lanes of one row each, and send them.
// `dq` and `partial` have one buffer each: who writes to one again has passed a __syncthreads which all readers came to
// after they had read, of dq the second of its step, of `partial` the first of the next.
// Determinism: a thread adds up its columns in ascending order, groups of columns and blocks in theirs.
#pragma once

#include "persistent.cuh"

template <class Exchange, int CAPACITY>
DEVICE void backward_fp32(const Task& task) {
    constexpr int LANES = 4, ROWS = CAPACITY / 64, COLUMNS = 16, PARTS = 6;
    constexpr int UNITS_OF_BLOCK = BLOCK_UNITS * LANES;
    using Shape = ScatterShape<CAPACITY, LANES>;
    SHARED(float, dq, GATES * UNITS_OF_BLOCK);         // [gate][unit of the block][lane]
    SHARED(float, partial, PARTS * CAPACITY * LANES);  // [part][row][lane]
    const auto exchange = Exchange::template Scatter<Shape>::open(task);
    const int rank = group_rank<Shape>(), first_lane = group_number<Shape>() * LANES, thread = threadIdx.x;
    const int first_row = thread % 64, part = thread / 64;

    Register<float> weights[ROWS][COLUMNS / 4][4];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int four = 0; four < COLUMNS / 4; four++) {
            const int unit = rank * BLOCK_UNITS + part % 2 * COLUMNS + four * 4;
            load_weights(task, first_row + 64 * i, part / 2, unit, weights[i][four]);
        }
    }
    const bool has_unit = thread < UNITS_OF_BLOCK;
    BackwardUnit cell = {};
    if (has_unit) cell.begin(task, rank * BLOCK_UNITS + thread / LANES, first_lane + thread % LANES);
    exchange.connect();
    const auto peer = exchange.peer(thread / BLOCK_UNITS % Shape::BLOCKS);

    for (int step = task.num_steps - 1; step >= 0; step--) {
        const int phase = task.num_steps - 1 - step;
        UnitGradient gradient = {0.0f, 0.0f, 0.0f, 0.0f};
        if (has_unit) {
            float recurrent = 0.0f;
            if (phase > 0) recurrent = exchange.receive(phase - 1, thread);
            if (step > 0) exchange.expect(phase);
            gradient = cell.step(recurrent);
            if (step > 0) {
                dq[thread] = gradient.dr;
                dq[UNITS_OF_BLOCK + thread] = gradient.dz;
                dq[2 * UNITS_OF_BLOCK + thread] = gradient.dq;
            }
        }
        if (step == 0) {
            if (has_unit) cell.store(task, step, gradient);
            break;
        }
        __syncthreads();
        if (has_unit) cell.fetch(task, step - 1);

        Register<float> sums[ROWS][LANES];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
#pragma unroll
            for (int lane = 0; lane < LANES; lane++) sums[i][lane] = 0.0f;
        }
#pragma unroll
        for (int column = 0; column < COLUMNS; column++) {
            Register<float> values[LANES];
            load_four(dq, (part * COLUMNS + column) * LANES, values);
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
#pragma unroll
                for (int lane = 0; lane < LANES; lane++) {
                    sums[i][lane] = fmaf(values[lane], weights[i][column / 4][column % 4], sums[i][lane]);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            store_four(partial, (part * CAPACITY + first_row + 64 * i) * LANES, sums[i]);
        }
        __syncthreads();

        if (thread < CAPACITY) {
            Register<float> totals[LANES];
#pragma unroll
            for (int lane = 0; lane < LANES; lane++) totals[lane] = 0.0f;
#pragma unroll
            for (int from = 0; from < PARTS; from++) {
                Register<float> values[LANES];
                load_four(partial, (from * CAPACITY + thread) * LANES, values);
#pragma unroll
                for (int lane = 0; lane < LANES; lane++) totals[lane] += values[lane];
            }
            exchange.send_four(peer, phase, thread % BLOCK_UNITS * LANES, totals);
        }
        if (has_unit) cell.store(task, step, gradient);
    }
    exchange.close();
}
