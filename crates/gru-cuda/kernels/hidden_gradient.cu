// hidden_gradient: dh = dlogits W_y^T, [R, V] x [V, H]: what reaches each hidden state from its own logits.
//
// Geometry: tiles of 64 x 64, blocks ceil(H / 64) x ceil(R / 64); see product.cuh.
// Determinism: every element is one sum in the order of V.

#include "product.cuh"

KERNEL(hidden_gradient, THREADS, Task) {
    const int rows = task.rows, hidden = task.hidden_size, vocab = task.vocab_size;
    const Matrix dlogits = {task.logits, rows, vocab};
    const Matrix w_y = {task.w_y, hidden, vocab};
    product<Lies::As_named, Lies::Transposed>(
        dlogits, w_y, [&](int row, int column, float value) { task.dh[row * hidden + column] = value; });
}
