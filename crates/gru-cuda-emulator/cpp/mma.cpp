// Tensor cores. Fragments are laid out as the PTX ISA says: lane = 4 * group + member.
#include "mma.h"

#include <cmath>

#include "sync.h"

namespace emulator {
namespace {

constexpr std::uint32_t nan_tf32 = 0x7fffffff;
constexpr std::uint32_t nan_bf16 = 0x7fff;
constexpr int rows = 16, columns = 8;

template <class Operand>
struct Part {
  float* d;
  const Operand* a;
  const Operand* b;
};

// A tensor core does not look at the low 13 bits.
float operand_tf32(float value) { return float_of(bits_of(value) & ~0x1fffu); }

float half_of(std::uint32_t pair, int half) { return float_of(half == 0 ? pair << 16 : pair & 0xffff0000u); }

// Elements 0 and 1 of the accumulator are in row `group`, 2 and 3 in row group + 8.
template <class Operand>
float* accumulator(void* const* lanes, int row, int column) {
  int lane = row % 8 * 4 + column / 2;
  return static_cast<const Part<Operand>*>(lanes[lane])->d + (row / 8 * 2 + column % 2);
}

// Every element is summed in ascending k. Operands are fetched first, so that the rest is plain loops.
template <class Operand, int depth, class A, class B>
void multiply(void* const* lanes, A a, B b) {
  float right[depth][columns];
  for (int k = 0; k < depth; ++k)
    for (int column = 0; column < columns; ++column) right[k][column] = b(k, column);
  for (int row = 0; row < rows; ++row) {
    float sums[columns];
    for (int column = 0; column < columns; ++column) sums[column] = *accumulator<Operand>(lanes, row, column);
    for (int k = 0; k < depth; ++k) {
      float left = a(row, k);
      for (int column = 0; column < columns; ++column) sums[column] = std::fmaf(left, right[k][column], sums[column]);
    }
    for (int column = 0; column < columns; ++column) *accumulator<Operand>(lanes, row, column) = sums[column];
  }
}

}  // namespace

float round_tf32(float value) {
  std::uint32_t bits = bits_of(value);
  if (std::isnan(value)) return float_of(nan_tf32);
  if (std::isinf(value)) return value;
  return float_of((bits + 0x1000) & ~0x1fffu);
}

std::uint32_t round_bf16(float value) {
  std::uint32_t bits = bits_of(value);
  if (std::isnan(value)) return nan_bf16;
  if (std::isinf(value)) return bits >> 16;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

void multiply_tf32(const Place& place, float* d, const float* a, const float* b) {
  Part<float> part{d, a, b};
  meet_warp(place, &part, [](void* const* lanes) {
    auto part_of = [&](int lane) { return static_cast<const Part<float>*>(lanes[lane]); };
    multiply<float, 8>(
        lanes, [&](int row, int k) { return operand_tf32(part_of(row % 8 * 4 + k % 4)->a[row / 8 + k / 4 * 2]); },
        [&](int k, int column) { return operand_tf32(part_of(column * 4 + k % 4)->b[k / 4]); });
  });
}

void multiply_bf16(const Place& place, float* d, const std::uint32_t* a, const std::uint32_t* b) {
  Part<std::uint32_t> part{d, a, b};
  meet_warp(place, &part, [](void* const* lanes) {
    auto part_of = [&](int lane) { return static_cast<const Part<std::uint32_t>*>(lanes[lane]); };
    multiply<std::uint32_t, 16>(
        lanes,
        [&](int row, int k) { return half_of(part_of(row % 8 * 4 + k % 8 / 2)->a[row / 8 + k / 8 * 2], k % 2); },
        [&](int k, int column) { return half_of(part_of(column * 4 + k % 8 / 2)->b[k / 8], k % 2); });
  });
}

}  // namespace emulator
