// What kernels/device.cuh takes for its host half: every name that kernels use.
#pragma once
#include <cmath>
#include <math.h>

#include "access.h"
#include "cluster.h"
#include "kernels.h"
#include "machine.h"
#include "mma.h"
#include "register.h"
#include "sync.h"
#include "words.h"

namespace emulator {

// Where a function of kernels is called: the last two parameters of those at which threads wait.
#define EMULATOR_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace device {

using emulator::Barrier;
using emulator::Region;
using emulator::Register;
using emulator::Remote;
using emulator::Shared;
using std::isfinite;

inline Index thread_index() { return {current->number, 0, 0}; }
inline Index block_index() { return current->block->index; }
inline Index block_size() { return {machine->launch.kernel->threads, 1, 1}; }
inline Index grid_size() { return machine->launch.grid; }

inline void __syncthreads(EMULATOR_CALLER) { sync_threads(file, line); }
inline void sync_warp(EMULATOR_CALLER) { meet_warp({"sync_warp", file, line}, nullptr, [](void* const*) {}); }

// A lane that does not exist gives the caller's own value, as on the device.
#define EMULATOR_SHUFFLES(T)                                                                   \
  inline T shuffle(T value, unsigned lane, EMULATOR_CALLER) {                                  \
    return shuffle_from({"shuffle", file, line}, value, lane % 32);                            \
  }                                                                                            \
  inline T shuffle_down(T value, unsigned offset, EMULATOR_CALLER) {                           \
    unsigned lane = lane_number();                                                             \
    return shuffle_from({"shuffle_down", file, line}, value, lane + offset < 32 ? lane + offset : lane); \
  }                                                                                            \
  inline T shuffle_xor(T value, unsigned mask, EMULATOR_CALLER) {                              \
    unsigned lane = lane_number();                                                             \
    return shuffle_from({"shuffle_xor", file, line}, value, (lane ^ mask) < 32 ? lane ^ mask : lane);    \
  }
EMULATOR_SHUFFLES(float)
EMULATOR_SHUFFLES(double)
EMULATOR_SHUFFLES(unsigned)
#undef EMULATOR_SHUFFLES

// The first of four elements lies at a multiple of 16 bytes.
template <class Array, class Number, class T>
void load_four(const Array& array, Number index, Register<T> (&four)[4]) {
  check_four((array[index]).place);
  for (int i = 0; i < 4; ++i) four[i] = T(array[index + i]);
}
template <class Array, class Number, class T>
void store_four(const Array& array, Number index, const Register<T> (&four)[4]) {
  check_four((array[index]).place);
  for (int i = 0; i < 4; ++i) array[index + i] = T(four[i]);
}

// Goes on by 1 whenever it is read.
inline long long cycles() { return machine->cycles++; }
// A value that a word can hold, as bits and back.
template <class T>
std::uint32_t word_bits(T value) {
  static_assert(sizeof(T) == 4, "the value of a word has 32 bits");
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
template <class T>
void store_word(const WordRegion& words, unsigned index, T value, unsigned tag) {
  store_tagged(words, index, word_bits(value), tag);
}
template <class T>
void store_word_pair(const WordRegion& words, unsigned index, T first, T second, unsigned tag) {
  check_four((words[index]).place);
  store_tagged(words, index, word_bits(first), tag);
  store_tagged(words, index + 1, word_bits(second), tag);
}
template <class T, std::size_t count>
void await_words(const WordRegion& words, unsigned first, unsigned stride, unsigned tag, Register<T> (&values)[count],
                 EMULATOR_CALLER) {
  static_assert(sizeof(T) == 4, "the value of a word has 32 bits");
  std::uint32_t bits[count];
  await_tagged(words, first, stride, tag, bits, count, {"await_words", file, line});
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, &bits[i], sizeof value);
    values[i] = value;
  }
}

inline float to_tf32(float value) { return round_tf32(value); }
inline unsigned pack_bf16(float low, float high) { return round_bf16(high) << 16 | round_bf16(low); }

inline void mma_m16n8k8_tf32(Register<float> (&d)[4], const Register<float> (&a)[4], const Register<float> (&b)[2],
                             EMULATOR_CALLER) {
  Values<float, 4> sums(d);
  multiply_tf32({"mma_m16n8k8_tf32", file, line}, sums.all, Values<float, 4>(a).all, Values<float, 2>(b).all);
  sums.give(d);
}
inline void mma_m16n8k16_bf16(Register<float> (&d)[4], const Register<unsigned> (&a)[4],
                              const Register<unsigned> (&b)[2], EMULATOR_CALLER) {
  Values<float, 4> sums(d);
  multiply_bf16({"mma_m16n8k16_bf16", file, line}, sums.all, Values<unsigned, 4>(a).all, Values<unsigned, 2>(b).all);
  sums.give(d);
}

inline unsigned cluster_rank() { return current->block->rank; }
inline unsigned cluster_size() { return machine->num_blocks; }
inline void cluster_arrive(EMULATOR_CALLER) { cluster_arrive_at({"cluster_arrive", file, line}); }
inline void cluster_wait(EMULATOR_CALLER) { cluster_wait_at({"cluster_wait", file, line}); }
inline void cluster_sync(EMULATOR_CALLER) {
  cluster_arrive_at({"cluster_sync", file, line});
  cluster_wait_at({"cluster_sync", file, line});
}

template <class T>
Remote<T> map_to_rank(const Shared<T>& array, unsigned index, unsigned rank) {
  return map_to_peer(array, index, rank);
}

inline void barrier_init(const Cell<Barrier>& barrier, unsigned count) { init_barrier(barrier.place, count); }
inline void barrier_fence_init() { fence_barriers(); }
inline void barrier_arrive_expect(const Cell<Barrier>& barrier, unsigned bytes) {
  arrive_at_barrier(barrier.place, bytes);
}
inline void barrier_wait(const Cell<Barrier>& barrier, unsigned parity, EMULATOR_CALLER) {
  wait_at_barrier(barrier.place, parity, {"barrier_wait", file, line});
}

inline void store_async(const Remote<float>& place, float value, const Remote<Barrier>& barrier) {
  store_to_peer(place, &value, 1, barrier);
}
inline void store_async(const Remote<unsigned>& place, unsigned value, const Remote<Barrier>& barrier) {
  store_to_peer(place, &value, 1, barrier);
}
inline void store_async_pair(const Remote<float>& place, float first, float second, const Remote<Barrier>& barrier) {
  float values[2] = {first, second};
  store_to_peer(place, values, 2, barrier);
}
inline void store_async_pair(const Remote<unsigned>& place, unsigned first, unsigned second,
                             const Remote<Barrier>& barrier) {
  unsigned values[2] = {first, second};
  store_to_peer(place, values, 2, barrier);
}
template <class T>
void store_async_four(const Remote<T>& place, const Register<T> (&four)[4], const Remote<Barrier>& barrier) {
  store_to_peer(place, Values<T, 4>(four).all, 4, barrier);
}

}  // namespace device
#undef EMULATOR_CALLER
}  // namespace emulator

#define threadIdx ::emulator::device::thread_index()
#define blockIdx ::emulator::device::block_index()
#define blockDim ::emulator::device::block_size()
#define gridDim ::emulator::device::grid_size()
