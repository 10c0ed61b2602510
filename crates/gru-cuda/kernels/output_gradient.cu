// output_gradient: dW_y = h^T dlogits, [H, R] x [R, V], and the sum of squares of each tile.
//
// Geometry: tiles of 64 x 64, blocks ceil(V / 64) x ceil(H / 64); see product.cuh.
// Determinism: every element is one sum in the order of rows; block i fills slot i of `squares`, counted from
// output_slot.

#include "block_sum.cuh"
#include "product.cuh"

KERNEL(output_gradient, THREADS, Task) {
    SHARED(double, scratch, THREADS);
    const int rows = task.rows, hidden = task.hidden_size, vocab = task.vocab_size;
    const Matrix h = {task.h.from(task.batch_size * hidden), rows, hidden};
    const Matrix dlogits = {task.logits, rows, vocab};
    double squares = 0.0;
    product<Lies::Transposed, Lies::As_named>(h, dlogits, [&](int row, int column, float value) {
        task.gradient_w_y[row * vocab + column] = value;
        squares += double(value) * value;
    });
    const double sum = block_sum(squares, scratch);
    if (threadIdx.x == 0) task.squares[task.output_slot + blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
