// Which product has which tile, in each precision. Mirrored by src/tile.rs, which says why they are so large.
#pragma once

#include "tile_fp32.cuh"
#include "tile_tensor.cuh"

// f32, on the ordinary arithmetic units.
struct Fp32Tiles {
    using Projection = Fp32Tile<4, 2, 1, 4, 2, 2, 16>;         // 128 x 128
    using HiddenGradient = Fp32Tile<1, 1, 8, 2, 5, 1, 32>;     // 40 x 64
    using OutputGradient = Fp32Tile<2, 1, 4, 4, 2, 2, 32>;     // 64 x 64
    using RecurrentGradient = Fp32Tile<1, 1, 8, 4, 2, 2, 32>;  // 32 x 64
};

// On tensor cores.
template <class Operand>
struct TensorTiles {
    using Projection = TensorTile<Operand, 4, 2, 4, 1>;         // 128 x 128
    using HiddenGradient = TensorTile<Operand, 2, 2, 1, 2>;     // 64 x 64
    using OutputGradient = TensorTile<Operand, 2, 2, 1, 2>;     // 64 x 64
    using RecurrentGradient = TensorTile<Operand, 2, 1, 1, 2>;  // 32 x 64
};
using Tf32Tiles = TensorTiles<Tf32>;
using Bf16Tiles = TensorTiles<Bf16>;

// Columns of a warp of `projection`: of so many each the projection leaves a row's maximum and sum of exponentials.
constexpr int PART_COLUMNS = 64;
