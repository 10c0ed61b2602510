// A tile of a matrix product on tensor cores: operands rounded to tf32 or bf16 when they are staged, sums in f32.
//
// Geometry: WARPS_DOWN x (8 / WARPS_DOWN) warps lie over the tile; each computes TILES_DOWN x 2 PAIRS_ACROSS products
// of 16 x 8 at a time.
// Determinism: one mma after the other in ascending K; the order within an mma is the hardware's, the same each time.
//
// Shared memory holds words, one element of tf32 or two neighbours along K of bf16, in planes of 16 words along K. It
// is laid out so that a lane reads four words at once and has its operands of an mma where the mma wants them:
//   B: [plane][column][16 words]; words 4t and 4t + 1 of lane t are for a plane's first mma, the other two for its second.
//   A: [plane][pair of rows][8 vectors]; vector 2t + m, for mma m of lane t, holds words 4t + 2m and 4t + 2m + 1 of both
//      rows, each word's two side by side.
// So K comes in another order than in memory, the same for A and B; row 2g + e of a product is row g + 8e of the mma;
// and column 4t + 2j + e of a pair of products is column 2t + e of its product j, so that a lane has four neighbouring
// sums of a row.
//
// Column i of a plane lies at i ^ (i / 4 % 2), vector v of pair i at v ^ ((i ^ i / 2) % 2). No bank is asked for two
// words at once: a quarter-warp (8 threads, 16 bytes each) reads lines 2i and 2i + 1, and writes lines of B 4i + j and
// 4i + 4 + j, pairs of A 2i + j and 2i + 2 + j; of two such columns one lies at an even place and one at an odd one, and
// of two such pairs one has the even vectors and one the odd.
#pragma once

#include "product.cuh"

// Operands of tf32: one a word.
struct Tf32 {
    using Word = float;
    static constexpr int PER_WORD = 1;
    template <class Share>
    static DEVICE Word word(const Share& share, int i, int word) { return to_tf32(share.at(i, word)); }
};
DEVICE void multiply_add(Register<float> (&d)[4], const Register<float> (&a)[4], const Register<float> (&b)[2]) {
    mma_m16n8k8_tf32(d, a, b);
}

// Operands of bf16: two a word, the first in the low half.
struct Bf16 {
    using Word = unsigned;
    static constexpr int PER_WORD = 2;
    template <class Share>
    static DEVICE Word word(const Share& share, int i, int word) {
        return pack_bf16(share.at(i, 2 * word), share.at(i, 2 * word + 1));
    }
};
DEVICE void multiply_add(Register<float> (&d)[4], const Register<unsigned> (&a)[4], const Register<unsigned> (&b)[2]) {
    mma_m16n8k16_bf16(d, a, b);
}

template <class Operand, int WARPS_DOWN, int TILES_DOWN, int PAIRS_ACROSS, int PLANES>
struct TensorTile {
    using Word = typename Operand::Word;
    static constexpr int WARPS_ACROSS = THREADS / 32 / WARPS_DOWN;
    static constexpr int WARP_ROWS = TILES_DOWN * 16, WARP_COLUMNS = PAIRS_ACROSS * 16;
    static constexpr int ROWS = WARPS_DOWN * WARP_ROWS, COLUMNS = WARPS_ACROSS * WARP_COLUMNS;
    static constexpr int SHARE = 4 * Operand::PER_WORD, DEPTH = 4 * PLANES * SHARE;
    static constexpr int PIECE = 16 * PLANES * (ROWS + COLUMNS), WORDS = 2 * PIECE;
    static constexpr int THREAD_ROWS = 2 * TILES_DOWN, THREAD_VECTORS = PAIRS_ACROSS;
    // Threads that share a row: neighbours.
    static constexpr int SHARERS = 4;

    Register<float> sums[TILES_DOWN][2 * PAIRS_ACROSS][4];
    int group, member, warp_row, warp_column;
    int left_first, right_first;  // what the lane reads first of a piece
    bool is_inside;  // whether any of the warp's part of the tile is

    DEVICE TensorTile(int rows, int columns, int first_row, int first_column) {
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        warp_row = warp / WARPS_ACROSS * WARP_ROWS;
        warp_column = warp % WARPS_ACROSS * WARP_COLUMNS;
        group = lane / 4;
        member = lane % 4;
        left_first = left_place(warp_row / 2 + group, member, 0);
        right_first = right_place(warp_column + group / 2 * 4 + group % 2, member);
        is_inside = first_row + warp_row < rows && first_column + warp_column < columns;
#pragma unroll
        for (int i = 0; i < TILES_DOWN; i++) {
#pragma unroll
            for (int j = 0; j < 2 * PAIRS_ACROSS; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) sums[i][j][e] = 0.0f;
            }
        }
    }

    // Where a vector of a pair of rows of A lies.
    static DEVICE int left_place(int pair, int quad, int vector) {
        return (quad / 4 * (ROWS / 2) + pair) * 32 + ((quad % 4 * 2 + vector) ^ ((pair ^ pair / 2) % 2)) * 4;
    }
    // Where a quad of words of a column of B lies.
    static DEVICE int right_place(int column, int quad) {
        return 16 * PLANES * ROWS + (quad / 4 * COLUMNS + (column ^ column / 4 % 2)) * 16 + quad % 4 * 4;
    }

    // Stores a share: of A if is_left, else of B.
    template <class Share>
    static DEVICE void stage(Shared<Word> piece, bool is_left, int group, int quad, const Share& share) {
        Register<Word> words[4][4];
#pragma unroll
        for (int i = 0; i < 16; i++) words[i / 4][i % 4] = Operand::word(share, i / 4, i % 4);
        if (is_left) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int row = i / 2 * 2, word = i % 2 * 2;
                const Register<Word> four[4] = {words[row][word], words[row + 1][word], words[row][word + 1],
                                                words[row + 1][word + 1]};
                store_four(piece, left_place(group * 2 + i / 2, quad, i % 2), four);
            }
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++) store_four(piece, right_place(group * 4 + i, quad), words[i]);
        }
    }

    DEVICE void multiply(Shared<Word> piece) {
        if (!is_inside) return;
#pragma unroll
        for (int plane = 0; plane < PLANES; plane++) {
            Register<Word> b[2 * PAIRS_ACROSS][4];
#pragma unroll
            for (int j = 0; j < 2 * PAIRS_ACROSS; j++) {
                load_four(piece, right_first + (plane * COLUMNS + j / 2 * 16 + j % 2 * 2) * 16, b[j]);
            }
#pragma unroll
            for (int i = 0; i < TILES_DOWN; i++) {
#pragma unroll
                for (int m = 0; m < 2; m++) {
                    Register<Word> a[4];
                    load_four(piece, (left_first ^ m * 4) + (plane * ROWS + i * 16) * 16, a);
#pragma unroll
                    for (int j = 0; j < 2 * PAIRS_ACROSS; j++) {
                        const Register<Word> b_pair[2] = {b[j][2 * m], b[j][2 * m + 1]};
                        multiply_add(sums[i][j], a, b_pair);
                    }
                }
            }
        }
    }

    DEVICE void add_slices(Shared<Word>) {}

    DEVICE bool has_sums() const { return true; }
    DEVICE int row(int i) const { return warp_row + i / 2 * 16 + group * 2 + i % 2; }
    DEVICE int column(int vector) const { return warp_column + vector * 16 + member * 4; }
    DEVICE void read(int i, int vector, Register<float> (&four)[4]) const {
#pragma unroll
        for (int e = 0; e < 4; e++) four[e] = sums[i / 2][2 * vector + e / 2][i % 2 * 2 + e % 2];
    }
};
