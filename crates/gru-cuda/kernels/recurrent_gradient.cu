// recurrent_gradient: dW_h = h_before^T dq, [H, R] x [R, 3H], and the sum of squares of each tile.
//
// Geometry: tiles of 64 x 64, blocks ceil(3H / 64) x ceil(H / 64); see product.cuh.
// Determinism: every element is one sum in the order of rows; block i fills slot i of `squares`.

#include "block_sum.cuh"
#include "product.cuh"

KERNEL(recurrent_gradient, THREADS, Task) {
    SHARED(double, scratch, THREADS);
    const int rows = task.rows, hidden = task.hidden_size;
    const Matrix h = {task.h, rows, hidden};
    const Matrix dq = {task.dq, rows, 3 * hidden};
    double squares = 0.0;
    product<Lies::Transposed, Lies::As_named>(h, dq, [&](int row, int column, float value) {
        task.gradient_w_h[row * 3 * hidden + column] = value;
        squares += double(value) * value;
    });
    const double sum = block_sum(squares, scratch);
    if (threadIdx.x == 0) task.squares[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
