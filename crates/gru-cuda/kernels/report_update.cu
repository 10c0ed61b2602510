// report_update: sums up loss and gradient norm of the update and decides whether it counts. One that is not
// finite sets `stopped`: from there on nothing is reported, applied or carried.
//
//   loss_sum = sum of loss      gradient_norm = sqrt(sum of squares)      rate = learning_rate min(1, max / norm)
//
// Where the host gave no rates, their region is empty and there is no rate.
//
// It also hands the update's index to the kernels behind it, by `reported`, and moves `cursor` on.
//
// Geometry: one block of 256 threads.
// Determinism: a thread sums every 256th row and slot in order, the block its threads by halves, all in f64.

#include "block_sum.cuh"

KERNEL(report_update, THREADS, Task) {
    SHARED(double, scratch, THREADS);
    double loss = 0.0, squares = 0.0;
    for (int row = threadIdx.x; row < task.rows; row += THREADS) loss += task.loss[row];
    for (int slot = threadIdx.x; slot < task.num_slots; slot += THREADS) squares += task.squares[slot];
    loss = block_sum(loss, scratch);
    squares = block_sum(squares, scratch);
    if (threadIdx.x != 0 || task.stopped[0]) return;
    const double norm = sqrt(squares);
    if (!isfinite(loss) || !isfinite(norm)) {
        task.stopped[0] = 1;
        return;
    }
    const unsigned update = task.cursor[0];
    task.loss_sum[update] = loss;
    task.gradient_norm[update] = norm;
    if (task.learning_rate.length > 0) {
        const double scale = fmin(double(task.max_grad_norm[0]) / norm, 1.0);
        task.rate[0] = float(double(task.learning_rate[update]) * scale);
    }
    task.reported[0] = update;
    task.cursor[0] = update + 1;
}
