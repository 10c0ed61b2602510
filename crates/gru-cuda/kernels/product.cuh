// The tiled f32 matrix product C = A B, [M, K] x [K, N], behind the kernels projection, hidden_gradient,
// recurrent_gradient and output_gradient.
//
// A block of 256 threads computes a tile of 64 x 64 (blockIdx.x along N, blockIdx.y along M), each thread
// 4 x 4 of it: rows 4 (thread / 16) + i, columns thread % 16 + 16 j. A and B come through shared memory in
// pieces of 16 along K; what lies outside a matrix counts as 0. Every element is one sum in the order of K.
#pragma once

#include "task.cuh"

constexpr int TILE = 64, DEPTH = 16, PER_THREAD = 4;
// Rows of a piece in shared memory stand one element apart from a power of two, so that the threads that store
// along K hit different banks.
constexpr int PITCH = TILE + 1;

// A matrix [rows, columns] as it lies in memory, row-major.
struct Matrix {
    Region<float> elements;
    int rows, columns;

    DEVICE float at(int row, int column) const {
        if (row >= rows || column >= columns) return 0.0f;
        return elements[row * columns + column];
    }
};

// Loads piece[k][i] = matrix[first + i][begin + k], for a matrix whose rows run along K.
DEVICE void load_across(const Matrix& matrix, int first, int begin, Shared<float> piece) {
    for (int index = threadIdx.x; index < TILE * DEPTH; index += THREADS) {
        const int i = index / DEPTH, k = index % DEPTH;
        piece[k * PITCH + i] = matrix.at(first + i, begin + k);
    }
}

// Loads piece[k][i] = matrix[begin + k][first + i], for a matrix whose columns run along K.
DEVICE void load_along(const Matrix& matrix, int first, int begin, Shared<float> piece) {
    for (int index = threadIdx.x; index < TILE * DEPTH; index += THREADS) {
        const int k = index / TILE, i = index % TILE;
        piece[k * PITCH + i] = matrix.at(begin + k, first + i);
    }
}

// Whether a factor lies as the product names it or transposed.
enum class Lies { As_named, Transposed };

// Computes this block's tile and calls store(row, column, value) for each of its elements that is inside
// [M, N]. `left` is A or its transpose, `right` B or its transpose.
template <Lies LEFT, Lies RIGHT, class Store>
DEVICE void product(const Matrix& left, const Matrix& right, Store store) {
    SHARED(float, left_piece, DEPTH * PITCH);
    SHARED(float, right_piece, DEPTH * PITCH);
    const int rows = LEFT == Lies::As_named ? left.rows : left.columns;
    const int length = LEFT == Lies::As_named ? left.columns : left.rows;
    const int columns = RIGHT == Lies::As_named ? right.columns : right.rows;
    const int first_row = blockIdx.y * TILE, first_column = blockIdx.x * TILE;
    const int row_in_tile = threadIdx.x / 16 * PER_THREAD, column_in_tile = threadIdx.x % 16;

    Register<float> sums[PER_THREAD][PER_THREAD];
#pragma unroll
    for (int i = 0; i < PER_THREAD; i++) {
#pragma unroll
        for (int j = 0; j < PER_THREAD; j++) sums[i][j] = 0.0f;
    }
    for (int begin = 0; begin < length; begin += DEPTH) {
        __syncthreads();
        if (LEFT == Lies::As_named) load_across(left, first_row, begin, left_piece);
        else load_along(left, first_row, begin, left_piece);
        if (RIGHT == Lies::As_named) load_along(right, first_column, begin, right_piece);
        else load_across(right, first_column, begin, right_piece);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            Register<float> a[PER_THREAD], b[PER_THREAD];
#pragma unroll
            for (int i = 0; i < PER_THREAD; i++) {
                a[i] = left_piece[k * PITCH + row_in_tile + i];
                b[i] = right_piece[k * PITCH + column_in_tile + 16 * i];
            }
#pragma unroll
            for (int i = 0; i < PER_THREAD; i++) {
#pragma unroll
                for (int j = 0; j < PER_THREAD; j++) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
            }
        }
    }
    for (int i = 0; i < PER_THREAD; i++) {
        for (int j = 0; j < PER_THREAD; j++) {
            const int row = first_row + row_in_tile + i, column = first_column + column_in_tile + 16 * j;
            if (row < rows && column < columns) store(row, column, sums[i][j]);
        }
    }
}
