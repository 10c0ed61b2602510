// projection: logits = h W_y + b_y, [R, H] x [H, V], of the hidden states after every step; and of every row and
// every 64 columns what the softmax needs: the largest logit, and the sum of exp(logit - largest).
//
// Where the regions of these parts are empty, as outside of an update, they are not computed.
//
// Geometry: blocks ceil(V / columns of a tile) x ceil(R / rows); see tiles.cuh. A warp is 64 columns wide.
// Determinism: every element is one sum in the order of H. Of a part, a thread adds up its columns in their order,
// then neighbouring threads add up their sums by twos.
#pragma once

#include "tiles.cuh"

template <class Tile>
DEVICE void project(const Task& task) {
    static_assert(Tile::WARP_COLUMNS == PART_COLUMNS, "a warp computes whole parts");
    const int rows = task.rows, hidden = task.hidden_size, vocab = task.vocab_size;
    const int parts = (vocab + PART_COLUMNS - 1) / PART_COLUMNS;
    const Matrix h = {task.h.from(task.batch_size * hidden), rows, hidden};
    const Matrix w_y = {task.w_y, hidden, vocab};
    const auto finish = [&](const Tile& tile, int first_row, int first_column) {
        if (!tile.is_inside) return;
        Register<float> biases[Tile::THREAD_VECTORS][4];
#pragma unroll
        for (int j = 0; j < Tile::THREAD_VECTORS; j++) {
            const int column = first_column + tile.column(j);
            load_four(task.b_y, column < vocab ? column : 0, biases[j]);
        }
#pragma unroll
        for (int i = 0; i < Tile::THREAD_ROWS; i++) {
            const int row = first_row + tile.row(i);
            Register<float> logits[Tile::THREAD_VECTORS][4];
            float largest = -INFINITY;
#pragma unroll
            for (int j = 0; j < Tile::THREAD_VECTORS; j++) {
                const int column = first_column + tile.column(j);
                tile.read(i, j, logits[j]);
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    logits[j][e] += biases[j][e];
                    if (column < vocab) largest = fmaxf(largest, logits[j][e]);
                }
                if (row < rows && column < vocab) store_four(task.logits, row * vocab + column, logits[j]);
            }
            if (task.part_max.length == 0) continue;
#pragma unroll
            for (int mask = 1; mask < Tile::SHARERS; mask *= 2) largest = fmaxf(largest, shuffle_xor(largest, mask));
            float sum = 0.0f;
#pragma unroll
            for (int j = 0; j < Tile::THREAD_VECTORS; j++) {
                if (first_column + tile.column(j) >= vocab) continue;
#pragma unroll
                for (int e = 0; e < 4; e++) sum += expf(logits[j][e] - largest);
            }
#pragma unroll
            for (int mask = 1; mask < Tile::SHARERS; mask *= 2) sum += shuffle_xor(sum, mask);
            if (row < rows && threadIdx.x % Tile::SHARERS == 0) {
                const int part = row * parts + (first_column + tile.warp_column) / PART_COLUMNS;
                task.part_max[part] = largest;
                task.part_sum[part] = sum;
            }
        }
    };
    product<Tile, Depth::Along_rows, Depth::Down_columns>(h, w_y, finish);
}
