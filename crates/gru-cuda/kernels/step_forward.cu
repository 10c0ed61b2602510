// step_forward: one time step of the recurrence, for all lanes.
//
// Products h W_h, then cell.cuh.
//
// Geometry: a block computes 16 units (all three gates of each) of 4 lanes; blocks H / 16 x ceil(B / 4).
// Its 256 threads are 16 units x 16 slices of the sum over H: a thread adds up every sixteenth term.
// h comes through shared memory in pieces of at most 256 units; W_h is read from the L2 cache, 64 bytes at a
// time. Determinism: slices are added up in their order.

#include "cell.cuh"

KERNEL(step_forward, THREADS, Task) {
    constexpr int UNITS = 16, SLICES = 16, LANES = 4, GATES = 3, PIECE = 256;
    SHARED(float, h_piece, PIECE * LANES);                         // [unit][lane]
    SHARED(float, partial, SLICES * GATES * LANES * UNITS);        // [slice][gate][lane][unit]
    const int hidden = task.hidden_size, batch = task.batch_size;
    const int unit_in_tile = threadIdx.x % UNITS, slice = threadIdx.x / UNITS;
    const int first_lane = blockIdx.y * LANES, before = task.step * batch;  // row of lane 0's h
    const int column = blockIdx.x * UNITS + unit_in_tile;

    Register<float> sums[GATES][LANES];
    for (int gate = 0; gate < GATES; gate++) {
        for (int lane = 0; lane < LANES; lane++) sums[gate][lane] = 0.0f;
    }
    for (int begin = 0; begin < hidden; begin += PIECE) {
        const int length = hidden - begin < PIECE ? hidden - begin : PIECE;
        __syncthreads();
        for (int index = threadIdx.x; index < length * LANES; index += THREADS) {
            const int lane = index / length, k = index % length;
            float value = 0.0f;
            if (first_lane + lane < batch) value = task.h[(before + first_lane + lane) * hidden + begin + k];
            h_piece[k * LANES + lane] = value;
        }
        __syncthreads();
#pragma unroll 4
        for (int k = slice; k < length; k += SLICES) {
            Region<float> weights = task.w_h.from((begin + k) * GATES * hidden + column);
#pragma unroll
            for (int gate = 0; gate < GATES; gate++) {
                const float weight = weights[gate * hidden];
#pragma unroll
                for (int lane = 0; lane < LANES; lane++) {
                    sums[gate][lane] = fmaf(h_piece[k * LANES + lane], weight, sums[gate][lane]);
                }
            }
        }
    }
    for (int gate = 0; gate < GATES; gate++) {
        for (int lane = 0; lane < LANES; lane++) {
            partial[((slice * GATES + gate) * LANES + lane) * UNITS + unit_in_tile] = sums[gate][lane];
        }
    }
    __syncthreads();

    const int lane = threadIdx.x / UNITS;
    if (lane >= LANES || first_lane + lane >= batch) return;
    Register<float> products[GATES];
    for (int gate = 0; gate < GATES; gate++) {
        float sum = 0.0f;
#pragma unroll 4
        for (int part = 0; part < SLICES; part++) {
            sum += partial[((part * GATES + gate) * LANES + lane) * UNITS + unit_in_tile];
        }
        products[gate] = sum;
    }
    const int row = before + first_lane + lane;
    Region<float> input = task.w_x.from(task.inputs[row] * GATES * hidden + column);
    const Gates inputs = {input[0] + task.b[column], input[hidden] + task.b[hidden + column],
                          input[2 * hidden] + task.b[2 * hidden + column]};
    const int cell = row * hidden + column;
    const Gates sums_of_gates = {products[0], products[1], products[2]};
    store_unit(task, cell, step_unit(inputs, sums_of_gates, task.b_q[column], task.h[cell]));
}
