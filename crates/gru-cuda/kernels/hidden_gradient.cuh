// hidden_gradient: dh = dlogits W_y^T, [R, V] x [V, H]: what reaches each hidden state from its own logits.
//
// Geometry: blocks ceil(H / columns of a tile) x ceil(R / rows); see tiles.cuh.
// Determinism: the tile's.
#pragma once

#include "tiles.cuh"

template <class Tile>
DEVICE void compute_hidden_gradient(const Task& task) {
    const int rows = task.rows, hidden = task.hidden_size, vocab = task.vocab_size;
    const Matrix dlogits = {task.logits, rows, vocab};
    const Matrix w_y = {task.w_y, hidden, vocab};
    const auto store = [&](int row, int column, const Register<float>(&four)[4]) {
        store_four(task.dh, row * hidden + column, four);
    };
    product<Tile, Depth::Along_rows, Depth::Along_rows>(dlogits, w_y, [&](const Tile& tile, int row, int column) {
        for_each_vector(tile, row, column, rows, hidden, store);
    });
}
