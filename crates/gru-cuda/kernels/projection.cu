// projection: logits = h W_y + b_y, [R, H] x [H, V], of the hidden states after every step.
//
// Geometry: tiles of 64 x 64, blocks ceil(V / 64) x ceil(R / 64); see product.cuh.
// Determinism: every element is one sum in the order of H.

#include "product.cuh"

KERNEL(projection, THREADS, Task) {
    const int rows = task.rows, hidden = task.hidden_size, vocab = task.vocab_size;
    const Matrix h = {task.h.from(task.batch_size * hidden), rows, hidden};
    const Matrix w_y = {task.w_y, hidden, vocab};
    product<Lies::As_named, Lies::As_named>(h, w_y, [&](int row, int column, float value) {
        task.logits[row * vocab + column] = value + task.b_y[column];
    });
}
