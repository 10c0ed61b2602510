// A tile of a matrix product on the ordinary arithmetic units: f32 operands, one fmaf a term.
//
// Geometry: WARPS_DOWN x WARPS_ACROSS warps lie over the tile, SLICES deep; a warp is LANES_DOWN x (32 / LANES_DOWN)
// threads, each of which computes VECTORS_DOWN x VECTORS_ACROSS squares of 4 x 4: those of a column lie as far apart as
// all warps and lanes together are high, those of a row as a warp's lanes are wide. With slices, the k-th four of a
// piece's terms belong to slice k % SLICES, and the slices are added at the end: that makes tiles small enough to
// occupy every multiprocessor, while a thread still reads few operands for many terms.
// Determinism: a slice sums in ascending K, one fmaf a term; slices are added by halves, of four 0 + 2 and 1 + 3, then
// both.
//
// Shared memory: [k][row of A] and [k][column of B], each k a multiple of 32 words long. Vector i of k lies at
// i ^ 2 (k / 4 % 4). No bank is asked for two words at once, neither where the 8 threads of a quarter-warp write, 2
// vectors each of k, k + 4, k + 8, k + 12, which is 8 different vectors modulo 8; nor where they read vectors of one
// k, which are the same or neighbours, in the order that this k has.
#pragma once

#include "product.cuh"

template <int WARPS_DOWN, int WARPS_ACROSS, int SLICES, int LANES_DOWN, int VECTORS_DOWN, int VECTORS_ACROSS,
          int PIECE_DEPTH>
struct Fp32Tile {
    static_assert(WARPS_DOWN * WARPS_ACROSS * SLICES * 32 == THREADS, "every warp has its part");
    using Word = float;
    static constexpr int LANES_ACROSS = 32 / LANES_DOWN;
    // Rows from a vector of a thread to its next; a warp's columns lie side by side.
    static constexpr int ROW_STRIDE = WARPS_DOWN * LANES_DOWN * 4, WARP_COLUMNS = LANES_ACROSS * VECTORS_ACROSS * 4;
    static constexpr int ROWS = VECTORS_DOWN * ROW_STRIDE, COLUMNS = WARPS_ACROSS * WARP_COLUMNS;
    static constexpr int DEPTH = PIECE_DEPTH, SHARE = 4;
    static constexpr int LEFT_PITCH = (ROWS + 31) / 32 * 32, RIGHT_PITCH = (COLUMNS + 31) / 32 * 32;
    static constexpr int PIECE = DEPTH * (LEFT_PITCH + RIGHT_PITCH), SLICE_WORDS = SLICES / 2 * ROWS * COLUMNS;
    static constexpr int WORDS = 2 * PIECE > SLICE_WORDS ? 2 * PIECE : SLICE_WORDS;
    static constexpr int THREAD_ROWS = VECTORS_DOWN * 4, THREAD_VECTORS = VECTORS_ACROSS;
    // Threads that share a row: neighbours, as many as a power of two.
    static constexpr int SHARERS = LANES_ACROSS;

    Register<float> sums[THREAD_ROWS][THREAD_VECTORS][4];
    int slice, warp_column, thread_row, thread_column;
    bool is_inside;  // whether any of the warp's part of the tile is

    DEVICE Fp32Tile(int rows, int columns, int first_row, int first_column) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        slice = warp / (WARPS_DOWN * WARPS_ACROSS);
        const int warp_row = warp / WARPS_ACROSS % WARPS_DOWN * LANES_DOWN * 4;
        warp_column = warp % WARPS_ACROSS * WARP_COLUMNS;
        thread_row = warp_row + lane / LANES_ACROSS * 4;
        thread_column = warp_column + lane % LANES_ACROSS * 4;
        is_inside = first_row + warp_row < rows && first_column + warp_column < columns;
#pragma unroll
        for (int i = 0; i < THREAD_ROWS; i++) {
#pragma unroll
            for (int j = 0; j < THREAD_VECTORS * 4; j++) sums[i][j / 4][j % 4] = 0.0f;
        }
    }

    // What is added to the place of a vector for the k of a quad, by exclusive or.
    static DEVICE int turn(int quad) { return quad % 4 * 8; }

    // Where the vectors of a thread lie for the k of a quad. Strides of 32 are not touched by the turn.
    struct Turned {
        int first, stride, quad;
        DEVICE int vector(int j) const {
            return stride % 32 == 0 ? (first ^ turn(quad)) + j * stride : (first + j * stride) ^ turn(quad);
        }
    };

    // Stores a share: of A if is_left, else of B.
    template <class Share>
    static DEVICE void stage(Shared<float> piece, bool is_left, int group, int quad, const Share& share) {
        const int first = is_left ? 0 : DEPTH * LEFT_PITCH, pitch = is_left ? LEFT_PITCH : RIGHT_PITCH;
#pragma unroll
        for (int k = 0; k < SHARE; k++) {
            Register<float> four[4];
#pragma unroll
            for (int i = 0; i < 4; i++) four[i] = share.at(i, k);
            store_four(piece, first + (quad * SHARE + k) * pitch + (group * 4 ^ turn(quad)), four);
        }
    }

    DEVICE void multiply(Shared<float> piece) {
        if (!is_inside) return;
#pragma unroll
        for (int part = 0; part < DEPTH / SHARE / SLICES; part++) {
            const int quad = part * SLICES + slice;
            const Turned left = {thread_row, ROW_STRIDE, quad}, right = {thread_column, LANES_ACROSS * 4, quad};
#pragma unroll
            for (int i = 0; i < SHARE; i++) {
                const int k = quad * SHARE + i;
                Register<float> a[VECTORS_DOWN][4], b[VECTORS_ACROSS][4];
#pragma unroll
                for (int j = 0; j < VECTORS_DOWN; j++) load_four(piece, k * LEFT_PITCH + left.vector(j), a[j]);
#pragma unroll
                for (int j = 0; j < VECTORS_ACROSS; j++) {
                    load_four(piece, DEPTH * LEFT_PITCH + k * RIGHT_PITCH + right.vector(j), b[j]);
                }
#pragma unroll
                for (int m = 0; m < THREAD_ROWS; m++) {
#pragma unroll
                    for (int n = 0; n < THREAD_VECTORS * 4; n++) {
                        sums[m][n / 4][n % 4] = fmaf(a[m / 4][m % 4], b[n / 4][n % 4], sums[m][n / 4][n % 4]);
                    }
                }
            }
        }
    }

    // Adds up the slices; the first has the result.
    DEVICE void add_slices(Shared<float> scratch) {
        const int place = (threadIdx.x % (THREADS / SLICES)) * 4;
#pragma unroll
        for (int half = SLICES / 2; half > 0; half /= 2) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < THREAD_ROWS * THREAD_VECTORS; i++) {
                Register<float>(&mine)[4] = sums[i / THREAD_VECTORS][i % THREAD_VECTORS];
                const int at = i * half * (THREADS / SLICES) * 4 + place;
                if (slice >= half && slice < 2 * half) {
                    store_four(scratch, at + (slice - half) * (THREADS / SLICES) * 4, mine);
                }
            }
            __syncthreads();
#pragma unroll
            for (int i = 0; i < THREAD_ROWS * THREAD_VECTORS; i++) {
                Register<float>(&mine)[4] = sums[i / THREAD_VECTORS][i % THREAD_VECTORS];
                const int at = i * half * (THREADS / SLICES) * 4 + place;
                if (slice < half) {
                    Register<float> other[4];
                    load_four(scratch, at + slice * (THREADS / SLICES) * 4, other);
#pragma unroll
                    for (int j = 0; j < 4; j++) mine[j] += other[j];
                }
            }
        }
    }

    DEVICE bool has_sums() const { return slice == 0; }
    DEVICE int row(int i) const { return thread_row + i / 4 * ROW_STRIDE + i % 4; }
    DEVICE int column(int vector) const { return thread_column + vector * LANES_ACROSS * 4; }
    DEVICE void read(int i, int vector, Register<float> (&four)[4]) const {
#pragma unroll
        for (int j = 0; j < 4; j++) four[j] = sums[i][vector][j];
    }
};
