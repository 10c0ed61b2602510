// The tiled matrix product C = A B, [M, K] x [K, N], behind the kernels projection, hidden_gradient,
// recurrent_gradient and output_gradient: how factors come through shared memory. The arithmetic and the layout of
// shared memory are a tile's, tile_fp32.cuh or tile_tensor.cuh; which product has which tile stands in tiles.cuh.
//
// A block of 256 threads computes a tile (blockIdx.x along N, blockIdx.y along M). Pieces of A and B, Tile::DEPTH
// along K, lie in shared memory twice over: while one pair is multiplied, every thread holds a share of the next in
// registers, and stores it to the other pair afterwards. So one barrier a piece is enough: what is stored to was last
// read before it. A thread's share is 4 rows of A, or columns of B, by Tile::SHARE along K; it is read in vectors of
// four along the rows of memory and written in vectors of four the way the tile wants them.
//
// In place of a row of A beyond M or a column of B beyond N the last one is read: what comes of it is not stored. What
// lies beyond K counts as 0.
//
// Determinism: each element is summed up by one thread in ascending K, or by as many as the tile has slices, whose
// sums are added in one order; see the tiles.
#pragma once

#include "task.cuh"

// A matrix [rows, columns] as it lies in memory, row-major, from a multiple of 16 bytes on; columns are a multiple of
// four.
struct Matrix {
    Region<float> elements;
    int rows, columns;
};

// Whether K runs along the rows of a factor in memory, or down its columns.
enum class Depth { Along_rows, Down_columns };

// What a thread stages of a piece, in the vectors that it read; those that lie along K first those of k 0 to 3.
template <Depth DIRECTION, int SHARE>
struct Share {
    const Register<float> (&vectors)[SHARE][4];

    // Row i of A, or column i of B, at k, both from the first of the share.
    DEVICE float at(int i, int k) const {
        return DIRECTION == Depth::Along_rows ? vectors[k / 4 * 4 + i][k % 4] : vectors[k][i];
    }
};

// Computes this block's tile and hands it to finish(tile, first_row, first_column).
template <class Tile, Depth LEFT, Depth RIGHT, class Finish>
DEVICE void product(const Matrix& left, const Matrix& right, Finish finish) {
    constexpr int SHARE = Tile::SHARE, QUADS = Tile::DEPTH / SHARE;  // shares along K
    constexpr int LEFT_SHARES = Tile::ROWS / 4 * QUADS, RIGHT_SHARES = Tile::COLUMNS / 4 * QUADS;
    static_assert(LEFT_SHARES + RIGHT_SHARES <= THREADS, "a thread stages one share");
    SHARED(typename Tile::Word, pieces, Tile::WORDS);
    const int first_row = blockIdx.y * Tile::ROWS, first_column = blockIdx.x * Tile::COLUMNS;
    const int rows = LEFT == Depth::Along_rows ? left.rows : left.columns;
    const int columns = RIGHT == Depth::Along_rows ? right.rows : right.columns;
    const int length = LEFT == Depth::Along_rows ? left.columns : left.rows;

    // Four threads in a row take four shares along K, the next four the same of the next rows.
    const bool is_left = int(threadIdx.x) < LEFT_SHARES, has_share = int(threadIdx.x) < LEFT_SHARES + RIGHT_SHARES;
    const Matrix matrix = is_left ? left : right;
    const bool is_down = (is_left ? LEFT : RIGHT) == Depth::Down_columns;
    const int share = is_left ? threadIdx.x : threadIdx.x - LEFT_SHARES;
    const int groups = (is_left ? Tile::ROWS : Tile::COLUMNS) / 4;
    const int group = share / 4 % groups, quad = share % 4 + share / 4 / groups * 4;
    const int first = (is_left ? first_row : first_column) + group * 4;
    // Where the vectors of the first four begin in memory, at k = 0, and how far a k is from the next.
    const int step = is_down ? matrix.columns : 1;
    Register<int> begins[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (is_down) begins[i] = (first < matrix.columns ? first : matrix.columns - 4) + i * matrix.columns;
        else begins[i] = (first + i < matrix.rows ? first + i : matrix.rows - 1) * matrix.columns;
    }
    Register<float> vectors[SHARE][4];

    const auto load = [&](int begin) {
        if (!has_share) return;
        const int k = begin + quad * SHARE;
        if (begin + Tile::DEPTH <= length) {
#pragma unroll
            for (int i = 0; i < SHARE; i++) {
                load_four(matrix.elements, begins[i % 4] + (k + i / 4 * 4) * step, vectors[i]);
            }
            return;
        }
#pragma unroll
        for (int i = 0; i < SHARE; i++) {
            if (k + (is_down ? i : i / 4 * 4) < length) {
                load_four(matrix.elements, begins[i % 4] + (k + i / 4 * 4) * step, vectors[i]);
            } else {
#pragma unroll
                for (int j = 0; j < 4; j++) vectors[i][j] = 0.0f;
            }
        }
    };
    const auto stage = [&](int buffer) {
        if (!has_share) return;
        const Shared<typename Tile::Word> piece = pieces + buffer * Tile::PIECE;
        if (LEFT == RIGHT || is_left) Tile::stage(piece, is_left, group, quad, Share<LEFT, SHARE>{vectors});
        else Tile::stage(piece, is_left, group, quad, Share<RIGHT, SHARE>{vectors});
    };

    Tile tile(rows, columns, first_row, first_column);
    load(0);
    stage(0);
    int buffer = 0;
    for (int begin = 0; begin < length; begin += Tile::DEPTH) {
        __syncthreads();
        const bool is_last = begin + Tile::DEPTH >= length;
        if (!is_last) load(begin + Tile::DEPTH);
        tile.multiply(pieces + buffer * Tile::PIECE);
        buffer = 1 - buffer;
        if (!is_last) stage(buffer);
    }
    tile.add_slices(pieces);
    finish(tile, first_row, first_column);
}

// Calls store(row, column, four) for every vector of four elements of C [rows, columns] that this thread has.
template <class Tile, class Store>
DEVICE void for_each_vector(const Tile& tile, int first_row, int first_column, int rows, int columns, Store store) {
    if (!tile.has_sums()) return;
#pragma unroll
    for (int i = 0; i < Tile::THREAD_ROWS; i++) {
#pragma unroll
        for (int j = 0; j < Tile::THREAD_VECTORS; j++) {
            const int row = first_row + tile.row(i), column = first_column + tile.column(j);
            if (row >= rows || column >= columns) continue;
            Register<float> four[4];
            tile.read(i, j, four);
            store(row, column, four);
        }
    }
}
