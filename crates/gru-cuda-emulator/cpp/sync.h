// Threads of a block and of a warp that wait for each other: __syncthreads, shuffles.
#pragma once
#include <cstring>

#include "machine.h"

namespace emulator {

void sync_threads(const char* file, int line);

// All lanes of a warp meet; the last to come runs `work` on what each lane brought, then all go on.
void meet_warp(const Place& place, void* operands, void (*work)(void* const* operands));

// One lane's part in a shuffle.
struct Lane {
  std::uint64_t bits;
  unsigned source;
};
void shuffle_bits(const Place& place, Lane& lane);

template <class T>
T shuffle_from(const Place& place, T value, unsigned source) {
  Lane lane{0, source};
  std::memcpy(&lane.bits, &value, sizeof value);
  shuffle_bits(place, lane);
  std::memcpy(&value, &lane.bits, sizeof value);
  return value;
}

inline unsigned lane_number() { return current->number % 32; }

}  // namespace emulator
