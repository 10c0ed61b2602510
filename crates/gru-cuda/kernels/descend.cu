// descend: one step of SGD, parameter -= rate * gradient, over W_x's used rows and all other parameters.
//
// Geometry: blocks of 256 threads in two ranges. The first R blocks take one row of W_x each (those beyond the
// update's number of characters do nothing), the others 1,024 elements each of the remaining parameters, which
// lie side by side in memory, as do their gradients.
// Determinism: every element has one writer; nothing is summed.

#include "task.cuh"

constexpr int ELEMENTS_PER_BLOCK = 1024;

KERNEL(descend, THREADS, Task) {
    if (task.stopped[0]) return;
    const float rate = task.rate[0];
    const int block = blockIdx.x;
    if (block < task.rows) {
        const int run = block, columns = 3 * task.hidden_size;
        const unsigned update = task.reported[0];
        if (run >= int(task.num_runs[update])) return;
        Region<float> weights = task.w_x.from(task.run_ids[update * task.rows + run] * columns);
        Region<float> gradient = task.gradient_w_x.from(run * columns);
        for (int column = threadIdx.x; column < columns; column += THREADS) {
            weights[column] = fmaf(-rate, gradient[column], weights[column]);
        }
        return;
    }
    const int begin = (block - task.rows) * ELEMENTS_PER_BLOCK + threadIdx.x;
    const int end = task.dense.length;
    for (int i = 0; i < ELEMENTS_PER_BLOCK; i += THREADS) {
        const int index = begin + i;
        if (index < end) task.dense[index] = fmaf(-rate, task.gradient_dense[index], task.dense[index]);
    }
}
