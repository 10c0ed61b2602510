// What kernels are written in: every CUDA construct and PTX instruction they use, under one name each.
//
// The same sources are compiled twice. nvcc takes the first half of this file: intrinsics and PTX. A C++
// compiler takes the second half: the emulator (crates/gru-cuda-emulator/cpp), which runs every thread of a
// block and checks each access. Kernels hold no `#if` and no inline assembly; both stand here alone.
//
//   KERNEL(name, threads, Arguments) { ... }    an entry; `task` is its argument, a const Arguments&
//   CLUSTER_KERNEL(name, threads, cluster_size, Arguments) { ... }    the same, in clusters of blocks along x
//   GROUP_KERNEL(name, threads, blocks, Arguments) { ... }    the same, in groups of blocks along x that wait for each
//                                      other: to be launched cooperatively
//   DEVICE                             before a device function; templates too
//   Region<T>                          a piece of device memory: region[i], region.from(offset)
//   SHARED(type, name, count);         shared memory of the block, at the top of a kernel or device function;
//   Shared<T>                          its type as a parameter
//   Register<float> sums[4];           variables of a thread that get their values later; all others get one at once
//   threadIdx.x, blockIdx, blockDim.x, gridDim, __syncthreads(), and the C mathematics by their usual names
//   shuffle, shuffle_down, shuffle_xor, sync_warp    of a full warp
//   cluster_rank, cluster_size, cluster_sync, cluster_arrive + cluster_wait
//   Barrier, barrier_*                 an mbarrier in shared memory: SHARED(Barrier, ready, 2), then ready[i]
//   Remote<T> map_to_rank(array, index, rank)    an element of a peer's shared memory
//   store_async, store_async_pair, store_async_four    to a peer's shared memory, completing on a barrier of that peer
//   load_four, store_four              four neighbouring elements of a Region or of shared memory at once
//   store_word, store_word_pair, await_words    values with tags in device memory, handed on within a launch
//   to_tf32, pack_bf16, mma_*          tensor cores
//   cycles()                           of the clock of the multiprocessor, for measurements
//
// An element of a Region or of shared memory is named by its type when it is kept (`float x = a[i];`, not
// `auto`): in the emulator a[i] is a place that is checked when it is read or written.
#pragma once

#ifdef __CUDACC__

#define DEVICE __device__ __forceinline__
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define KERNEL(name, threads, Arguments) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Arguments task)
#define CLUSTER_KERNEL(name, threads, cluster_size, Arguments)                               \
  extern "C" __global__ void __cluster_dims__(cluster_size, 1, 1) __launch_bounds__(threads, 1) \
      name(const __grid_constant__ Arguments task)
#define GROUP_KERNEL(name, threads, blocks, Arguments) KERNEL(name, threads, Arguments)

// Mirrors gru_cuda::task::Region.
template <class T>
struct Region {
  T* data;
  unsigned long long length;

  template <class Index>
  DEVICE T& operator[](Index index) const { return data[index]; }

  template <class Offset>
  DEVICE Region from(Offset offset) const { return {data + offset, length - offset}; }
};

template <class T>
using Shared = T*;

template <class T>
using Register = T;

constexpr unsigned full_warp = 0xffffffff;

#define WARP_FUNCTIONS(T)                                                                                     \
  DEVICE T shuffle(T value, unsigned lane) { return __shfl_sync(full_warp, value, lane); }                    \
  DEVICE T shuffle_down(T value, unsigned offset) { return __shfl_down_sync(full_warp, value, offset); }      \
  DEVICE T shuffle_xor(T value, unsigned mask) { return __shfl_xor_sync(full_warp, value, mask); }
WARP_FUNCTIONS(float)
WARP_FUNCTIONS(double)
WARP_FUNCTIONS(unsigned)
#undef WARP_FUNCTIONS

DEVICE void sync_warp() { __syncwarp(); }

DEVICE unsigned to_bits(float value) { return __float_as_uint(value); }
DEVICE unsigned to_bits(unsigned value) { return value; }
DEVICE void from_bits(unsigned bits, float& value) { value = __uint_as_float(bits); }
DEVICE void from_bits(unsigned bits, unsigned& value) { value = bits; }

// array[index] to array[index + 3], of a Region or of shared memory, in one access of 16 bytes; the first lies at a
// multiple of 16 bytes.
template <class Array, class Index, class T>
DEVICE void load_four(Array array, Index index, T (&four)[4]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(&array[index]);
  from_bits(bits.x, four[0]);
  from_bits(bits.y, four[1]);
  from_bits(bits.z, four[2]);
  from_bits(bits.w, four[3]);
}

template <class Array, class Index, class T>
DEVICE void store_four(Array array, Index index, const T (&four)[4]) {
  *reinterpret_cast<uint4*>(&array[index]) =
      make_uint4(to_bits(four[0]), to_bits(four[1]), to_bits(four[2]), to_bits(four[3]));
}

// Not moved across other reads of the clock, barriers and products.
DEVICE long long cycles() { return clock64(); }
// A word of device memory with a value in its low half and a tag in its high half. Relaxed, of gpu scope: an access
// is one of 64 bits, other blocks of the launch see it some time, and it orders no other access.
template <class T>
DEVICE void store_word(Region<unsigned long long> words, unsigned index, T value, unsigned tag) {
  asm volatile(
      "{\n\t.reg .b64 word;\n\t"
      "mov.b64 word, {%1, %2};\n\t"
      "st.relaxed.gpu.global.b64 [%0], word;\n\t}" ::"l"(__cvta_generic_to_global(words.data + index)),
      "r"(to_bits(value)), "r"(tag)
      : "memory");
}

// Two neighbouring words, each as above; the first lies at a multiple of 16 bytes.
template <class T>
DEVICE void store_word_pair(Region<unsigned long long> words, unsigned index, T first, T second, unsigned tag) {
  asm volatile(
      "{\n\t.reg .b64 first, second;\n\t"
      "mov.b64 first, {%1, %3};\n\t"
      "mov.b64 second, {%2, %3};\n\t"
      "st.relaxed.gpu.global.v2.b64 [%0], {first, second};\n\t}" ::"l"(__cvta_generic_to_global(words.data + index)),
      "r"(to_bits(first)), "r"(to_bits(second)), "r"(tag)
      : "memory");
}

// Loads of a word after which it will not come any more. A load takes 200 cycles or more, so these take seconds, where
// what is waited for takes microseconds; then the launch fails, and is not for ever under way.
constexpr unsigned max_polls = 1u << 24;

// The values of words `first`, `first + stride`, ..., each of which is loaded until it has the tag.
template <class T, int count>
DEVICE void await_words(Region<unsigned long long> words, unsigned first, unsigned stride, unsigned tag,
                        T (&values)[count]) {
  const auto place = __cvta_generic_to_global(words.data + first);
  unsigned bits[count], tags[count];
#pragma unroll
  for (int i = 0; i < count; i++) bits[i] = 0, tags[i] = ~tag;
  bool complete = false;
  for (unsigned polls = 0; !complete; polls++) {
    if (polls == max_polls) __trap();
    // All loads are under way before the first value is looked at.
#pragma unroll
    for (int i = 0; i < count; i++) {
      asm volatile(
          "{\n\t.reg .b64 word;\n\t.reg .pred missing;\n\t"
          "setp.ne.u32 missing, %1, %3;\n\t"
          "mov.b64 word, {%0, %1};\n\t"
          "@missing ld.relaxed.gpu.global.b64 word, [%2];\n\t"
          "mov.b64 {%0, %1}, word;\n\t}"
          : "+r"(bits[i]), "+r"(tags[i])
          : "l"(place + i * (stride * sizeof(unsigned long long))), "r"(tag)
          : "memory");
    }
    complete = true;
#pragma unroll
    for (int i = 0; i < count; i++) complete &= tags[i] == tag;
  }
#pragma unroll
  for (int i = 0; i < count; i++) from_bits(bits[i], values[i]);
}

// cvt.rna.tf32.f32: to the nearest, ties away from zero. The low 13 bits of the result are zero.
DEVICE float to_tf32(float value) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return __uint_as_float(bits);
}

// cvt.rn.bf16x2.f32: to the nearest, ties to even; `low` in the low half.
DEVICE unsigned pack_bf16(float low, float high) {
  unsigned packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
}

// d += a b on a tile of 16 x 8, 8 deep. Fragments: PTX ISA, "Matrix Fragments for mma.m16n8k8", .tf32.
DEVICE void mma_m16n8k8_tf32(Register<float> (&d)[4], const Register<float> (&a)[4], const Register<float> (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
        "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}

// d += a b on a tile of 16 x 8, 16 deep. Fragments: PTX ISA, "Matrix Fragments for mma.m16n8k16", .bf16.
DEVICE void mma_m16n8k16_bf16(Register<float> (&d)[4], const Register<unsigned> (&a)[4],
                              const Register<unsigned> (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Clusters and what they exchange: from compute_90 on, PTX 8.1.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

using Barrier = unsigned long long;

// An element of the shared memory of a block of the cluster; the address is in the shared::cluster window.
template <class T>
struct Remote {
  unsigned address;
  DEVICE Remote from(unsigned offset) const { return {address + offset * unsigned(sizeof(T))}; }
};

DEVICE unsigned shared_address(const void* place) { return unsigned(__cvta_generic_to_shared(place)); }

// The number of this block in its cluster.
DEVICE unsigned cluster_rank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// Blocks of a cluster.
DEVICE unsigned cluster_size() {
  unsigned size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

// Every thread of every block of the cluster arrives; what it wrote before is seen by those that waited.
DEVICE void cluster_arrive() { asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); }

DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

DEVICE void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

template <class T>
DEVICE Remote<T> map_to_rank(T* array, unsigned index, unsigned rank) {
  unsigned address;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(address)
               : "r"(shared_address(array + index)), "r"(rank));
  return {address};
}

// `count`: arrivals that complete a phase.
DEVICE void barrier_init(Barrier& barrier, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(count) : "memory");
}

// By the thread that initialised, before the cluster_sync after which peers use the barriers.
DEVICE void barrier_fence_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// One arrival, and `bytes` more that must come by store_async before the phase completes.
DEVICE void barrier_arrive_expect(Barrier& barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(
                   shared_address(&barrier)),
               "r"(bytes)
               : "memory");
}

// Waits until the phase of this parity is complete: 0 for the first, then 1, 0, ...
DEVICE void barrier_wait(Barrier& barrier, unsigned parity) {
  unsigned done;
  do {
    asm volatile(
        "{\n\t.reg .pred complete;\n\t"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 complete, [%1], %2;\n\t"
        "selp.u32 %0, 1, 0, complete;\n\t}"
        : "=r"(done)
        : "r"(shared_address(&barrier)), "r"(parity)
        : "memory");
  } while (done == 0);
}

DEVICE void store_async(Remote<unsigned> place, unsigned value, Remote<Barrier> barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                   place.address),
               "r"(value), "r"(barrier.address)
               : "memory");
}

DEVICE void store_async(Remote<float> place, float value, Remote<Barrier> barrier) {
  store_async(Remote<unsigned>{place.address}, __float_as_uint(value), barrier);
}

// Two neighbouring elements at once; `place` is a multiple of 8 bytes.
DEVICE void store_async_pair(Remote<unsigned> place, unsigned first, unsigned second, Remote<Barrier> barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(
                   place.address),
               "r"(first), "r"(second), "r"(barrier.address)
               : "memory");
}

DEVICE void store_async_pair(Remote<float> place, float first, float second, Remote<Barrier> barrier) {
  store_async_pair(Remote<unsigned>{place.address}, __float_as_uint(first), __float_as_uint(second), barrier);
}

// Four neighbouring elements at once; `place` is a multiple of 16 bytes.
template <class T>
DEVICE void store_async_four(Remote<T> place, const T (&four)[4], Remote<Barrier> barrier) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
                   place.address),
               "r"(to_bits(four[0])), "r"(to_bits(four[1])), "r"(to_bits(four[2])), "r"(to_bits(four[3])),
               "r"(barrier.address)
               : "memory");
}

#endif

#else

#include "emulator.h"

using namespace emulator::device;

#define DEVICE inline
#define SHARED(type, name, count)                                              \
  static const ::emulator::Declaration name##_declaration{#name};              \
  const ::emulator::Shared<type> name = ::emulator::shared_array<type>(name##_declaration, count)
#ifndef KERNEL_PREFIX
#define KERNEL_PREFIX ""  // of the names under which the kernels of a source are registered
#endif
#define KERNEL(name, threads, Arguments) CLUSTER_KERNEL(name, threads, 1, Arguments)
// Its blocks live together, as those of a cluster do.
#define GROUP_KERNEL(name, threads, blocks, Arguments) CLUSTER_KERNEL(name, threads, blocks, Arguments)
#define CLUSTER_KERNEL(name, threads, cluster_size, Arguments)                                              \
  static void name(const Arguments& task);                                                                  \
  static const ::emulator::Registration name##_registration{                                                \
      {KERNEL_PREFIX #name, threads, cluster_size, sizeof(Arguments),                                                     \
       [](const void* task) { name(*static_cast<const Arguments*>(task)); }}};                              \
  static void name([[maybe_unused]] const Arguments& task)

#endif
