// step_backward: one time step of BPTT, for all lanes. D is the whole gradient that reaches h.
//
//   D = dh (from the logits) + z' D' + dq' W_h^T              primes: of the step after this one
//   then cell.cuh gives dn and dq; D takes dh's place
//
// Geometry: a block computes 16 units of 4 lanes; blocks H / 16 x ceil(B / 4). Its 256 threads are 16 units x
// 16 slices of the sum over 3H: a thread adds up every sixteenth term. dq' comes through shared memory in
// pieces of at most 768 columns; W_h is read by rows, 64 bytes at a time.
// Determinism: slices are added up in their order.

#include "cell.cuh"

KERNEL(step_backward, THREADS, Task) {
    constexpr int UNITS = 16, SLICES = 16, LANES = 4, PIECE = 768;
    SHARED(float, dq_piece, PIECE * LANES);                  // [column][lane]
    SHARED(float, partial, SLICES * LANES * UNITS);          // [slice][lane][unit]
    const int hidden = task.hidden_size, batch = task.batch_size, columns = 3 * hidden;
    const int slice = threadIdx.x % SLICES, unit_of_sum = threadIdx.x / SLICES;
    const int first_lane = blockIdx.y * LANES, after = (task.step + 1) * batch;  // row of lane 0, next step
    const bool is_last = task.step + 1 == task.num_steps;

    if (!is_last) {
        Region<float> weights = task.w_h.from((blockIdx.x * UNITS + unit_of_sum) * columns);
        Register<float> sums[LANES];
        for (int lane = 0; lane < LANES; lane++) sums[lane] = 0.0f;
        for (int begin = 0; begin < columns; begin += PIECE) {
            const int length = columns - begin < PIECE ? columns - begin : PIECE;
            __syncthreads();
            for (int index = threadIdx.x; index < length * LANES; index += THREADS) {
                const int lane = index / length, column = index % length;
                float value = 0.0f;
                if (first_lane + lane < batch) {
                    value = task.dq[(after + first_lane + lane) * columns + begin + column];
                }
                dq_piece[column * LANES + lane] = value;
            }
            __syncthreads();
#pragma unroll 8
            for (int column = slice; column < length; column += SLICES) {
                const float weight = weights[begin + column];
#pragma unroll
                for (int lane = 0; lane < LANES; lane++) {
                    sums[lane] = fmaf(dq_piece[column * LANES + lane], weight, sums[lane]);
                }
            }
        }
        for (int lane = 0; lane < LANES; lane++) {
            partial[(slice * LANES + lane) * UNITS + unit_of_sum] = sums[lane];
        }
        __syncthreads();
    }

    const int lane = threadIdx.x / UNITS, unit = blockIdx.x * UNITS + threadIdx.x % UNITS;
    if (lane >= LANES || first_lane + lane >= batch) return;
    const int row = task.step * batch + first_lane + lane;
    const int cell = row * hidden + unit, cell_after = cell + batch * hidden;
    float d = task.dh[cell];
    if (!is_last) {
        float sum = 0.0f;
        for (int part = 0; part < SLICES; part++) {
            sum += partial[(part * LANES + lane) * UNITS + threadIdx.x % UNITS];
        }
        d += task.z[cell_after] * task.dh[cell_after] + sum;
    }
    task.dh[cell] = d;
    store_gradient(task, row, unit, unit_gradient(d, load_unit(task, cell)));
}
