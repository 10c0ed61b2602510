// bias_gradients: sums over all rows: db = (dr', dz', dn'), db_q = dn' r, db_y = dlogits.
//
// Geometry: a block takes 16 columns of (b, b_q, b_y) laid side by side, 4H + V in all; its 256 threads are
// 16 columns x 16 slices of the rows. H and V are multiples of 16, so no block straddles two biases.
// Determinism: a thread adds up every sixteenth row in order, then the slices are added up in theirs; block i
// fills slot bias_slot + i of `squares`.

#include "block_sum.cuh"

KERNEL(bias_gradients, THREADS, Task) {
    constexpr int COLUMNS = 16, SLICES = 16;
    SHARED(float, partial, SLICES * COLUMNS);
    SHARED(double, scratch, THREADS);
    const int hidden = task.hidden_size, vocab = task.vocab_size;
    const int slice = threadIdx.x / COLUMNS, column_in_tile = threadIdx.x % COLUMNS;
    const int column = blockIdx.x * COLUMNS + column_in_tile;

    // Where the block's column lies: in dq the third part is dn' r, which is b_q's; b's third part is dn'.
    Region<float> source = task.dq.from(column);
    int stride = 3 * hidden;
    if (column >= 4 * hidden) {
        source = task.logits.from(column - 4 * hidden);
        stride = vocab;
    } else if (column >= 3 * hidden) {
        source = task.dq.from(column - hidden);
    } else if (column >= 2 * hidden) {
        source = task.dn.from(column - 2 * hidden);
        stride = hidden;
    }
    const bool is_trained = column < 3 * hidden || column >= 4 * hidden || task.candidate_bias;

    float sum = 0.0f;
    if (is_trained) {
#pragma unroll 4
        for (int row = slice; row < task.rows; row += SLICES) sum += source[row * stride];
    }
    partial[slice * COLUMNS + column_in_tile] = sum;
    __syncthreads();
    double squares = 0.0;
    if (slice == 0) {
        float total = 0.0f;
        for (int part = 0; part < SLICES; part++) total += partial[part * COLUMNS + column_in_tile];
        if (column < 4 * hidden) task.gradient_b[column] = total;
        else task.gradient_b_y[column - 4 * hidden] = total;
        squares = double(total) * total;
    }
    squares = block_sum(squares, scratch);
    if (threadIdx.x == 0) task.squares[task.bias_slot + blockIdx.x] = squares;
}
