// Tensor cores: how operands are rounded, and the product of a warp's tile.
#pragma once
#include <cstdint>
#include <cstring>

#include "machine.h"

namespace emulator {

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// cvt.rna.tf32.f32
float round_tf32(float value);
// cvt.rn.bf16.f32, in the low half
std::uint32_t round_bf16(float value);

// mma.sync.m16n8k8, tf32, and m16n8k16, bf16; one lane's part.
void multiply_tf32(const Place& place, float* d, const float* a, const float* b);
void multiply_bf16(const Place& place, float* d, const std::uint32_t* a, const std::uint32_t* b);

}  // namespace emulator
