// step_forward: one time step of the recurrence, for all lanes.
//
//   r = sigmoid(W_x[id, r] + h W_h[:, r] + b_r)      q = h W_h[:, n] + b_q
//   z = sigmoid(W_x[id, z] + h W_h[:, z] + b_z)      n = tanh(W_x[id, n] + r q + b_n)
//   h' = z h + (1 - z) n
//
// Geometry: a block computes 16 units (all three gates of each) of 4 lanes; blocks H / 16 x ceil(B / 4).
// Its 256 threads are 16 units x 16 slices of the sum over H: a thread adds up every sixteenth term.
// h comes through shared memory in pieces of at most 256 units; W_h is read from the L2 cache, 64 bytes at a
// time. Determinism: slices are added up in their order.

#include "task.cuh"

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

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
        for (int part = 0; part < SLICES; part++) {
            sum += partial[((part * GATES + gate) * LANES + lane) * UNITS + unit_in_tile];
        }
        products[gate] = sum;
    }
    const int row = before + first_lane + lane;
    Region<float> input = task.w_x.from(task.inputs[row] * GATES * hidden + column);
    const float r = sigmoid(input[0] + products[0] + task.b[column]);
    const float z = sigmoid(input[hidden] + products[1] + task.b[hidden + column]);
    const float q = products[2] + task.b_q[column];
    const float n = tanhf(input[2 * hidden] + r * q + task.b[2 * hidden + column]);
    const int cell = row * hidden + column;
    task.r[cell] = r;
    task.z[cell] = z;
    task.q[cell] = q;
    task.n[cell] = n;
    task.h[cell + batch * hidden] = z * task.h[cell] + (1.0f - z) * n;
}
