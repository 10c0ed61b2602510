// input_gradient: the gradient of the rows of W_x that the update used: dW_x[id] = sum of (dr', dz', dn') over
// the rows whose input is id. The host has sorted the rows by character, so nothing is added atomically.
//
// Geometry: R blocks of 256 threads, one a different character; blocks beyond the update's number of
// characters only clear their slot. A thread takes every 256th column of 3H.
// Determinism: rows are added up in ascending order; block i fills slot input_slot + i of `squares`.

#include "block_sum.cuh"

KERNEL(input_gradient, THREADS, Task) {
    SHARED(double, scratch, THREADS);
    const int run = blockIdx.x, hidden = task.hidden_size, columns = 3 * hidden;
    const unsigned update = task.cursor[0];
    double squares = 0.0;
    if (run < int(task.num_runs[update])) {
        Region<unsigned> begins = task.run_begins.from(update * (task.rows + 1) + run);
        const int begin = begins[0], end = begins[1];
        Region<unsigned> rows = task.run_rows.from(update * task.rows);
        for (int column = threadIdx.x; column < columns; column += THREADS) {
            float sum = 0.0f;
#pragma unroll 4
            for (int place = begin; place < end; place++) {
                const int row = rows[place];
                sum += column < 2 * hidden ? float(task.dq[row * columns + column])
                                           : float(task.dn[row * hidden + column - 2 * hidden]);
            }
            task.gradient_w_x[run * columns + column] = sum;
            squares += double(sum) * sum;
        }
    }
    const double sum = block_sum(squares, scratch);
    if (threadIdx.x == 0) task.squares[task.input_slot + run] = sum;
}
