// The product behind output_gradient and recurrent_gradient: gradient = A^T B, [H, R] x [R, N], and the sum of squares
// of each tile. Determinism: the tile's; block i fills slot first_slot + i of `squares`.
#pragma once

#include "block_sum.cuh"
#include "tiles.cuh"

template <class Tile>
DEVICE void compute_weight_gradient(const Matrix& a, const Matrix& b, Region<float> gradient, Region<double> slots) {
    SHARED(double, scratch, THREADS);
    double squares = 0.0;
    const auto store = [&](int row, int column, const Register<float>(&four)[4]) {
        store_four(gradient, row * b.columns + column, four);
#pragma unroll
        for (int e = 0; e < 4; e++) squares += double(four[e]) * four[e];
    };
    product<Tile, Depth::Down_columns, Depth::Down_columns>(a, b, [&](const Tile& tile, int row, int column) {
        for_each_vector(tile, row, column, a.columns, b.columns, store);
    });
    const double sum = block_sum(squares, scratch);
    if (threadIdx.x == 0) slots[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
