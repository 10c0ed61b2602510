// What kernels are written in: every CUDA construct and PTX instruction they use, under one name each.
//
// The same sources are compiled twice. nvcc takes the first half of this file: intrinsics and PTX. A C++
// compiler takes the second half: the emulator (crates/gru-cuda-emulator/cpp), which runs every thread of a
// block and checks each access. Kernels hold no `#if` and no inline assembly; both stand here alone.
//
//   KERNEL(name, threads, Arguments) { ... }    an entry; `task` is its argument, a const Arguments&
//   CLUSTER_KERNEL(name, threads, cluster_size, Arguments) { ... }    the same, in clusters of blocks along x
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
//   store_async, store_async_pair      to a peer's shared memory, completing on a barrier of that peer
//   to_tf32, pack_bf16, mma_*          tensor cores
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
  extern "C" __global__ void __cluster_dims__(cluster_size, 1, 1) __launch_bounds__(threads) \
      name(const __grid_constant__ Arguments task)

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
#define CLUSTER_KERNEL(name, threads, cluster_size, Arguments)                                              \
  static void name(const Arguments& task);                                                                  \
  static const ::emulator::Registration name##_registration{                                                \
      {KERNEL_PREFIX #name, threads, cluster_size, sizeof(Arguments),                                                     \
       [](const void* task) { name(*static_cast<const Arguments*>(task)); }}};                              \
  static void name([[maybe_unused]] const Arguments& task)

#endif
