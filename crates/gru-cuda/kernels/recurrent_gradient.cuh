// recurrent_gradient: dW_h = h_before^T dq, [H, R] x [R, 3H].
//
// Geometry: blocks ceil(3H / columns of a tile) x ceil(H / rows); see tiles.cuh.
// Determinism: see weight_gradient.cuh; slots from 0 on.
#pragma once

#include "weight_gradient.cuh"

template <class Tile>
DEVICE void compute_recurrent_gradient(const Task& task) {
    const Matrix h = {task.h, task.rows, task.hidden_size};
    const Matrix dq = {task.dq, task.rows, 3 * task.hidden_size};
    compute_weight_gradient<Tile>(h, dq, task.gradient_w_h, task.squares);
}
