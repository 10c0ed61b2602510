// output_gradient: dW_y = h^T dlogits, [H, R] x [R, V].
//
// A kernel of its own although recurrent_gradient is the same product: it needs nothing of BPTT and can run beside
// it; together they would have to wait for BPTT's end.
//
// Geometry: blocks ceil(V / columns of a tile) x ceil(H / rows); see tiles.cuh.
// Determinism: see weight_gradient.cuh; slots from output_slot on.
#pragma once

#include "weight_gradient.cuh"

template <class Tile>
DEVICE void compute_output_gradient(const Task& task) {
    const Matrix h = {task.h.from(task.batch_size * task.hidden_size), task.rows, task.hidden_size};
    const Matrix dlogits = {task.logits, task.rows, task.vocab_size};
    compute_weight_gradient<Tile>(h, dlogits, task.gradient_w_y, task.squares.from(task.output_slot));
}
